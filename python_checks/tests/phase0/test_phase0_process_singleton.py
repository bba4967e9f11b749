"""process_singleton against real processes: a bash script with a pipeline, doubles, and noise that pgrep would count."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Runner = Callable[..., dict[str, Any]]
ME = pwd.getpwuid(os.geteuid()).pw_name
SCRIPT = """#!/bin/bash
# a follower like the real one: tail in a pipeline with a loop
tail -n 0 -F "{log}" 2>/dev/null | while IFS= read -r line; do echo "$line"; done
"""


class Monitor:
    """A script in a folder of its own, the processes started from it, and the module's options for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.script = folder / "scripts" / "log_monitor.sh"
        self.script.parent.mkdir()
        self.started: list[subprocess.Popen[bytes]] = []
        (folder / "game.log").touch()
        self.write(SCRIPT.format(log=folder / "game.log"))

    def write(self, text: str) -> None:
        self.script.write_text(text)
        self.script.chmod(0o755)

    def run(self, *argv: str, cwd: Path | None = None, user: int | None = None) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            argv, cwd=cwd or self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, user=user,
        )  # fmt: skip
        self.started.append(child)
        return child

    def instance(self) -> subprocess.Popen[bytes]:
        """Start one, and wait until its pipeline stands."""
        child = self.run("/bin/bash", str(self.script))
        wait_for(lambda: len(children(child.pid)) >= 2)
        return child

    def options(self, **more: Any) -> dict[str, Any]:
        fixed = {"script": str(self.script), "state_dir": str(self.folder / "state")}
        return {**fixed, "state": "single", "term_wait_s": 2, "settle_s": 0.3, **more}

    @property
    def record(self) -> dict[str, Any]:
        return json.loads((self.folder / "state" / "log_monitor.sh.json").read_text())

    def clean_up(self) -> None:
        """End every session that was started here or by the module for this script, and nothing else."""
        for child in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if str(self.folder).encode() in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
                        os.kill(int(entry.name), signal.SIGKILL)


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def lives(pid: int) -> bool:
    """A zombie that nobody reaps (the first process of a bare container may not) has no command line left."""
    with contextlib.suppress(OSError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


def wait_for(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def gone(child: subprocess.Popen[bytes]) -> bool:
    return child.poll() is not None


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    made = Monitor(tmp_path)
    yield made
    made.clean_up()


def test_one_instance_with_a_pipeline_counts_once(run_module: Runner, monitor: Monitor) -> None:
    child = monitor.instance()
    result = run_module("process_singleton", {"script": str(monitor.script)})
    assert (result["satisfied"], result["changed"], result["after"]["count"]) == (True, False, 1)
    instance = result["after"]["instances"][0]
    assert instance["pid"] == child.pid and len(instance["tree"]) == 3 and instance["user"] == ME
    assert abs(instance["started_unix"] - time.time()) < 30


def test_the_surplus_ends_and_the_oldest_stays(run_module: Runner, monitor: Monitor) -> None:
    oldest, second, third = (monitor.instance() for _ in range(3))
    trees = [children(c.pid) for c in (second, third)]

    check = run_module("process_singleton", monitor.options(), check=True)
    assert check["changed"] and check["after"]["count"] == 1 and check["satisfied"]
    assert not gone(second) and not (monitor.folder / "state").exists()

    real = run_module("process_singleton", monitor.options())
    assert real["actions"] == check["actions"] and real["after"] == check["after"]
    assert real["before"]["count"] == 3 and [i["pid"] for i in real["after"]["instances"]] == [oldest.pid]
    assert real["killed"] == []
    wait_for(lambda: gone(second) and gone(third))
    wait_for(lambda: not any(lives(pid) for tree in trees for pid in tree))
    assert not gone(oldest) and len(children(oldest.pid)) == 2

    again = run_module("process_singleton", monitor.options())
    assert (again["changed"], again["actions"]) == (False, [])
    assert run_module("process_singleton", monitor.options(), check=True)["changed"] is False


def test_noise_is_neither_counted_nor_touched(run_module: Runner, monitor: Monitor) -> None:
    kept = monitor.instance()
    surplus = monitor.instance()
    fake_vim = monitor.folder / "vim"
    fake_vim.symlink_to("/usr/bin/tail")
    noise = [
        monitor.run(str(fake_vim), "-f", str(monitor.script)),
        monitor.run("tail", "-f", str(monitor.script)),
        monitor.run("/bin/bash", "-c", f"true pgrep -fc {monitor.script}; sleep 60; true"),
        monitor.run("/bin/sh", "-c", "sleep 60; true log_monitor.sh"),
    ]
    other = monitor.folder / "other" / "log_monitor.sh"
    other.parent.mkdir()
    other.write_text("sleep 60; true\n")
    noise.append(monitor.run("/bin/bash", str(other)))
    wait_for(lambda: all(not gone(n) for n in noise))
    result = run_module("process_singleton", monitor.options())
    assert result["before"]["count"] == 2 and result["satisfied"]
    wait_for(lambda: gone(surplus))
    assert not any(gone(n) for n in [*noise, kept])


def test_none_running_starts_one_detached(run_module: Runner, monitor: Monitor) -> None:
    check = run_module("process_singleton", monitor.options(), check=True)
    assert check["changed"] and check["after"]["instances"][0]["pid"] is None
    assert not (monitor.folder / "state").exists()
    real = run_module("process_singleton", monitor.options())
    assert real["actions"] == check["actions"] and real["satisfied"]
    pid = real["after"]["instances"][0]["pid"]
    assert os.getsid(pid) == pid, "a session of its own"
    assert str(Path(f"/proc/{pid}/fd/0").readlink()) == "/dev/null"
    assert str(Path(f"/proc/{pid}/fd/1").readlink()) == str(monitor.folder / "state" / "log_monitor.sh.log")
    assert run_module("process_singleton", monitor.options())["changed"] is False


def test_a_relative_start_through_a_link_is_found(run_module: Runner, monitor: Monitor) -> None:
    link = monitor.folder / "link"
    link.symlink_to(monitor.script.parent)
    child = monitor.run("/bin/bash", "link/log_monitor.sh")
    wait_for(lambda: len(children(child.pid)) >= 2)
    result = run_module("process_singleton", {"script": str(link / "log_monitor.sh")})
    assert [i["pid"] for i in result["after"]["instances"]] == [child.pid]


def test_one_that_ignores_term_is_killed_and_named(run_module: Runner, monitor: Monitor) -> None:
    monitor.instance()
    stubborn = monitor.folder / "ready"
    monitor.write(f"#!/bin/bash\ntrap '' TERM\ntouch {stubborn}\nwhile :; do sleep 0.2; done\n")
    child = monitor.run("/bin/bash", str(monitor.script))
    wait_for(stubborn.exists)
    result = run_module("process_singleton", monitor.options(term_wait_s=0.5))
    assert result["satisfied"] and child.pid in result["killed"]
    wait_for(lambda: gone(child))


def test_a_script_that_ends_at_once_is_no_success(run_module: Runner, monitor: Monitor) -> None:
    monitor.write("#!/bin/bash\necho broken\nexit 1\n")
    result = run_module("process_singleton", monitor.options())
    assert result["failed"] and "ended within" in result["msg"] and "log_monitor.sh.log" in result["msg"]


def test_a_missing_script_is_not_started(run_module: Runner, monitor: Monitor) -> None:
    monitor.script.unlink()
    result = run_module("process_singleton", monitor.options())
    assert result["failed"] and "missing or not readable" in result["msg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to start another user's process")
def test_another_users_instance_is_named_and_left_alone(run_module: Runner, monitor: Monitor) -> None:
    for folder in [monitor.folder, *monitor.folder.parents]:
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    nobody = pwd.getpwnam("nobody").pw_uid
    child = monitor.run("/bin/bash", str(monitor.script), user=nobody)
    wait_for(lambda: len(children(child.pid)) >= 2)
    for check in (True, False):
        result = run_module("process_singleton", monitor.options(), check=check)
        assert result["failed"] and "nobody" in result["msg"] and str(child.pid) in result["msg"]
    assert not gone(child) and not (monitor.folder / "state" / "log_monitor.sh.json").exists()


def test_two_runs_at_once_start_one(run_module: Runner, monitor: Monitor) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: run_module("process_singleton", monitor.options()), range(2)))
    assert [r.get("msg") for r in results] == [None, None]
    assert run_module("process_singleton", {"script": str(monitor.script)})["after"]["count"] == 1
    assert sum(any(a.startswith("start ") for a in r["actions"]) for r in results) == 1


def test_the_way_back_ends_what_was_started_and_only_that(run_module: Runner, monitor: Monitor) -> None:
    pid = run_module("process_singleton", monitor.options())["after"]["instances"][0]["pid"]
    check = run_module("process_singleton", monitor.options(state="restored"), check=True)
    assert check["changed"] and lives(pid) and monitor.record["restored_at"] is None
    back = run_module("process_singleton", monitor.options(state="restored"))
    assert back["actions"] == check["actions"] and back["after"]["count"] == 0 == check["after"]["count"]
    assert back["satisfied"] is False, "after the way back the proof must fail"
    assert monitor.record["restored_at"]
    assert run_module("process_singleton", monitor.options(state="restored"))["changed"] is False


def test_what_was_started_is_noted_before_it_is_watched(run_module: Runner, monitor: Monitor) -> None:
    """A run that is killed while it watches must still know, on the way back, what it started."""
    from concurrent.futures import ThreadPoolExecutor

    path = monitor.folder / "state" / "log_monitor.sh.json"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_module, "process_singleton", monitor.options(settle_s=3))
        wait_for(lambda: path.is_file() and bool(monitor.record["started"]))
        assert not running.done()
    assert running.result()["after"]["instances"][0]["pid"] == monitor.record["started"]["pid"]


def test_the_way_back_of_an_ended_surplus_starts_nothing(run_module: Runner, monitor: Monitor) -> None:
    kept, _surplus = monitor.instance(), monitor.instance()
    run_module("process_singleton", monitor.options())
    back = run_module("process_singleton", monitor.options(state="restored"))
    assert back["after"]["count"] == 1 and not gone(kept)


def test_a_reused_pid_is_not_ended_on_the_way_back(run_module: Runner, monitor: Monitor) -> None:
    run_module("process_singleton", monitor.options())
    path = monitor.folder / "state" / "log_monitor.sh.json"
    record = monitor.record
    record["started"]["start_ticks"] -= 1
    path.write_text(json.dumps(record))
    back = run_module("process_singleton", monitor.options(state="restored"))
    assert back["after"]["count"] == 1


def test_the_way_back_without_a_recording_is_refused(run_module: Runner, monitor: Monitor) -> None:
    result = run_module("process_singleton", monitor.options(state="restored"))
    assert result["failed"] and "nothing is recorded" in result["msg"]


def test_the_way_back_of_what_never_acted_changes_nothing(run_module: Runner, monitor: Monitor) -> None:
    kept, surplus = monitor.instance(), monitor.instance()
    result = run_module("process_singleton", monitor.options(state="restored", missing_ok=True))
    assert (result.get("failed"), result["changed"], result["after"]["count"]) == (None, False, 2)
    assert not gone(kept) and not gone(surplus)


def test_the_first_recording_wins(run_module: Runner, monitor: Monitor) -> None:
    monitor.instance(), monitor.instance()
    run_module("process_singleton", monitor.options())
    monitor.instance()
    run_module("process_singleton", monitor.options())
    assert monitor.record["before"]["count"] == 2
