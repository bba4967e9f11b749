"""What the scenarios share: the hosts from outside (testinfra over ssh), playbooks as an operator runs them, digests of a host."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
from testinfra.host import Host

from python_checks.tests.world.outside import ssh_host

ROOT = Path(__file__).resolve().parents[1]
WORLD = os.environ.get("ROLLOUT_WORLD", "demo")
INVENTORY = ROOT / ".world" / WORLD / "inventory"
EVIDENCE = ROOT / "evidence" / WORLD

# What changes by itself on a living host, is written by connecting to it, or says which run has it.
LIVING = (
    "/home/et/.ansible",
    "/home/et/.etlegacy/legacy",
    "/home/et/scripts/state",
    "/home/et/.cache",
    "/home/et/.rollout/site",
)


@dataclass
class Run:
    """One run of a playbook: its exit code, the (host, task) pairs that changed, the diffs, and the whole screen output."""

    rc: int
    changed: set[tuple[str, str]] = field(default_factory=set)
    diffs: dict[tuple[str, str], str] = field(default_factory=dict)
    failed: list[tuple[str, str, str]] = field(default_factory=list)
    output: str = ""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Why a test failed, for the end of scripts/molecule.sh: Molecule's own log buries it."""
    if report.failed:
        why = ROOT / "build/molecule" / f"{WORLD.removeprefix('mol-')}.why"
        why.parent.mkdir(parents=True, exist_ok=True)
        with why.open("a") as file:
            file.write(f"{report.nodeid} ({report.when})\n{report.longreprtext}\n")


@pytest.fixture(scope="session")
def et() -> Host:
    """The game server as its operator reaches it: ssh as et."""
    return ssh_host(WORLD, "et-server")


@pytest.fixture(scope="session")
def vm() -> Host:
    """The statistics VM as its operator reaches it: ssh as slomix."""
    return ssh_host(WORLD, "slomix-vm")


@pytest.fixture(scope="session")
def world() -> Callable[..., str]:
    """``world("play", "completed", "--map", "supply")``: the world's own tool on this scenario's world; returns what it printed."""

    def call(verb: str, *argv: str) -> str:
        command = [sys.executable, str(ROOT / "molecule/world/world.py"), verb, "--name", WORLD, *argv]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return call


@pytest.fixture(scope="session")
def playbook() -> Callable[..., Run]:
    """``playbook("phase1", check=True)``: run a playbook through ansible-runner and collect what it reported."""

    def run(name: str, *, check: bool = False, extravars: dict[str, Any] | None = None) -> Run:
        artifacts = ROOT / "build" / "runner" / WORLD
        # Runner keeps the whole environment and every option there.
        artifacts.mkdir(mode=0o700, parents=True, exist_ok=True)
        artifacts.chmod(0o700)
        arguments = " ".join(
            [
                f"-i {INVENTORY} --diff",
                *(["--check"] if check else []),
                *(f"-e {key}={value}" for key, value in (extravars or {}).items()),
            ]
        )
        result = ansible_runner.run(
            private_data_dir=str(artifacts),
            project_dir=str(ROOT),
            playbook=f"playbooks/{name}.yml",
            cmdline=arguments,
            envvars={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            quiet=True,
            rotate_artifacts=5,
        )
        outcome = Run(rc=result.rc, output=result.stdout.read())
        for event in result.events:
            data = event.get("event_data", {})
            key = (data.get("host", ""), data.get("task", ""))
            res = data.get("res", {})
            if event["event"] == "runner_on_ok" and res.get("changed"):
                outcome.changed.add(key)
                outcome.diffs[key] = str(res.get("diff", ""))
            if event["event"] in {"runner_on_failed", "runner_on_unreachable"} and not data.get("ignore_errors"):
                outcome.failed.append((*key, str(res.get("msg", ""))))
        return outcome

    return run


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def inventory() -> Path:
    """The folder of this world's inventory."""
    return INVENTORY


@pytest.fixture(scope="session")
def evidence() -> Path:
    """The folder of this world's ledger on the controller."""
    return EVIDENCE


@pytest.fixture(scope="session")
def rows(vm: Host) -> Callable[[str], dict[int, int]]:
    """``rows("supply")`` -> round number -> how many rows of lua_round_teams of that map are linked to a round."""

    def read(map_name: str) -> dict[int, int]:
        sql = f"SELECT round_number, count(round_id) FROM lua_round_teams WHERE map_name = '{map_name}' GROUP BY 1"
        out = vm.check_output(f'psql -h 127.0.0.1 -U etlegacy_user -d etlegacy -AtF " " -c "{sql}"')
        return {int(number): int(linked) for number, linked in (line.split() for line in out.splitlines())}

    return read


@pytest.fixture(scope="session")
def gate(playbook: Callable[..., Run]) -> Callable[[int], tuple[int, str]]:
    """``gate(1)``: fresh samples and a verdict by playbook, then (exit code of `rollout gate 1`, what both printed)."""

    def judge(phase: int) -> tuple[int, str]:
        run = playbook("gate", extravars={"phase": phase})
        done = subprocess.run(
            ["rollout", "gate", str(phase), "--evidence", str(EVIDENCE)], capture_output=True, text=True, cwd=ROOT
        )
        return done.returncode, f"{run.output}\n{done.stdout}\n{done.stderr}"

    return judge


@pytest.fixture(scope="session")
def tree_digest() -> Callable[..., dict[str, str]]:
    """``tree_digest(host, "/home/et")`` -> path -> type, mode, owner, mtime, link target and SHA-256, without what lives by itself."""
    prune = " ".join(f"-path {path} -prune -o" for path in LIVING)

    def read(host: Host, *folders: str) -> dict[str, str]:
        where = f"find {' '.join(folders)} {prune}"
        listing = host.run(f"{where} -printf '%p\\t%y %m %U:%G %T@ %l\\n'").stdout
        sums = host.run(f"{where} -type f -readable -exec sha256sum {{}} +").stdout
        found = dict(line.split("\t", 1) for line in listing.splitlines())
        for line in sums.splitlines():
            digest, path = line.split(maxsplit=1)
            found[path] = f"{found.get(path, '')} {digest}"
        assert len(found) > 20, f"nothing much found under {folders}: a digest of nothing proves nothing"
        return found

    return read
