"""The integration proof: six honest answers, each from evidence, and none of them a pass without it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import worst

from python_checks.gates import files
from python_checks.gates.evaluate import judge_gate
from python_checks.gates.proof import GATES, Answer, answers
from python_checks.gates.text import WIDTH, proof_lines
from python_checks.tests.halves import LOADED, Statistics, local

NOW = datetime(2026, 2, 21, 20, 0, tzinfo=UTC)
SPAWN = {"round_id": 1, "map": "supply", "round_number": 1, "players": 6, "with_spawn_row": 6, "unlinked": 0}
GROUPS = {"game_servers": ["game"], "stats_hosts": ["vm"]}
Records = list[dict[str, Any]]
Change = Callable[[Records], object]


def good_records() -> Records:
    """Every sample of every gate as its own file calls it good, all on one evening, and the spawn rows."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for name in GATES:
        for check in files.load_gate(name)["checks"]:
            sample = check["sample"]
            key = (sample["step"], sample["leg"], sample.get("name"), sample["group"])
            found.setdefault(key, {}).update(copy.deepcopy(check["good"]))
    found["proof", "verify", "spawn", "stats_hosts"] = {
        "rows": [dict(SPAWN), {**SPAWN, "round_id": 2, "round_number": 2}]
    }
    digests = {
        name: "a" * 64
        for gate in GATES
        for check in files.load_gate(gate)["checks"]
        for name in [*(check.get("digests") or []), *(check.get("measured_on") or [])]
    }
    made = []
    for seq, ((step, leg, name, group), result) in enumerate(found.items(), start=1):
        made.append(
            {
                "kind": "step",
                "check": False,
                "seq": seq,
                "at": (NOW - timedelta(hours=1)).isoformat(),
                "step": step,
                "leg": leg,
                "name": name,
                "host": GROUPS[group][0],
                "result": result,
                "digests": digests,
            }
        )
    record_of(made, "5.1")["verdict"] = "EQUIVALENT"
    return made


def record_of(records: Records, step: str, name: str | None = None) -> dict[str, Any]:
    result: dict[str, Any] = next(
        one["result"] for one in records if (one["step"], one["leg"], one["name"]) == (step, "verify", name)
    )
    return result


def proof(records: Records) -> list[Answer]:
    verdicts = {name: judge_gate(name, records, now=NOW, hosts=GROUPS) for name in GATES}
    return answers(verdicts, records)


def test_all_six_pass_on_good_evidence_and_two_say_what_stands_in_their_place() -> None:
    found = proof(good_records())
    assert [(one.item, one.verdict) for one in found] == [(number, "pass") for number in range(1, 7)], found
    assert [bool(one.instead) for one in found] == [False, False, False, True, True, False]
    assert all(not one.next for one in found)


def test_without_evidence_nothing_passes_and_each_says_what_to_do() -> None:
    found = proof([])
    assert {one.verdict for one in found} == {"inconclusive"} and all(one.next for one in found)


CHANGES: list[tuple[str, int, str, Change]] = [
    ("the pair began before the writer's load", 1, "inconclusive",
     lambda r: record_of(r, "4.1")["load"].update(loaded_at_unix=1771620311)),
    ("the writer is not loaded", 1, "inconclusive", lambda r: record_of(r, "4.1")["load"].update(state="pending", loaded_at_unix=None)),
    ("R2 is lost", 2, "fail", lambda r: record_of(r, "1.7", "pairs")["pairs"][0].update(r2_lua_rows=0, r2_links=0, r2_right_links=0)),
    ("R2 is linked to nothing", 2, "inconclusive",
     lambda r: record_of(r, "1.7", "pairs")["pairs"][0].update(r2_right_links=0, r2_links=0, link_code="UNLINKED")),
    ("no spawn rows at all", 3, "fail", lambda r: record_of(r, "proof", "spawn")["rows"][1].update(with_spawn_row=0)),
    ("spawn rows of 4 of 6 players", 3, "fail", lambda r: record_of(r, "proof", "spawn")["rows"][0].update(with_spawn_row=4)),
    ("nobody played that round", 3, "fail", lambda r: record_of(r, "proof", "spawn")["rows"][0].update(players=0, with_spawn_row=0)),
    ("no round was asked about", 3, "inconclusive", lambda r: record_of(r, "proof", "spawn").update(rows=[])),
    ("the query failed", 3, "inconclusive", lambda r: record_of(r, "proof", "spawn").update(failed=True)),
    ("the embed was not compared", 4, "error", lambda r: record_of(r, "5.3", "embed").update(failed=True, msg="no")),
    ("the graphs show other values", 5, "fail", lambda r: record_of(r, "6.1", "values")["days"][0].update(unequal=1, equal=0)),
    ("old and new differ", 6, "fail", lambda r: record_of(r, "5.1").update(verdict="DIFFERENT")),
    ("too few rounds were compared", 6, "inconclusive", lambda r: record_of(r, "5.1").update(verdict="INCONCLUSIVE")),
    ("new values that cannot be true", 6, "fail", lambda r: record_of(r, "5.1").update(violation_count=2, validity="bad")),
]  # fmt: skip


@pytest.mark.parametrize(("item", "verdict", "change"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_what_is_missing_or_wrong_is_answered_so(item: int, verdict: str, change: Change) -> None:
    records = good_records()
    change(records)
    found = {one.item: one for one in proof(records)}
    assert found[item].verdict == verdict and found[item].next, found[item]
    assert worst(one.verdict for one in found.values()) != "pass"


def test_the_text_fits_the_screen_and_names_the_items() -> None:
    lines = proof_lines([asdict(one) for one in proof([])])
    assert max(len(line) for line in lines) <= WIDTH
    text = " ".join(" ".join(lines).split())
    assert "lua_spawn_stats" in text and "in its place: that endpoint has no timing" in text


@pytest.mark.postgres
def test_spawn_rows_are_counted_by_player_and_unlinked_ones_apart(pg: Any, root: Any, slomix_schema: str) -> None:
    name = pg.database(slomix_schema)
    sql = (root / "playbooks/plan/sql/spawn_rows.sql").read_text()
    stats = Statistics(pg.dsn(name), sql)
    one, two = stats.half(1, LOADED + 460), stats.half(2, LOADED + 1000)
    for guid, round_id in (("0" + "F" * 31, one), ("1", one), ("1", one), ("0", None), ("9", None)):
        end = LOADED + (460 if round_id else 1000)
        number = 1 if round_id else 2
        stats.connection.execute(
            "INSERT INTO lua_spawn_stats (match_id, round_number, round_id, player_guid) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (local(end).strftime("%Y-%m-%d-%H%M%S"), number, round_id, guid),
        )
    stats.connection.execute("UPDATE player_comprehensive_stats SET player_guid = '0ffFFFFF' WHERE player_guid = '0'")
    rows = stats.connection.execute(sql, {"round_ids": f"[{one}, {two}, 999]"}).fetchall()
    assert [(row[0], *row[3:]) for row in rows] == [(one, 2, 2, 0), (two, 2, 0, 2)]
    assert stats.connection.execute(sql, {"round_ids": "[]"}).fetchall() == []
    stats.connection.close()
