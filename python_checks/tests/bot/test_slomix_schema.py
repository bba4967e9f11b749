"""The database has the shape of 2026-02-20, quirks included, because gates and migrations are judged against it."""

from __future__ import annotations

import psycopg
import pytest
from slomix_process import Database

pytestmark = pytest.mark.postgres

COLUMN_COUNTS = {
    "rounds": 24,
    "player_comprehensive_stats": 55,
    "lua_round_teams": 26,
    "lua_spawn_stats": 14,
}


def columns(database: Database, table: str) -> dict[str, dict[str, object]]:
    """Column name -> its entry in the catalogue."""
    rows = database.rows(
        "SELECT column_name, data_type, character_maximum_length AS length, is_nullable, column_default "
        "FROM information_schema.columns WHERE table_name = %s",
        table,
    )
    return {row["column_name"]: row for row in rows}


def test_tables_have_the_counted_columns(database: Database) -> None:
    assert {table: len(columns(database, table)) for table in COLUMN_COUNTS} == COLUMN_COUNTS


def test_types_that_the_plan_stumbles_over(database: Database) -> None:
    rounds, lua = columns(database, "rounds"), columns(database, "lua_round_teams")
    spawns, players = columns(database, "lua_spawn_stats"), columns(database, "player_comprehensive_stats")
    assert rounds["round_date"]["data_type"] == rounds["round_time"]["data_type"] == "text"
    assert lua["time_limit_minutes"]["data_type"] == "integer"
    assert lua["captured_at"]["data_type"] == "timestamp with time zone"
    assert lua["axis_players"]["data_type"] == lua["lua_pause_events"]["data_type"] == "jsonb"
    assert (lua["match_id"]["length"], lua["match_id"]["is_nullable"]) == (64, "NO")
    assert spawns["player_guid"]["length"] == 32
    assert players["time_dead_minutes"]["data_type"] == "real"
    assert not {"time_alive_seconds", "avg_respawn_seconds", "longest_life_seconds"} & set(players)
    assert "is_valid" not in rounds


def test_defaults(database: Database) -> None:
    with database.connect() as connection:
        row = connection.execute("INSERT INTO rounds (match_id, round_number) VALUES ('m', 1) RETURNING *").fetchone()
        assert row is not None
        assert (row["round_status"], row["is_bot_round"], row["pause_count"]) == ("completed", False, 0)
        assert row["created_at"] is not None and row["round_start_unix"] is None
        lua = connection.execute(
            "INSERT INTO lua_round_teams (match_id, round_number) VALUES ('m', 1) RETURNING *"
        ).fetchone()
        assert lua is not None
        assert (lua["axis_players"], lua["surrender_team"], lua["round_id"]) == ([], 0, None)


def test_lua_tables_know_no_rounds_row_and_allow_two_of_one(database: Database) -> None:
    foreign = database.rows(
        "SELECT conrelid::regclass::text AS source FROM pg_constraint WHERE contype = 'f' ORDER BY 1",
    )
    assert [row["source"] for row in foreign] == ["player_comprehensive_stats", "weapon_comprehensive_stats"]
    with database.connect() as connection:
        for match_id in ("a", "b"):
            connection.execute(
                "INSERT INTO lua_round_teams (match_id, round_number, round_id) VALUES (%s, 1, 4711)", (match_id,)
            )
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO lua_round_teams (match_id, round_number) VALUES ('a', 1)")


def test_text_dates_refuse_the_plans_comparison(database: Database) -> None:
    with database.connect() as connection, pytest.raises(psycopg.errors.UndefinedFunction):
        connection.execute("SELECT 1 FROM rounds WHERE round_date >= CURRENT_DATE")


def test_deleting_a_round_takes_its_players(database: Database) -> None:
    with database.connect() as connection:
        row = connection.execute("INSERT INTO rounds (match_id, round_number) VALUES ('m', 1) RETURNING id").fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO player_comprehensive_stats "
            "(round_id, round_date, map_name, round_number, player_guid, player_name) "
            "VALUES (%s, '2026-02-20', 'supply', 1, 'AABBCCDD', 'Ana')",
            (row["id"],),
        )
        connection.execute("DELETE FROM rounds")
        left = connection.execute("SELECT count(*) AS n FROM player_comprehensive_stats").fetchone()
        assert left == {"n": 0}


def test_schema_can_be_run_twice_and_gives_the_tables_to_the_role(database: Database) -> None:
    from slomix_process import SLOMIX_VM

    with database.connect() as connection:
        connection.execute(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'etlegacy_user') "
            "THEN CREATE ROLE etlegacy_user LOGIN; END IF; END $$"
        )
        connection.execute((SLOMIX_VM / "schema.sql").read_text())
        owners = connection.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert owners == [{"tableowner": "etlegacy_user"}]
