"""Build and rehearse a Lua candidate on the controller; documented in plugins/modules/lua_candidate.py."""

from __future__ import annotations

import datetime
import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.slomix.timetracking.plugins.module_utils.leftovers import sweep
from ansible_collections.slomix.timetracking.plugins.module_utils.masking import mask, secrets

_SPEC = {
    "file": {"type": "str", "required": True},
    "running": {"type": "path", "required": True},
    "source": {"type": "path"},
    "recipes": {"type": "list", "elements": "str", "default": []},
    "merge": {"type": "bool", "default": False},
    "timetracking": {"type": "path"},
    "matches": {"type": "list", "elements": "str"},
    "header_fields": {"type": "int", "choices": [8, 9]},
    "scan": {"type": "bool", "default": False},
    "specimen": {"type": "bool", "default": False},
    "build_dir": {"type": "path", "required": True},
    "timeout_s": {"type": "float", "default": 120.0},
}
_CODE = ("engine", "lua")
_CODE_SUFFIXES = {".py", ".lua", ".tsv", ".yml", ".json"}
_SHOWN_FINDINGS = 5


class ActionModule(ActionBase):
    """One host, one file: read, fix, rehearse, keep."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The task's result; see RETURN. Nothing on the host changes, so ``changed`` is false."""
        super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(argument_spec=_SPEC)
        from python_checks.candidate import fetch, keep, read, sha256
        from python_checks.lua.recipe import CannotJudge
        from python_checks.lua.rehearse import STAGE_PREFIX

        # A rehearsal that is cached would not do it, and what a killed one left may hold a webhook's URL.
        sweep(tempfile.gettempdir(), STAGE_PREFIX)
        build = Path(options["build_dir"])
        running = fetch(self._connection, options["running"], build)
        kind = "file" if options["source"] else "running"
        source = read(options["source"]) if options["source"] else running
        try:
            fixed, merged = _fixed(options, source)
        except (CannotJudge, KeyError) as error:
            raise AnsibleActionFail(f"{options['file']} cannot be fixed: {error}; look at the file") from error
        result: dict[str, Any] = {
            "changed": False,
            "file": options["file"],
            "source": {"kind": kind, "sha256": sha256(source)},
            "running": {"path": options["running"], "sha256": sha256(running)},
            "timetracking": _digest(options["timetracking"]),
            "recipes": options["recipes"] or (["merge"] if options["merge"] else []),
            "merge": merged,
            "edited": fixed.changed,
            "edits": list(fixed.actions),
            "unified_diff": mask(fixed.diff),
        }
        if fixed.refused_reason:
            return {**result, "failed": True, "msg": f"{options['file']} was refused: {fixed.refused_reason}"}
        lost = secrets(running.decode("utf-8", "replace")) - secrets(fixed.output.decode("utf-8", "replace"))
        if lost:
            text = f"the candidate lacks {len(lost)} configured value(s) of the running file (webhook URL or the like)"
            return {
                **result,
                "failed": True,
                "msg": f"{text}; put them into {options['source']} or fix the running file",
            }
        result["candidate"] = keep(build, options["file"], fixed.output)
        result["rehearsal"] = {
            "candidate": self._rehearse(options, fixed.output, build),
            "unpatched": self._rehearse(options, source, build) if fixed.changed else None,
        }
        result["scan"] = _scanned(options, fixed.output) if options["scan"] else None
        result["specimen"] = self._specimen(options, fixed.output) if options["specimen"] else None
        problem = why_not(result["rehearsal"], source_must_fail=not options["merge"]) or unclean(result["scan"])
        return {**result, "failed": True, "msg": problem} if problem else result

    @staticmethod
    def _rehearse(options: dict[str, Any], content: bytes, build: Path) -> dict[str, Any]:
        """The report of this very file, matches and engine; from the cache when it was rehearsed before."""
        from python_checks.candidate import sha256, write
        from python_checks.engine import MatchError
        from python_checks.lua.rehearse import RehearsalFile, default_matches, rehearse

        file = RehearsalFile(options["file"], content)
        matches: Sequence[str] = options["matches"] or default_matches([file])
        names = [sha256(content), options["file"], *matches, options["header_fields"], _code_digest()]
        cached = build / "rehearsals" / f"{sha256(json.dumps(names).encode())}.json"
        try:
            kept: dict[str, Any] = json.loads(cached.read_text())
            return {**kept, "cached": True}
        except (OSError, ValueError):
            pass
        try:
            report = rehearse([file], matches, timeout_s=options["timeout_s"], header_fields=options["header_fields"])
        except (MatchError, ValueError) as error:
            raise AnsibleActionFail(f"{options['file']} cannot be rehearsed: {error}") from error
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        fresh = {**report.as_dict(), "sha256": sha256(content), "rehearsed_at": now}
        if not report.unjudged:
            # What could not be judged (a timeout) may be judged next time; a verdict on these bytes stays.
            write(build, cached, json.dumps(fresh, indent=2).encode())
        return {**fresh, "cached": False}

    @staticmethod
    def _specimen(options: dict[str, Any], content: bytes) -> dict[str, Any]:
        """The headers that the candidate writes in one match."""
        from python_checks.lua.rehearse import RehearsalFile
        from python_checks.lua.specimen import specimen

        return specimen(RehearsalFile(options["file"], content), options["timeout_s"])


def _fixed(options: dict[str, Any], source: bytes) -> tuple[Any, dict[str, Any] | None]:
    """The codemods' result, or the merge's in the same shape with its own report."""
    from python_checks.candidate import read
    from python_checks.lua.fix import fix
    from python_checks.lua.merge import Source, merge
    from python_checks.lua.recipe import FixResult

    if not options["merge"]:
        return fix(source, options["recipes"], options["file"]), None
    other = options["timetracking"]
    merged = merge(Source(options["file"], source), Source(Path(other).name, read(other)) if other else None)
    # A writer that was merged before needs nothing, and stays what it is, first lines included.
    output = merged.output if merged.actions else source
    edited = output != source
    report = FixResult(edited, output, merged.diff if edited else "", merged.actions, merged.refused_reason)
    return report, merged.as_dict()


def _digest(path: str | None) -> dict[str, Any] | None:
    from python_checks.candidate import read, sha256

    return {"name": Path(path).name, "sha256": sha256(read(path))} if path else None


def _scanned(options: dict[str, Any], content: bytes) -> dict[str, Any]:
    """What the scan says about the candidate, for both interpreters."""
    from python_checks.lua.scan.run import scan_source

    report = scan_source(content, options["file"])
    return {
        "clean": report.is_clean,
        "loads": report.loads,
        "targets": sorted(report.loads),
        "findings": [finding.as_dict() for finding in report.findings],
        "not_judged": report.not_judged,
    }


def unclean(scan: dict[str, Any] | None) -> str:
    """Why a scanned candidate must not be deployed; empty when it may, or was not scanned."""
    if scan is None or scan["clean"]:
        return ""
    shown = [f"line {one['line']} {one['code']}: {one['why']}" for one in scan["findings"][:_SHOWN_FINDINGS]]
    loads = [f"{name}: {text}" for name, text in scan["loads"].items() if text]
    return (
        f"the candidate's scan is not clean: {'; '.join([*loads, *shown]) or scan['not_judged']}; nothing was deployed"
    )


def why_not(rehearsal: dict[str, Any], *, source_must_fail: bool = True) -> str:
    """Why a candidate with these reports must not be deployed; empty when it may. A codemod mends a defect that the
    rehearsal must show; a merge may find a source that is good already."""
    candidate, unpatched = rehearsal["candidate"], rehearsal["unpatched"]
    if not candidate["passed"]:
        shown = [
            f"{finding['match']} {finding['interpreter']} {finding['half']} {finding['code']}: {finding['found']}"
            for finding in candidate["findings"][:_SHOWN_FINDINGS]
        ]
        return (
            f"the candidate failed its rehearsal ({len(candidate['findings'])} findings, {candidate['judged']} plays):"
            f" {'; '.join([*shown, *candidate['unjudged'][:_SHOWN_FINDINGS]])}; nothing was deployed"
        )
    if source_must_fail and unpatched is not None and unpatched["passed"]:
        return "the file passes the rehearsal without the fix, so the rehearsal proves nothing; nothing was deployed"
    return ""


def _code_digest() -> str:
    """Digest of what judges (engine stand-in, workshop, the reference parser of stats files), so that a rehearsal by
    other code is not taken for this one's."""
    from ansible_collections.slomix.timetracking.plugins.module_utils import stats_file

    import python_checks

    digest = hashlib.sha256()
    root = Path(next(iter(python_checks.__path__)))
    code = [path for part in _CODE for path in (root / part).rglob("*") if path.suffix in _CODE_SUFFIXES]
    code += Path(stats_file.__file__).parent.glob("stats_*.py")
    for path in sorted(code):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
