"""Judge a gate on the recorded evidence, on the controller. Documented in plugins/modules/rollout_gate.py."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import OPENS

from python_checks.gates.action import LedgerAction
from python_checks.gates.evaluate import judge_gate
from python_checks.gates.evidence import fault, groups
from python_checks.gates.identity import body
from python_checks.gates.text import verdict_lines

_SPEC = {
    "gate": {"type": "str", "required": True},
    "require": {"type": "bool", "default": False},
}


class ActionModule(LedgerAction):
    """One verdict per call."""

    SPEC = _SPEC

    def act(
        self, options: dict[str, Any], variables: dict[str, Any], folder: Path, plan_folder: Path
    ) -> dict[str, Any]:
        """The task's result; see RETURN."""
        checking = bool(self._task.check_mode)
        hosts = groups(variables)
        broken = fault(folder)
        verdict = judge_gate(
            options["gate"],
            ledger.read(str(folder)),
            now=datetime.now(UTC),
            hosts=hosts,
            ledger_fault=broken,
            folder=plan_folder,
        )
        plain = verdict.as_dict()
        note = "check mode: judged on what is recorded, nothing was written" if checking else ""
        report = verdict_lines(plain, note=note)
        self._display.display("\n".join(report))
        if not checking and not broken:
            try:
                ledger.append(
                    str(folder),
                    body(
                        "verdict",
                        verdict.phase,
                        {**plain, "hosts": hosts},
                        plan_folder,
                        host="localhost",
                    ),
                )
            except (ledger.LedgerError, OSError) as error:
                raise AnsibleActionFail(f"the verdict {verdict.verdict} could not be recorded: {error}") from error
        if not options["require"] or checking or verdict.verdict in OPENS:
            return {**plain, "changed": False, "report": report, "msg": f"gate {verdict.gate} is {verdict.verdict}"}
        # The lines above say it readably; Ansible would print all of the result once more.
        return {
            "changed": False,
            "failed": True,
            "verdict": verdict.verdict,
            "exit_code": verdict.exit_code,
            "msg": f"gate {verdict.gate} is {verdict.verdict}: found and required stand above, and in the ledger. "
            f"Next: {verdict.next}",
        }
