"""What the action plugins read out of task variables: where the evidence and the plan lie, and which hosts there
are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils import ledger

from python_checks.gates.advice import COMMAND
from python_checks.gates.files import PLAN_DIR

# Task variables reach an action plugin as they stand in the inventory; this is its templar's method that resolves them.
Template = Callable[[Any], Any]


def evidence_dir(option: str | None, variables: Mapping[str, Any], base: str, template: Template) -> Path:
    """The ledger's folder: the option, else rollout_evidence_dir; a relative one starts at the playbook's ``base``.

    Raises ledger.LedgerError when none is named.
    """
    named = option or template(variables.get("rollout_evidence_dir"))
    if not named:
        raise ledger.LedgerError("no evidence folder is named; set rollout_evidence_dir in the inventory")
    return Path(base, str(named)).expanduser()


def plan_dir(variables: Mapping[str, Any], template: Template) -> Path:
    """The folder of plan.yml and gates/: rollout_plan_dir, else the project's own."""
    return Path(str(template(variables.get("rollout_plan_dir")) or PLAN_DIR))


def groups(variables: Mapping[str, Any]) -> dict[str, list[str]]:
    """The inventory's groups, whatever --limit says: a gate wants evidence of every host."""
    return {str(name): [str(host) for host in hosts] for name, hosts in (variables.get("groups") or {}).items()}


def fault(folder: Path) -> str:
    """What is wrong with the ledger; "" when it is intact or not begun."""
    return trouble(folder)[0]


def trouble(folder: Path) -> tuple[str, str]:
    """(what is wrong with the ledger, what to do about it); two empty texts when it is intact or not begun."""
    try:
        state = ledger.verify(str(folder))
    except (ledger.LedgerError, OSError) as error:
        return str(error), "make the folder and its files readable to yourself; then run rollout evidence verify"
    if not state.fault:
        return "", ""
    todo = ledger.advice(state)
    return state.fault, todo if COMMAND.search(todo) else f"{todo}; then check it: rollout evidence verify"
