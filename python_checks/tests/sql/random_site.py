"""Small random databases with everything that real ones hold, as rows of Python and as rows of PostgreSQL."""

from __future__ import annotations

import random
from typing import Any

import psycopg

Row = dict[str, Any]
DAYS = [f"2026-03-{day:02d}" for day in (1, 2, 9, 10, 31)] + ["2026-04-01"]
UNDATED = [None, "", "20.02.2026", "yesterday", "99999999", "2026-3-1", "2026-13-01x"]
NAMES = ["Ana", "Bor*old", r"C\d", "[BOT]one", "[BOT]two", "Zoë", None]
GUIDS = [f"{number:08X}" for number in (1, 10, 255, 4096, 2**31, 2**32 - 1)]


class Site:
    """Tables as lists of rows, in the order of their ids."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rounds = [self._round(number) for number in range(1, self.random.choice((0, 3, 40, 60, 60)) + 1)]
        self.random.shuffle(self.rounds)
        for number, row in enumerate(self.rounds, start=1):
            row["id"] = number * 3
        self.players = [row for one in self.rounds for row in self._players(one)]
        self.teams = [row for one in self.rounds for row in self._teams(one)]
        self.spawns = [row for one in self.players for row in self._spawns(one)]
        for table in (self.players, self.teams, self.spawns):
            for number, row in enumerate(table, start=1):
                row["id"] = number

    def _round(self, number: int) -> Row:
        choose = self.random.choice
        undated = self.random.random() < 0.15
        day = choose(UNDATED) if undated else choose(DAYS) + choose(["", "", "", " 21:45:03"])
        return {
            "match_id": f"m{number}",
            "round_number": choose([0, 1, 1, 1, 2, 2, 2, 7, None]),
            "round_date": day,
            "round_time": choose(["214503", "21:45:03", "001500", f"2{number % 4}0{number % 10}00", None]),
            "map_name": choose(["supply", "radar"]),
            "gaming_session_id": choose([None, 1, 2]),
            "round_status": choose(["completed"] * 6 + ["cancelled", "substitution", None]),
            "is_bot_round": choose([False, False, False, None, True]),
        }

    def _players(self, one: Row) -> list[Row]:
        bots = self.random.random() < 0.2
        return [
            {
                "round_id": one["id"],
                "round_date": one["round_date"] or "",
                "map_name": "supply",
                "round_number": one["round_number"] or 0,
                "player_guid": guid,
                "player_name": "[BOT]x" if bots else "player",
                "clean_name": self.random.choice(NAMES[3:5] if bots else NAMES),
                "kills": self.random.choice([0, 0, 7, 12]),
                "headshot_kills": self.random.choice([0, 3]),
                "damage_given": self.random.randrange(5000),
                "damage_received": 900,
                "time_played_seconds": self.random.choice([0, 480, 600]),
                "time_dead_minutes": self.random.choice([0.0, 1.5, 30.5]),
            }
            for place, guid in enumerate(GUIDS, start=1)
            if self.random.random() < 0.8 / place
        ]

    def _teams(self, one: Row) -> list[Row]:
        choose = self.random.choice
        return [
            {
                "match_id": f"l{one['id']}-{number}",
                "round_number": choose([1, 2, one["round_number"] or 2]),
                "round_id": choose([one["id"], one["id"], one["id"], None, 1_000_000]),
                "lua_version": choose(["1.6.1", "1.7.0"]),
                "end_reason": choose([None, "objective"]),
                "total_pause_seconds": choose([0, 30]),
                "actual_duration_seconds": choose([None, 480]),
                "round_start_unix": 1000,
                "round_end_unix": choose([1480, 1500]),
            }
            for number in range(choose([0, 1, 1, 1, 2]))
        ]

    def _spawns(self, one: Row) -> list[Row]:
        choose = self.random.choice
        return [
            {
                "match_id": f"s{one['round_id']}-{number}",
                "round_number": 1,
                "round_id": choose([one["round_id"], one["round_id"], None]),
                "player_guid": choose([str.lower, str.upper])(one["player_guid"]) + "F" * choose([0, 24]),
                "dead_seconds": choose([0, 88, 91]),
            }
            for number in range(choose([0, 1, 1, 2]))
        ]

    def store(self, connection: psycopg.Connection[Any]) -> None:
        """Replace what the database holds by this site."""
        tables = {
            "rounds": self.rounds,
            "player_comprehensive_stats": self.players,
            "lua_round_teams": self.teams,
            "lua_spawn_stats": self.spawns,
        }
        connection.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
        for table, rows in tables.items():
            if rows:
                names = list(rows[0])
                with connection.cursor().copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row([row[name] for name in names])
