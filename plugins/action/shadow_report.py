"""Compare OLD and NEW timing on the controller; documented in plugins/modules/shadow_report.py."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.slomix.timetracking.plugins.module_utils.plain import canonical, plain, redact

_SPEC = {
    "rows": {"type": "list", "elements": "dict", "required": True},
    "margin_s": {"type": "float", "default": 5.0},
}
_SHOWN_VIOLATIONS = 50


class ActionModule(ActionBase):
    """One report per host."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The task's result; see RETURN."""
        super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(argument_spec=_SPEC)
        from python_checks.shadow.decision import decide
        from python_checks.shadow.pairs import InputError, sample

        try:
            report = decide(sample(options["rows"]), options["margin_s"])
        except (InputError, ValueError) as problem:
            return {"changed": False, "failed": True, "msg": f"the rows could not be compared: {problem}"}
        found = asdict(report)
        # As one text, because the ledger sets long texts aside under raw/; redacted before, so that it stays JSON.
        found["plots"] = canonical(redact(plain(found["plots"])))
        found["violation_count"] = len(report.violations)
        found["violations"] = report.violations[:_SHOWN_VIOLATIONS]
        text = f"{report.verdict}: {report.decision} (validity {report.validity}, coverage {report.coverage}, tails {report.tails})"
        return {
            "changed": False,
            **found,
            "exit_code": report.exit_code,
            "row_count": len(options["rows"]),
            "msg": text,
        }
