"""Read what is shown on the host, compare it here (plugins/modules/shown_values_info.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.slomix.timetracking.plugins.module_utils import embed_check

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
        if arguments.get("shows") == "session" and (arguments.get("file") or not url):
            return self._session(rows, arguments, self._exported(str(arguments.get("file") or "")))
        graphs = arguments.get("shows") == "graphs"
        days = sorted({str(row["day"]) for row in rows}) if graphs else []
        urls = {day: url.replace("DAY", day) for day in days} if graphs else {"all": url}
        # The rows stay here; the host only needs to know what to read.
        sent = {**arguments, "rows": [], "urls": urls}
        raw: dict[str, Any] = self._execute_module(MODULE, module_args=sent, task_vars=task_vars)
        if raw.get("failed"):
            return {key: value for key, value in raw.items() if key != "invocation"}
        if arguments.get("shows") == "session":
            return self._session(rows, arguments, {**raw["answers"]["all"], "source": "url"})
        if graphs:
            sample = shown_values.compare_graphs(rows, raw["answers"])
            return {**sample, "text": shown_values.graphs_text(sample)}
        sample = shown_values.compare_headshots(rows, raw["answers"]["all"])
        return {**sample, "text": shown_values.headshots_text(sample)}

    @staticmethod
    def _exported(file: str) -> dict[str, Any]:
        """A message that somebody saved, in the shape of an answer over HTTP."""
        if not file:
            problem = "nothing shows the embed: name an address (bot_session_embed_url), or save the bot's message as JSON and name it "
            return {"source": "none", "body": None, "error": f"{problem}(-e session_embed=FILE)"}
        try:
            return {
                "source": "file",
                "body": json.loads(Path(file).expanduser().read_text(encoding="utf-8")),
                "error": "",
            }
        except (OSError, ValueError) as problem:
            said = f"found: {file} cannot be read as JSON ({problem}); required: the bot's message with its embeds; next: save it again"
            return {"source": "file", "body": None, "error": said}

    @staticmethod
    def _session(rows: Any, arguments: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        wanted = str(arguments.get("wanted") or "")
        problem, body = answer["error"], answer["body"]
        sample = embed_check.unread(wanted, problem) if problem else embed_check.check(body, rows, wanted)
        return {"source": answer["source"], **sample, "text": embed_check.sentence(sample)}
