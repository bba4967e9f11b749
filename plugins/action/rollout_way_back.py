"""Name the phases of a rollback and take the site. Documented in plugins/modules/rollout_way_back.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger, lock

from python_checks.gates.action import LedgerAction
from python_checks.gates.evidence import fault
from python_checks.gates.files import PlanError, load_plan
from python_checks.gates.locking import obstacle, take
from python_checks.gates.wayback import WayBackError, acted, way_back

_SPEC = {
    "phase": {"type": "str"},
    "to": {"type": "str"},
    "break_lock": {"type": "str"},
}


class ActionModule(LedgerAction):
    """First task of a rollback."""

    SPEC = _SPEC

    def act(
        self, options: dict[str, Any], variables: dict[str, Any], folder: Path, plan_folder: Path
    ) -> dict[str, Any]:
        """The task's result; see RETURN."""
        broken = fault(folder)
        if broken:
            raise AnsibleActionFail(f"the ledger in {folder} is broken: {broken}. Next: rollout evidence verify")
        name = ""
        try:
            if self._task.check_mode:
                held = obstacle(folder)
                if held:
                    self._display.warning(f"check mode goes on, a real run would stop here: {held}")
            else:
                # Before the ledger is read: what stands must not change under the run.
                name = take(folder, "a rollback", break_lock=options["break_lock"] or "", plan_dir=plan_folder)["name"]
            plan, records = load_plan(plan_folder), ledger.read(str(folder))
            phases = way_back(plan, records, phase=options["phase"], to=options["to"])
        except (WayBackError, PlanError, lock.LockError, ledger.LedgerError, OSError) as error:
            raise AnsibleActionFail(f"the rollback is refused: {error}") from error
        order = ", ".join(str(number) for number in phases)
        text = f"leads back phase {order}, in this order" if phases else "nothing stands that would be led back"
        return {"changed": False, "lock": name, "phases": phases, "acted": acted(plan, records), "msg": text}
