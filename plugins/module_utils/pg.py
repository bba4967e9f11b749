"""The only door to PostgreSQL, through psycopg 3 or psycopg2: ``read`` is one read-only statement in its own
transaction, with time limits. Who writes (migration_db.py) takes ``connect`` and brings its own limits.

The pure part (one statement or not, values to JSON) needs no driver, so it is tested and used without one.
"""

from __future__ import annotations

import datetime
import decimal
import hashlib
import importlib
import math
import os
import re
import stat
import uuid
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

_DOLLAR = re.compile(r"\$(?:[A-Za-z_\x80-\uffff][A-Za-z0-9_\x80-\uffff]*)?\$")


class PgError(Exception):
    """The database could not be asked, or refused; the text is meant for people and holds no bound value."""


@dataclass(frozen=True)
class Target:
    """Where to connect. ``passfile`` is a path in libpq's format; no password ever passes through here."""

    host: Optional[str]
    port: int
    dbname: str
    user: Optional[str]
    passfile: Optional[str] = None
    connect_timeout_s: int = 5
    application_name: str = "rollout"

    def arguments(self) -> Dict[str, Any]:
        """Keyword arguments of both drivers' ``connect``."""
        given = {
            "host": self.host,
            "port": self.port,
            "dbname": self.dbname,
            "user": self.user,
            "passfile": self.passfile,
            "connect_timeout": self.connect_timeout_s,
            "application_name": self.application_name,
        }
        return {key: value for key, value in given.items() if value is not None}


def statements(sql: str) -> List[str]:
    """The non-empty statements of an SQL text; semicolons in literals, quoted names, dollar quotes and comments do not
    count.

    Both drivers may send several statements at once, and a second one could leave the read-only transaction: count
    before sending.
    """
    parts: List[str] = []
    current: List[str] = []
    for kind, piece in _pieces(sql):
        if kind == "end":
            parts.append("".join(current))
            current = []
        elif kind != "comment":
            current.append(piece)
        else:
            current.append(" ")
    parts.append("".join(current))
    return [part.strip() for part in parts if part.strip()]


def _pieces(sql: str) -> Iterator[Tuple[str, str]]:
    """Yield ``(kind, text)`` with kind text, quoted, comment or end; an unclosed quote or comment runs to the end of
    the text."""
    at = 0
    while at < len(sql):
        end = _quoted_end(sql, at)
        if end is not None:
            yield "quoted", sql[at:end]
        elif sql.startswith("--", at):
            newline = sql.find("\n", at)
            end = len(sql) if newline < 0 else newline
            yield "comment", sql[at:end]
        elif sql.startswith("/*", at):
            end = _comment_end(sql, at)
            yield "comment", sql[at:end]
        else:
            end = at + 1
            yield ("end" if sql[at] == ";" else "text"), sql[at]
        at = end


def _quoted_end(sql: str, at: int) -> Optional[int]:
    """Where the quoted thing that starts at ``at`` ends; None when none starts there."""
    if sql[at] in "'\"":
        escapes = sql[at] == "'" and at > 0 and sql[at - 1] in "eE" and not (at > 1 and _is_word(sql[at - 2]))
        return _string_end(sql, at, escapes)
    # A dollar inside a word (foo$bar$) starts no dollar quote.
    match = _DOLLAR.match(sql, at) if at == 0 or not _is_word(sql[at - 1]) else None
    if match is None:
        return None
    close = sql.find(match.group(0), match.end())
    return len(sql) if close < 0 else close + len(match.group(0))


def _is_word(char: str) -> bool:
    return char.isalnum() or char in "_$"


def _string_end(sql: str, at: int, escapes: bool) -> int:
    quote, at = sql[at], at + 1
    while at < len(sql):
        if escapes and sql[at] == "\\":
            at += 2
        elif sql[at] == quote:
            # Doubled quotes need no care: the second one opens the next piece at once.
            return at + 1
        else:
            at += 1
    return len(sql)


def _comment_end(sql: str, at: int) -> int:
    """Block comments nest in PostgreSQL."""
    depth = 0
    while at < len(sql):
        if sql.startswith("/*", at):
            depth, at = depth + 1, at + 2
        elif sql.startswith("*/", at):
            depth, at = depth - 1, at + 2
            if depth == 0:
                return at
        else:
            at += 1
    return len(sql)


def json_safe(value: Any) -> Any:
    """A database value as JSON can say it: whole numerics as int, others as float, NaN and infinities as text, times as
    ISO 8601, bytes as hex.

    A non-finite number becomes text on purpose: a gate that wants a number then reports a type error in place of a
    verdict.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            return str(value)
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\x" + bytes(value).hex()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_safe(item) for item in value]
    return str(value)


def check_passfile(path: str) -> None:
    """libpq silently ignores a passfile that others may read; say so instead. Raises PgError."""
    try:
        mode = os.stat(path).st_mode
        with open(path, "rb"):
            pass
    except OSError as error:
        raise PgError(
            f"found: the passfile {path} cannot be read ({error.strerror}); required: a libpq password file; next: "
            f"create it with mode 0600"
        ) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PgError(
            f"found: the passfile {path} has mode {stat.S_IMODE(mode):04o}; required: 0600, libpq ignores it "
            f"otherwise; next: chmod 0600 {path}"
        )


def load_driver() -> Any:
    """psycopg (3), else psycopg2. Raises PgError when neither is there."""
    for name in ("psycopg", "psycopg2"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise PgError(
        "found: neither psycopg nor psycopg2 on this host's Python; required: one of them; next: apt install "
        "python3-psycopg2 (or python3-psycopg)"
    )


def connect(target: Target) -> Tuple[Any, Any]:
    """(driver, open connection); neither driver begins a transaction before the first statement. Raises PgError."""
    if target.passfile is not None:
        check_passfile(target.passfile)
    driver = load_driver()
    try:
        return driver, driver.connect(**target.arguments())
    except driver.Error as error:
        raise PgError(
            f"found: no connection to {target.dbname} at {target.host or 'the local socket'}:{target.port} as "
            f"{target.user or 'the current user'}: "
            f"{first_line(error)}; required: a login; next: check host, port, user and the passfile's line"
        ) from None
    except Exception as error:
        # Not the server's word but a driver that stumbled, and its text may quote what it read: only its kind is told.
        raise PgError(
            f"found: {driver.__name__} ended with {type(error).__name__} while connecting; required: a connection; "
            f"next: check the passfile's line and the driver's package"
        ) from None


def sqlstate(error: BaseException) -> str:
    """The five characters of either driver's error; "unknown" where the server said nothing."""
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "unknown"


def read(
    target: Target,
    sql: str,
    params: Optional[Mapping[str, Any]] = None,
    *,
    statement_timeout_ms: int = 5000,
    lock_timeout_ms: int = 1000,
    max_rows: int = 10000,
) -> Dict[str, Any]:
    """Run one statement in a READ ONLY, REPEATABLE READ transaction and give its rows.

    Returns ``{rows: [{column: value}], columns: [{name, type}], row_count, database: {...}}``. ``params`` are bound by
    name (``%(name)s``; with parameters a literal percent sign is written ``%%``). Raises PgError for anything else than
    a complete answer, also for more than ``max_rows`` rows: a cut answer must not look whole.
    """
    found = statements(sql)
    if len(found) != 1:
        raise PgError(
            f"found: {len(found)} statements; required: exactly one; next: split the SQL file, one statement each"
        )
    driver, connection = connect(target)
    try:
        return _transaction(driver, connection, sql, params, statement_timeout_ms, lock_timeout_ms, max_rows)
    except driver.Error as error:
        raise PgError(
            f"found: PostgreSQL refused the statement with SQLSTATE {sqlstate(error)}: {first_line(error, params)}; required: "
            f"one statement that only reads within {statement_timeout_ms} ms; "
            f"next: run it by hand in psql, in BEGIN READ ONLY"
        ) from None
    finally:
        connection.close()


def _transaction(
    driver: Any,
    connection: Any,
    sql: str,
    params: Optional[Mapping[str, Any]],
    statement_timeout_ms: int,
    lock_timeout_ms: int,
    max_rows: int,
) -> Dict[str, Any]:
    three = driver.__name__ == "psycopg"
    cursor = connection.cursor()
    # The driver opened a transaction with its first statement; these settings end with it.
    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    cursor.execute(
        "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)",
        (str(int(statement_timeout_ms)), str(int(lock_timeout_ms))),
    )
    # Compiling a statement that runs once takes longer than running it: 0.9 s of 1.1 s on a million rounds.
    cursor.execute("SELECT set_config(name, 'off', true) FROM pg_settings WHERE name = 'jit'")
    identity = _identity(driver, cursor)
    # prepare=True makes psycopg 3 use the extended protocol, in which the server itself refuses a second statement.
    bound = dict(params) if params else None
    if three:
        cursor.execute(sql, bound, prepare=True)
    else:
        cursor.execute(sql, bound)
    if cursor.description is None:
        raise PgError("found: a statement without rows; required: a query; next: write SELECT ...")
    names = [column[0] for column in cursor.description]
    oids = [column[1] for column in cursor.description]
    if len(set(names)) != len(names):
        raise PgError(
            f"found: column names that repeat ({', '.join(names)}); required: each once; next: name them with AS"
        )
    rows = cursor.fetchmany(max_rows + 1)
    if len(rows) > max_rows:
        raise PgError(
            f"found: more than {max_rows} rows; required: an answer that can be kept whole; next: count in SQL, or "
            f"raise max_rows"
        )
    kinds = _type_names(cursor, oids)
    columns = [{"name": name, "type": kinds[at]} for at, name in enumerate(names)]
    connection.rollback()
    return {
        "rows": [{name: json_safe(row[at]) for at, name in enumerate(names)} for row in rows],
        "columns": columns,
        "row_count": len(rows),
        "database": identity,
    }


def _identity(driver: Any, cursor: Any) -> Dict[str, Any]:
    """Which database answered, and its clock: evidence of another cluster, or of a restored copy, must not count for
    this one. ``id`` changes with the cluster (initdb), with a restore to a point in time (timeline) and with a database
    that was dropped and made again (oid); where the control file may not be asked, only with the last."""
    cursor.execute(
        "SELECT current_database(), current_user::text, current_setting('server_version'), now(), pg_is_in_recovery(),"
        " current_setting('transaction_read_only'), (SELECT oid::bigint FROM pg_database WHERE datname = current_database())"
    )
    name, user, version, now, standby, read_only, oid = cursor.fetchone()
    cursor.execute("SAVEPOINT identity")
    try:
        cursor.execute(
            "SELECT s.system_identifier::text, c.timeline_id FROM pg_control_system() AS s, pg_control_checkpoint() AS c"
        )
        system, timeline = cursor.fetchone()
    except driver.Error:
        cursor.execute("ROLLBACK TO SAVEPOINT identity")
        system = timeline = None
    return {
        "id": hashlib.sha256(f"{system}/{timeline}/{oid}".encode()).hexdigest(),
        "name": name,
        "user": user,
        "server_version": version,
        "system_identifier": system,
        "now": now.isoformat(),
        "now_unix": round(now.timestamp(), 3),
        "standby": standby,
        "read_only": read_only == "on",
    }


def _type_names(cursor: Any, oids: Sequence[int]) -> List[str]:
    cursor.execute(
        "SELECT oid::bigint, format_type(oid, NULL) FROM pg_type WHERE oid = ANY(%s::oid[])", ([int(o) for o in oids],)
    )
    known = dict(cursor.fetchall())
    return [known.get(int(oid), "unknown") for oid in oids]


def first_line(error: BaseException, params: Optional[Mapping[str, Any]] = None) -> str:
    """The server's sentence, without bound texts (PostgreSQL quotes a value that it cannot convert)."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else error.__class__.__name__
    for name, value in (params or {}).items():
        if isinstance(value, str) and value:
            text = text.replace(value, f"%({name})s")
    return text
