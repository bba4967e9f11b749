"""pairs_since_load.sql on a real PostgreSQL with the real schema, and the sample that is made of its rows."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import logwindow, pairs

from python_checks.tests.halves import LOADED, MAP, ROUND_PAIRS, Statistics, local

pytestmark = pytest.mark.postgres


@pytest.fixture
def stats(pg: Any, root: Path, slomix_schema: str) -> Any:
    database = Statistics(
        pg.dsn(pg.database(slomix_schema)), (root / "playbooks/plan/sql/pairs_since_load.sql").read_text()
    )
    yield database
    database.connection.close()


R1_END, R2_END = LOADED + 460, LOADED + 1000


def test_a_complete_pair_counts(stats: Statistics) -> None:
    r1, r2 = stats.half(1, R1_END), stats.half(2, R2_END)
    (pair,) = stats.pairs()
    assert (pair["r1_id"], pair["r2_id"], pair["map"], pair["code"]) == (r1, r2, MAP, "")
    assert [pair[f"r{n}_{what}"] for n in (1, 2) for what in ("links", "right_links", "lua_rows")] == [1] * 6
    assert pair["r2_limit_fractional"] is True
    assert pair["r2_lua_match_id"] == local(R2_END).strftime("%Y-%m-%d-%H%M%S")


def test_an_empty_database_gives_counts_only(stats: Statistics) -> None:
    (row,) = stats.rows()
    assert row["kind"] == "counts" and row["summaries"] == row["cancelled"] == row["lua_unlinked"] == 0


@pytest.mark.parametrize(
    ("r1", "code"),
    [
        ({"end": LOADED - 100}, "MIXED"),
        ({"map_name": "goldrush"}, "NO_R1"),
        ({"number": 2}, "NO_R1"),
        ({"bots": True}, "BOT"),
        ({"status": "substitution"}, "STATUS"),
    ],
)
def test_a_pair_that_proves_nothing_is_named(stats: Statistics, r1: dict[str, Any], code: str) -> None:
    given = {"number": 1, "end": R1_END, **r1}
    stats.half(given.pop("number"), given.pop("end"), **given)
    stats.half(2, R2_END)
    assert stats.pairs()[-1]["code"] == code


def test_a_half_that_began_before_the_load_by_its_lua_row_is_mixed(stats: Statistics) -> None:
    stats.half(1, R1_END, lasts=R1_END - LOADED + 1)
    stats.half(2, R2_END)
    assert stats.pairs()[0]["code"] == "MIXED"


def test_an_r2_from_before_the_load_is_no_row_at_all(stats: Statistics) -> None:
    stats.half(1, LOADED - 900)
    stats.half(2, LOADED - 100)
    assert stats.pairs() == []


@pytest.mark.parametrize(
    ("clock", "winner", "defender", "fractional"),
    [
        ("7:22", 2, 1, True),
        ("7:22", 1, 2, True),
        ("12:00", 1, 1, False),
        ("7:00", 2, 1, None),
        ("7:30", 1, 1, None),
        ("7:22", 0, 1, None),
        ("", 2, 1, None),
        ("0", 2, 1, None),
    ],
)
def test_the_limit_of_r2(stats: Statistics, clock: str, winner: int, defender: int, fractional: bool | None) -> None:
    stats.half(1, R1_END, clock=clock, winner=winner, defender=defender)
    stats.half(2, R2_END)
    assert stats.pairs()[0]["r2_limit_fractional"] is fractional


def test_the_defect_itself_r2_without_a_lua_row(stats: Statistics) -> None:
    stats.half(1, R1_END)
    stats.half(2, R2_END, lua=False)
    (pair,) = stats.pairs()
    assert (pair["code"], pair["r1_lua_rows"], pair["r2_lua_rows"], pair["r2_links"]) == ("", 1, 0, 0)
    assert pair["r2_limit_fractional"] is True and pair["r2_lua_match_id"] is None


def test_a_row_that_is_there_but_unlinked(stats: Statistics) -> None:
    stats.half(1, R1_END)
    stats.half(2, R2_END, linked=False)
    (pair,) = stats.pairs()
    assert (pair["r2_lua_rows"], pair["r2_links"], pair["r2_right_links"]) == (1, 0, 0)
    assert pair["link_code"] == "UNLINKED"
    assert next(row for row in stats.rows() if row["kind"] == "counts")["lua_unlinked"] == 1


def test_a_row_that_went_to_an_older_round_of_the_map_is_named_at_once(stats: Statistics) -> None:
    """What the February linker does when a map is played again within 45 minutes."""
    stats.settle_s = 60
    old = stats.half(2, LOADED - 300, lua=False)
    stats.half(1, R1_END)
    stats.half(2, R2_END, lua=False)
    stats.lua(2, R2_END, old)
    (pair,) = stats.pairs()
    assert (pair["code"], pair["link_code"]) == ("", "MISLINKED")
    assert (pair["r2_lua_rows"], pair["r2_links"], pair["r2_right_links"]) == (1, 0, 0)
    sample = pairs.sample(stats.rows(), {}, LOAD, 60)
    assert sample["excluded"] == {"MISLINKED": 1}


def test_a_link_to_the_wrong_round_is_no_right_link(stats: Statistics) -> None:
    stats.half(1, R1_END)
    r2 = stats.half(2, R2_END, lua=False)
    stats.lua(2, R2_END + 4000, r2)
    (pair,) = stats.pairs()
    assert (pair["r2_links"], pair["r2_right_links"]) == (1, 0)


def test_two_rows_for_one_round_are_counted_two(stats: Statistics) -> None:
    stats.half(1, R1_END)
    r2 = stats.half(2, R2_END)
    stats.lua(2, R2_END + 1, r2)
    (pair,) = stats.pairs()
    assert (pair["r2_links"], pair["r2_right_links"]) == (2, 2)


def test_midnight_and_times_with_colons(stats: Statistics) -> None:
    loaded = int(datetime.datetime(2026, 2, 20, 22, 30, tzinfo=datetime.UTC).timestamp())
    stats.half(1, loaded + 1500)  # 23:55 local
    stats.half(2, loaded + 1900, colons=True)  # 00:01:43 of the next day
    (pair,) = stats.pairs(loaded)
    assert (pair["code"], pair["r2_right_links"]) == ("", 1)
    assert pair["r1_saved"][:10] != pair["r2_saved"][:10]


def test_a_clock_change_between_load_and_half_does_not_unlink(stats: Statistics) -> None:
    for number, end in ((1, R1_END), (2, R2_END)):
        stats.half(number, end + 3600, lua=False)
        round_id = stats.connection.execute("SELECT max(id) FROM rounds").fetchone()
        assert round_id is not None
        stats.lua(number, end, round_id[0])
    assert stats.pairs()[0]["r2_right_links"] == 1


def test_cancelled_halves_do_not_part_a_pair_and_summaries_take_no_part(stats: Statistics) -> None:
    stats.half(1, R1_END)
    stats.half(1, R1_END + 50, status="cancelled", lua=False)
    stats.half(2, R2_END)
    stats.half(0, R2_END, lua=False)
    (pair,) = stats.pairs()
    assert pair["code"] == ""
    counts = next(row for row in stats.rows() if row["kind"] == "counts")
    assert (counts["cancelled"], counts["summaries"]) == (1, 1)


def test_the_same_map_twice_gives_two_pairs_and_an_open_half(stats: Statistics) -> None:
    for start in (0, 2000):
        stats.half(1, R1_END + start)
        stats.half(2, R2_END + start)
    stats.half(1, R1_END + 4000)
    assert [pair["code"] for pair in stats.pairs()] == ["", ""]
    assert [row["code"] for row in stats.rows() if row["kind"] == "open_r1"] == ["R2_MISSING"]


def test_young_and_incomplete_is_not_judged_yet_but_young_and_complete_is(stats: Statistics) -> None:
    stats.settle_s = 60
    stats.half(1, R1_END)
    stats.half(2, R2_END, lua=False, imported_s=None)
    stats.half(1, R1_END + 2000)
    stats.half(2, R2_END + 2000, imported_s=None)
    assert [pair["code"] for pair in stats.pairs()] == ["UNSETTLED", ""]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Ljubljana", "Asia/Kathmandu"])
@pytest.mark.parametrize(("imported_s", "code"), [(960, ""), (961, "LATE"), (None, "LATE")])
def test_a_half_without_a_row_is_late_against_the_promptest(
    stats: Statistics, zone: str, imported_s: int | None, code: str
) -> None:
    stats.connection.execute(f"SET TIME ZONE '{zone}'")
    stats.half(1, R1_END)
    stats.half(2, R2_END, lua=False, imported_s=imported_s)
    stats.half(1, R1_END + 2000)
    stats.half(2, R2_END + 2000, imported_s=imported_s)
    assert [pair["code"] for pair in stats.pairs()] == [code, ""], "what has its row is not late"


def test_clocks_that_differ_make_no_half_late(stats: Statistics) -> None:
    """The game server's clock, or its zone since the load, is an hour off: every half seems an hour late."""
    stats.half(1, R1_END, imported_s=3660)
    stats.half(2, R2_END, lua=False, imported_s=3720)
    assert [(pair["code"], pair["r2_lua_rows"]) for pair in stats.pairs()] == [("", 0)]


def test_rubbish_dates_and_times_raise_nothing(stats: Statistics) -> None:
    for day, hms in (
        ("2026-02-31", "214503"),
        ("yesterday", "214503"),
        ("2026-13-01", "x"),
        ("2026-02-21", "256199"),
        ("2026-02-21", None),
    ):
        stats.connection.execute(
            "INSERT INTO rounds (match_id, round_number, round_date, round_time, map_name) VALUES (%s, 1, %s, %s, 'm')",
            (f"{day}{hms}", day, hms),
        )
    stats.half(1, R1_END)
    stats.half(2, R2_END)
    assert [pair["code"] for pair in stats.pairs()] == [""]
    assert next(row for row in stats.rows() if row["kind"] == "counts")["unreadable_times"] == 3


def test_re_ingested_old_rounds_are_counted_as_such(stats: Statistics) -> None:
    stats.half(2, LOADED - 5000)
    counts = next(row for row in stats.rows() if row["kind"] == "counts")
    assert counts["captured_late"] == 1 and stats.pairs() == []


@pytest.mark.slow
def test_the_pair_is_found_among_a_million_rounds(stats: Statistics) -> None:
    for table in ("player_comprehensive_stats", "weapon_comprehensive_stats", "rounds", "lua_round_teams"):
        stats.connection.execute(f"ALTER TABLE {table} SET UNLOGGED")
    stats.connection.execute(
        "INSERT INTO rounds (match_id, round_number, round_date, round_time, map_name, round_status)"
        " SELECT 'f' || i, 1 + i % 2, to_char(date '2015-01-01' + i / 300, 'YYYY-MM-DD'), '120000', 'm', 'completed'"
        " FROM generate_series(1, 1000000) AS i"
    )
    stats.connection.execute(
        "INSERT INTO lua_round_teams (match_id, round_number, round_start_unix, round_end_unix, map_name, round_id)"
        " SELECT to_char(date '2015-01-01' + i / 300, 'YYYY-MM-DD') || '-' || i, 1 + i % 2, i, i, 'm', i"
        " FROM generate_series(1, 300000) AS i"
    )
    stats.connection.execute("ANALYZE")
    stats.half(1, R1_END)
    stats.half(2, R2_END)
    assert [pair["code"] for pair in stats.pairs()] == [""]


# --- the sample

HEAD = "2026-02-20 21:53:00 | INFO     | bot.webhook               | "
SUMMARY = "playtime=300s, warmup=0s, pauses=0, score=0-1)"
LOG = f"""\
{HEAD}Received STATS_READY webhook with metadata
{HEAD}📊 STATS_READY: supply R1 (winner=2, {SUMMARY}
{HEAD}   Axis: STATS_READY: supply R2 (winner=1
{HEAD}Stored Lua round data: @R1 R1 (Axis: 3, Allies: 3)
{HEAD}STATS_READY embed unusable: x
{HEAD}📊 STATS_READY: supply R2 (winner=1, {SUMMARY}
{HEAD}Stored Lua round data: @R2 R2 (Axis: 3, Allies: 3)
"""


def log_result(tmp_path: Path, text: str, run_module: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    path = tmp_path / "webhook.log"
    path.write_text(text)
    options = {
        "path": str(path),
        "patterns": ROUND_PAIRS["round_pairs_webhook_patterns"],
        "control": ROUND_PAIRS["round_pairs_webhook_control"],
        "with_rotated": True,
        "max_matches": 200,
    }
    return run_module("log_window_info", options)


def text_of_log() -> str:
    r1, r2 = (local(end).strftime("%Y-%m-%d-%H%M%S") for end in (R1_END, R2_END))
    return LOG.replace("@R1", r1).replace("@R2", r2)


LOAD = {"state": "loaded", "loaded_at_unix": LOADED, "loaded_at_local": "2026-02-20-214503"}


def test_the_sample_joins_database_and_log(
    stats: Statistics, tmp_path: Path, run_module: Callable[..., dict[str, Any]]
) -> None:
    stats.half(1, R1_END)
    stats.half(2, R2_END)
    stats.half(0, R2_END, lua=False)
    log = log_result(tmp_path, text_of_log(), run_module)
    sample = pairs.sample(stats.rows(), log, LOAD, 0)
    (pair,) = sample["pairs"]
    assert (pair["r1_posted"], pair["r2_posted"]) == (True, True)
    assert sample["excluded"] == {"ROUND_0": 1} and sample["missing"]["r2_lua_rows"] == 0
    assert sample["posts"][0]["map"] == MAP and len(sample["posts"]) == 2


def test_a_post_that_is_not_in_the_log_is_false_only_if_the_log_is_whole(
    stats: Statistics, tmp_path: Path, run_module: Callable[..., dict[str, Any]]
) -> None:
    stats.half(1, R1_END)
    stats.half(2, R2_END)
    rows = stats.rows()
    log = log_result(tmp_path, "\n".join(text_of_log().splitlines()[:4]), run_module)
    assert pairs.sample(rows, log, LOAD, 0)["pairs"][0]["r2_posted"] is False
    for change in ({"gap": True}, {"control_count": 0}, {"window_empty": True}):
        assert pairs.sample(rows, {**copy.deepcopy(log), **change}, LOAD, 0)["pairs"][0]["r2_posted"] is None
    assert pairs.sample(rows, {}, LOAD, 0)["pairs"][0]["r1_posted"] is None


@pytest.mark.parametrize(
    ("lua_rows", "shown", "code"),
    [
        ((1, 1), 7, ""),
        ((1, 1), 4, "UNPOSTED"),
        ((1, 1), 1, "UNPOSTED"),
        ((1, 0), 4, ""),
        ((1, 0), 1, ""),
        ((0, 0), 1, ""),
    ],
)
def test_a_row_without_a_post_is_named_and_neither_is_not(
    stats: Statistics,
    tmp_path: Path,
    run_module: Callable[..., dict[str, Any]],
    lua_rows: tuple[int, int],
    shown: int,
    code: str,
) -> None:
    stats.half(1, R1_END, lua=bool(lua_rows[0]))
    stats.half(2, R2_END, lua=bool(lua_rows[1]))
    log = log_result(tmp_path, "\n".join(text_of_log().splitlines()[:shown]), run_module)
    sample = pairs.sample(stats.rows(), log, LOAD, 0)
    assert sample["pairs"][0]["post_code"] == code
    assert sample["excluded"] == ({code: 1} if code else {})


def test_rotated_logs_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "webhook.log"
    path.with_name("webhook.log.1").write_text("second\n")
    path.with_name("webhook.log.2").write_text("first\n")
    path.write_text("third\n")
    window = logwindow.open_window(str(path), None, with_rotated=True)
    assert [text for _, _, text in logwindow.lines(window)] == ["first", "second", "third"]


def test_a_names_line_cannot_forge_a_post(tmp_path: Path, run_module: Callable[..., dict[str, Any]]) -> None:
    forged = text_of_log().splitlines()[2]
    assert log_result(tmp_path, forged, run_module)["counts"]["summary"] == 0
