"""Find the candidate that a step recorded, by its digest, on the controller. Documented in plugins/modules/lua_proven.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger
from ansible_collections.slomix.timetracking.plugins.module_utils.samples import real_steps

from python_checks.candidate import sha256
from python_checks.gates.action import LedgerAction

_SPEC = {
    "step": {"type": "str", "required": True},
    "digest": {"type": "str", "required": True},
    "build_dir": {"type": "path", "required": True},
    "require": {"type": "bool", "default": False},
}


class ActionModule(LedgerAction):
    """One host, one step: what its newest action built."""

    SPEC = _SPEC

    def act(
        self, options: dict[str, Any], variables: dict[str, Any], folder: Path, plan_folder: Path
    ) -> dict[str, Any]:
        """The task's result; see RETURN."""
        host, step = variables["inventory_hostname"], options["step"]
        try:
            records = ledger.read(str(folder))
        except (ledger.LedgerError, OSError) as error:
            raise AnsibleActionFail(f"the evidence in {folder} cannot be read: {error}") from error
        acts = [
            record
            for record in real_steps(records)
            if (str(record.get("step")), record.get("leg"), record.get("host")) == (step, "action", host)
        ]
        result = acts[-1]["result"] if acts else {}
        built = result.get("candidate") if isinstance(result, dict) and not result.get("failed") else None
        wish = (acts[-1].get("digests") or {}).get(options["digest"]) if acts else None
        phase = step.partition(".")[0]
        if not built or not wish:
            why = f"step {step} of {host} has recorded no candidate"
            return self._missing(options, f"{why}; run ansible-playbook playbooks/phase{phase}.yml")
        path = Path(options["build_dir"], "candidates", wish, Path(str(result["file"])).name)
        try:
            content = path.read_bytes()
        except OSError as error:
            return self._missing(
                options,
                f"the candidate of step {step} is gone: {error}; run ansible-playbook playbooks/phase{phase}.yml",
            )
        if sha256(content) != wish:
            text = f"{path} has the digest {sha256(content)}, recorded is {wish}"
            raise AnsibleActionFail(
                f"{text}; somebody changed the candidate: remove it and run ansible-playbook playbooks/phase{phase}.yml"
            )
        candidate = {**result, "candidate": {**built, "path": str(path.resolve())}}
        return {"changed": False, "found": True, "seq": acts[-1]["seq"], "candidate": candidate}

    @staticmethod
    def _missing(options: dict[str, Any], text: str) -> dict[str, Any]:
        return {"changed": False, "found": False, "candidate": {}, "failed": options["require"], "msg": text}
