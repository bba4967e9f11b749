"""The migration against PostgreSQL: forward, again, back, again; values, wrong types, foreign columns, what is built on them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import psycopg
import pytest

from .conftest import COLUMNS, FORWARD, ROLLBACK, TABLE, Site

VALUES = "UPDATE player_comprehensive_stats SET time_alive_seconds = kills, avg_respawn_seconds = kills / 3.0 WHERE kills <= 7"


def test_forward_again_rollback_again(site: Site) -> None:
    before = site.catalogue()[1]
    made = site.migrate("forward")
    assert made["changed"] and made["made"] == COLUMNS and site.columns() == COLUMNS
    assert made["after"] == {name: {"type": kind, "made_by_us": True} for name, kind in COLUMNS.items()}
    again = site.migrate("forward")
    assert not again["changed"] and again["statements"] == again["actions"] == again["locks"] == []
    back = site.migrate("rollback")
    assert back["changed"] and back["dropped"] == COLUMNS and not site.columns()
    assert back["values"] == dict.fromkeys(COLUMNS, 0) and back["export"] is None
    assert not site.migrate("rollback")["changed"]
    assert site.catalogue()[1] == before
    assert site.migrate("forward")["made"] == COLUMNS


@pytest.mark.parametrize("direction", ["forward", "rollback"])
def test_check_mode_predicts_and_changes_nothing(site: Site, direction: str) -> None:
    if direction == "rollback":
        site.migrate("forward")
    before = site.catalogue()
    predicted = site.migrate(direction, check=True)
    assert site.catalogue() == before
    real = site.migrate(direction)
    for key in ("changed", "before", "after", "actions", "statements", "locks", "made", "dropped", "kept", "table"):
        assert predicted[key] == real[key], key
    assert predicted["changed"] and not site.migrate(direction, check=True)["changed"]


@pytest.mark.parametrize("direction", ["forward", "rollback"])
def test_check_mode_takes_no_lock_on_the_table(site: Site, direction: str) -> None:
    """Somebody holds the strongest lock; a look that took any lock would wait for it and fail."""
    if direction == "rollback":
        site.migrate("forward")
        site.run(VALUES)
    with site.connect() as other, other.transaction():
        other.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        predicted = site.migrate(direction, check=True, lock_timeout_ms=100)
    assert predicted["changed"] and predicted["values"] is None
    assert predicted["holders"][0]["mode"] == "AccessExclusiveLock"


def test_the_exact_sql_and_the_locks_are_shown(site: Site) -> None:
    shown = site.migrate("forward", check=True)
    assert shown["statements"][0] == f"ALTER TABLE {TABLE} ADD COLUMN time_alive_seconds INTEGER"
    assert shown["statements"][1].startswith(f"COMMENT ON COLUMN {TABLE}.time_alive_seconds IS E'{{")
    assert (
        len(shown["statements"]) == 8 and "ACCESS EXCLUSIVE on public.player_comprehensive_stats" in shown["locks"][0]
    )


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("ADD COLUMN avg_respawn_seconds INTEGER", "avg_respawn_seconds is integer, required is double precision"),
        ("ADD COLUMN longest_life_seconds TEXT", "longest_life_seconds is text, required is integer"),
        ("ADD COLUMN time_alive_seconds INTEGER NOT NULL DEFAULT 0", "time_alive_seconds is NOT NULL"),
        ("ADD COLUMN time_alive_seconds INTEGER DEFAULT 0", "has a default"),
        (
            "ADD COLUMN time_alive_seconds INTEGER GENERATED ALWAYS AS (kills * 2) STORED",
            "has a default or is generated",
        ),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_a_column_of_another_kind_is_refused(site: Site, sql: str, why: str, check: bool) -> None:
    site.run(f"ALTER TABLE {TABLE} {sql}")
    before = site.catalogue()
    refused = site.migrate("forward", check=check)
    assert refused["failed"] and why in refused["msg"] and "nothing was changed" in refused["msg"]
    assert site.catalogue() == before


def test_rollback_leaves_what_it_did_not_make(site: Site) -> None:
    site.run(f"ALTER TABLE {TABLE} ADD COLUMN avg_respawn_seconds double precision")
    site.run(f"UPDATE {TABLE} SET avg_respawn_seconds = 1.5")
    made = site.migrate("forward")
    assert set(made["made"]) == set(COLUMNS) - {"avg_respawn_seconds"} and "not ours" in made["kept"][0]
    back = site.migrate("rollback")
    assert "avg_respawn_seconds" not in back["dropped"] and len(back["dropped"]) == 3
    assert site.columns() == {"avg_respawn_seconds": "double precision"}
    assert site.run(f"SELECT DISTINCT avg_respawn_seconds FROM {TABLE}") == [(1.5,)]
    again = site.migrate("rollback")
    assert not again["changed"] and "carries no mark" in again["kept"][0]


def test_a_column_made_anew_by_somebody_else_is_not_ours(site: Site) -> None:
    site.migrate("forward")
    site.run(
        f"ALTER TABLE {TABLE} DROP COLUMN time_alive_seconds; ALTER TABLE {TABLE} ADD COLUMN time_alive_seconds INTEGER"
    )
    assert "time_alive_seconds" not in site.migrate("rollback")["dropped"]
    assert site.columns() == {"time_alive_seconds": "integer"}


def test_a_copied_mark_is_no_mark(site: Site) -> None:
    site.migrate("forward")
    site.run(f"COMMENT ON COLUMN {TABLE}.time_alive_seconds IS 'seconds alive'")
    mark = site.run(
        f"SELECT col_description('{TABLE}'::regclass, attnum) FROM pg_attribute WHERE attname = 'longest_life_seconds'"
    )
    site.run(f"COMMENT ON COLUMN {TABLE}.longest_death_seconds IS '{mark[0][0]}'")
    back = site.migrate("rollback")
    assert set(back["dropped"]) == {"avg_respawn_seconds", "longest_life_seconds"}


def test_a_column_whose_type_was_changed_since_stops_the_rollback(site: Site) -> None:
    site.migrate("forward")
    site.run(f"ALTER TABLE {TABLE} ALTER COLUMN time_alive_seconds TYPE bigint")
    before = site.catalogue()
    refused = site.migrate("rollback")
    assert (
        refused["failed"] and "was made as integer and is bigint now" in refused["msg"] and site.catalogue() == before
    )


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        (f"CREATE INDEX alive ON {TABLE} (time_alive_seconds)", "index alive"),
        (f"CREATE VIEW lives AS SELECT time_alive_seconds FROM {TABLE}", "view lives"),
        (f"ALTER TABLE {TABLE} ADD CONSTRAINT positive CHECK (time_alive_seconds >= 0)", "constraint positive"),
    ],
)
def test_what_was_built_on_a_column_stops_the_rollback(site: Site, sql: str, what: str) -> None:
    site.migrate("forward")
    site.run(sql)
    for check in (True, False):
        refused = site.migrate("rollback", check=check)
        assert refused["failed"] and what in refused["msg"]
    assert site.columns() == COLUMNS


def test_values_stop_the_rollback_and_are_named(site: Site) -> None:
    site.migrate("forward")
    site.run(VALUES)
    before = site.catalogue()
    refused = site.migrate("rollback")
    assert (
        refused["failed"]
        and "7 in time_alive_seconds" in refused["msg"]
        and "7 in avg_respawn_seconds" in refused["msg"]
    )
    assert "longest" not in refused["msg"].split(";")[0] and "migration_export=true" in refused["msg"]
    assert site.catalogue() == before


def test_an_export_brings_every_value_back(site: Site) -> None:
    site.migrate("forward")
    site.run(VALUES)
    site.run(f"UPDATE {TABLE} SET avg_respawn_seconds = 'Infinity' WHERE kills = 1")
    held = site.run(f"SELECT id, time_alive_seconds, avg_respawn_seconds FROM {TABLE} WHERE kills <= 7 ORDER BY id")
    folder = site.folder / "exports"
    back = site.migrate("rollback", export_dir=str(folder))
    path = Path(back["export"]["path"])
    assert back["export"]["rows"] == 7 and not site.columns()
    assert (
        hashlib.sha256(path.read_bytes()).hexdigest() == back["export"]["sha256"]
        and back["export"]["sha256"] in path.name
    )
    assert [p.name for p in folder.iterdir()] == [path.name] and path.stat().st_mode & 0o777 == 0o600
    site.migrate("forward")
    header = path.read_text().splitlines()[0].replace('"', "")
    with site.connect() as connection:
        connection.execute(f"CREATE TEMP TABLE saved AS SELECT {header} FROM {TABLE} LIMIT 0")
        with connection.cursor().copy(f"COPY saved ({header}) FROM STDIN (FORMAT csv, HEADER)") as copy:
            copy.write(path.read_bytes())
        connection.execute(
            f"UPDATE {TABLE} AS t SET time_alive_seconds = s.time_alive_seconds, avg_respawn_seconds = s.avg_respawn_seconds"
            " FROM saved AS s WHERE s.id = t.id"
        )
    assert (
        site.run(f"SELECT id, time_alive_seconds, avg_respawn_seconds FROM {TABLE} WHERE kills <= 7 ORDER BY id")
        == held
    )


def test_a_folder_that_cannot_be_written_keeps_the_columns(site: Site) -> None:
    site.migrate("forward")
    site.run(VALUES)
    (site.folder / "file").write_text("")
    refused = site.migrate("rollback", export_dir=str(site.folder / "file" / "exports"))
    assert refused["failed"] and "cannot be saved" in refused["msg"] and site.columns() == COLUMNS


def test_only_the_owner_may_and_a_look_says_so(site: Site) -> None:
    site.run("DROP ROLE IF EXISTS guest_of_migration; CREATE ROLE guest_of_migration LOGIN")
    for check in (True, False):
        refused = site.migrate("forward", check=check, user="guest_of_migration")
        assert refused["failed"] and "does not own public.player_comprehensive_stats" in refused["msg"]


def test_other_shapes_of_the_table_are_refused(site: Site) -> None:
    site.run(f"CREATE TABLE child () INHERITS ({TABLE})")
    assert "child tables" in site.migrate("forward")["msg"]
    site.run(
        f"DROP TABLE child; ALTER TABLE {TABLE} RENAME TO real_stats; CREATE VIEW {TABLE} AS SELECT * FROM real_stats"
    )
    assert "no ordinary table" in site.migrate("forward")["msg"]
    site.run(f"DROP VIEW {TABLE}")
    assert f"no table {TABLE}" in site.migrate("forward")["msg"]


def test_another_id_than_the_files_make_is_refused(site: Site) -> None:
    for more in ({"migration_id": "0" * 16}, {"migration_id": site.options("rollback")["migration_id"]}):
        refused = site.migrate("forward", **more)
        assert refused["failed"] and site.options("forward")["migration_id"] in refused["msg"] and not site.columns()


def test_limits_cannot_be_switched_off(site: Site) -> None:
    for name in ("lock_timeout_ms", "statement_timeout_ms", "attempts"):
        assert f"found: {name} 0" in site.migrate("forward", **{name: 0})["msg"]


def test_a_server_that_interferes_is_noticed_and_nothing_stays(site: Site) -> None:
    """An event trigger that changes what was made: what is there is not what was predicted, so nothing is committed."""
    site.run(
        "CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF current_query() LIKE 'COMMENT%longest_death%' THEN COMMENT ON COLUMN {TABLE}.time_alive_seconds IS 'mine'; END IF;"
        " END $$;"
        "CREATE EVENT TRIGGER meddle ON ddl_command_end WHEN TAG IN ('COMMENT') EXECUTE FUNCTION meddle()"
    )
    refused = site.migrate("forward")
    assert refused["failed"] and not site.columns(), refused


def test_no_connection_is_said(site: Site) -> None:
    refused = site.migrate("forward", port=1)
    assert refused["failed"] and "no connection" in refused["msg"]


def test_the_files_as_shipped_say_what_the_plan_outlines(site: Site) -> None:
    """The types are what PostgreSQL makes of the plan's words (FLOAT is double precision)."""
    site.run(
        "CREATE TABLE outline (time_alive_seconds INTEGER, avg_respawn_seconds FLOAT, longest_life_seconds INTEGER,"
        " longest_death_seconds INTEGER)"
    )
    rows = site.run(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'outline'::regclass AND attnum > 0"
    )
    assert dict(rows) == COLUMNS
    assert "IF EXISTS" not in ROLLBACK and "ADD COLUMN IF" not in FORWARD


def raises(error: Any, sql: str, site: Site) -> None:
    with pytest.raises(error):
        site.run(sql)


def test_values_written_afterwards_are_safe(site: Site) -> None:
    site.migrate("forward")
    site.run(VALUES)
    assert not site.migrate("forward")["changed"]
    assert site.run(f"SELECT count(time_alive_seconds) FROM {TABLE}") == [(7,)]
    raises(psycopg.errors.DuplicateColumn, f"ALTER TABLE {TABLE} ADD COLUMN time_alive_seconds INTEGER", site)
