"""Reading the plan and the gates, which are YAML files under playbooks/plan."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils.plain import digest, plain

ROOT = Path(__file__).resolve().parents[2]
PLAN_DIR = ROOT / "playbooks" / "plan"


class PlanError(ValueError):
    """A file of the plan is missing or unreadable; the message names it and what to do."""


def load_yaml(path: Path) -> Any:
    """One YAML file as plain data. Raises PlanError."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = ", ".join(sorted(other.stem for other in path.parent.glob("*.yml"))) or "none"
        raise PlanError(f"there is no {path.name} in {path.parent}; there are: {names}") from None
    except (OSError, yaml.YAMLError) as error:
        raise PlanError(f"{path} cannot be read: {error}") from error


def load_plan(folder: Path = PLAN_DIR) -> Mapping[str, Any]:
    """The plan (see plan.py for its shape)."""
    return load_yaml(folder / "plan.yml")


def load_gate(name: str, folder: Path = PLAN_DIR) -> Mapping[str, Any]:
    """The gate called ``name`` (see judge.py for its shape)."""
    gate = load_yaml(folder / "gates" / f"{name}.yml")
    if not isinstance(gate, Mapping):
        raise PlanError(f"{folder / 'gates' / (name + '.yml')} holds no mapping; judge.py describes a gate file")
    return gate


def gate_names(folder: Path = PLAN_DIR) -> list[str]:
    """Names of all gate files, sorted."""
    return sorted(path.stem for path in (folder / "gates").glob("*.yml"))


def phase_digest(number: int, folder: Path = PLAN_DIR) -> str:
    """SHA-256 of what one phase is: its steps and its gate. Changing another phase does not change it."""
    plan = load_plan(folder)
    phase = next((item for item in plan["phases"] if item["phase"] == number), None)
    if phase is None:
        raise PlanError(
            f"the plan has no phase {number}; it has {', '.join(str(item['phase']) for item in plan['phases'])}"
        )
    return _digest(phase, load_gate(phase["gate"], folder) if phase.get("gate") else None)


def phase_digests(plan: Mapping[str, Any], gates: Mapping[str, Mapping[str, Any]]) -> dict[int, str]:
    """phase_digest of each phase that is built and whose gate is among ``gates``."""
    return {
        item["phase"]: _digest(item, gates[item["gate"]])
        for item in plan["phases"]
        if item.get("state") == "built" and item.get("gate") in gates
    }


def _digest(phase: Mapping[str, Any], gate: Mapping[str, Any] | None) -> str:
    return digest(plain({"phase": phase, "gate": gate}))


def git_state(root: Path = ROOT) -> dict[str, Any] | None:
    """{commit, dirty} of the checkout the rollout runs from; None where it is no checkout."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    text = done.stdout.strip()
    return {"commit": text.removesuffix("-dirty"), "dirty": text.endswith("-dirty")}
