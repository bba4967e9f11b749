"""The lock in real ansible-playbook runs: held while one acts, free after its end, told to whoever comes meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger, lock

from python_checks.tests.ops.conftest import OpsSite

Background = Callable[[subprocess.Popen[str]], subprocess.Popen[str]]
REQUIRE = {
    "name": "Require",
    "run_once": True,
    "slomix.timetracking.rollout_require": {"phase": 0, "break_lock": "{{ break_lock | default(omit) }}"},
}
LOCK = {
    "name": "Lock",
    "run_once": True,
    "slomix.timetracking.rollout_lock": {"purpose": "a way back", "break_lock": "{{ break_lock | default(omit) }}"},
}
PAUSE = {"name": "Act", "ansible.builtin.command": {"cmd": "sleep 30"}, "changed_when": True}


def wait_held(site: OpsSite, process: subprocess.Popen[str]) -> lock.Holder:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        found = lock.look(str(site.evidence))
        if found is not None:
            return found
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    raise AssertionError("the run did not take the lock")


def wait_free(site: OpsSite) -> None:
    until = time.monotonic() + 5
    while lock.look(str(site.evidence)) is not None:
        assert time.monotonic() < until, "the lock was not given back"
        time.sleep(0.02)


@pytest.mark.parametrize("task", [REQUIRE, LOCK], ids=["require", "lock"])
@pytest.mark.parametrize("last", [{"ansible.builtin.ping": {}}, {"ansible.builtin.fail": {"msg": "no"}}])
def test_it_is_given_back_at_the_end_even_of_a_failure(site: OpsSite, task: Any, last: Any) -> None:
    code, out = site.play(site.playbook({"tasks": [task, {"name": "Last", **last}]}))
    assert (code == 0) == ("ansible.builtin.ping" in last), out
    wait_free(site)
    assert "changed=0" in out


def test_a_second_operator_is_told_who_acts_and_a_kill_gives_it_back(site: OpsSite, background: Background) -> None:
    first = background(site.start(site.playbook({"tasks": [REQUIRE, PAUSE]}, name="first.yml")))
    holder = wait_held(site, first)
    second = site.playbook({"tasks": [REQUIRE]}, name="second.yml")
    code, out = site.play(second)
    assert code != 0
    for word in ("phase 0 is refused", holder.name, holder.operator, "is running", "one rollout at a time", "Next:"):
        assert word in out
    code, out = site.play(second, "-e", f"break_lock={holder.name}")
    assert code != 0 and "cannot be broken" in out
    code, out = site.play(second, "--check")
    assert code == 0 and "a real run would stop here" in out and holder.name in out
    screen = site.rollout("status", "--evidence", str(site.evidence)).stdout
    assert f"running now: phase 0 by {holder.operator}" in screen
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    wait_free(site)
    assert site.play(second)[0] == 0


def test_what_a_power_cut_left_is_broken_by_name_and_noted(site: OpsSite, background: Background) -> None:
    first = background(site.start(site.playbook({"tasks": [LOCK, PAUSE]}, name="first.yml")))
    holder = wait_held(site, first)
    os.kill(holder.keeper, signal.SIGKILL)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    second = site.playbook({"tasks": [REQUIRE]}, name="second.yml")
    code, out = site.play(second)
    assert code != 0 and "is stale" in out and f"-e break_lock={holder.name}" in out
    assert "LOCKED" in site.rollout("status", "--evidence", str(site.evidence)).stdout
    assert site.play(second, "-e", "break_lock=somebody")[0] != 0
    assert site.records() == []
    code, out = site.play(second, "-e", f"break_lock={holder.name}")
    assert code == 0, out
    (note,) = site.records()
    assert note["kind"] == "note" and note["result"]["lock"] == holder.name
    assert ledger.verify(str(site.evidence)).intact
    assert site.play(second, "-e", f"break_lock={holder.name}")[0] == 0, "the same command again is no error"


def test_check_mode_takes_nothing(site: OpsSite) -> None:
    code, out = site.play(site.playbook({"tasks": [REQUIRE, LOCK]}), "--check")
    assert code == 0, out
    assert not site.evidence.exists()


def test_a_way_back_is_refused_on_a_broken_ledger(site: OpsSite) -> None:
    site.record("0.1", "verify")
    path = site.evidence / "ledger.jsonl"
    path.write_text(path.read_text().replace('"links":1', '"links":2'))
    code, out = site.play(site.playbook({"tasks": [LOCK]}))
    assert code != 0 and "rollout evidence verify" in out
    assert lock.look(str(site.evidence)) is None


TAKERS = ("rollout_require", "rollout_lock", "rollout_way_back")
READERS = ("baseline", "gate", "validate", "integration_proof", "migrate_approve", "status")


def playbooks_that_act(root: Path) -> list[Path]:
    """Playbooks under playbooks/ that may change a host; those in its folders are only imported."""
    return [path for path in sorted((root / "playbooks").glob("*.yml")) if path.stem not in READERS]


def test_every_playbook_that_acts_takes_the_site_first(root: Path) -> None:
    found = playbooks_that_act(root)
    assert len(found) >= 3
    for path in found:
        play, guard, *_ = yaml.safe_load(path.read_text())
        first = play["tasks"][0]
        taken = [options for name, options in first.items() if name.rpartition(".")[2] in TAKERS]
        assert taken, f"{path.name}: its first task is {first['name']}, required is one of {', '.join(TAKERS)}"
        assert "break_lock" in taken[0], f"{path.name}: what a power cut left could not be broken"
        assert "always" in play["tags"], f"{path.name}: a run with --tags would act without it"
        assert guard.get("ansible.builtin.import_playbook") == "guard/hosts.yml", f"{path.name}: the hosts are not held"


def test_the_hosts_are_held_by_one_run_whole(root: Path) -> None:
    """One after the other in one order, stopping at the first refusal: else of two runs each could get a host."""
    (play,) = yaml.safe_load((root / "playbooks/guard/hosts.yml").read_text())
    assert (play["order"], play["serial"], play["any_errors_fatal"]) == ("sorted", 1, True)
    assert play["hosts"] == "game_servers:stats_hosts" and play["tags"] == ["always"]
    assert "break_lock" in play["tasks"][0]["slomix.timetracking.site_lock"]


def test_what_only_reads_holds_no_lock_for_its_whole_length(root: Path) -> None:
    """`rollout gate --wait` measures for hours; a deployment must not wait for it."""
    for name in READERS:
        path = root / "playbooks" / f"{name}.yml"
        if path.exists():
            text = path.read_text()
            assert not [taker for taker in TAKERS if f"{taker}:" in text], name
