"""One match played for its stats files: what a writer really puts into a header, read by the reference parser."""

from __future__ import annotations

from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils.stats_file import parse_stats
from ansible_collections.slomix.timetracking.plugins.module_utils.stats_names import ROUND, parse_name

from python_checks.lua.interpreters import INTERPRETERS
from python_checks.lua.rehearse import RehearsalFile, _stage

MATCH = "completed"
"""Both halves are played to their end, without a pause; R2 has a fractional limit."""


def specimen(file: RehearsalFile, timeout_s: float) -> dict[str, Any]:
    """``{match, problem, files}``; ``files`` has one row per stats file and interpreter: name, round, header (see
    stats_header.Header), players, complete, and ``true_ms``, the engine's own time of the half without pauses (None
    when the half cannot be told). ``problem`` is a sentence when a play did not come to its end.
    """
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    for interpreter in INTERPRETERS:
        answer = _stage(file, interpreter, (MATCH,), timeout_s)
        problems += [answer.problem] if answer.problem else []
        for play in answer.performances:
            if play.fault:
                continue
            problems += [f"{interpreter}: {play.problem}"] if play.problem else []
            halves = {half["round"]: half for half in play.halves}
            for written in play.files:
                name = parse_name(written.path.replace("\\", "/").rsplit("/", 1)[-1])
                if name.kind != ROUND or name.round is None:
                    continue
                stats = parse_stats(written.content or b"")
                half = halves.get(name.round)
                rows.append(
                    {
                        "interpreter": interpreter,
                        "name": name.name,
                        "round": name.round,
                        "complete": stats.complete,
                        "header": stats.header.as_dict() if stats.header else None,
                        "why_not": stats.why_incomplete,
                        "players": len(stats.players),
                        "true_ms": half["play_ms"] if half else None,
                    }
                )
    return {"match": MATCH, "problem": "; ".join(problems), "files": rows}
