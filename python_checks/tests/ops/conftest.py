"""A small site of its own (local hosts, a plan of two phases) and playbooks to run on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger

LEGS = ("action", "verify", "revert")
GOOD = {"changed": False, "links": 1}


def plan_of(*requires: list[int]) -> dict[str, Any]:
    """A plan of as many built phases as ``requires`` has members, one step each."""
    phases = []
    for number, needed in enumerate(requires):
        legs = {leg: {"role": "a", "tasks": leg} for leg in LEGS}
        step = {"id": f"{number}.1", "slug": "a", "title": f"step of {number}", "hosts": "site", **legs}
        phases.append(
            {
                "phase": number,
                "title": f"title {number}",
                "state": "built",
                "requires": needed,
                "gate": f"phase{number}",
                "playbook": f"phase{number}.yml",
                "steps": [step],
            }
        )
    return {"plan": "a test", "version": "1", "phases": phases}


def gate_of(number: int) -> dict[str, Any]:
    """The gate of one phase: links must be 1."""
    check = {
        "id": f"{number}.1/links",
        "asks": "Is it linked once?",
        "sample": {"step": f"{number}.1", "leg": "verify", "group": "site"},
        "pass_if": {"path": "links", "op": "eq", "value": 1},
        "next": "link it and verify again",
        "good": GOOD,
        "mutants": [{"name": "no link", "set": {"links": 0}, "expect": "fail"}],
    }
    return {"gate": f"phase{number}", "phase": number, "asks": "Is all well?", "checks": [check]}


class OpsSite:
    """Folder with inventory, plan and evidence. Paths on it: ``inventory``, ``evidence``, ``plan``."""

    def __init__(self, folder: Path, root: Path, hosts: tuple[str, ...] = ("one",), **variables: Any) -> None:
        self.folder, self.root = folder, root
        self.inventory, self.evidence, self.plan = folder / "hosts.yml", folder / "evidence", folder / "plan"
        (self.plan / "gates").mkdir(parents=True)
        (self.plan / "plan.yml").write_text(yaml.safe_dump(plan_of([], [0], [1])))
        for number in range(3):
            (self.plan / "gates" / f"phase{number}.yml").write_text(yaml.safe_dump(gate_of(number)))
        shared = {
            "rollout_evidence_dir": "{{ inventory_dir }}/evidence",
            "rollout_plan_dir": "{{ inventory_dir }}/plan",
            "ansible_connection": "local",
            "ansible_python_interpreter": "/usr/bin/python3",
            **variables,
        }
        inventory = {"all": {"vars": shared, "children": {"site": {"hosts": {host: {} for host in hosts}}}}}
        self.inventory.write_text(yaml.safe_dump(inventory))

    def playbook(self, *plays: dict[str, Any], name: str = "play.yml") -> Path:
        """Write a playbook; a play needs only ``tasks``."""
        path = self.folder / name
        made = [{"name": "0.1 action | do it", "hosts": "site", "gather_facts": False, **play} for play in plays]
        path.write_text(yaml.safe_dump(made, sort_keys=False))
        return path

    def environment(self) -> dict[str, str]:
        """What an operator's shell would have, and no more."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}

    def start(self, playbook: Path, *options: str) -> subprocess.Popen[str]:
        """ansible-playbook in the background, in a session of its own."""
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(self.inventory), str(playbook), *options],
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def play(self, playbook: Path, *options: str) -> tuple[int, str]:
        """Run ansible-playbook to its end: (exit code, all output with its blanks squeezed)."""
        process = self.start(playbook, *options)
        out, _ = process.communicate(timeout=60)
        return process.returncode, " ".join(out.split())

    def rollout(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The installed command."""
        return subprocess.run(
            [str(Path(sys.executable).parent / "rollout"), *words],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )

    def record(self, step: str, leg: str, result: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """One record, written without Ansible."""
        body = {"kind": "step", "check": False, "phase": int(step[0]), "step": step, "leg": leg, "name": None}
        return ledger.append(
            str(self.evidence), {**body, "host": "one", "digests": {}, "result": result or GOOD, **more}
        )

    def records(self) -> list[dict[str, Any]]:
        """The ledger."""
        return ledger.read(str(self.evidence))


@pytest.fixture
def site(tmp_path: Path, root: Path) -> OpsSite:
    return OpsSite(tmp_path, root)


@pytest.fixture
def background() -> Iterator[Callable[[subprocess.Popen[str]], subprocess.Popen[str]]]:
    """Registers processes that are killed, with their whole group, when the test is over."""
    started: list[subprocess.Popen[str]] = []

    def add(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        started.append(process)
        return process

    yield add
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
