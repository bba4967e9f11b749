"""Answer the plan's integration proof from the recorded evidence; documented in plugins/modules/integration_proof.py."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import worst

from python_checks.gates.evaluate import judge_gate
from python_checks.gates.evidence import evidence_dir, fault, groups, plan_dir
from python_checks.gates.proof import GATES, answers
from python_checks.gates.text import proof_lines

_SPEC = {"evidence_dir": {"type": "path"}}


class ActionModule(ActionBase):
    """Six answers per call; nothing is written."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The task's result; see RETURN."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _, options = self.validate_argument_spec(argument_spec=_SPEC)
        folder = evidence_dir(options["evidence_dir"], variables, self._loader.get_basedir(), self._templar.template)
        records, broken, now = ledger.read(str(folder)), fault(folder), datetime.now(UTC)
        plan, hosts = plan_dir(variables, self._templar.template), groups(variables)
        verdicts = {
            name: judge_gate(name, records, now=now, hosts=hosts, ledger_fault=broken, folder=plan) for name in GATES
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
