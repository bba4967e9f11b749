"""Read the candidate's bytes on the controller and hand them to the module (plugins/modules/lua_release.py)."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """``content_path`` (controller) becomes ``content_b64``; a text lookup would not carry every byte."""

    _module = "slomix.timetracking.lua_release"
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The module's result."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        path = arguments.pop("content_path", None)
        if path is not None:
            try:
                content = Path(path).read_bytes()
            except OSError as error:
                raise AnsibleActionFail(f"the candidate {path} cannot be read on the controller: {error}") from error
            arguments["content_b64"] = base64.b64encode(content).decode()
            arguments.setdefault("sha256", hashlib.sha256(content).hexdigest())
        result: dict[str, Any] = self._execute_module(self._module, module_args=arguments, task_vars=task_vars)
        return result
