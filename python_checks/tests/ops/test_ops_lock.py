"""One rollout at a time: real processes take, hold, lose and leave the site's lock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import lock


def sleeper() -> subprocess.Popen[bytes]:
    """A process that stands for an ansible-playbook."""
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)


def holder(process: int, name: str = "run-1", **more: object) -> lock.Holder:
    made = lock.Holder(
        name, "ana@desk", "phase 1", "2026-02-21T20:00:00+00:00", process, lock.process_ticks(process), lock.place()
    )
    return replace(made, **more)  # type: ignore[arg-type]


def wait_until_free(folder: Path, limit_s: float = 5.0) -> None:
    until = time.monotonic() + limit_s
    while lock.look(str(folder)) is not None:
        assert time.monotonic() < until, "the keeper did not free the site"
        time.sleep(0.02)


def keeper_of(folder: Path) -> int:
    found = lock.look(str(folder))
    assert found is not None
    return found.keeper


@pytest.fixture
def run() -> Iterator[subprocess.Popen[bytes]]:
    process = sleeper()
    yield process
    process.kill()
    process.wait()


def leave_stale(folder: Path, run: subprocess.Popen[bytes]) -> lock.Holder:
    """What a power cut leaves, short of the reboot: holder and keeper gone, the file as it was."""
    lock.acquire(str(folder), holder(run.pid))
    left = lock.look(str(folder))
    assert left is not None
    os.kill(left.keeper, signal.SIGKILL)
    while lock.process_ticks(left.keeper):
        time.sleep(0.01)
    run.kill()
    run.wait()
    return left


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_it_is_freed_however_the_run_ends(tmp_path: Path, run: subprocess.Popen[bytes], end: int) -> None:
    lock.acquire(str(tmp_path), holder(run.pid))
    with pytest.raises(lock.LockError, match="one rollout at a time"):
        lock.acquire(str(tmp_path), holder(os.getpid(), "run-2"))
    os.killpg(run.pid, end)
    run.wait()
    wait_until_free(tmp_path)
    assert lock.acquire(str(tmp_path), holder(os.getpid(), "run-2")) is None


def test_a_run_that_waits_to_be_reaped_has_ended(tmp_path: Path, run: subprocess.Popen[bytes]) -> None:
    lock.acquire(str(tmp_path), holder(run.pid))
    run.kill()
    wait_until_free(tmp_path)


def test_taking_it_twice_is_one_lock_and_one_keeper(tmp_path: Path, run: subprocess.Popen[bytes]) -> None:
    lock.acquire(str(tmp_path), holder(run.pid))
    first = keeper_of(tmp_path)
    lock.acquire(str(tmp_path), holder(run.pid))
    assert keeper_of(tmp_path) == first


def test_the_keeper_has_nothing_of_the_run(tmp_path: Path, run: subprocess.Popen[bytes]) -> None:
    """It must neither hold a pipe open nor carry the operator's environment about."""
    lock.acquire(str(tmp_path), holder(run.pid))
    keeper = keeper_of(tmp_path)
    for _ in range(100):
        if b"lock.py" in Path(f"/proc/{keeper}/cmdline").read_bytes():
            break
        time.sleep(0.01)
    assert {Path(f"/proc/{keeper}/fd/{number}").resolve() for number in (0, 1, 2)} == {Path("/dev/null")}
    assert [line.split(b"=")[0] for line in Path(f"/proc/{keeper}/environ").read_bytes().split(b"\0") if line] == [
        b"PATH"
    ]
    assert os.getsid(keeper) == keeper


def test_a_stale_lock_is_broken_by_its_name_and_no_other(tmp_path: Path, run: subprocess.Popen[bytes]) -> None:
    left = leave_stale(tmp_path, run)
    me = holder(os.getpid(), "run-2")
    with pytest.raises(lock.LockError, match=r"phase 1 of ana@desk .* is stale: .*-e break_lock=run-1"):
        lock.acquire(str(tmp_path), me)
    with pytest.raises(lock.LockError, match="break_lock=run-0 names another"):
        lock.acquire(str(tmp_path), me, break_lock="run-0")
    assert lock.acquire(str(tmp_path), me, break_lock="run-1") == left
    now = lock.look(str(tmp_path))
    assert now is not None and now.name == "run-2"


def test_a_running_holder_cannot_be_broken(tmp_path: Path, run: subprocess.Popen[bytes]) -> None:
    lock.acquire(str(tmp_path), holder(run.pid))
    os.kill(keeper_of(tmp_path), signal.SIGKILL)
    with pytest.raises(lock.LockError, match="cannot be broken"):
        lock.acquire(str(tmp_path), holder(os.getpid(), "run-2"), break_lock="run-1")


def test_a_process_id_used_again_is_another_process(tmp_path: Path, run: subprocess.Popen[bytes]) -> None:
    """The id runs, but began at another time than the holder did."""
    here = lock.place()
    old = holder(run.pid, process_ticks=lock.process_ticks(run.pid) - 1)
    assert lock.state_of(old, "run-2", here) == lock.STALE
    assert lock.state_of(holder(run.pid), "run-2", here) == lock.HELD


def test_where_a_holder_can_be_seen_from() -> None:
    here, me = lock.place(), holder(os.getpid())
    rebooted = replace(here, boot="another boot")
    elsewhere = replace(here, boot="another boot", machine="another machine", host="desk2")
    container = replace(here, pid_namespace="pid:[1]")
    assert lock.state_of(None, "x", here) == lock.FREE
    assert lock.state_of(me, me.name, here) == lock.MINE
    assert lock.state_of(replace(me, place=rebooted), "x", here) == lock.STALE
    assert lock.state_of(replace(me, place=elsewhere), "x", here) == lock.UNSEEN
    assert lock.state_of(replace(me, place=container), "x", here) == lock.UNSEEN, "its process ids mean nothing here"
    assert lock.state_of(replace(me, place=lock.Place("", "", "", "")), "x", lock.Place("", "", "", "")) == lock.UNSEEN


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"name": "x"}', b"\xff\xfe", b"null"])
def test_a_cut_file_is_somebody_and_nobody_knows_who(tmp_path: Path, content: bytes) -> None:
    (tmp_path / lock.FILE).write_bytes(content)
    with pytest.raises(lock.LockError, match="break_lock=unreadable"):
        lock.acquire(str(tmp_path), holder(os.getpid()))
    broken = lock.acquire(str(tmp_path), holder(os.getpid()), break_lock="unreadable")
    assert broken is not None and broken.name == "unreadable"


def test_of_many_at_once_one_gets_it(tmp_path: Path) -> None:
    runs = [sleeper() for _ in range(6)]
    won: list[str] = []

    def attempt(name: str, process: int) -> None:
        try:
            lock.acquire(str(tmp_path), holder(process, name))
            won.append(name)
        except lock.LockError:
            pass

    try:
        threads = [threading.Thread(target=attempt, args=(f"run-{n}", one.pid)) for n, one in enumerate(runs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        found = lock.look(str(tmp_path))
        assert found is not None and found.name == won[0]
    finally:
        for one in runs:
            one.kill()
            one.wait()


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    assert lock.look(str(folder)) is None
    assert not folder.exists()


def test_a_release_by_another_name_does_nothing(tmp_path: Path, run: subprocess.Popen[bytes]) -> None:
    lock.acquire(str(tmp_path), holder(run.pid))
    assert not lock.release(str(tmp_path), "run-2")
    assert json.loads((tmp_path / lock.FILE).read_text())["name"] == "run-1"
    assert lock.release(str(tmp_path), "run-1")
