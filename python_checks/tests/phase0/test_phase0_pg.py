"""pg.py and pg_read_info: one read-only statement, whole or an error. The database is a real one."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import pg as pgread
from hypothesis import given
from hypothesis import strategies as st

Runner = Callable[..., dict[str, Any]]
Ask = Callable[..., dict[str, Any]]
CANARY = "canary-c0ffee"


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("SELECT 1", 1),
        ("SELECT 1;", 1),
        ("SELECT 1; ; -- end", 1),
        ("SELECT ';'", 1),
        ("SELECT 'it''s; fine'", 1),
        ('SELECT 1 AS "a;b"', 1),
        ("SELECT $$ ; $$", 1),
        ("SELECT $tag$ ; $$ ; $tag$", 1),
        ("SELECT 1 -- ; no\n", 1),
        ("SELECT 1 /* ; /* nested ; */ ; */", 1),
        (r"SELECT E'\'; DROP TABLE x; --'", 1),
        ("", 0),
        ("-- nothing\n/* at all */ ;", 0),
        ("SELECT 1; SELECT 2", 2),
        ("COMMIT; DELETE FROM rounds", 2),
        ("SELECT '1'; COMMIT", 2),
        (r"SELECT '\'; COMMIT; --'", 2),
        ("SELECT a$b$ ; COMMIT -- $b$", 2),
        ("SELECT 1 /* */ ; COMMIT", 2),
    ],
)
def test_statements_are_counted_as_the_server_would(sql: str, count: int) -> None:
    assert len(pgread.statements(sql)) == count


quoted = st.text(st.characters(exclude_characters="'\"\\$\x00", exclude_categories=["Cs"]), max_size=12)


@given(parts=st.lists(st.tuples(st.sampled_from(["'", '"', "$$", "$q$"]), quoted), min_size=1, max_size=6))
def test_what_is_quoted_never_ends_a_statement(parts: list[tuple[str, str]]) -> None:
    text = " , ".join(f"{quote}{body};{quote}" for quote, body in parts)
    assert pgread.statements(f"SELECT {text}") == [f"SELECT {text}".strip()]
    assert len(pgread.statements(f"SELECT {text}; COMMIT")) == 2


@given(text=st.text(alphabet="S1';\"$a-/*\\\nE ", max_size=40))
def test_no_text_breaks_the_counting(text: str) -> None:
    assert all(part.strip() for part in pgread.statements(text))


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        (decimal.Decimal("7"), 7),
        (decimal.Decimal("7.5"), 7.5),
        (decimal.Decimal("NaN"), "NaN"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (datetime.date(2026, 2, 20), "2026-02-20"),
        (datetime.timedelta(minutes=1), 60.0),
        (b"\x00\xff", "\\x00ff"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        ({"a": [decimal.Decimal(1)]}, {"a": [1]}),
        (True, True),
        (None, None),
    ],
)
def test_values_become_json(value: Any, safe: Any) -> None:
    found = pgread.json_safe(value)
    assert found == safe and type(found) is type(safe)
    json.dumps(found, allow_nan=False)


@pytest.fixture(scope="module")
def database(pg: Any) -> str:
    name = pg.database()
    with psycopg.connect(pg.dsn(name)) as connection:
        connection.execute("CREATE TABLE t (n integer, w text, f numeric, j jsonb, at timestamptz)")
        connection.execute("INSERT INTO t VALUES (1, 'a', 1.5, '{\"k\": [1]}', now()), (2, NULL, 'NaN', NULL, NULL)")
    return str(name)


@pytest.fixture
def ask(run_module: Runner, pg: Any, database: str) -> Iterator[Ask]:
    """The module on a real database; afterwards the table must be what it was."""

    def run(sql: str, *, check: bool = False, **more: Any) -> dict[str, Any]:
        options = {"host": str(pg.folder), "port": pg.port, "user": "postgres", "dbname": database, "sql": sql, **more}
        return run_module("pg_read_info", options, check=check)

    yield run
    with psycopg.connect(pg.dsn(database)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (2,)


@pytest.mark.parametrize("check", [False, True])
def test_rows_columns_and_identity(ask: Ask, database: str, check: bool) -> None:
    result = ask("SELECT n, w, f, j, at IS NULL AS nil FROM t ORDER BY n", check=check)
    assert result["rows"] == [
        {"n": 1, "w": "a", "f": 1.5, "j": {"k": [1]}, "nil": False},
        {"n": 2, "w": None, "f": "NaN", "j": None, "nil": True},
    ]
    assert [c["type"] for c in result["columns"]] == ["integer", "text", "numeric", "jsonb", "boolean"]
    assert (result["row_count"], result["changed"]) == (2, False)
    identity = result["database"]
    assert identity["name"] == database and identity["read_only"] is True and identity["system_identifier"].isdigit()
    assert abs(identity["now_unix"] - datetime.datetime.now().timestamp()) < 60


def test_parameters_are_bound_not_pasted(ask: Ask) -> None:
    hostile = "'; DELETE FROM t; --"
    result = ask("SELECT %(w)s::text AS w, %(n)s::integer + 1 AS n", params={"w": hostile, "n": 41})
    assert result["rows"] == [{"w": hostile, "n": 42}]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("DELETE FROM t RETURNING n", "25006"),
        ("INSERT INTO t VALUES (9) RETURNING n", "25006"),
        ("WITH gone AS (DELETE FROM t RETURNING n) SELECT * FROM gone", "25006"),
        ("CREATE TABLE x (n integer)", "25006"),
        ("TRUNCATE t", "25006"),
        ("SELECT nextval('s')", "42P01"),
        ("SELECT * FROM t FOR UPDATE", "25006"),
        ("SELECT nothing FROM t", "42703"),
        ("COMMIT", "without rows"),
        ("SELECT 1 AS a, 2 AS a", "repeat"),
        ("SELECT 1; DELETE FROM t", "2 statements"),
        ("COMMIT; DELETE FROM t", "2 statements"),
        ("", "0 statements"),
    ],
)
def test_what_does_not_only_read_is_refused(ask: Ask, sql: str, reason: str) -> None:
    result = ask(sql)
    assert result["failed"] and reason in result["msg"] and "next:" in result["msg"]


def test_a_slow_statement_is_stopped(ask: Ask) -> None:
    result = ask("SELECT pg_sleep(20)", statement_timeout_ms=100)
    assert result["failed"] and "57014" in result["msg"]


def test_a_lock_is_not_waited_for(ask: Ask, pg: Any, database: str) -> None:
    with psycopg.connect(pg.dsn(database)) as holder:
        holder.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        result = ask("SELECT n FROM t", lock_timeout_ms=100)
    assert result["failed"] and "55P03" in result["msg"]


def test_a_cut_answer_is_an_error(ask: Ask) -> None:
    result = ask("SELECT * FROM generate_series(1, 11) AS g", max_rows=10)
    assert result["failed"] and "more than 10 rows" in result["msg"]
    assert ask("SELECT * FROM generate_series(1, 10) AS g", max_rows=10)["row_count"] == 10


def test_a_bound_value_is_not_in_the_error(ask: Ask) -> None:
    result = ask("SELECT %(s)s::text::integer AS n", params={"s": CANARY})
    assert result["failed"] and CANARY not in result["msg"] and "22P02" in result["msg"]


def test_the_activity_view_shows_who_asks(ask: Ask) -> None:
    result = ask("SELECT current_setting('application_name') AS name", application_name="rollout:0.4")
    assert result["rows"] == [{"name": "rollout:0.4"}]


def test_no_server_is_an_error(run_module: Runner, tmp_path: Path) -> None:
    result = run_module("pg_read_info", {"host": str(tmp_path), "dbname": "x", "sql": "SELECT 1"})
    assert result["failed"] and "no connection" in result["msg"]


@pytest.mark.parametrize(("mode", "reason"), [(0o644, "mode 0644"), (None, "cannot be read")])
def test_a_passfile_that_libpq_would_ignore_is_named(ask: Ask, tmp_path: Path, mode: int | None, reason: str) -> None:
    passfile = tmp_path / "pgpass"
    if mode is not None:
        passfile.write_text(f"*:*:*:*:{CANARY}\n")
        passfile.chmod(mode)
    result = ask("SELECT 1 AS one", passfile=str(passfile))
    assert result["failed"] and reason in result["msg"] and CANARY not in result["msg"]


def test_psycopg2_gives_the_same(pg: Any, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's other driver; left out where it is not installed."""
    driver = pytest.importorskip("psycopg2")
    monkeypatch.setattr(pgread, "load_driver", lambda: driver)
    target = pgread.Target(str(pg.folder), pg.port, database, "postgres")
    found = pgread.read(target, "SELECT n, f FROM t WHERE n = %(n)s", {"n": 1})
    assert found["rows"] == [{"n": 1, "f": 1.5}] and found["database"]["read_only"]
    with pytest.raises(pgread.PgError, match="25006"):
        pgread.read(target, "DELETE FROM t RETURNING n")
