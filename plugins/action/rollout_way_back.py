"""Name the phases of a rollback and take the site. Documented in plugins/modules/rollout_way_back.py."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger, lock

from python_checks.gates.evidence import evidence_dir, fault, plan_dir
from python_checks.gates.files import PlanError, load_plan
from python_checks.gates.locking import obstacle, take
from python_checks.gates.wayback import WayBackError, acted, way_back

_SPEC = {
    "phase": {"type": "str"},
    "to": {"type": "str"},
    "break_lock": {"type": "str"},
    "evidence_dir": {"type": "path"},
}


class ActionModule(ActionBase):
    """First task of a rollback."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The task's result; see RETURN."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _, options = self.validate_argument_spec(argument_spec=_SPEC)
        folder = evidence_dir(options["evidence_dir"], variables, self._loader.get_basedir(), self._templar.template)
        plan_folder = plan_dir(variables, self._templar.template)
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
