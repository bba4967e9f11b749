"""Judge a gate on the recorded evidence, on the controller. Documented in plugins/modules/rollout_gate.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import OPENS

from python_checks.gates.evaluate import judge_gate
from python_checks.gates.evidence import evidence_dir, fault, groups, plan_dir
from python_checks.gates.identity import body
from python_checks.gates.text import verdict_lines

_SPEC = {
    "gate": {"type": "str", "required": True},
    "require": {"type": "bool", "default": False},
    "evidence_dir": {"type": "path"},
}


class ActionModule(ActionBase):
    """One verdict per call."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The task's result; see RETURN."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _, options = self.validate_argument_spec(argument_spec=_SPEC)
        folder = evidence_dir(options["evidence_dir"], variables, self._loader.get_basedir(), self._templar.template)
        checking = bool(self._task.check_mode)
        hosts = groups(variables)
        broken = fault(folder)
        verdict = judge_gate(
            options["gate"],
            ledger.read(str(folder)),
            now=datetime.now(UTC),
            hosts=hosts,
            ledger_fault=broken,
            folder=plan_dir(variables, self._templar.template),
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
                        plan_dir(variables, self._templar.template),
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
