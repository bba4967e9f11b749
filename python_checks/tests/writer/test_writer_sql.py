"""writer_halves.sql on a real PostgreSQL with the real schema."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

pytestmark = pytest.mark.postgres
STAMP = "2026-02-20-214803"
END_UNIX = 1771620480  # 2026-02-20 21:48:00 at UTC+1
OFFSET_S = 3600


class Statistics:
    """The world's schema with what a test stores in it."""

    def __init__(self, dsn: str, sql: str) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.sql = sql

    def half(self, number: int = 1, *, hms: str = "214803", status: str = "completed", map_name: str = "supply") -> int:
        """A round with two players of 442 s and 60 s, without a row of the webhook."""
        row = self.connection.execute(
            "INSERT INTO rounds (match_id, round_number, round_date, round_time, map_name, round_status)"
            " VALUES (%s, %s, '2026-02-20', %s, %s, %s) RETURNING id",
            (f"{hms}-{number}-{map_name}", number, hms, map_name, status),
        ).fetchone()
        assert row is not None
        for guid, seconds in (("AA", 442), ("BB", 60)):
            self.connection.execute(
                "INSERT INTO player_comprehensive_stats (round_id, round_date, map_name, round_number, player_guid,"
                " player_name, time_played_seconds) VALUES (%s, '2026-02-20', %s, %s, %s, 'human', %s)",
                (row[0], map_name, number, guid, seconds),
            )
        return int(row[0])

    def lua(self, round_id: int | None, *, end: int = END_UNIX, number: int = 1, pauses: int = 0) -> None:
        ended = datetime.datetime.fromtimestamp(end + OFFSET_S, datetime.UTC)
        self.connection.execute(
            "INSERT INTO lua_round_teams (match_id, round_number, round_start_unix, round_end_unix, total_pause_seconds,"
            " map_name, round_id) VALUES (%s, %s, %s, %s, %s, 'supply', %s)",
            (f"{ended:%Y-%m-%d-%H%M%S}", number, end - 442 - pauses, end, pauses, round_id),
        )

    def ask(self, *halves: tuple[str, str, int]) -> list[dict[str, Any]]:
        return self.ask_for([{"stamp": stamp, "map": name, "round": number} for stamp, name, number in halves])

    def ask_for(self, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        values = {"halves": json.dumps(wanted), "utc_offset_s": OFFSET_S, "bot_name_regex": r"^\[BOT\]"}
        with self.connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return list(cursor.execute(self.sql, values))


@pytest.fixture
def stats(pg: Any, root: Path, slomix_schema: str) -> Any:
    name = pg.database(slomix_schema)
    database = Statistics(pg.dsn(name), (root / "playbooks/plan/sql/writer_halves.sql").read_text())
    yield database
    database.connection.close()


def test_a_half_is_found_by_its_files_name_and_the_webhooks_row_by_its_end(stats: Statistics) -> None:
    round_id = stats.half(hms="21:48:03")
    stats.half(hms="214500")
    stats.half(map_name="radar")
    stats.lua(round_id, pauses=30)
    stats.lua(None, end=END_UNIX - 900)
    stats.lua(None, end=END_UNIX + 4, number=2)
    (row,) = stats.ask((STAMP, "supply", 1))
    assert (row["rounds"], row["round_id"], row["players"], row["longest_s"], row["shortest_s"]) == (
        1,
        round_id,
        2,
        442,
        60,
    )
    assert (row["lua_rows"], row["lua_right_links"], row["lua_pauses_s"]) == (1, 1, 30)
    assert row["lua_end_unix"] - row["lua_start_unix"] == 472
    assert row["is_bot"] is False and row["age_s"] >= 0 and len(row["created_at"]) == 19


def test_a_half_that_is_not_stored_has_a_row_that_says_so(stats: Statistics) -> None:
    (row,) = stats.ask((STAMP, "supply", 1))
    assert (row["rounds"], row["round_id"], row["players"], row["longest_s"], row["lua_rows"]) == (0, None, 0, None, 0)
    assert stats.ask() == []


def test_the_summary_is_told_apart_and_belongs_to_r2_only(stats: Statistics) -> None:
    stats.half(2)
    summary = stats.half(0)
    stats.connection.execute(
        "UPDATE player_comprehensive_stats SET time_played_seconds = 400500 WHERE round_id = %s", (summary,)
    )
    first, second = stats.ask((STAMP, "supply", 1), (STAMP, "supply", 2))
    assert (first["summary_longest_s"], second["summary_longest_s"]) == (None, 400500)
    assert second["longest_s"] == 442


def test_the_longest_time_is_of_those_whose_time_is_the_halfs(stats: Statistics) -> None:
    """Somebody without a line in R1 is stored as R2's file has him, both halves together."""
    stats.half(2)
    wanted = [{"stamp": STAMP, "map": "supply", "round": 2, "raw_guids": ["aa"]}]
    (row,) = stats.ask_for(wanted)
    assert (row["players"], row["longest_s"]) == (2, 60)
    (row,) = stats.ask_for([{**wanted[0], "raw_guids": ["aa", "bb"]}])
    assert (row["players"], row["longest_s"]) == (2, None)


def test_bots_by_flag_and_by_name(stats: Statistics) -> None:
    round_id = stats.half()
    stats.connection.execute("UPDATE player_comprehensive_stats SET player_name = '[BOT]x' WHERE player_guid = 'AA'")
    assert stats.ask((STAMP, "supply", 1))[0]["is_bot"] is False
    stats.connection.execute("UPDATE player_comprehensive_stats SET player_name = '[BOT]y'")
    assert stats.ask((STAMP, "supply", 1))[0]["is_bot"] is True
    stats.connection.execute("UPDATE player_comprehensive_stats SET player_name = 'human'")
    stats.connection.execute("UPDATE rounds SET is_bot_round = TRUE WHERE id = %s", (round_id,))
    assert stats.ask((STAMP, "supply", 1))[0]["is_bot"] is True
