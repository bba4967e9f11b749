"""Take the site, and refuse a phase whose required gates do not open, on the controller. Documented in
plugins/modules/rollout_require.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger, lock
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import WAIVABLE
from ansible_collections.slomix.timetracking.plugins.module_utils.plan import required_gates

from python_checks.gates.action import LedgerAction
from python_checks.gates.evidence import fault, groups
from python_checks.gates.files import PlanError, load_plan
from python_checks.gates.identity import body
from python_checks.gates.locking import obstacle, take
from python_checks.gates.requirements import Standing, standing

_SPEC = {
    "phase": {"type": "int", "required": True},
    "waive": {"type": "str"},
    "reason": {"type": "str"},
    "waive_days": {"type": "int", "default": 1},
    "break_lock": {"type": "str"},
    "override": {"type": "list", "elements": "str", "default": []},
}
SHORTEST_REASON = 10
LONGEST_WAIVER_D = 14


class ActionModule(LedgerAction):
    """First task of every phase."""

    SPEC = _SPEC

    def act(
        self, options: dict[str, Any], variables: dict[str, Any], folder: Path, plan_folder: Path
    ) -> dict[str, Any]:
        """The task's result; see RETURN."""
        checking = bool(self._task.check_mode)
        try:
            needed = required_gates(load_plan(plan_folder), options["phase"])
        except (PlanError, KeyError) as error:
            raise AnsibleActionFail(f"phase {options['phase']} cannot be run: {error.args[0]}") from error

        # First of all: what is judged below must not change under the run.
        taken = "" if checking else self._take(folder, options, plan_folder)
        held = obstacle(folder) if checking else ""

        def look() -> list[Standing]:
            records = ledger.read(str(folder))
            moment = datetime.now(UTC)
            return [standing(gate, records, moment, groups(variables), fault(folder), plan_folder) for gate in needed]

        gates = look()
        ignored = [gate for gate in gates if gate.gate in options["override"] and not gate.opens]
        if ignored and not checking:
            self._override(options["phase"], ignored, str(folder), plan_folder)
        if options["waive"] and not checking:
            self._waive(options, gates, str(folder), plan_folder)
            gates = look()
        broken = fault(folder)
        blocked = [gate for gate in gates if not gate.opens and gate.gate not in options["override"]]
        text = "; ".join(gate.sentence() for gate in blocked)
        if broken and not text:
            text = f"the ledger in {folder} is broken: {broken}. Next: rollout evidence verify"
        text = "; ".join(part for part in (held, text) if part)
        result = {
            "changed": False,
            "lock": taken,
            "blocked": bool(text),
            "overridden": [gate.gate for gate in ignored],
            "failed": bool(text) and not checking,
            **({} if text and not checking else {"gates": [gate.as_dict() for gate in gates]}),
            "msg": f"phase {options['phase']} may run" if not text else f"phase {options['phase']} is refused: {text}",
        }
        if text and checking:
            self._display.warning(f"check mode goes on, a real run would stop here: {result['msg']}")
        return result

    @staticmethod
    def _take(folder: Path, options: dict[str, Any], plan_folder: Path) -> str:
        """The name under which this run has the site until it ends."""
        purpose = f"phase {options['phase']}"
        try:
            return str(take(folder, purpose, break_lock=options["break_lock"] or "", plan_dir=plan_folder)["name"])
        except (lock.LockError, ledger.LedgerError, OSError) as error:
            raise AnsibleActionFail(f"{purpose} is refused: {error}") from error

    def _override(self, phase: int, gates: list[Standing], folder: str, plan_folder: Path) -> None:
        """Record which closed gates this run passes by; unlike a waiver it holds for this run only."""
        for gate in gates:
            self._display.warning(f"phase {phase} goes on by override although {gate.sentence()}")
        names = ", ".join(gate.gate for gate in gates)
        result = {"note": f"phase {phase} passed by {names}", "gates": [gate.as_dict() for gate in gates]}
        try:
            ledger.append(folder, body("note", phase, result, plan_folder, host="localhost"))
        except (ledger.LedgerError, OSError) as error:
            raise AnsibleActionFail(f"the override could not be recorded: {error}") from error

    def _waive(self, options: dict[str, Any], gates: list[Standing], folder: str, plan_folder: Path) -> None:
        """Record a waiver if it is allowed; fail with the reason if not."""
        name, reason, days = options["waive"], (options["reason"] or "").strip(), options["waive_days"]
        gate = next((one for one in gates if one.gate == name), None)
        if gate is None:
            known = ", ".join(one.gate for one in gates) or "none"
            raise AnsibleActionFail(
                f"there is no gate {name} before phase {options['phase']} to waive; there are: {known}"
            )
        if gate.opens:
            return
        if gate.verdict not in WAIVABLE:
            raise AnsibleActionFail(
                f"gate {name} is {gate.verdict}, which cannot be waived; only {' or '.join(WAIVABLE)} can. "
                f"Found: {gate.found}. Next: {gate.next}"
            )
        if len(reason) < SHORTEST_REASON:
            raise AnsibleActionFail(
                f"a waiver of gate {name} needs a reason of {SHORTEST_REASON} characters or more: -e reason='...'"
            )
        if not 1 <= days <= LONGEST_WAIVER_D:
            raise AnsibleActionFail(f"a waiver lasts 1 to {LONGEST_WAIVER_D} days, waive_days is {days}")
        waiver = {
            "gate": name,
            "verdict": gate.verdict,
            "found": gate.found,
            "reason": reason,
            "until": (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds"),
        }
        try:
            ledger.append(
                folder,
                body("waiver", gate.phase, waiver, plan_folder, host="localhost"),
            )
        except (ledger.LedgerError, OSError) as error:
            raise AnsibleActionFail(f"the waiver could not be recorded: {error}") from error
