"""Read what is shown on the host, compare it here (plugins/modules/shown_values_info.py)."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

MODULE = "slomix.timetracking.shown_values_info"


class ActionModule(ActionBase):
    """One round trip for all addresses; the reference formulas stay on the controller."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The task's result; see RETURN."""
        super().run(tmp, task_vars)
        from python_checks import shown_values

        arguments = dict(self._task.args)
        rows, url = arguments.get("rows") or [], str(arguments.get("url"))
        graphs = arguments.get("shows") == "graphs"
        days = sorted({str(row["day"]) for row in rows}) if graphs else []
        urls = {day: url.replace("DAY", day) for day in days} if graphs else {"all": url}
        # The rows stay here; the host only needs to know what to read.
        sent = {**arguments, "rows": [], "urls": urls}
        raw: dict[str, Any] = self._execute_module(MODULE, module_args=sent, task_vars=task_vars)
        if raw.get("failed"):
            return {key: value for key, value in raw.items() if key != "invocation"}
        if graphs:
            sample = shown_values.compare_graphs(rows, raw["answers"])
            return {**sample, "text": shown_values.graphs_text(sample)}
        sample = shown_values.compare_headshots(rows, raw["answers"]["all"])
        return {**sample, "text": shown_values.headshots_text(sample)}
