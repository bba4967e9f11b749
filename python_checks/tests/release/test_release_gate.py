"""Gate 1 is sound: every mutant of every check gets the one right verdict."""

from __future__ import annotations

from pathlib import Path

import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils.gate_lint import lint_gate, run_mutants


def test_gate_1_is_sound(root: Path) -> None:
    gate = yaml.safe_load((root / "playbooks" / "plan" / "gates" / "phase1.yml").read_text())
    assert lint_gate(gate) == []
    assert run_mutants(gate) == []
