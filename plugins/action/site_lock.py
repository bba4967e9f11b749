"""Mark a host as taken by this run, from the controller. Documented in plugins/modules/site_lock.py."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.slomix.timetracking.plugins.module_utils import host_lock, ledger, lock

from python_checks.gates.action import LedgerAction
from python_checks.gates.host_locking import (
    DEFAULT_DIR,
    SETTLE_S,
    SETTLE_TRIES,
    free_at_end,
    freeing,
    holder_of,
    mark,
    refusal,
    unknown,
)
from python_checks.gates.identity import body

_SPEC = {"break_lock": {"type": "str"}, "dir": {"type": "str"}}


class ActionModule(LedgerAction):
    """The host is held until ansible-playbook ends."""

    _module = "slomix.timetracking.site_lock"
    _requires_connection = True
    SPEC = _SPEC

    def act(
        self, options: dict[str, Any], variables: dict[str, Any], folder: Path, plan_folder: Path
    ) -> dict[str, Any]:
        """The module's result, and what it means here; see RETURN."""
        host, checking = variables["inventory_hostname"], bool(self._task.check_mode)
        try:
            me = mark(folder, checking=checking)
        except (lock.LockError, ledger.LedgerError, OSError) as error:
            raise AnsibleActionFail(f"{host} is not taken: {error}") from error
        place = options["dir"] or self._templar.template(variables.get("rollout_lock_dir")) or DEFAULT_DIR
        found = self._settled({"dir": place, "mark": me}, variables, options["break_lock"] or "")
        if found.get("failed") or found.get("unreachable"):
            return {**found, "msg": f"{host} is not taken: {found.get('msg')}"}
        answer = {key: found[key] for key in ("changed", "state", "way", "holder", "previous", "held_s")}
        if found["state"] == host_lock.HELD:
            text = f"{host} is not taken: {refusal(found, options['break_lock'] or '')}"
            if not checking:
                # The sentence says it; Ansible would print both marks beside it.
                return {"changed": False, "failed": True, "state": found["state"], "msg": text}
            self._display.warning(f"check mode goes on, a real run would stop here: {text}")
            return {**answer, "unknown": "", "blocked": True, "msg": text}
        lost = "" if found["state"] == host_lock.MINE else unknown(found["previous"], me, ledger.read(str(folder)))
        if lost:
            self._display.warning(f"{host}: {lost}")
        if not checking and found["state"] == host_lock.TAKEN:
            self._keep(found, str(me["name"]), folder)
            self._note(host, found, lost, folder, plan_folder)
        return {**answer, "unknown": lost, "blocked": False, "msg": f"{host} is held for {me['purpose']}"}

    def _settled(self, arguments: dict[str, Any], variables: dict[str, Any], name: str) -> dict[str, Any]:
        """The module's answer: a lock is only broken when its holder is not seen to run, and a holder of this machine
        that has ended gets the moment which its keeper needs."""
        found = self._ask(arguments, variables)
        for _ in range(SETTLE_TRIES):
            if found.get("state") != host_lock.HELD:
                break
            holder, state = holder_of(found)
            if state != lock.HELD and name == holder.name:
                return self._ask({**arguments, "break_lock": name}, variables)
            if state != lock.STALE or self._task.check_mode:
                break
            time.sleep(SETTLE_S)
            found = self._ask(arguments, variables)
        return found

    def _ask(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(self._module, module_args=arguments, task_vars=variables)
        return result

    def _keep(self, found: dict[str, Any], name: str, folder: Path) -> None:
        """See to it that the host is freed, or say that it will not be."""
        command = freeing(self._connection, found["python"], found["dir"], name)
        if command is None:
            self._display.warning(
                "this connection cannot be opened again when the run has ended, so the mark stays on the host: your next "
                f"run takes it over by itself, another controller needs -e break_lock={name}"
            )
        else:
            free_at_end(folder, command)

    @staticmethod
    def _note(host: str, found: dict[str, Any], lost: str, folder: Path, plan: Path) -> None:
        """Write down whose mark was broken by name, and what this ledger does not know."""
        texts = [lost] if lost else []
        if found["way"] == host_lock.BROKEN:
            holder, _ = holder_of(found)
            texts.insert(0, f"the mark {holder.name} ({holder.purpose}, {holder.operator}) was broken by name")
        if not texts:
            return
        previous = found["previous"] or {}
        note = {"note": f"{host}: {'; '.join(texts)}", "lock": previous.get("name"), "head": previous.get("head")}
        try:
            ledger.append(str(folder), body("note", None, note, plan, host=host))
        except (ledger.LedgerError, OSError) as error:
            raise AnsibleActionFail(f"{host} is held, but that could not be noted: {error}") from error
