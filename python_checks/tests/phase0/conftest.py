"""A world of this folder's own, and the ways into it: playbooks and modules as the operator runs them, commands as root past ssh."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from python_checks.tests.world.outside import ROOT, world_py

NAME = "phase0"


class World:
    """The world ``phase0`` with an evidence folder that goes with it."""

    def __init__(self, evidence: Path) -> None:
        self.inventory = ROOT / ".world" / NAME / "inventory"
        self.evidence = evidence
        self.environment = {
            **os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "LC_ALL": "C.UTF-8",
        }  # fmt: skip

    def playbook(self, name: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the project; the caller looks at the exit code."""
        command = [
            "ansible-playbook",
            "-i",
            str(self.inventory),
            f"playbooks/{name}",
            "-e",
            f"rollout_evidence_dir={self.evidence}",
        ]
        return subprocess.run(
            [*command, *argv], capture_output=True, text=True, cwd=ROOT, env=self.environment, timeout=300
        )

    def module(
        self, host: str, name: str, /, *, check: bool = False, become: bool = False, **options: Any
    ) -> dict[str, Any]:
        """Run one module over ssh and return what it says."""
        command = [
            "ansible",
            "-i",
            str(self.inventory),
            host,
            "-m",
            f"slomix.timetracking.{name}",
            "-a",
            json.dumps(options),
        ]
        command += ["--check"] * check + ["--become"] * become
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=self.environment, timeout=120)
        head, arrow, text = done.stdout.partition("=> ")
        assert arrow, done.stdout + done.stderr
        return {"failed": "FAILED" in head, **json.JSONDecoder().raw_decode(text)[0]}

    def root(self, host: str, *argv: str, check: bool = True) -> str:
        """A command on a host as root."""
        return world_py("exec", "--name", NAME, host, "--", *argv, check=check).stdout

    def shell(self, host: str, text: str) -> str:
        """A shell text on a host as root."""
        return self.root(host, "bash", "-c", text)

    def records(self) -> list[dict[str, Any]]:
        """The ledger's records so far."""
        ledger = self.evidence / "ledger.jsonl"
        return [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A fresh world for a test module, taken down at the end."""
    try:
        world_py("up", "--name", NAME)
        yield World(tmp_path_factory.mktemp("evidence"))
    finally:
        world_py("down", "--name", NAME)
        shutil.rmtree(ROOT / ".world" / NAME, ignore_errors=True)


@pytest.fixture
def unit(world: World) -> Iterator[Callable[..., dict[str, Any]]]:
    """service_state on the deprecated unit; afterwards the unit is enabled and active again and nothing is recorded."""
    state_dir = "/home/et/.rollout/test-state"

    def run(state: str = "read", name: str = "et-stats-webhook.service", **more: Any) -> dict[str, Any]:
        return world.module("et-server", "service_state", name=name, state=state, state_dir=state_dir, **more)

    yield run
    clean = [
        "systemctl unmask et-stats-webhook.service",
        "mv /usr/lib/systemd/system/et-stats-webhook.service /etc/systemd/system/ 2>/dev/null",
        "rm -rf /run/systemd/system/et-stats-webhook.service.d",
        "systemctl daemon-reload",
        "systemctl reset-failed",
        "systemctl enable --now et-stats-webhook.service",
        f"rm -rf {state_dir}",
    ]
    world.shell("et-server", "; ".join(clean))
