"""Take the site's lock for an act that no gate stands before. Documented in plugins/modules/rollout_lock.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger, lock

from python_checks.gates.action import LedgerAction
from python_checks.gates.evidence import fault
from python_checks.gates.locking import obstacle, take

_SPEC = {
    "purpose": {"type": "str", "required": True},
    "break_lock": {"type": "str"},
}


class ActionModule(LedgerAction):
    """Held until ansible-playbook ends."""

    SPEC = _SPEC

    def act(
        self, options: dict[str, Any], variables: dict[str, Any], folder: Path, plan_folder: Path
    ) -> dict[str, Any]:
        """The task's result; see RETURN."""
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
