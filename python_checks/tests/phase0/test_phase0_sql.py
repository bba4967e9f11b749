"""The SQL of step 0.4 and of the baseline on the real schema: every way in which the plan's own query miscounts."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

Runner = Callable[..., dict[str, Any]]
TODAY = datetime.date.today()
RECENT = TODAY.isoformat()
OLD = (TODAY - datetime.timedelta(days=100)).isoformat()


class Base:
    """A database with the production schema, and short words for its rows."""

    def __init__(self, pg: Any, root: Path) -> None:
        self.pg = pg
        self.name = pg.database()
        self.sql = root / "playbooks" / "plan" / "sql"
        self.connection = psycopg.connect(pg.dsn(self.name), autocommit=True)
        self.connection.execute((root / "molecule" / "world" / "slomix_vm" / "schema.sql").read_bytes())
        self.count = 0

    def round(self, number: int | None, date: str | None = RECENT, **columns: Any) -> int:
        self.count += 1
        values = {
            "match_id": f"m{self.count}",
            "round_number": number,
            "round_date": date,
            "map_name": "supply",
            **columns,
        }
        sql = f"INSERT INTO rounds ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))}) RETURNING id"
        row = self.connection.execute(sql, list(values.values())).fetchone()
        assert row is not None
        return int(row[0])

    def lua(self, number: int, round_id: int | None) -> None:
        self.count += 1
        self.connection.execute(
            "INSERT INTO lua_round_teams (match_id, round_number, round_id) VALUES (%s, %s, %s)",
            (f"l{self.count}", number, round_id),
        )

    def player(self, round_id: int, name: str) -> None:
        self.count += 1
        self.connection.execute(
            "INSERT INTO player_comprehensive_stats (round_id, round_date, map_name, round_number, player_guid, player_name)"
            " VALUES (%s, %s, 'supply', 1, %s, %s)",
            (round_id, RECENT, f"g{self.count}", name),
        )

    def read(self, run_module: Runner, file: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        options = {"host": str(self.pg.folder), "port": self.pg.port, "user": "postgres", "dbname": self.name}
        result = run_module("pg_read_info", {**options, "sql": (self.sql / file).read_text(), "params": params})
        assert not result.get("failed"), result["msg"]
        return list(result["rows"])


@pytest.fixture
def base(pg: Any, root: Path) -> Any:
    made = Base(pg, root)
    yield made
    made.connection.close()


@pytest.fixture
def coverage(base: Base, run_module: Runner) -> Callable[[], dict[int | None, dict[str, Any]]]:
    def read(newest_rounds: int = 5000) -> dict[int | None, dict[str, Any]]:
        bound = {"newest_rounds": newest_rounds, "window_days": 14, "bot_name_regex": r"^\[BOT\]"}
        rows = base.read(run_module, "coverage.sql", bound)
        for row in rows:
            assert row["rounds"] == row["played"] + row["bot"] + row["cancelled"] + row["other_status"]
            assert row["played"] == row["with_lua"] + row["without_lua"]
            assert row["window_played"] == row["window_with_lua"] + row["window_without_lua"]
        return {row["round_number"]: row for row in rows}

    return read


def test_an_empty_database_has_three_rows_of_zeros(coverage: Any) -> None:
    found = coverage()
    assert sorted(found) == [0, 1, 2]
    told = ("round_number", "counted_from_day", "is_all")
    assert {value for row in found.values() for name, value in row.items() if name not in told} == {0}
    assert {(row["counted_from_day"], row["is_all"]) for row in found.values()} == {(None, True)}


def test_summaries_stand_apart(base: Base, coverage: Any) -> None:
    base.lua(1, base.round(1))
    base.round(2)
    base.round(0)
    found = coverage()
    assert [found[n]["rounds"] for n in (0, 1, 2)] == [1, 1, 1]
    assert [found[n]["with_lua"] for n in (0, 1, 2)] == [0, 1, 0]
    assert found[2]["without_lua"] == 1


def test_two_lua_rows_for_one_round_do_not_double_it(base: Base, coverage: Any) -> None:
    """round_id has no unique key: a plain LEFT JOIN would count this round twice."""
    played = base.round(1)
    base.lua(1, played)
    base.lua(1, played)
    found = coverage()[1]
    assert (found["rounds"], found["with_lua"], found["linked_more_than_once"]) == (1, 1, 1)
    assert (found["lua_rows"], found["lua_ambiguous"]) == (2, 2)


def test_unlinked_dangling_and_crossed_rows_are_named(base: Base, coverage: Any) -> None:
    base.lua(2, None)
    base.lua(2, 999999)
    base.lua(2, base.round(1))
    found = coverage()
    assert {k: found[2][k] for k in ("lua_rows", "lua_unlinked", "lua_dangling", "lua_crossed")} == {
        "lua_rows": 3, "lua_unlinked": 1, "lua_dangling": 1, "lua_crossed": 1,
    }  # fmt: skip


def test_bot_cancelled_and_other_rounds_leave_the_coverage(base: Base, coverage: Any) -> None:
    marked = base.round(1, is_bot_round=True)
    unmarked = base.round(1)
    base.player(unmarked, "[BOT]one")
    base.player(unmarked, "[BOT]two")
    mixed = base.round(1)
    base.player(mixed, "[BOT]one")
    base.player(mixed, "human")
    base.round(1, round_status="cancelled")
    base.round(1, round_status="substitution")
    base.round(1, round_status=None)
    for round_id in (marked, unmarked):
        base.lua(1, round_id)
    found = coverage()[1]
    assert (found["bot"], found["cancelled"], found["other_status"], found["played"]) == (2, 1, 2, 1)
    assert found["with_lua"] == 0


def test_the_window_compares_text_dates(base: Base, coverage: Any) -> None:
    base.lua(2, base.round(2, RECENT))
    base.round(2, RECENT)
    base.round(2, OLD)
    base.round(2, (TODAY - datetime.timedelta(days=14)).isoformat())
    found = coverage()[2]
    assert (found["played"], found["window_played"], found["window_with_lua"]) == (4, 3, 1)


@pytest.mark.parametrize("date", [None, "", "20.02.2026", "99999999", "yesterday"])
def test_a_date_that_is_none_is_counted_as_undated(base: Base, coverage: Any, date: str | None) -> None:
    base.round(1, date)
    found = coverage()[1]
    assert (found["undated"], found["played"], found["window_played"]) == (1, 1, 0)


def test_an_unknown_round_number_gets_its_own_row(base: Base, coverage: Any) -> None:
    base.round(7)
    base.round(None)
    assert {n: row["rounds"] for n, row in coverage().items()} == {0: 0, 1: 0, 2: 0, 7: 1, None: 1}


def test_the_baseline_counts_what_the_plan_wanted(base: Base, run_module: Runner) -> None:
    for number in (0, 1, 2):
        base.round(number, "2026-02-19")
        last = base.round(number, "2026-02-20")
    base.round(1, "20.02.2026")
    newest = base.round(2, None)
    base.lua(1, last)
    base.lua(2, None)
    row = base.read(run_module, "baseline.sql", {"since": "2026-02-20", "newest_rows": 20000})[0]
    assert row["newest_lua_captured_at"]
    assert {k: v for k, v in row.items() if k != "newest_lua_captured_at"} == {
        "lua_round_teams": 2, "lua_round_teams_r1": 1, "lua_round_teams_r2": 1, "lua_round_teams_unlinked": 1,
        "lua_spawn_stats": 0, "lua_spawn_stats_unlinked": 0,
        "rounds_r1": 3, "rounds_r2": 3, "rounds_summary": 2, "rounds_since_r1": 1, "rounds_since_r2": 1,
        "rounds_undated": 2, "newest_round_id": newest, "counted_from_day": "2026-02-19", "left_out": "",
    }  # fmt: skip


def test_what_is_older_than_counted_is_named(base: Base, coverage: Any, run_module: Runner) -> None:
    """A bound that nobody sees would make a part look like the whole."""
    base.lua(1, base.round(1, OLD))
    base.round(2, "20.02.2026")
    base.lua(2, base.round(2, RECENT))
    found = coverage(newest_rounds=2)
    assert {(row["counted_from_day"], row["is_all"]) for row in found.values()} == {(RECENT, False)}
    assert [(found[n]["rounds"], found[n]["with_lua"], found[n]["lua_rows"]) for n in (1, 2)] == [(0, 0, 1), (2, 1, 1)]
    assert {row["is_all"] for row in coverage(newest_rounds=3).values()} == {True}
    row = base.read(run_module, "baseline.sql", {"since": "2026-02-20", "newest_rows": 2})[0]
    assert (row["left_out"], row["rounds_r1"], row["rounds_r2"], row["lua_round_teams"]) == ("rounds", 0, 2, 2)
    row = base.read(run_module, "baseline.sql", {"since": "2026-02-20", "newest_rows": 1})[0]
    assert row["left_out"] == "rounds, lua_round_teams" and row["counted_from_day"] == RECENT


def test_lua_rows_alone_may_be_more_than_are_counted(base: Base, coverage: Any) -> None:
    for _ in range(3):
        base.lua(1, None)
    assert {row["is_all"] for row in coverage(newest_rounds=2).values()} == {False}


def test_the_plans_own_filter_fails_on_this_schema(base: Base) -> None:
    """Why the SQL here exists: TEXT against a date has no operator."""
    with pytest.raises(psycopg.errors.UndefinedFunction):
        base.connection.execute("SELECT count(*) FROM rounds WHERE round_date >= CURRENT_DATE")
