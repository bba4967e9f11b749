"""A gate's file and the ledger's records to a verdict, the same for the command line and for the action plugins; and
the lint of it all."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils.gate_lint import lint_gate, run_mutants
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import EXIT_CODES, GateVerdict, judge
from ansible_collections.slomix.timetracking.plugins.module_utils.plan import lint_plan

from python_checks.gates import files
from python_checks.gates.status import last_hosts


def judge_gate(
    name: str,
    records: Sequence[Mapping[str, Any]],
    *,
    now: datetime,
    hosts: Mapping[str, Sequence[str]] | None = None,
    ledger_fault: str = "",
    folder: Path = files.PLAN_DIR,
) -> GateVerdict:
    """Judge the gate called ``name``. A gate file that is missing, unsound or blind to its own mutants gives
    ``error``.

    ``hosts``: inventory groups; without them those of the gate's newest recorded verdict are used.
    """
    try:
        gate = files.load_gate(name, folder)
        plans = files.phase_digests(files.load_plan(folder), _readable_gates(folder))
        problems = lint_gate(gate) or run_mutants(gate)
    except files.PlanError as error:
        gate, plans, problems = {"gate": name}, {}, [str(error)]
    if problems:
        return GateVerdict(
            gate=name,
            phase=gate.get("phase"),
            asks=str(gate.get("asks", "")),
            verdict="error",
            exit_code=EXIT_CODES["error"],
            checks=(),
            found="; ".join(problems),
            required="a sound gate file whose mutants are all caught",
            next="mend the gate's file and run: rollout plan lint",
            at=now.isoformat(timespec="milliseconds"),
        )
    return judge(
        gate, records, now=now, hosts=hosts or last_hosts(records, name), ledger_fault=ledger_fault, plans=plans
    )


def _readable_gates(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Gates by name. One of another phase that cannot be read must not close this one; its own judgement says so."""
    gates = {}
    for name in files.gate_names(folder):
        with contextlib.suppress(files.PlanError):
            gates[name] = files.load_gate(name, folder)
    return gates


def lint_all(root: Path = files.ROOT) -> list[str]:
    """Lint the plan against the files that are there, every gate, and every gate's mutants."""
    folder = root / "playbooks" / "plan"
    try:
        gates = {name: files.load_gate(name, folder) for name in files.gate_names(folder)}
        plan = files.load_plan(folder)
    except files.PlanError as error:
        return [str(error)]
    problems = lint_plan(
        plan,
        gates=set(gates),
        playbooks={path.name for path in (root / "playbooks").glob("*.yml")},
        task_files={path.relative_to(root).as_posix() for path in (root / "roles").glob("*/tasks/*.yml")},
    )
    steps = {str(step["id"]) for phase in plan["phases"] for step in phase["steps"]}
    for name, gate in gates.items():
        found = lint_gate(gate)
        problems += found or run_mutants(gate)
        if gate.get("gate") != name:
            problems.append(f"the file gates/{name}.yml calls its gate {gate.get('gate')!r}; give both one name")
        if not found:
            asked = [str(check["sample"]["step"]) for check in gate["checks"]]
            problems += [
                f"{name}: a check samples step {step}, which is not in the plan" for step in asked if step not in steps
            ]
    return problems
