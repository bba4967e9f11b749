"""A database with the site's schema, a few rounds in it, and the module on it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils.migration import migration_id

ROOT = Path(__file__).resolve().parents[3]
SQL = ROOT / "playbooks" / "plan" / "sql" / "migrations"
FORWARD = (SQL / "player_times.forward.sql").read_text()
ROLLBACK = (SQL / "player_times.rollback.sql").read_text()
COLUMNS = {
    "time_alive_seconds": "integer",
    "avg_respawn_seconds": "double precision",
    "longest_life_seconds": "integer",
    "longest_death_seconds": "integer",
}
TABLE = "player_comprehensive_stats"


class Site:
    """One fresh database and the migration's module, run as a process."""

    def __init__(self, cluster: Any, run_module: Callable[..., dict[str, Any]], folder: Path) -> None:
        self.cluster, self.run_module, self.folder = cluster, run_module, folder
        self.name = cluster.database()
        self.run((ROOT / "molecule" / "world" / "slomix_vm" / "schema.sql").read_text())
        self.run(
            "INSERT INTO rounds (match_id, round_number) VALUES ('m', 1);"
            f"INSERT INTO {TABLE} (round_id, round_date, map_name, round_number, player_guid, player_name, kills)"
            " SELECT 1, '2026-02-20', 'supply', 1, 'GUID' || n, 'player ' || n, n FROM generate_series(1, 50) AS n"
        )

    def connect(self, **more: Any) -> psycopg.Connection[Any]:
        """A connection as the superuser."""
        return psycopg.connect(self.cluster.dsn(self.name), autocommit=True, **more)

    def run(self, sql: Any, *params: Any) -> list[Any]:
        """Run SQL; rows if it gives any."""
        with self.connect() as connection:
            cursor = connection.execute(sql, params or None)
            return cursor.fetchall() if cursor.description else []

    def options(self, direction: str, **more: Any) -> dict[str, Any]:
        """The module's options for the migration as shipped; ``more`` overrides."""
        given = {"name": "player_times", "forward_sql": FORWARD, "rollback_sql": ROLLBACK, **more}
        made = migration_id(given["name"], direction, given["forward_sql"], given["rollback_sql"], self.name)
        return {
            "direction": direction,
            "migration_id": made,
            "host": str(self.cluster.folder),
            "port": self.cluster.port,
            "dbname": self.name,
            "user": "postgres",
            "pause_s": 0.05,
            **given,
        }

    def migrate(self, direction: str, *, check: bool = False, **more: Any) -> dict[str, Any]:
        """Run the module."""
        return self.run_module("db_migration", self.options(direction, **more), check=check)

    def columns(self) -> dict[str, str]:
        """The migration's columns as they are, with their types."""
        rows = self.run(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            f" WHERE attrelid = '{TABLE}'::regclass AND attnum > 0 AND NOT attisdropped AND attname = ANY(%s)",
            list(COLUMNS),
        )
        return dict(rows)

    def catalogue(self) -> list[Any]:
        """Everything that a migration could change in the catalogue of this table, and its rows."""
        shape = self.run(
            "SELECT attname, attnum, atttypid, attisdropped, col_description(attrelid, attnum) FROM pg_attribute"
            f" WHERE attrelid = '{TABLE}'::regclass ORDER BY attnum"
        )
        return [shape, self.run(f"SELECT * FROM {TABLE} ORDER BY id")]


@pytest.fixture
def site(pg: Any, run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> Site:
    """A fresh database for one test."""
    return Site(pg, run_module, tmp_path)


def environment() -> dict[str, str]:
    """The environment of a module that a test starts itself."""
    import sys

    site_packages = next(p for p in sys.path if p.endswith("site-packages"))
    return {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": f"{ROOT / '.collections'}{os.pathsep}{site_packages}",
    }
