"""Append one leg's result to the evidence ledger, on the controller. Documented in
plugins/modules/rollout_record.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger

from python_checks.gates.action import LedgerAction
from python_checks.gates.identity import body

_SPEC = {
    "phase": {"type": "int", "required": True},
    "step": {"type": "str", "required": True},
    "leg": {"type": "str", "required": True, "choices": list(ledger.LEGS)},
    "name": {"type": "str"},
    "result": {"type": "dict", "required": True},
    "digests": {"type": "dict", "default": {}},
}


class ActionModule(LedgerAction):
    """One record per host and call."""

    SPEC = _SPEC

    def act(
        self, options: dict[str, Any], variables: dict[str, Any], folder: Path, plan_folder: Path
    ) -> dict[str, Any]:
        """The task's result; see RETURN."""
        what = f"step {options['step']} {options['leg']} of {variables['inventory_hostname']}"
        if self._task.check_mode:
            return {"changed": False, "recorded": False, "msg": f"check mode: {what} would be recorded in {folder}"}
        record_body = body(
            "step",
            options["phase"],
            options["result"],
            plan_folder,
            step=options["step"],
            leg=options["leg"],
            name=options["name"],
            host=variables["inventory_hostname"],
            digests={name: value for name, value in options["digests"].items() if value},
        )
        try:
            record = ledger.append(str(folder), record_body)
        except (ledger.LedgerError, OSError) as error:
            raise AnsibleActionFail(f"{what} could not be recorded in {folder}: {error}") from error
        return {
            "changed": False,
            "recorded": True,
            "seq": record["seq"],
            "hash": record["hash"],
            "msg": f"{what} is record {record['seq']}",
        }
