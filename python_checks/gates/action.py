"""What the action plugins that work on the evidence ledger have in common: they run on the controller, in check mode too, and know the
site's folder and plan."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from ansible.plugins.action import ActionBase

from python_checks.gates.evidence import evidence_dir, plan_dir


class LedgerAction(ActionBase):
    """Base of those plugins; ``SPEC`` holds a plugin's options without ``evidence_dir``, ``act`` is what it does."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False
    SPEC: ClassVar[dict[str, Any]] = {}

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The task's result; see the RETURN of the plugin's document."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _, options = self.validate_argument_spec(argument_spec={**self.SPEC, "evidence_dir": {"type": "path"}})
        folder = evidence_dir(options["evidence_dir"], variables, self._loader.get_basedir(), self._templar.template)
        return self.act(options, variables, folder, plan_dir(variables, self._templar.template))

    @abstractmethod
    def act(
        self, options: dict[str, Any], variables: dict[str, Any], folder: Path, plan_folder: Path
    ) -> dict[str, Any]:
        """The result. ``folder`` holds the ledger, ``plan_folder`` the plan; ``variables`` are the task's."""
