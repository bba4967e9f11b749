"""Does a required gate open a later phase now? Recorded verdict and a new judgement on the current evidence must both
open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils.judge import OPENS

from python_checks.gates.evaluate import judge_gate
from python_checks.gates.files import PLAN_DIR
from python_checks.gates.status import latest_verdict


@dataclass(frozen=True)
class Standing:
    """A required gate: its newest recorded verdict ("" for never judged), the verdict now, and whether the two open."""

    gate: str
    phase: int | None
    recorded: str
    verdict: str
    opens: bool
    found: str
    required: str
    next: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data for Ansible."""
        return asdict(self)

    def sentence(self) -> str:
        """Why it does not open, what was required, what to do."""
        return f"gate {self.gate} is {self.verdict}. Found: {self.found}. Required: {self.required}. Next: {self.next}"


def standing(
    gate: str,
    records: Sequence[Mapping[str, Any]],
    now: datetime,
    hosts: Mapping[str, Sequence[str]] | None = None,
    ledger_fault: str = "",
    folder: Path = PLAN_DIR,
) -> Standing:
    """Where ``gate`` stands. A waiver recorded after the verdict counts by the new judgement (``waived``)."""
    verdict = judge_gate(gate, records, now=now, hosts=hosts, ledger_fault=ledger_fault, folder=folder)
    recorded = str((latest_verdict(records, gate) or {}).get("verdict") or "")
    opens = verdict.verdict == "waived" or (verdict.verdict in OPENS and recorded in OPENS)
    found, required, advice = verdict.found, verdict.required, verdict.next
    if verdict.verdict in OPENS and not opens:
        found = f"its evidence would pass now, but the newest recorded verdict is {recorded or 'none'}"
        required, advice = "a recorded pass", f"ansible-playbook playbooks/gate.yml -e phase={verdict.phase}"
    return Standing(gate, verdict.phase, recorded, verdict.verdict, opens, found, required, advice)
