"""Ship the runner and the golden files to the host, judge the answers here (plugins/modules/parser_probe_info.py)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.slomix.timetracking.plugins.module_utils.stats_file import parse_stats

MODULE = "slomix.timetracking.parser_probe_info"
SHOWN = 20


class ActionModule(ActionBase):
    """One round trip to the host; the verdict is `rollout stats probe`'s and `rollout stats replay`'s own."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The task's result; see RETURN."""
        super().run(tmp, task_vars)
        from python_checks.stats import probe, replay

        arguments = dict(self._task.args)
        candidate = arguments.pop("candidate_path", None)
        if candidate:
            arguments["candidate_b64"] = _text(_read(Path(candidate)))
        arguments["runner_b64"] = _text(replay.RUNNER.read_bytes())
        arguments["golden"] = [{"name": name, "content_b64": _text(data)} for name, data in probe.golden()]
        raw: dict[str, Any] = self._execute_module(MODULE, module_args=arguments, task_vars=task_vars)
        if raw.get("failed"):
            return {key: value for key, value in raw.items() if key != "invocation"}
        run = replay.Run(raw["class"], tuple(raw["stand_ins"]), tuple(raw["lines"]))
        try:
            found = probe.verdict(str(arguments["parser"]), run)
        except replay.ParserFailed as error:
            return {"failed": True, "msg": str(error)}
        return {
            "changed": False,
            **found.as_dict(),
            "python_version": raw["python_version"],
            "sha256": raw["sha256"],
            "replay": replay_sample(raw),
        }


def replay_sample(raw: dict[str, Any]) -> dict[str, Any]:
    """The comparison on the stored files, judged: counts of all files, the rules applied to those that differ.

    More 8-field files may differ than were sent; each of them is a refusal of its own.
    """
    from python_checks.stats import replay

    counts = raw["replay"]
    shown = counts.pop("shown")
    names = counts.pop("names")
    runs = [
        replay.Run(name, (), tuple(one[key] for one in shown))
        for name, key in zip(names, ("before", "after"), strict=True)
    ]
    stats = [parse_stats(base64.b64decode(one["content_b64"])) for one in shown]
    report = replay.compare(*runs, [one["name"] for one in shown], stats)
    unsent = max(0, counts["differing_other_than_9"] - len(shown))
    return {
        **counts,
        "judged": len(shown),
        "refused": len(report.refused) + unsent,
        "differences": [one.as_dict() for one in (report.refused or report.differences)[:SHOWN]],
        "same_parser": raw["sha256"] == raw["before_sha256"],
        "before_sha256": raw["before_sha256"],
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AnsibleActionFail(f"the candidate {path} cannot be read on the controller: {error}") from error


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
