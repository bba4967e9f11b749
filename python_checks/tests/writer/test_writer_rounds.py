"""Gate 4 from real files on: the module reads a stats folder, the samples are made of it, the gate judges them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import writer_rounds
from ansible_collections.slomix.timetracking.plugins.module_utils.gate_lint import lint_gate, run_mutants
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import judge

from python_checks.stats.compose import Line, Round

LOADED = "2026-02-20-214000"
LOAD = {
    "state": "loaded",
    "loaded_at_local": LOADED,
    "loaded_at_unix": 1771620000,
    "utc_offset_s": 3600,
    "load_cursor": {},
}
R1, R2 = "2026-02-20-214803", "2026-02-20-215503"
NOW = datetime(2026, 2, 20, 22, 0, tzinfo=UTC)
FIRST = Round(playtime="442475")
SECOND = Round(
    round=2,
    defender=1,
    winner=2,
    limit="7:22",
    following="6:40",
    playtime="400500",
    players=(Line(fields={"damage_given": 5000, "time_played_minutes": 14.0, "time_dead_minutes": 1.0}),),
)
SETTLE_S = 30
FILE_CHECKS = {"4.2/newest", "4.2/nine_fields"}


@pytest.fixture
def gate(root: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((root / "playbooks/plan/gates/phase4.yml").read_text())
    return read


@pytest.fixture
def read(tmp_path: Path, run_module: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Write files into a stats folder and read it as phase 4 does."""

    def call(*files: tuple[str, Round | bytes], age_s: float = 600) -> dict[str, Any]:
        for name, content in files:
            path = tmp_path / (content.name(name) if isinstance(content, Round) else name)
            path.write_bytes(content.data() if isinstance(content, Round) else content)
            os.utime(path, (time.time() - age_s, time.time() - age_s))
        result = run_module("stats_header_info", {"path": str(tmp_path), "settle_s": 0, "since": LOADED})
        return {"result": result, "sample": writer_rounds.file_sample(result, LOAD, SETTLE_S)}

    return call


def row(one: Round, stamp: str, **changes: Any) -> dict[str, Any]:
    """What writer_halves.sql answers for a half that everything agrees on."""
    played_s = int(one.playtime or 0) // 1000
    base = {
        "stamp": stamp, "map": one.map, "round": one.round, "rounds": 1, "round_id": int(stamp[-6:]), "round_status": "completed",
        "created_at": f"2026-02-20 22:{one.round:02d}:00", "age_s": 600, "players": 6, "longest_s": played_s, "shortest_s": 60,
        "is_bot": False, "summary_longest_s": None, "lua_rows": 1, "lua_right_links": 1, "lua_start_unix": 1771620400,
        "lua_end_unix": 1771620400 + played_s, "lua_pauses_s": 0, "lua_duration_s": played_s,
    }  # fmt: skip
    return {**base, **changes}


def said(*lines: tuple[str, str]) -> dict[str, Any]:
    """The bot's log: (time, source) of each line of the parser."""
    matches = [{"number": n, "groups": {"at": at, "source": source}} for n, (at, source) in enumerate(lines)]
    return {"matches": {"source": matches}, "counts": {"source": len(matches)}, "gap": False, "window_empty": False}


FIELD9 = said(("2026-02-20 22:00:59", "field9"), ("2026-02-20 22:02:00", "field9"))


def verdicts(gate: dict[str, Any], files: dict[str, Any], halves: dict[str, Any] | None) -> dict[str, Any]:
    """The checks of gate 4 on these samples, by id."""
    base = {"kind": "step", "check": False, "phase": 4, "leg": "verify", "at": (NOW - timedelta(hours=1)).isoformat()}
    records = [
        {
            **base,
            "seq": 1,
            "step": "4.1",
            "leg": "action",
            "host": "game",
            "digests": {"writer_lua": "aa"},
            "result": {},
        },
        {
            **base,
            "seq": 2,
            "step": "4.2",
            "name": "files",
            "host": "game",
            "digests": {"writer_lua": "aa"},
            "result": files,
        },
    ]
    if halves is not None:
        last = {"step": "4.3", "name": "halves", "host": "vm", "result": halves}
        last["digests"] = {"writer_lua": "aa", "database": "bb"}
        records.append({**base, "seq": 3, **last})
    checks = judge(json.loads(json.dumps(gate)), json.loads(json.dumps(records)), now=NOW).checks
    return {one.id: one for one in checks}


def test_gates_2_and_4_are_sound(root: Path) -> None:
    for name in ("phase2", "phase4"):
        text = yaml.safe_load((root / f"playbooks/plan/gates/{name}.yml").read_text())
        assert lint_gate(text) == [] and run_mutants(text) == []


def test_a_pair_of_nine_fields_that_all_agree_on_passes(read: Callable[..., Any], gate: dict[str, Any]) -> None:
    got = read((R1, FIRST), (R2, SECOND))
    rows = {"rows": [row(FIRST, R1), row(SECOND, R2, summary_longest_s=842)]}
    halves = writer_rounds.stored_sample(got["result"], rows, FIELD9, LOAD, SETTLE_S)
    found = verdicts(gate, got["sample"], halves)
    wanted = FILE_CHECKS | {"4.3/webhook", "4.3/logged", "4.3/first_half", "4.3/stored"}
    assert {name: found[name].verdict for name in wanted} == dict.fromkeys(wanted, "pass")
    assert [half["code"] for half in halves["halves"]] == ["", ""]
    assert writer_rounds.halves_wanted(got["result"])[0] == {"stamp": R1, "map": "supply", "round": 1, "raw_guids": []}


def folder_mutants() -> Iterator[tuple[Any, ...]]:
    """(name, files, verdict of 4.2/newest, verdict of 4.2/nine_fields, words of the finding)."""
    cut = FIRST.data()[:-30]
    backslash = replace(FIRST, playtime=None, server="My\\Server")
    yield "wrong unit", [(R1, replace(FIRST, playtime="442"))], "pass", "fail", "whole seconds"
    yield "microseconds", [(R1, replace(FIRST, playtime="442475000"))], "inconclusive", "fail", "more than a day"
    yield "a factor of 60", [(R1, replace(FIRST, playtime="26520000"))], "pass", "fail", "60 times"
    yield "truncated", [(f"{R1}-supply-round-1.txt", cut)], "inconclusive", "fail", "cut"
    yield "sibling newest", [(f"{R1}-supply-round-1-endstats.txt", b"a\tb\n")], "inconclusive", "inconclusive", ""
    yield "old file newest", [("2026-02-20-213000", FIRST)], "inconclusive", "inconclusive", ""
    yield "backslash in the host's name", [(R1, backslash)], "fail", "fail", "fields"
    yield "8 fields after the deployment", [(R1, replace(FIRST, playtime=None))], "fail", "fail", "fields"
    yield "negative field 9", [(R1, replace(FIRST, playtime="-5123456"))], "inconclusive", "fail", "-5123456"
    yield "zero", [(R1, replace(FIRST, playtime="0"))], "inconclusive", "fail", "longer than 0"
    dead = replace(FIRST, players=(Line(fields={"time_played_minutes": 7.4, "time_dead_minutes": 9.9}),))
    yield "dead longer than played", [(R1, dead)], "pass", "fail", "dead 9.9"
    mixed = [("2026-02-20-213500", replace(FIRST, playtime=None)), ("2026-02-20-214203", SECOND)]
    yield "R1 by the old writer", mixed, "pass", "inconclusive", "MIXED"


@pytest.mark.parametrize(
    ("name", "files", "newest", "fields", "words"), list(folder_mutants()), ids=lambda v: str(v)[:28]
)
def test_gate_4_catches(
    name: str, files: Any, newest: str, fields: str, words: str, read: Callable[..., Any], gate: dict[str, Any]
) -> None:
    found = verdicts(gate, read(*files)["sample"], None)
    assert (found["4.2/newest"].verdict, found["4.2/nine_fields"].verdict) == (newest, fields), found["4.2/nine_fields"]
    assert words in found["4.2/nine_fields"].found


def test_siblings_and_backslashes_do_not_mislead(read: Callable[..., Any], gate: dict[str, Any]) -> None:
    """Nine fields behind a backslash in the host's name, an awards file and a weapon file that are newer."""
    nine = replace(FIRST, server="My\\Server")
    got = read((R1, nine), (f"{R2}-supply-round-1-endstats.txt", b"a\tb\n"), (f"{R2}-supply-round-1_ws.txt", b"x\n"))
    found = verdicts(gate, got["sample"], None)
    assert found["4.2/newest"].verdict == found["4.2/nine_fields"].verdict == "pass"
    assert got["sample"]["newest"]["name"] == nine.name(R1)


def test_a_file_that_is_being_written_is_waited_for(read: Callable[..., Any], gate: dict[str, Any]) -> None:
    cut = (f"{R1}-supply-round-1.txt", FIRST.data()[:-30])
    found = verdicts(gate, read(cut, age_s=0)["sample"], None)["4.2/nine_fields"]
    assert found.verdict == "inconclusive" and "HALF_WRITTEN" in found.found


@pytest.mark.parametrize("where", ["player", "summary"])
def test_milliseconds_read_as_seconds_are_named_with_the_factor(
    where: str, read: Callable[..., Any], gate: dict[str, Any]
) -> None:
    """What a parser without phase 3 stores: R1's field 9 as seconds; of an R2 only the summary follows field 9."""
    got = read((R1, FIRST), (R2, SECOND))
    rows = [row(FIRST, R1), row(SECOND, R2, summary_longest_s=842)]
    rows[0 if where == "player" else 1].update(
        {"longest_s": 442475} if where == "player" else {"summary_longest_s": 400500}
    )
    halves = writer_rounds.stored_sample(got["result"], {"rows": rows}, FIELD9, LOAD, SETTLE_S)
    found = verdicts(gate, got["sample"], halves)["4.3/stored"]
    assert found.verdict == "fail"
    fault = next(half["stored_fault"] for half in halves["halves"] if half["stored_fault"])
    assert fault.startswith("unit error by a factor of 1000, milliseconds read as seconds: ")
    assert "unit error by a factor of 1000, milliseconds read as seconds" in found.found


@pytest.mark.parametrize(("at", "off_h"), [("23:00:59", 1), ("17:01:00", -5), ("22:31:00", None)])
def test_a_log_in_another_time_zone_is_told_from_one_that_says_nothing(
    at: str, off_h: int | None, read: Callable[..., Any], gate: dict[str, Any]
) -> None:
    got = read((R1, FIRST))
    log = said((f"2026-02-20 {at}", "field9"))
    halves = writer_rounds.stored_sample(got["result"], {"rows": [row(FIRST, R1)]}, log, LOAD, SETTLE_S)
    assert (halves["halves"][0]["source"], halves["halves"][0]["log_off_h"]) == (None, off_h)
    found = verdicts(gate, got["sample"], halves)["4.3/logged"]
    assert found.verdict == "inconclusive" and ("OTHER_ZONE" if off_h else "NOT_LOGGED") in found.found


def test_a_short_second_half_is_no_error_of_unit(read: Callable[..., Any], gate: dict[str, Any]) -> None:
    """R1 held for 12:00, R2 surrendered after 12 s: both together are sixty times the second half."""
    first = replace(FIRST, winner=1, limit="12:00", following="12:00", playtime="720000", players=())
    short = replace(SECOND, winner=1, limit="12:00", following="12:00", playtime="12200", players=())
    got = read((R1, first), (R2, short))
    rows = {"rows": [row(first, R1), row(short, R2, summary_longest_s=732)]}
    halves = writer_rounds.stored_sample(got["result"], rows, FIELD9, LOAD, SETTLE_S)
    assert halves["halves"][1]["stored_fault"] == ""
    rows["rows"][1]["longest_s"] = 732
    (fault,) = [
        one["stored_fault"]
        for one in writer_rounds.stored_sample(got["result"], rows, FIELD9, LOAD, SETTLE_S)["halves"]
        if one["round"] == 2
    ]
    assert fault.startswith("unit error by a factor of 60")


@pytest.mark.parametrize(
    ("changes", "verdict", "code"),
    [
        ({"longest_s": 840}, "pass", "ORPHAN"),
        ({"longest_s": 838}, "fail", ""),
        ({"longest_s": 840, "summary_longest_s": 842}, "fail", ""),
        ({"longest_s": 405}, "pass", ""),
    ],
    ids=["R2 alone", "another sum", "the summary came with it", "R1 was there"],
)
def test_a_second_half_that_came_in_without_its_first_is_no_witness(
    changes: dict[str, Any], verdict: str, code: str, read: Callable[..., Any], gate: dict[str, Any]
) -> None:
    """The bot then stores the file's own times, of both halves together (14.0 min here); that is no error of field 9."""
    got = read((R1, FIRST), (R2, SECOND))
    rows = {"rows": [row(FIRST, R1), row(SECOND, R2, **changes)]}
    halves = writer_rounds.stored_sample(got["result"], rows, FIELD9, LOAD, SETTLE_S)
    assert halves["halves"][1]["stored_code"] == code
    found = verdicts(gate, got["sample"], halves)["4.3/stored"]
    assert found.verdict == verdict and ("ORPHAN x1" in found.found) == bool(code)


@pytest.mark.parametrize(
    ("changes", "log", "check", "verdict", "code"),
    [
        ({"lua_end_unix": 1771620400}, FIELD9, "4.3/webhook", "fail", ""),
        ({"lua_end_unix": 1771620400 + 442475}, FIELD9, "4.3/webhook", "fail", ""),
        ({"lua_end_unix": 1771620400 + 492}, FIELD9, "4.3/webhook", "inconclusive", ""),
        ({"lua_rows": 2}, FIELD9, "4.3/webhook", "inconclusive", ""),
        # 3 s that an old webhook took for a pause; the same from one that sees pauses; and less than any pause explains.
        ({"lua_pauses_s": 3, "lua_version": "1.6.0"}, FIELD9, "4.3/webhook", "inconclusive", ""),
        ({"lua_pauses_s": 3, "lua_version": "1.6.0.1"}, FIELD9, "4.3/webhook", "inconclusive", ""),
        ({"lua_pauses_s": 3, "lua_version": "1.6.3"}, FIELD9, "4.3/webhook", "fail", ""),
        (
            {"lua_pauses_s": 3, "lua_end_unix": 1771620400 + 435, "lua_version": "1.6.0"},
            FIELD9,
            "4.3/webhook",
            "fail",
            "",
        ),
        ({"lua_rows": 0, "lua_start_unix": None}, FIELD9, "4.3/webhook", "inconclusive", ""),
        ({"lua_rows": 0, "age_s": 5}, FIELD9, "4.3/webhook", "inconclusive", "UNSETTLED"),
        ({"is_bot": True}, FIELD9, "4.3/stored", "inconclusive", "BOT"),
        ({"round_status": "cancelled"}, FIELD9, "4.3/stored", "inconclusive", "STATUS"),
        ({"round_id": None, "rounds": 0}, FIELD9, "4.3/stored", "inconclusive", "NOT_STORED"),
        ({"longest_s": 460}, FIELD9, "4.3/stored", "fail", ""),
        ({"longest_s": 100}, FIELD9, "4.3/stored", "inconclusive", ""),
        ({"rounds": 2}, FIELD9, "4.3/stored", "fail", ""),
        ({}, said(), "4.3/logged", "inconclusive", ""),
        ({}, said(("2026-02-20 22:00:59", "header")), "4.3/logged", "fail", ""),
        (
            {},
            said(("2026-02-20 22:00:59", "header"), ("2026-02-20 22:01:00", "field9")),
            "4.3/logged",
            "inconclusive",
            "",
        ),
        ({}, said(("2026-02-20 20:10:59", "field9")), "4.3/logged", "inconclusive", ""),
    ],
)
def test_a_half_that_somebody_disputes_does_not_pass(
    changes: dict[str, Any],
    log: dict[str, Any],
    check: str,
    verdict: str,
    code: str,
    read: Callable[..., Any],
    gate: dict[str, Any],
) -> None:
    got = read((R1, FIRST))
    rows = {"rows": [row(FIRST, R1, **changes)]}
    halves = writer_rounds.stored_sample(got["result"], rows, log, LOAD, SETTLE_S)
    assert halves["halves"][0]["code"] == code
    assert verdicts(gate, got["sample"], halves)[check].verdict == verdict


def test_what_proves_nothing_does_not_hold_up_what_does(read: Callable[..., Any], gate: dict[str, Any]) -> None:
    """A half whose pause the webhook did not see, that nobody played whole and nobody logged, beside a good one."""
    other = "2026-02-20-220503"
    got = read((R1, FIRST), (other, FIRST))
    paused = row(FIRST, R1, lua_end_unix=1771620400 + 542, longest_s=100, created_at="2026-02-20 20:00:00")
    rows = {"rows": [paused, row(FIRST, other)]}
    halves = writer_rounds.stored_sample(got["result"], rows, FIELD9, LOAD, SETTLE_S)
    found = verdicts(gate, got["sample"], halves)
    for check, code in (
        ("4.3/webhook", "PAUSE_UNSEEN"),
        ("4.3/stored", "NOT_WHOLE"),
        ("4.3/first_half", "NOT_WHOLE"),
        ("4.3/logged", "NOT_LOGGED"),
    ):
        assert found[check].verdict == "pass" and f"{code} x1" in found[check].found
    alone = writer_rounds.stored_sample(got["result"], {"rows": [paused]}, FIELD9, LOAD, SETTLE_S)
    found = verdicts(gate, got["sample"], alone)
    assert {found[check].verdict for check in ("4.3/webhook", "4.3/stored", "4.3/logged")} == {"inconclusive"}


def test_without_a_load_nothing_is_judged(read: Callable[..., Any], gate: dict[str, Any]) -> None:
    result = read((R1, FIRST))["result"]
    pending = writer_rounds.file_sample(result, {"state": "pending"}, SETTLE_S)
    assert pending["skipped"] is True
    assert verdicts(gate, pending, pending)["4.2/nine_fields"].verdict == "inconclusive"


def test_a_probe_that_failed_is_an_error_not_an_answer(read: Callable[..., Any], gate: dict[str, Any]) -> None:
    got = read((R1, FIRST))
    halves = writer_rounds.stored_sample(got["result"], {"failed": True, "msg": "no route"}, FIELD9, LOAD, SETTLE_S)
    assert verdicts(gate, got["sample"], halves)["4.3/stored"].verdict == "error"


def test_a_wrong_since_is_refused(tmp_path: Path, run_module: Callable[..., dict[str, Any]]) -> None:
    result = run_module("stats_header_info", {"path": str(tmp_path), "settle_s": 0, "since": "yesterday"})
    assert result["failed"] and "YYYY-MM-DD-HHMMSS" in result["msg"]


def test_who_has_no_line_in_r1_is_named_to_the_database(read: Callable[..., Any]) -> None:
    """R2's file has the times of both halves: of a late one whom R1 does not list, and of one who reconnected, R2's own."""
    one = SECOND.players[0]
    first = replace(FIRST, players=(replace(one, guid="AAAA0001"), replace(one, guid="AAAA0002")))
    late, back = (
        replace(one, guid="BBBB0003", fields={"time_played_minutes": 15.0}),
        replace(one, guid="AAAA0002", fields={}),
    )
    got = read((R1, first), (R2, replace(SECOND, players=(replace(one, guid="AAAA0001"), back, late))))
    (_, second) = got["result"]["rounds"]
    assert (second["raw_guids"], second["longest_played_min"]) == (["aaaa0002", "bbbb0003"], 14.0)
    assert writer_rounds.halves_wanted(got["result"])[1]["raw_guids"] == ["aaaa0002", "bbbb0003"]
