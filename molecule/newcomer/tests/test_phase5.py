"""Phase 5 behind four gates that have passed, on the world that test_a_newcomer.py left: decided, watched, judged, taken back."""

from __future__ import annotations

import json
import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

FILES = "/opt/slomix/.env /opt/slomix/bot/cogs/last_session_cog.py"
CUTOVER = {"decision": "cutover", "cutover_new_only": "true"}
# Enough for what was played on the way to gate 4, which has no new timing that can be believed, to stay well under the fifth that
# coverage allows to be without.
EVENINGS = 16
Playbook = Callable[..., Any]


def bytes_of(vm: Host) -> str:
    """Digest, mode and owner of what phase 5 may change."""
    return vm.check_output(f"sudo sha256sum {FILES}; sudo stat -c '%a %U %G' {FILES}")


def rollout(root: Path, evidence: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        ["rollout", *words, "--evidence", str(evidence)], capture_output=True, text=True, cwd=root, check=False
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture(scope="module")
def evenings(root: Path, vm: Host) -> None:
    runpy.run_path(str(root / "molecule/cutover/tests/shadow_rows.py"))["prepare"](vm, EVENINGS)


def test_cutover_a_session_gate_5_and_back(
    root: Path,
    vm: Host,
    evidence: Path,
    playbook: Playbook,
    gate: Callable[[int], tuple[int, str]],
    world: Callable[..., str],
    evenings: None,
) -> None:
    assert rollout(root, evidence, "gate", "4")[0] == 0, "test_a_newcomer.py leaves gate 4 open"
    before = bytes_of(vm)
    done = playbook("phase5", extravars=CUTOVER)
    assert done.rc == 0 and bytes_of(vm) != before, done.output
    assert "the embed is of an older session" in " ".join(done.output.split()), (
        "the evenings came in after what was played"
    )
    code, output = gate(5)
    assert code == 3 and "play both halves of a map" in " ".join(output.split()), output

    world("play", "completed", "--map", "te_escape2")
    code, output = gate(5)
    assert code == 0 and "the embed shows new as it should" in " ".join(output.split()), output
    kinds = {json.loads(line)["kind"] for line in (evidence / "ledger.jsonl").read_text().splitlines()}
    assert kinds == {"step", "verdict"}, "no waiver"
    for table in ("lua_links", "old_s"):
        assert table in output, "gate.yml shows rounds and embed as tables"

    back = playbook("rollback", extravars={"phase": 5})
    assert back.rc == 0 and bytes_of(vm) == before, back.output
    assert rollout(root, evidence, "gate", "5")[0] == 1
    assert rollout(root, evidence, "gate", "4")[0] == 0
    code, said = rollout(root, evidence, "evidence", "verify")
    assert code == 0 and "intact" in said, said
