"""player_indexes.sql: which index serves, and that what it says to run is what is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import pg as door

pytestmark = pytest.mark.postgres
TABLE = "player_comprehensive_stats"
SUMS = "(player_guid) INCLUDE (round_number, clean_name, kills, headshot_kills)"


@pytest.fixture
def database(pg: Any, root: Path) -> Any:
    """A database with one player row."""
    name = pg.database()
    with psycopg.connect(pg.dsn(name), autocommit=True) as connection:
        connection.execute((root / "molecule/world/slomix_vm/schema.sql").read_bytes())
        connection.execute("INSERT INTO rounds (id, match_id) VALUES (1, 'm')")
        connection.execute(
            f"INSERT INTO {TABLE} (round_id, round_date, map_name, round_number, player_guid, player_name) "
            "VALUES (1, '2026-03-01', 'supply', 1, 'AA', 'Ana')"
        )
        yield connection, door.Target(str(pg.folder), pg.port, name, "postgres")


@pytest.fixture
def state(database: Any, root: Path) -> Any:
    """Asks like the role does; by name of the wanted index."""
    wanted = yaml.safe_load((root / "playbooks/plan/indexes.yml").read_text())["headshot_kills"]
    sql = (root / "playbooks/plan/sql/player_indexes.sql").read_text()

    def ask(max_player_rows: int = 0) -> dict[str, dict[str, Any]]:
        bound = {"indexes": json.dumps(wanted), "max_player_rows": max_player_rows}
        return {row["name"]: row for row in door.read(database[1], sql, bound)["rows"]}

    return ask


def test_a_small_table_needs_none(state: Any) -> None:
    assert [(one["is_needed"], one["is_missing"]) for one in state(1).values()] == [(False, False)] * 2


def test_what_it_says_to_run_is_what_is_needed(database: Any, state: Any) -> None:
    before = state()
    assert [one["is_missing"] for one in before.values()] == [True, True]
    assert (
        before["rollout_player_sums"]["create_sql"]
        == f"CREATE INDEX CONCURRENTLY rollout_player_sums ON {TABLE} {SUMS}"
    )
    for one in before.values():
        database[0].execute(one["create_sql"])
    assert [one["is_missing"] for one in state().values()] == [False, False]


@pytest.mark.parametrize(
    ("index", "serves"),
    [
        (f"CREATE INDEX x ON {TABLE} {SUMS}", True),
        (f"CREATE INDEX x ON {TABLE} (player_guid, kills) INCLUDE (headshot_kills, clean_name, round_number, deaths)", True),
        (f"CREATE UNIQUE INDEX x ON {TABLE} (player_guid, id) INCLUDE (round_number, clean_name, kills, headshot_kills)", True),
        (f"CREATE INDEX x ON {TABLE} (player_guid)", False),
        (f"CREATE INDEX x ON {TABLE} (kills, player_guid) INCLUDE (round_number, clean_name, headshot_kills)", False),
        (f"CREATE INDEX x ON {TABLE} (lower(player_guid)) INCLUDE (player_guid, round_number, clean_name, kills, headshot_kills)", False),
        (f"CREATE INDEX x ON {TABLE} {SUMS} WHERE round_number > 0", False),
        (f"CREATE INDEX x ON {TABLE} USING hash (player_guid)", False),
    ],
    ids=["another name", "more columns", "unique", "columns lack", "another order", "an expression", "partial", "no B-tree"],
)  # fmt: skip
def test_which_index_serves(database: Any, state: Any, index: str, serves: bool) -> None:
    database[0].execute(index)
    assert state()["rollout_player_sums"]["is_there"] is serves


def test_an_index_that_was_left_half_made_does_not_serve(database: Any, state: Any) -> None:
    database[0].execute(f"CREATE INDEX x ON {TABLE} {SUMS}")
    database[0].execute("UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'x'::regclass")
    assert state()["rollout_player_sums"]["is_missing"]
