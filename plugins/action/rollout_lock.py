"""Take the site's lock for an act that no gate stands before. Documented in plugins/modules/rollout_lock.py."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger, lock

from python_checks.gates.evidence import evidence_dir, fault, plan_dir
from python_checks.gates.locking import obstacle, take

_SPEC = {
    "purpose": {"type": "str", "required": True},
    "break_lock": {"type": "str"},
    "evidence_dir": {"type": "path"},
}


class ActionModule(ActionBase):
    """Held until ansible-playbook ends."""

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
        what, name = options["purpose"], ""
        broken = fault(folder)
        problem = f"the ledger in {folder} is broken: {broken}. Next: rollout evidence verify" if broken else ""
        if self._task.check_mode:
            problem = problem or obstacle(folder)
            if problem:
                self._display.warning(f"check mode goes on, a real run would stop here: {what} is refused: {problem}")
        elif problem:
            raise AnsibleActionFail(f"{what} is refused: {problem}")
        else:
            try:
                name = take(folder, what, break_lock=options["break_lock"] or "", plan_dir=plan_folder)["name"]
            except (lock.LockError, ledger.LedgerError, OSError) as error:
                raise AnsibleActionFail(f"{what} is refused: {error}") from error
        return {"changed": False, "lock": name, "blocked": bool(problem), "msg": f"{what} may run"}
