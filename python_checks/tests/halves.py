"""Halves as importer and bot store them, on a real PostgreSQL with the world's schema; times are seconds around one load."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import psycopg
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROUND_PAIRS: dict[str, Any] = yaml.safe_load((ROOT / "roles/round_pairs/defaults/main.yml").read_text())
HOOK: str = ROUND_PAIRS["round_pairs_lua_file"]
LOADED = 1771620303  # 2026-02-20 21:45:03 in Ljubljana (UTC+1)
OFFSET_S = 3600
MAP = "supply"


def local(unix: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(unix + OFFSET_S, datetime.UTC)


class Statistics:
    """A database with the world's schema; ``half`` stores one half the way importer and bot do."""

    def __init__(self, dsn: str, sql: str) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.sql = sql
        self.settle_s = 0

    def half(
        self,
        number: int,
        end: int,
        *,
        map_name: str = MAP,
        lasts: int = 300,
        lua: bool = True,
        linked: bool = True,
        clock: str = "7:22",
        winner: int = 2,
        defender: int = 1,
        status: str = "completed",
        bots: bool = False,
        colons: bool = False,
        imported_s: int | None = 60,
    ) -> int:
        """``end`` is unix seconds; the file is saved 3 s later and imported ``imported_s`` after that (None: just now)."""
        saved = local(end + 3)
        hms = saved.strftime("%H:%M:%S" if colons else "%H%M%S")
        day = saved.strftime("%Y-%m-%d")
        row = self.connection.execute(
            "INSERT INTO rounds (match_id, round_number, round_date, round_time, map_name, time_limit, actual_time,"
            " winner_team, defender_team, round_status, created_at)"
            " VALUES (%s, %s, %s, %s, %s, '0', %s, %s, %s, %s, COALESCE(to_timestamp(%s), now())) RETURNING id",
            (
                f"{day}-{hms}-{map_name}-round-{number}",
                number,
                day,
                hms,
                map_name,
                clock,
                winner,
                defender,
                status,
                None if imported_s is None else end + 3 + imported_s,
            ),
        ).fetchone()
        assert row is not None
        round_id: int = row[0]
        names = ["[BOT]a", "[BOT]b"] if bots else ["[BOT]a", "human"]
        for guid, name in enumerate(names):
            self.connection.execute(
                "INSERT INTO player_comprehensive_stats (round_id, round_date, map_name, round_number, player_guid,"
                " player_name) VALUES (%s, %s, %s, %s, %s, %s)",
                (round_id, day, map_name, number, str(guid), name),
            )
        if lua:
            self.lua(number, end, round_id if linked else None, map_name, lasts, winner, defender)
        return round_id

    def lua(
        self,
        number: int,
        end: int,
        round_id: int | None,
        map_name: str = MAP,
        lasts: int = 300,
        winner: int = 2,
        defender: int = 1,
    ) -> None:
        self.connection.execute(
            "INSERT INTO lua_round_teams (match_id, round_number, round_start_unix, round_end_unix, map_name,"
            " winner_team, defender_team, time_limit_minutes, round_id) VALUES (%s, %s, %s, %s, %s, %s, %s, 0, %s)",
            (local(end).strftime("%Y-%m-%d-%H%M%S"), number, end - lasts, end, map_name, winner, defender, round_id),
        )

    def rows(self, loaded: int = LOADED) -> list[dict[str, Any]]:
        values = {
            "loaded_at_unix": loaded,
            "loaded_at_local": local(loaded).strftime("%Y-%m-%d-%H%M%S"),
            "utc_offset_s": OFFSET_S,
            "bot_name_regex": r"^\[BOT\]",
            "settle_s": self.settle_s,
        }
        with self.connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return list(cursor.execute(self.sql, values))

    def pairs(self, loaded: int = LOADED) -> list[dict[str, Any]]:
        return [row for row in self.rows(loaded) if row["kind"] == "pair"]


def console_patterns() -> dict[str, str]:
    """The role's patterns for the console, with its templates filled in."""
    escaped = "{{ round_pairs_lua_file | regex_escape }}"
    not_other = ROUND_PAIRS["round_pairs_not_other"].replace(escaped, re.escape(HOOK))
    return {
        name: text.replace("{{ round_pairs_not_other }}", not_other).replace(escaped, re.escape(HOOK))
        for name, text in ROUND_PAIRS["round_pairs_console_patterns"].items()
    }
