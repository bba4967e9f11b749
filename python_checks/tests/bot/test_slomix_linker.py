"""The linker's decisions, one by one: each reason it logs has a case that produces it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest
from bot.core.database import DatabaseAdapter
from bot.core.round_linker import RoundLinker, parse_round_datetime
from slomix_composed import unix
from slomix_process import Database

pytestmark = pytest.mark.postgres

TARGET = datetime(2026, 2, 20, 21, 30, 0)


def add_round(database: Database, date: str, time: str, *, map_name: str = "supply", half: int = 1) -> int:
    """A rounds row; returns its id."""
    with database.connect() as connection:
        row = connection.execute(
            "INSERT INTO rounds (match_id, round_number, round_date, round_time, map_name) "
            "VALUES (gen_random_uuid()::text, %s, %s, %s, %s) RETURNING id",
            (half, date, time, map_name),
        ).fetchone()
    assert row is not None
    return row["id"]


def add_lua(database: Database, end: str, *, half: int = 1, round_id: int | None = None) -> int:
    """A lua_round_teams row that ended at ``end``; returns its id."""
    with database.connect() as connection:
        row = connection.execute(
            "INSERT INTO lua_round_teams (match_id, round_number, map_name, round_end_unix, round_id) "
            "VALUES (%s, %s, 'supply', %s, %s) RETURNING id",
            (end, half, unix(end), round_id),
        ).fetchone()
    assert row is not None
    return row["id"]


def with_linker(database: Database, call: Any) -> Any:
    """Run ``call(linker)`` on the bot's own database layer."""

    async def run() -> Any:
        cluster = database.cluster
        adapter = DatabaseAdapter(
            {"host": str(cluster.folder), "port": cluster.port, "dbname": database.name, "user": "postgres"}
        )
        try:
            return await call(RoundLinker(adapter, window_minutes=45))
        finally:
            await adapter.close()

    return asyncio.run(run())


def resolve(database: Database, target: datetime | None = TARGET, date: str | None = "2026-02-20") -> int | None:
    """What the linker finds for R1 of supply."""
    return with_linker(database, lambda linker: linker.resolve("supply", 1, target_time=target, round_date=date))


def test_nothing_of_this_map_and_half(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    add_round(database, "2026-02-20", "213003", half=2)
    add_round(database, "2026-02-20", "213003", half=0)
    add_round(database, "2026-02-20", "213003", map_name="goldrush")
    assert resolve(database) is None
    assert "Round linker unresolved: map=supply round=1 reason=no_rows_for_map_round candidates=0" in caplog.text


def test_nearest_wins_in_both_time_notations(database: Database) -> None:
    add_round(database, "2026-02-20", "210000")
    nearest = add_round(database, "2026-02-20", "21:29:30")
    add_round(database, "2026-02-20", "213100")
    assert resolve(database) == nearest


@pytest.mark.parametrize(("time", "inside"), [("204500", True), ("204459", False), ("221500", True), ("221501", False)])
def test_window_of_45_minutes(database: Database, caplog: pytest.LogCaptureFixture, time: str, inside: bool) -> None:
    row = add_round(database, "2026-02-20", time)
    assert resolve(database) == (row if inside else None)
    assert inside or "reason=all_candidates_outside_window" in caplog.text


def test_other_day_counts_only_with_a_target_time(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    row = add_round(database, "2026-02-21", "000500")
    midnight = datetime(2026, 2, 20, 23, 59, 0)
    assert resolve(database, target=midnight) == row
    assert resolve(database, target=None) is None
    assert "reason=date_filter_excluded_rows" in caplog.text


def test_row_of_the_day_hides_a_nearer_one_after_midnight(database: Database) -> None:
    of_the_day = add_round(database, "2026-02-20", "233000")
    add_round(database, "2026-02-21", "000200")
    assert resolve(database, target=datetime(2026, 2, 20, 23, 59, 0)) == of_the_day


def test_unreadable_times(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    add_round(database, "2026-02-20", "late")
    assert resolve(database) is None
    assert "reason=time_parse_failed" in caplog.text
    assert parse_round_datetime(None, None) is None


def test_import_takes_the_nearest_unlinked_row(database: Database) -> None:
    taken = add_lua(database, "2026-02-20-212959", round_id=4711)
    near, far = add_lua(database, "2026-02-20-212800"), add_lua(database, "2026-02-20-212000")
    other_half = add_lua(database, "2026-02-20-213001", half=2)
    found = with_linker(database, lambda linker: linker.link_after_import(9, "supply", 1, unix("2026-02-20-213003")))
    rows = {row["id"]: row["round_id"] for row in database.rows("SELECT id, round_id FROM lua_round_teams")}
    assert found == 9
    assert rows == {taken: 4711, near: 9, far: None, other_half: None}


def test_import_leaves_rows_outside_the_window(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    row = add_lua(database, "2026-02-20-204502")
    target = unix("2026-02-20-213003")
    assert with_linker(database, lambda linker: linker.link_after_import(9, "supply", 1, target)) is None
    assert database.rows("SELECT round_id FROM lua_round_teams WHERE id = %s", row) == [{"round_id": None}]
    assert "reason=no_unlinked_lua_row" in caplog.text
