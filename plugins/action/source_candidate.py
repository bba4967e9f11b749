"""Fix a Python source on the controller; documented in plugins/modules/source_candidate.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.slomix.timetracking.plugins.module_utils.masking import mask, secrets

_SPEC = {
    "file": {"type": "str", "required": True},
    "running": {"type": "path", "required": True},
    "source": {"type": "path"},
    "recipes": {"type": "list", "elements": "str", "required": True},
    "build_dir": {"type": "path", "required": True},
}


class ActionModule(ActionBase):
    """One host, one file: read, fix, prove, keep."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The task's result; see RETURN. Nothing on the host changes, so ``changed`` is false."""
        super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(argument_spec=_SPEC)
        from python_checks.candidate import fetch, keep, read, sha256
        from python_checks.source.recipe import fix
        from python_checks.source.tree import CannotJudge

        build = Path(options["build_dir"])
        running = fetch(self._connection, options["running"], build)
        kind = "file" if options["source"] else "running"
        source = read(options["source"]) if options["source"] else running
        try:
            fixed = fix(source, options["recipes"], options["file"])
        except (CannotJudge, KeyError) as error:
            raise AnsibleActionFail(f"{options['file']} cannot be fixed: {error}; look at the file") from error
        result: dict[str, Any] = {
            "changed": False,
            "file": options["file"],
            "source": {"kind": kind, "sha256": sha256(source)},
            "running": {"path": options["running"], "sha256": sha256(running)},
            "recipes": options["recipes"],
            "edited": fixed.changed,
            "edits": list(fixed.actions),
            "unified_diff": mask(fixed.diff),
        }
        if fixed.refused_reason:
            return {**result, "failed": True, "msg": f"{options['file']} was refused: {fixed.refused_reason}"}
        lost = secrets(running.decode("utf-8", "replace")) - secrets(fixed.output.decode("utf-8", "replace"))
        if lost:
            text = f"the candidate lacks {len(lost)} configured value(s) of the running file (an URL or the like)"
            return {**result, "failed": True, "msg": f"{text}; put them into {options['source'] or 'the file'}"}
        result["candidate"] = keep(build, options["file"], fixed.output)
        return result
