"""Where the rollout stands: the plan's steps as rows, from the plan, the gates and the ledger. Pure; commands.py shows
it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils.judge import (
    OPENS,
    CheckVerdict,
    GateVerdict,
    judge,
    worst,
)

from python_checks.gates import advice
from python_checks.gates.files import phase_digests

# More of them at once help nobody; the command named last shows them all.
_MOST_SENTENCES = 3


@dataclass(frozen=True)
class Row:
    """One line of the screen. ``verdict`` is "-" where there is nothing to judge yet; ``age_s`` is that of the newest
    record; ``next`` is "" where nothing is to be done, or where a row before it says the same."""

    step: str
    title: str
    state: str
    verdict: str
    age_s: float | None
    next: str


def status(
    plan: Mapping[str, Any],
    gates: Mapping[str, Mapping[str, Any]],
    records: Sequence[Mapping[str, Any]],
    *,
    now: datetime,
    ledger_fault: str = "",
) -> list[Row]:
    """Rows in plan order, each phase's steps followed by its gate, judged now. ``gates`` are the loaded gate files by
    name."""
    rows: list[Row] = []
    opened: dict[int, bool] = {}
    plans = phase_digests(plan, gates)
    for phase in plan["phases"]:
        number = phase["phase"]
        if phase["state"] != "built":
            rows += [Row(step["id"], step["title"], "not built yet", "-", None, "") for step in phase["steps"]]
            continue
        waiting = [needed for needed in phase["requires"] if not opened.get(needed)]
        gate = gates.get(phase["gate"])
        verdict = (
            judge(
                gate,
                records,
                now=now,
                hosts=last_hosts(records, phase["gate"]),
                ledger_fault=ledger_fault,
                plans=plans,
            )
            if gate
            else None
        )
        mine = [_step_row(phase, step, verdict, records, now, waiting) for step in phase["steps"]]
        rows += _said_once(phase, [*mine, _gate_row(phase, verdict, records, now, waiting)])
        opened[number] = verdict is not None and verdict.verdict in OPENS
    # Nothing of it can be done before the ledger is whole; whoever shows the fault says how to get there.
    return [replace(row, next="") for row in rows] if ledger_fault else rows


def last_hosts(records: Sequence[Mapping[str, Any]], gate: str) -> Mapping[str, Sequence[str]]:
    """The inventory groups that the gate's newest recorded verdict was judged with: the command line knows no
    inventory."""
    newest = latest_verdict(records, gate)
    return (newest or {}).get("hosts") or {}


def latest_verdict(records: Sequence[Mapping[str, Any]], gate: str) -> Mapping[str, Any] | None:
    """The newest recorded verdict of ``gate`` (its record's result with ``at``), or None."""
    for record in reversed(records):
        result = record.get("result")
        if record.get("kind") == "verdict" and isinstance(result, Mapping) and result.get("gate") == gate:
            return result
    return None


def _step_row(
    phase: Mapping[str, Any],
    step: Mapping[str, Any],
    verdict: GateVerdict | None,
    records: Sequence[Mapping[str, Any]],
    now: datetime,
    waiting: Sequence[int],
) -> Row:
    mine = [record for record in records if record["kind"] == "step" and record.get("step") == step["id"]]
    checks, proving = _checks_of(phase, step, verdict, records)
    own = worst(check.verdict for check in checks) if checks and mine else "-"
    todo = "; ".join(check.next for check in checks if check.verdict == own) if mine and not proving else ""
    if not _begun(phase, records) and not waiting and step is phase["steps"][0]:
        todo = f"ansible-playbook playbooks/{phase['playbook']} {phase.get('run_with', '')}".rstrip()
    state = _state(mine, own) + (f" by {proving}" if proving and mine else "")
    return Row(step["id"], step["title"], state, own, _age_s(mine, now), todo)


def _checks_of(
    phase: Mapping[str, Any],
    step: Mapping[str, Any],
    verdict: GateVerdict | None,
    records: Sequence[Mapping[str, Any]],
) -> tuple[list[CheckVerdict], str]:
    """The gate's checks of ``step``, and the id of the step that proves it ("" for itself).

    A step without a check of its own is proven where the same verify leg is judged: one rehearsal proves four edits.
    """
    if verdict is None:
        return [], ""
    others = [other for other in phase["steps"] if other is not step and other["verify"] == step["verify"]]
    for one in (step, *others):
        checks = [check for check in verdict.checks if _judges(check.evidence, check.id, one["id"], records)]
        if checks:
            return checks, "" if one is step else str(one["id"])
    return [], ""


def _begun(phase: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> bool:
    return any(record.get("kind") == "step" and record.get("phase") == phase["phase"] for record in records)


def _judges(evidence: Sequence[int], check: str, step: str, records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a check is about ``step``: by the records it looked at, else by its id (0.1/unit)."""
    if evidence:
        return any(record["seq"] in evidence and record.get("step") == step for record in records)
    return check.split("/")[0] == step


def _state(mine: Sequence[Mapping[str, Any]], verdict: str) -> str:
    """What the newest leg of a step was; what was measured counts as verified only where its verdict does not refuse."""
    if not mine:
        return "open"
    newest = mine[-1]
    result = newest.get("result")
    if not isinstance(result, Mapping) or result.get("failed"):
        return f"{newest.get('leg')} failed"
    measured = "verified" if verdict in (*OPENS, "-") else "measured"
    return {"action": "done", "verify": measured, "revert": "reverted"}.get(str(newest.get("leg")), "recorded")


def _gate_row(
    phase: Mapping[str, Any],
    verdict: GateVerdict | None,
    records: Sequence[Mapping[str, Any]],
    now: datetime,
    waiting: Sequence[int],
) -> Row:
    name = f"gate {phase['phase']}"
    if verdict is None:
        return Row(
            name, phase["title"], "no gate file", "error", None, f"restore playbooks/plan/gates/{phase['gate']}.yml"
        )
    recorded = [
        record
        for record in records
        if record.get("kind") == "verdict" and (record.get("result") or {}).get("gate") == phase["gate"]
    ]
    state, todo = "judged" if recorded else "open", ""
    if verdict.verdict == "broken":
        state = "blocked"
    elif waiting:
        state = f"waits for {', '.join(str(one) for one in waiting)}"
    elif verdict.verdict not in OPENS:
        todo = verdict.next if _begun(phase, records) else ""
    elif not recorded or recorded[-1]["result"].get("verdict") not in OPENS:
        todo = f"record it: ansible-playbook playbooks/gate.yml -e phase={phase['phase']}"
    return Row(name, phase["title"], state, verdict.verdict, _age_s(recorded, now), todo)


def _said_once(phase: Mapping[str, Any], rows: Sequence[Row]) -> list[Row]:
    """The rows of a phase, each sentence of their advice at the first row that has it."""
    said: set[str] = set()
    made = []
    for row in rows:
        new = [part for part in advice.parts(row.next) if part not in said]
        said |= set(new)
        if len(new) > _MOST_SENTENCES:
            new = [*new[:_MOST_SENTENCES], f"and what is shown by rollout gate {phase['phase']}"]
        made.append(replace(row, next="; ".join(new)))
    return made


def _age_s(records: Sequence[Mapping[str, Any]], now: datetime) -> float | None:
    return (now - datetime.fromisoformat(records[-1]["at"])).total_seconds() if records else None
