"""Answer the plan's integration proof from the recorded evidence; documented in plugins/modules/integration_proof.py."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils import ledger
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import worst

from python_checks.gates.action import LedgerAction
from python_checks.gates.evaluate import judge_gate
from python_checks.gates.evidence import fault, groups
from python_checks.gates.proof import GATES, answers
from python_checks.gates.text import proof_lines


class ActionModule(LedgerAction):
    """Six answers per call; nothing is written."""

    def act(
        self, options: dict[str, Any], variables: dict[str, Any], folder: Path, plan_folder: Path
    ) -> dict[str, Any]:
        """The task's result; see RETURN."""
        records, broken, now = ledger.read(str(folder)), fault(folder), datetime.now(UTC)
        hosts = groups(variables)
        verdicts = {
            name: judge_gate(name, records, now=now, hosts=hosts, ledger_fault=broken, folder=plan_folder)
            for name in GATES
        }
        found = answers(verdicts, records)
        overall = "broken" if broken else worst(one.verdict for one in found)
        report = proof_lines([asdict(one) for one in found])
        self._display.display("\n".join(report))
        return {
            "changed": False,
            "verdict": overall,
            "answers": [asdict(one) for one in found],
            "report": report,
            "msg": f"the integration proof is {overall}" + (f": the ledger is broken, {broken}" if broken else ""),
        }
