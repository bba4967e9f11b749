"""The SQL on the real schema: raw values, one row per round and player, nothing filled up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from python_checks.cli import main

pytestmark = pytest.mark.postgres


@pytest.fixture
def base(pg: Any, root: Path) -> tuple[Any, str]:
    """A database with the site's schema and two rounds of four players."""
    name = pg.database()
    with psycopg.connect(pg.dsn(name), autocommit=True) as connection:
        connection.execute((root / "molecule/world/slomix_vm/schema.sql").read_text())
        for number, status in ((1, "completed"), (2, "completed"), (0, "completed"), (1, "cancelled")):
            round_id = connection.execute(
                "INSERT INTO rounds (match_id, round_number, round_date, round_time, map_name, gaming_session_id, round_status) "
                "VALUES (%s, %s, '2026-03-30', '21:45:03', 'supply', 7, %s) RETURNING id",
                (f"m-{status}-{number}", number, status),
            ).fetchone()[0]
            for player in range(4):
                connection.execute(
                    "INSERT INTO player_comprehensive_stats (round_id, round_date, map_name, round_number, player_guid, player_name, "
                    "time_played_seconds, time_dead_minutes) VALUES (%s, '2026-03-30', 'supply', %s, %s, 'Ana', 600, 1.2)",
                    (round_id, number, f"AABBCC{player:02d}"),
                )
                if number == 1 and status == "completed" and player < 3:
                    connection.execute(
                        "INSERT INTO lua_spawn_stats (match_id, round_number, round_id, player_guid, dead_seconds) "
                        "VALUES ('l1', 1, %s, %s, %s)",
                        (round_id, f"aabbcc{player:02d}" + "f" * 24, 70 + player),
                    )
            if number == 1 and status == "completed":
                connection.execute(
                    "INSERT INTO lua_round_teams (match_id, round_number, round_id, lua_version, actual_duration_seconds, "
                    "round_start_unix, round_end_unix) VALUES ('l1', 1, %s, '1.7.0', 600, 1000, 1601)",
                    (round_id,),
                )
    return pg, name


def collected(base: tuple[Any, str], capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    pg, name = base
    code = main(
        [
            "shadow",
            "--dbname",
            name,
            "--host",
            str(pg.folder),
            "--port",
            str(pg.port),
            "--user",
            "postgres",
            "--format",
            "json",
            *more,
        ]
    )
    return code, json.loads(capsys.readouterr().out)


def test_rows_are_raw_and_counted(base: tuple[Any, str], capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = collected(base, capsys)
    assert code == 1 and answer["numbers"]["rounds"] == 2 and answer["numbers"]["rows"] == 8
    assert answer["numbers"]["rows_covered"] == 3 and answer["numbers"]["rounds_covered"] == 0
    assert answer["counts"] == {"FALLBACK": 5, "left out: CANCELLED": 4}


def test_two_links_are_ambiguous(base: tuple[Any, str], capsys: pytest.CaptureFixture[str]) -> None:
    pg, name = base
    with psycopg.connect(pg.dsn(name), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO lua_spawn_stats (match_id, round_number, round_id, player_guid, dead_seconds) "
            "SELECT 'l2', 1, round_id, player_guid, 5 FROM lua_spawn_stats WHERE player_guid LIKE 'aabbcc00%'"
        )
    assert collected(base, capsys)[1]["counts"]["LINK_AMBIGUOUS"] == 1
    with psycopg.connect(pg.dsn(name), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO lua_round_teams (match_id, round_number, round_id, lua_version) "
            "SELECT 'l2', 1, round_id, lua_version FROM lua_round_teams"
        )
    assert collected(base, capsys)[1]["counts"]["LINK_AMBIGUOUS"] == 4


def test_more_halves_than_are_compared_are_told(base: tuple[Any, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Three halves since that day: the cancelled one is left out by its class, not by the window."""
    assert "WINDOW_CUT" not in collected(base, capsys, "--newest-halves", "3")[1]["codes"]
    answer = collected(base, capsys, "--newest-halves", "2")[1]
    assert "WINDOW_CUT" in answer["codes"] and answer["counts"]["left out: CANCELLED"] == 4


def test_no_database_is_an_error(base: tuple[Any, str], capsys: pytest.CaptureFixture[str]) -> None:
    pg, _ = base
    assert (
        main(["shadow", "--dbname", "absent", "--host", str(pg.folder), "--port", str(pg.port), "--user", "postgres"])
        == 2
    )
    assert "could not judge" in capsys.readouterr().err


def test_since_narrows_the_window(base: tuple[Any, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "NO_DATA" in collected(base, capsys, "--since", "2026-04-01")[1]["codes"]
