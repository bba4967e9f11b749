"""What the tests of the codemods share."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import psycopg
import pytest


@pytest.fixture(scope="session")
def league(pg: Any, root: Path) -> tuple[str, dict[str, tuple[int, int]]]:
    """A database with 40 players in 80 rounds with several weapons each: (dsn, guid -> headshot kills and kills)."""
    database = pg.database()
    draw, truth = random.Random(8), dict[str, tuple[int, int]]()
    with psycopg.connect(pg.dsn(database), autocommit=True) as connection, connection.transaction():
        connection.execute((root / "molecule/world/slomix_vm/schema.sql").read_text())
        players = {f"{index:08X}": draw.uniform(0.02, 0.6) for index in range(40)}
        for number in range(80):
            row = connection.execute(
                "INSERT INTO rounds (match_id, round_number, round_date) VALUES (%s, %s, '2026-02-20') RETURNING id",
                (f"m{number}", number % 2 + 1),
            ).fetchone()
            assert row is not None
            for index, (guid, share) in enumerate(players.items()):
                if index >= 34 and number > 40:
                    continue  # too few rounds for the board
                kills = draw.randint(4, 30)
                heads = sum(draw.random() < share for _ in range(kills))
                old = truth.get(guid, (0, 0))
                truth[guid] = (old[0] + heads, old[1] + kills)
                connection.execute(
                    "INSERT INTO player_comprehensive_stats (round_id, round_date, map_name, round_number, player_guid, player_name, "
                    "clean_name, kills, headshot_kills) VALUES (%s, '2026-02-20', 'supply', %s, %s, %s, %s, %s, %s)",
                    (row[0], number % 2 + 1, guid, guid, guid, kills, heads),
                )
                for weapon in range(draw.randint(1, 5)):
                    connection.execute(
                        "INSERT INTO weapon_comprehensive_stats (round_id, round_date, map_name, round_number, player_guid, player_name, "
                        "weapon_name, hits) VALUES (%s, '2026-02-20', 'supply', %s, %s, %s, %s, %s)",
                        (row[0], number % 2 + 1, guid, guid, f"WS_{weapon}", draw.randint(10, 120)),
                    )
    return pg.dsn(database), truth
