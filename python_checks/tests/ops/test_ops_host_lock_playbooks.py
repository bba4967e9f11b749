"""Two controllers, each with an evidence folder of its own, and real ansible-playbook runs on the same hosts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import host_lock, ledger, lock

from python_checks.tests.ops.conftest import OpsSite

Background = Callable[[subprocess.Popen[str]], subprocess.Popen[str]]
HOSTS = ("one", "two")
FAR = {"host": "laptop", "machine": "m", "boot": "b", "pid_namespace": "p"}


class TwoControllers(OpsSite):
    """A game server and a VM (both on this machine), and evidence folders ``evidence`` (ana's) and ``other`` (ben's)."""

    def __init__(self, folder: Path, root: Path) -> None:
        super().__init__(folder, root, HOSTS, rollout_lock_dir="{{ inventory_dir }}/{{ inventory_hostname }}/site")
        inventory = yaml.safe_load(self.inventory.read_text())
        inventory["all"]["children"] |= {
            "game_servers": {"hosts": {"one": None}},
            "stats_hosts": {"hosts": {"two": None}},
        }
        self.inventory.write_text(yaml.safe_dump(inventory))
        self.other = folder / "other"
        take = {"purpose": "a test", "break_lock": "{{ break_lock | default(omit) }}"}
        here = "{{ inventory_dir }}"
        # At most a minute, so that a test that fails leaves nothing running.
        still = f"[ -n '{{{{ act | default('') }}}}' ] && [ ! -e {here}/go ]"
        waits = f"n=0; while {still} && [ $((n += 1)) -lt 1200 ]; do sleep 0.05; done"
        acted = {"name": "Act", "ansible.builtin.shell": f"echo x >> {here}/acted; {waits}"}
        plays = [
            {"name": "Lock", "hosts": "site", "gather_facts": False, "any_errors_fatal": True}
            | {"tasks": [{"name": "Lock", "run_once": True, "slomix.timetracking.rollout_lock": take}]},
            {"ansible.builtin.import_playbook": str(root / "playbooks/guard/hosts.yml")},
            {"name": "Act", "hosts": "site", "gather_facts": False, "tasks": [acted]},
        ]
        self.acting = folder / "acting.yml"
        self.acting.write_text(yaml.safe_dump(plays, sort_keys=False))

    def as_ben(self, *more: str) -> tuple[str, ...]:
        """The options of the second operator."""
        return ("-e", f"rollout_evidence_dir={self.other}", *more)

    def marks(self) -> list[str]:
        """Who holds each host, in the order of HOSTS; "" for nobody."""
        found = [host_lock.look(str(self.folder / name / "site"))[0] for name in HOSTS]
        return [str(one["name"]) if one else "" for one in found]

    def leave(self, *hosts: str, **more: Any) -> None:
        """What a controller that lost its power leaves on hosts."""
        for name in hosts:
            place = {"process": 1, "process_ticks": 1, "place": FAR, "evidence": "/e", "head": "c" * 64}
            who = {"name": "run-9", "controller": "laptop", "operator": "ben@laptop", "purpose": "phase 4", "since": ""}
            host_lock.take(str(self.folder / name / "site"), {**who, **place, **more})

    def wait(self, *expected: str, limit_s: float = 8.0) -> None:
        """Until the hosts are held by ``expected``."""
        end = time.monotonic() + limit_s
        while self.marks() != list(expected):
            assert time.monotonic() < end, f"{self.marks()} in place of {expected}"
            time.sleep(0.03)

    def started(self, background: Background, *options: str) -> str:
        """Begin a run that acts until the file go is there; its name, once it holds both hosts."""
        process = background(self.start(self.acting, "-e", "act=long", *options))
        end = time.monotonic() + 20
        while not all(self.marks()) or not (self.folder / "acted").exists():
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.03)
        (name,) = set(self.marks())
        self.process = process
        return name

    def kill(self, *also: int) -> None:
        """SIGKILL to the run's whole group, and to ``also`` first."""
        for one in also:
            os.kill(one, signal.SIGKILL)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def two(tmp_path: Path, root: Path) -> TwoControllers:
    return TwoControllers(tmp_path, root)


def waiting_for(process: int) -> list[int]:
    """The processes that wait for the end of a run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[3:5] in ([b"keep", str(process).encode()], [b"after", str(process).encode()]):
                found.append(int(entry.name))
    return found


def test_of_two_controllers_at_once_exactly_one_acts(two: TwoControllers, background: Background) -> None:
    for turn in range(3):
        for name in ("acted", "go"):
            (two.folder / name).unlink(missing_ok=True)
        runs = [background(two.start(two.acting, "-e", "act=long", *more)) for more in ((), two.as_ben())]
        end = time.monotonic() + 30
        while all(one.poll() is None for one in runs) and time.monotonic() < end:
            time.sleep(0.05)
        (two.folder / "go").touch()
        said = [one.communicate(timeout=60)[0] for one in runs]
        assert sorted(one.returncode != 0 for one in runs) == [False, True], f"turn {turn}: {said}"
        refused = " ".join(next(text for text, one in zip(said, runs, strict=True) if one.returncode).split())
        assert "one is not taken: a test of" in refused and "one rollout at a time" in refused
        assert (two.folder / "acted").read_text().splitlines() == ["x", "x"], "on each host once"
        two.wait("", "")


def test_the_second_is_told_and_changes_nothing_and_takes_its_turn(two: TwoControllers, background: Background) -> None:
    two.record("0.1", "verify")
    name = two.started(background)
    code, out = two.play(two.acting, *two.as_ben("-e", f"break_lock={name}"))
    assert code != 0 and name in out and "is running" in out and str(two.evidence) in out
    assert "cannot be broken" in out
    code, out = two.play(two.acting, *two.as_ben("--check"))
    assert code == 0 and "a real run would stop here: one is not taken" in out and name in out
    assert two.marks() == [name, name]
    two.kill()
    two.wait("", "")
    code, out = two.play(two.acting, *two.as_ben())
    assert code == 0 and "changed=0" not in out, out
    assert "is not the whole story" in out and name in out
    notes = [one["result"] for one in ledger.read(str(two.other)) if one["kind"] == "note"]
    assert [note["lock"] for note in notes] == [name, name]
    assert ledger.verify(str(two.other)).intact
    two.wait("", "")
    code, out = two.play(two.acting, *two.as_ben())
    assert code == 0 and "whole story" not in out, "one's own runs are no news"


def test_what_was_left_over_is_taken_by_its_own_controller_alone(two: TwoControllers, background: Background) -> None:
    """A controller that lost its power: nothing of the run is there to free anything."""
    name = two.started(background)
    waiting = waiting_for(two.process.pid)
    assert len(waiting) == 3, "one for the site's lock, one for each host"
    two.kill(*waiting)
    code, out = two.play(two.acting, *two.as_ben())
    assert code != 0 and "is stale" in out and f"-e break_lock={name}" in out
    assert two.marks() == [name, name]
    # The evidence folder's own lock is stale and wants its name; the hosts then make way by themselves.
    code, out = two.play(two.acting, "-e", f"break_lock={name}")
    assert code == 0 and "whole story" not in out, out
    assert [note["result"]["note"].startswith("the lock ") for note in two.records()] == [True]
    two.wait("", "")


def test_the_next_run_of_the_same_controller_needs_no_name(two: TwoControllers, background: Background) -> None:
    """The way to the host is lost in the moment of the kill: only the folder's own lock is given back."""
    name = two.started(background)
    guards = [one for one in waiting_for(two.process.pid) if b"after" in Path(f"/proc/{one}/cmdline").read_bytes()]
    two.kill(*guards)
    while lock.look(str(two.evidence)) is not None:
        time.sleep(0.02)
    assert two.marks() == [name, name]
    code, out = two.play(two.acting)
    assert code == 0 and "break" not in out, out
    two.wait("", "")


def test_a_holder_that_cannot_be_seen_is_broken_by_its_name_and_that_is_noted(two: TwoControllers) -> None:
    two.leave("two", since="2020-01-01T00:00:00+00:00")
    before = json.loads((two.folder / "two/site" / host_lock.FILE).read_text())
    before["holder"]["taken_unix"] -= 90 * 86400
    (two.folder / "two/site" / host_lock.FILE).write_text(json.dumps(before))
    code, out = two.play(two.acting)
    assert code != 0 and "two is not taken: phase 4 of ben@laptop has had this site for 90 d: run-9" in out
    assert "cannot be seen from here" in out and not (two.folder / "acted").exists()
    two.wait("", "run-9")
    assert two.play(two.acting, "-e", "break_lock=run-8")[0] != 0
    two.wait("", "run-9")
    assert two.records() == []
    predicted = two.play(two.acting, "-e", "break_lock=run-9", "--check")
    assert predicted[0] == 0 and "would stop here" not in predicted[1] and two.marks() == ["", "run-9"]
    code, out = two.play(two.acting, "-e", "break_lock=run-9")
    assert code == 0, out
    (note,) = two.records()
    assert note["host"] == "two" and note["result"]["lock"] == "run-9"
    assert "was broken by name" in note["result"]["note"] and "not the whole story" in note["result"]["note"]


def test_check_mode_leaves_nothing_on_a_host(two: TwoControllers) -> None:
    code, out = two.play(two.acting, "--check")
    assert code == 0, out
    assert not any((two.folder / name).exists() for name in (*HOSTS, "evidence", "acted"))
    two.leave("one")
    code, out = two.play(two.acting, "--check")
    assert code == 0 and "a real run would stop here: one is not taken" in out
    assert two.marks() == ["run-9", ""]


@pytest.mark.parametrize("last", ["ansible.builtin.ping", "ansible.builtin.fail"])
def test_a_run_on_one_host_guards_that_host(two: TwoControllers, last: str) -> None:
    """However it ends, and with whatever tags."""
    plays = yaml.safe_load(two.acting.read_text())
    plays[2]["tasks"] = [{"name": "Last", last: None, "tags": ["some"]}]
    plays[0]["tags"] = ["always"]
    two.acting.write_text(yaml.safe_dump(plays, sort_keys=False))
    two.leave("one")
    code, out = two.play(two.acting, "--limit", "two", "--tags", "some")
    assert (code == 0) == (last == "ansible.builtin.ping") and "changed=0" in out, out
    two.wait("run-9", "")
    held, left = host_lock.look(str(two.folder / "two/site"))
    assert held is None and left is not None and left["evidence"] == str(two.evidence)


def test_no_host_is_taken_without_the_sites_lock(two: TwoControllers) -> None:
    plays = yaml.safe_load(two.acting.read_text())
    two.acting.write_text(yaml.safe_dump(plays[1:], sort_keys=False))
    code, out = two.play(two.acting)
    assert code != 0 and "does not hold the site's lock" in out and two.marks() == ["", ""]


def test_a_host_that_cannot_be_marked_is_not_touched(two: TwoControllers) -> None:
    (two.folder / "two").write_text("a file in the way")
    for more in ((), ("--check",)):
        code, out = two.play(two.acting, *more)
        assert code != 0 and "two is not taken: found: " in out and "rollout_lock_dir" in out
    assert not (two.folder / "acted").exists()
