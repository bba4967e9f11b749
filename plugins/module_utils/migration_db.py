"""Carry a migration out on a database: read the catalogue, plan (migration.py), change everything or nothing.

Reading takes no lock on the table: only system catalogues are asked. A real run locks the table for a short time at
most (``lock_timeout``), plans again under the lock, since the table may have changed meanwhile, and commits once. A kill
at any moment leaves the table as it was or as it shall be, because PostgreSQL's DDL is transactional and the marks of
what was made are written in the same transaction.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible_collections.slomix.timetracking.plugins.module_utils import migration, pg, release_store

LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK = "40P01"
IDLE_LIMIT_MS = 10000
"""How long the server keeps a transaction of ours whose process is gone without a word (a lost host, not a kill)."""
KEYS = ("id", "round_id", "player_guid")
"""Columns that say in an export which row a value belongs to, as far as the table has them."""

_TABLE = (
    "SELECT c.oid::bigint, n.nspname, c.relname, c.relkind::text,"
    " pg_has_role(current_user, c.relowner, 'USAGE'), c.relhassubclass, pg_is_in_recovery()"
    " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE c.relname = %s AND pg_table_is_visible(c.oid)"
)
_COLUMNS = (
    "SELECT a.attname, a.attnum::int, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
    " a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '', d.description"
    " FROM pg_attribute AS a LEFT JOIN pg_description AS d"
    "   ON d.objoid = a.attrelid AND d.objsubid = a.attnum AND d.classoid = 'pg_class'::regclass"
    " WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped"
)
_DEPENDENTS = (
    "SELECT DISTINCT refobjsubid::int, pg_describe_object(classid, objid, objsubid) FROM pg_depend"
    " WHERE refclassid = 'pg_class'::regclass AND refobjid = %s AND refobjsubid > 0 AND deptype IN ('n', 'a')"
    " ORDER BY 1, 2"
)
_HOLDERS = (
    "SELECT l.pid::int, coalesce(s.application_name, ''), l.mode, coalesce(s.state, ''),"
    " round(extract(epoch FROM clock_timestamp() - s.xact_start))::int"
    " FROM pg_locks AS l LEFT JOIN pg_stat_activity AS s ON s.pid = l.pid"
    " WHERE l.locktype = 'relation' AND l.granted AND l.relation = %s::oid AND l.pid <> pg_backend_pid()"
    "   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " ORDER BY s.xact_start LIMIT 20"
)


@dataclass(frozen=True)
class Limits:
    """How long a statement may run, how long to wait for the lock at one try, and how many tries."""

    statement_timeout_ms: int = 5000
    lock_timeout_ms: int = 500
    attempts: int = 5
    pause_s: float = 1.0


@dataclass(frozen=True)
class Export:
    """What was saved before a rollback: a CSV file that ``\\copy ... CSV HEADER`` reads back."""

    path: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class Done:
    """What a run found and did."""

    plan: migration.Plan
    table: migration.Table
    holders: List[Dict[str, Any]]
    values: Optional[Dict[str, int]]
    export: Optional[Export]
    attempts: int


def look(target: pg.Target, wish: migration.Migration, direction: str, limits: Limits) -> Done:
    """Read the catalogue and plan; takes no lock on the table and changes nothing. Raises PgError, MigrationError."""
    driver, connection = pg.connect(target)
    try:
        cursor = _begin(connection, limits, "READ ONLY")
        table, oid = _catalogue(cursor, wish)
        holders = _holders(cursor, oid)
        connection.rollback()
    except driver.Error as error:
        raise _refused(error, limits) from None
    finally:
        connection.close()
    return Done(migration.plan(wish, table, direction), table, holders, None, None, 0)


def carry_out(
    target: pg.Target,
    wish: migration.Migration,
    direction: str,
    limits: Limits,
    export_dir: Optional[str] = None,
) -> Done:
    """Do it in one transaction; try again when the lock is not to be had. ``export_dir``: where a rollback saves values.

    Raises PgError when the database refused (nothing was changed), MigrationError when the table is not as it must be.
    """
    found = look(target, wish, direction, limits)
    if not found.plan.statements:
        return found
    for attempt in range(1, limits.attempts + 1):
        driver, connection = pg.connect(target)
        try:
            return _transaction(connection, wish, direction, limits, export_dir, attempt)
        except driver.Error as error:
            if pg.sqlstate(error) not in (LOCK_NOT_AVAILABLE, DEADLOCK):
                raise _refused(error, limits) from None
        finally:
            connection.close()
        if attempt < limits.attempts:
            # While we wait for the lock everybody behind us waits too, so the tries are short and far apart.
            time.sleep(limits.pause_s * random.uniform(0.5, 1.5))
    raise pg.PgError(_not_locked(look(target, wish, direction, limits), limits))


def _begin(connection: Any, limits: Limits, access: str) -> Any:
    cursor = connection.cursor()
    cursor.execute(f"SET TRANSACTION ISOLATION LEVEL READ COMMITTED, {access}")
    cursor.execute(
        "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true),"
        " set_config('idle_in_transaction_session_timeout', %s, true)",
        (str(limits.statement_timeout_ms), str(limits.lock_timeout_ms), str(IDLE_LIMIT_MS)),
    )
    return cursor


def _transaction(
    connection: Any,
    wish: migration.Migration,
    direction: str,
    limits: Limits,
    export_dir: Optional[str],
    attempt: int,
) -> Done:
    cursor = _begin(connection, limits, "READ WRITE")
    cursor.execute(f"LOCK TABLE {wish.table} IN {migration.LOCK_MODE} MODE")
    # What was planned before the lock may be old; this is what counts.
    table, _oid = _catalogue(cursor, wish)
    planned = migration.plan(wish, table, direction)
    values: Optional[Dict[str, int]] = None
    export: Optional[Export] = None
    if planned.dropped:
        values = _count(cursor, wish.table, list(planned.dropped))
        if any(values.values()):
            if not export_dir:
                raise migration.MigrationError(would_be_lost(table, values))
            export = _export(cursor, wish, table, list(planned.dropped), export_dir)
    for statement in planned.statements:
        cursor.execute(statement)
    _require(_catalogue(cursor, wish)[0], wish, planned)
    connection.commit()
    return Done(planned, table, [], values, export, attempt)


def _catalogue(cursor: Any, wish: migration.Migration) -> Tuple[migration.Table, int]:
    cursor.execute(_TABLE, (wish.table,))
    row = cursor.fetchone()
    if row is None:
        raise migration.MigrationError(
            f"found: no table {wish.table} on the search path; required: the bot's table; next: check stats_db_name"
        )
    oid, schema, name, kind, owned, has_children, standby = row
    cursor.execute(_DEPENDENTS, (oid,))
    dependents: Dict[int, List[str]] = {}
    for number, text in cursor.fetchall():
        dependents.setdefault(number, []).append(text)
    cursor.execute(_COLUMNS, (oid,))
    columns = {
        row[0]: migration.Column(row[0], row[1], row[2], row[3], row[4], row[5], tuple(dependents.get(row[1], [])))
        for row in cursor.fetchall()
    }
    types = {}
    for written in {one.type for one in wish.wishes}:
        cursor.execute("SELECT format_type(to_regtype(%s), NULL)", (written,))
        known = cursor.fetchone()[0]
        if known is not None and known != "-":
            types[written] = known
    return migration.Table(schema, name, kind, owned, has_children, standby, columns, types), oid


def _holders(cursor: Any, oid: int) -> List[Dict[str, Any]]:
    cursor.execute(_HOLDERS, (oid,))
    return [
        {"pid": pid, "application": name, "mode": mode, "state": state, "transaction_age_s": age_s}
        for pid, name, mode, state, age_s in cursor.fetchall()
    ]


def _count(cursor: Any, table: str, columns: Sequence[str]) -> Dict[str, int]:
    cursor.execute(f"SELECT {', '.join(f'count({column})' for column in columns)} FROM {table}")
    row = cursor.fetchone()
    return {column: row[at] for at, column in enumerate(columns)}


def would_be_lost(table: migration.Table, values: Dict[str, int]) -> str:
    """The refusal of a rollback over values."""
    held = ", ".join(f"{count} in {column}" for column, count in values.items() if count)
    return (
        f"found: values in {table.qualified} that would be lost: {held}; required: they are saved first; "
        f"next: run again with -e migration_export=true, which writes them to a file on this host and then drops; "
        f"nothing was changed"
    )


def _export(
    cursor: Any, wish: migration.Migration, table: migration.Table, columns: Sequence[str], folder: str
) -> Export:
    """Write all rows that hold a value to a file named by its digest, durably, and read it back."""
    names = [key for key in KEYS if key in table.columns] + list(columns)
    held = " OR ".join(f"{column} IS NOT NULL" for column in columns)
    cursor.execute(
        f"SELECT {', '.join(f'{name}::text' for name in names)} FROM {wish.table} WHERE {held} ORDER BY {names[0]}, {names[-1]}"
    )
    rows = cursor.fetchall()
    data = "".join([migration.csv_row(names), *(migration.csv_row(row) for row in rows)]).encode("utf-8")
    sha256 = hashlib.sha256(data).hexdigest()
    path = os.path.join(folder, f"{wish.name}-{sha256}.csv")
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        partial = f"{path}.{os.getpid()}.new"
        release_store.write_synced(partial, data)
        os.rename(partial, path)
        release_store.sync_folder(folder)
        with open(path, "rb") as handle:
            again = hashlib.sha256(handle.read()).hexdigest()
    except OSError as error:
        raise migration.MigrationError(
            f"found: the values cannot be saved in {folder} ({error.strerror or error}); required: a folder that this user "
            f"can write; next: set db_migration_export_dir; nothing was changed"
        ) from None
    if again != sha256:
        raise migration.MigrationError(
            f"found: {path} reads back differently; required: a disk that keeps; nothing was changed"
        )
    return Export(path, sha256, len(rows))


def _require(table: migration.Table, wish: migration.Migration, planned: migration.Plan) -> None:
    """Look again before the commit: what is there must be what was predicted, else nothing is done."""
    again = migration.plan(wish, table, planned.direction)
    if again.statements or again.before != planned.after:
        raise migration.MigrationError(
            f"found: {again.before} after the statements; required: {planned.after}; next: look for an event trigger on "
            f"this database; nothing was changed"
        )


def _not_locked(found: Done, limits: Limits) -> str:
    holders = "; ".join(
        f"pid {one['pid']} ({one['application'] or 'no name'}, {one['mode']}, {one['state']}, {one['transaction_age_s']} s)"
        for one in found.holders
    )
    return (
        f"found: {found.table.qualified} could not be locked in {limits.attempts} tries of {limits.lock_timeout_ms} ms "
        f"(now held by: {holders or 'nobody any more'}); required: a moment without long transactions; next: wait or end "
        f"that transaction, then run again; nothing was changed"
    )


def _refused(error: BaseException, limits: Limits) -> pg.PgError:
    state = pg.sqlstate(error)
    outcome = "nothing was changed"
    if state == "unknown" or state.startswith(("08", "57P")):
        # Without the server's answer the commit may have happened; a second run tells, since it plans from the catalogue.
        outcome = "all of it was done or nothing; run again, which tells"
    return pg.PgError(
        f"found: PostgreSQL refused with SQLSTATE {state}: {pg.first_line(error)}; required: the migration in one "
        f"transaction within {limits.statement_timeout_ms} ms a statement; next: look at the server's log; {outcome}"
    )
