"""Beside live readers and writers, behind a long transaction, and killed: never a half state, never a lost value."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import threading
import time
from typing import Any

import psycopg
import pytest

from python_checks.tests.conftest import MODULE_PACKAGE, TARGET_PYTHON

from .conftest import COLUMNS, TABLE, Site, environment

INSERT = (
    f"INSERT INTO {TABLE} (round_id, round_date, map_name, round_number, player_guid, player_name)"
    " VALUES (1, '2026-02-20', 'supply', 1, %s, 'live')"
)


def start(site: Site, direction: str, **more: Any) -> subprocess.Popen[str]:
    """The module as a process that goes on by itself."""
    args = {
        "ANSIBLE_MODULE_ARGS": {**site.options(direction, **more), "_ansible_check_mode": False, "_ansible_diff": True}
    }
    command = [TARGET_PYTHON, "-m", f"{MODULE_PACKAGE}.db_migration"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment()
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(args))
    process.stdin.close()
    process.stdin = None
    return process


def until_it_waits(site: Site, waits: bool = True) -> None:
    """Until the server shows the migration waiting for its lock, or no longer."""
    sql = (
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'rollout:migration' AND wait_event_type = 'Lock'"
        " AND datname = current_database()"
    )
    deadline = time.monotonic() + 30
    while bool(site.run(sql)) is not waits:
        assert time.monotonic() < deadline, "the migration was not seen at the lock"
        time.sleep(0.01)


class Load:
    """The bot's inserts and the website's reads, without pause, each with the bot's patience for a lock."""

    def __init__(self, site: Site) -> None:
        self.site, self.stop = site, threading.Event()
        self.written, self.reads, self.errors = 0, 0, list[str]()
        self.longest_s = 0.0
        self.threads = [
            threading.Thread(target=self._guard, args=(what,)) for what in (self._write, self._read, self._read)
        ]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _guard(self, what: Any) -> None:
        try:
            with self.site.connect(options="-c statement_timeout=5000") as connection:
                while not self.stop.is_set():
                    began = time.monotonic()
                    what(connection)
                    self.longest_s = max(self.longest_s, time.monotonic() - began)
                    time.sleep(0.002)
        except psycopg.Error as error:
            self.errors.append(str(error))

    def _write(self, connection: psycopg.Connection[Any]) -> None:
        with connection.transaction():
            connection.execute(INSERT, (f"LIVE{self.written}",))
        self.written += 1

    def _read(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(f"SELECT sum(kills), count(*) FROM {TABLE} WHERE round_number IN (1, 2)").fetchone()
        self.reads += 1


def test_beside_readers_and_writers(site: Site) -> None:
    with Load(site) as load:
        for _ in range(3):
            assert site.migrate("forward")["made"] == COLUMNS
            assert site.migrate("rollback")["dropped"] == COLUMNS
        assert site.migrate("forward")["changed"]
    assert not load.errors and load.written > 50 and load.reads > 50
    assert load.longest_s < 3, "somebody was kept waiting"
    assert site.run(f"SELECT count(*) FROM {TABLE} WHERE player_name = 'live'") == [(load.written,)]
    assert site.columns() == COLUMNS


def test_a_long_transaction_keeps_the_migration_out(site: Site) -> None:
    before = site.catalogue()
    with site.connect(application_name="long report") as other, other.transaction():
        other.execute(f"SELECT count(*) FROM {TABLE}")
        began = time.monotonic()
        refused = site.migrate("forward", lock_timeout_ms=100, attempts=3)
        assert time.monotonic() - began < 10
        # It does not stay in the queue: who comes now is served at once.
        assert site.run("SELECT 1") and site.run(f"SELECT count(*) FROM {TABLE}") == [(50,)]
    assert refused["failed"] and "could not be locked in 3 tries of 100 ms" in refused["msg"]
    assert "long report, AccessShareLock, idle in transaction" in refused["msg"]
    assert site.catalogue() == before and site.migrate("forward")["changed"]


def test_it_gets_through_when_the_transaction_ends(site: Site) -> None:
    with site.connect() as other, other.transaction():
        other.execute(f"SELECT count(*) FROM {TABLE}")
        process = start(site, "forward", lock_timeout_ms=100, attempts=50)
        # Its first try, and that it gave up.
        until_it_waits(site)
        until_it_waits(site, waits=False)
        assert process.poll() is None and not site.columns()
    answer = json.loads(process.communicate(timeout=20)[0])
    assert answer["changed"] and answer["attempts"] > 1 and site.columns() == COLUMNS


def test_values_written_while_the_rollback_waits_are_not_lost(site: Site) -> None:
    """The values are counted under the lock: a writer that was first is seen."""
    site.migrate("forward")
    with site.connect() as other, other.transaction():
        other.execute(f"UPDATE {TABLE} SET time_alive_seconds = 1 WHERE id = 1")
        process = start(site, "rollback", lock_timeout_ms=4000)
        until_it_waits(site)
    answer = json.loads(process.communicate(timeout=20)[0])
    assert answer["failed"] and "1 in time_alive_seconds" in answer["msg"] and site.columns() == COLUMNS


@pytest.mark.parametrize("direction", ["forward", "rollback"])
def test_two_at_once_do_it_once(site: Site, direction: str) -> None:
    if direction == "rollback":
        site.migrate("forward")
    both = [start(site, direction, attempts=20) for _ in range(2)]
    answers = [json.loads(one.communicate(timeout=30)[0]) for one in both]
    assert not any(one.get("failed") for one in answers), answers
    assert sorted(bool(one["made"] or one["dropped"]) for one in answers) == [False, True]
    assert site.columns() == (COLUMNS if direction == "forward" else {})


def kill_after(process: subprocess.Popen[str], delay_s: float) -> bool:
    """SIGKILL after a while; whether it hit a living process."""
    try:
        process.wait(delay_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def settle(site: Site) -> None:
    """Wait until the server has noticed that the killed client is gone."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = site.run(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'rollout:migration' AND datname = current_database()"
        )
        if not left:
            return
        time.sleep(0.02)
    pytest.fail("the killed migration's transaction is still open")


@pytest.mark.slow
def test_killed_at_any_moment(site: Site) -> None:
    """Both directions, killed at random moments of their life: all columns and marks or none, and no value is lost."""
    spread = random.Random(5)
    exports = site.folder / "exports"
    began = time.monotonic()
    start(site, "forward").communicate()
    whole_s = time.monotonic() - began
    site.migrate("rollback")
    killed, states = 0, set()
    for number in range(40):
        # On a busy machine a life may take longer or shorter than the first one did.
        if number >= 14 and killed >= 3:
            break
        there = bool(site.columns())
        if there:
            site.run(f"UPDATE {TABLE} SET time_alive_seconds = kills WHERE kills <= 7")
        direction = "rollback" if there else "forward"
        # Most of the life is the start of Python; the interesting part is its end.
        killed += kill_after(start(site, direction, export_dir=str(exports)), spread.uniform(0.55, 1.1) * whole_s)
        settle(site)
        found = site.columns()
        states.add((direction, bool(found)))
        assert found in ({}, COLUMNS)
        kept = site.run(f"SELECT count(time_alive_seconds) FROM {TABLE}")[0][0] if found else None
        if there and found:
            assert kept == 7
        if there and not found:
            saved = max(exports.glob("player_times-*.csv"), key=lambda path: path.stat().st_mtime)
            assert len(saved.read_text().splitlines()) == 8
        if found:
            # What is there carries our marks: the next run can tell.
            assert not site.migrate("forward", check=True)["kept"]
    assert killed >= 3 and site.run(f"SELECT count(*), sum(kills) FROM {TABLE}") == [(50, 1275)]
    site.migrate("forward")
    assert site.columns() == COLUMNS


@pytest.mark.parametrize("direction", ["forward", "rollback"])
@pytest.mark.parametrize("statement", range(4))
def test_killed_between_two_statements(site: Site, direction: str, statement: int) -> None:
    """The server is made to wait inside the n-th statement, so the kill falls into the open transaction for certain."""
    if direction == "rollback":
        site.migrate("forward")
    before = site.catalogue()
    column = list(COLUMNS)[statement]
    site.run(
        "CREATE FUNCTION wait_here() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF current_query() LIKE 'ALTER%{column}%' THEN PERFORM pg_sleep(1); END IF; END $$;"
        "CREATE EVENT TRIGGER wait_here ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION wait_here()"
    )
    process = start(site, direction)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if site.run("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"):
            break
        time.sleep(0.02)
    else:
        pytest.fail("the statement was never reached")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    settle(site)
    site.run("DROP EVENT TRIGGER wait_here")
    assert site.catalogue() == before
    assert site.migrate(direction)["changed"]
