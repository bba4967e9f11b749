"""Shape the results of phase 1's modules into what its steps record; pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

EDIT_STEPS = ("1.1", "1.2", "1.3", "1.4")
"""Steps of the plan that are edits; a codemod's sentence begins with its step, its siblings' sentences with none."""


class NoFile(LookupError):
    """No single file is the one that runs; the message says what was found and what to do next."""


def effective_file(files: Sequence[Mapping[str, Any]], name: str) -> Dict[str, Any]:
    """The row of lua_inventory_info that the engine opens for ``name``, with the paths it ``hides``."""
    copies = [row for row in files if row.get("name") == name]
    shown = [row for row in copies if not row.get("shadowed")]
    if len(shown) != 1:
        found = ", ".join(str(row.get("path")) for row in shown or copies) or "none"
        raise NoFile(
            f"files that run as {name}: {found}; required is exactly one; name it with -e lua_release_target=PATH"
        )
    row = shown[0]
    if row.get("container"):
        raise NoFile(
            f"{name} runs from the archive {row['container']}, which is not edited; unpack it into the homepath"
        )
    return {**row, "hides": [str(other.get("path")) for other in copies if other is not row]}


def edit_sample(candidate: Mapping[str, Any], step: str) -> Dict[str, Any]:
    """What step 1.1 to 1.4 records about the candidate: its own edits, or that they were in the file already."""
    if "edits" not in candidate:
        return {"failed": True, "msg": candidate.get("msg", "the candidate was not built")}
    edits: List[str] = list(candidate["edits"])
    own = [text for text in edits if text.startswith(step + " ")]
    if step == EDIT_STEPS[0]:
        own += [text for text in edits if not text.startswith(tuple(name + " " for name in EDIT_STEPS))]
    result = {
        "changed": False,
        "file": candidate.get("file"),
        "edits": own,
        "already_there": not own,
        "source": candidate.get("source"),
        "candidate": _without_path(candidate.get("candidate")),
        "unified_diff": candidate.get("unified_diff") if step == EDIT_STEPS[0] else "",
    }
    if candidate.get("failed"):
        result.update(failed=True, msg=candidate.get("msg", ""))
    return result


def rehearsal_sample(candidate: Mapping[str, Any]) -> Dict[str, Any]:
    """What step 1.5 records: did the candidate pass, and did the source fail where it differs."""
    rehearsal = candidate.get("rehearsal")
    if not rehearsal:
        return {"failed": True, "msg": candidate.get("msg", "the candidate was not rehearsed")}
    unpatched = rehearsal.get("unpatched")
    result = {
        "changed": False,
        "passed": rehearsal["candidate"]["passed"],
        "edited": candidate.get("edited"),
        "unpatched_failed": None if unpatched is None else not unpatched["passed"],
        "candidate": _without_path(candidate.get("candidate")),
        "rehearsal": rehearsal,
    }
    if candidate.get("failed"):
        result.update(failed=True, msg=candidate.get("msg", ""))
    return result


def load_sample(seen: Mapping[str, Any], load: Mapping[str, Any], phase: int = 1) -> Dict[str, Any]:
    """What a deployment's step verifies: is the deployed file on disk, and has the server loaded it."""
    for part in (seen, load):
        if part.get("failed") or ("msg" in part and "state" not in part and "after" not in part):
            return {"failed": True, "msg": part.get("msg", "the file or its load could not be read")}
    after: Mapping[str, Any] = seen.get("after", {})
    deployed = after.get("wish") == "deployed" and not seen.get("drift") and bool(after.get("sha256"))
    if seen.get("predicted"):
        guidance = f"{after.get('target')} would hold release {after.get('sha256')}; its load cannot be predicted"
    elif deployed:
        guidance = f"{after.get('target')} holds the deployed release; {load.get('state')}: {load.get('reason')}"
    else:
        none = f"{after.get('target')} holds no deployed release (last: {after.get('wish') or 'none'})"
        guidance = seen.get("drift") or f"{none}; run ansible-playbook playbooks/phase{phase}.yml"
    return {
        "changed": False,
        "predicted": bool(seen.get("predicted")),
        "deployed": deployed,
        "drift": seen.get("drift", ""),
        "guidance": guidance
        + (f"; {load['next']}" if deployed and not seen.get("predicted") and load.get("next") else ""),
        "file": {key: after.get(key) for key in ("target", "sha256", "sha1", "mode", "current", "original", "wish")},
        "deployment": seen.get("deployment"),
        "load": {key: value for key, value in load.items() if key not in ("changed", "failed", "invocation")},
    }


def _without_path(candidate: Any) -> Any:
    """The controller's path is of no use in the evidence."""
    return {key: value for key, value in candidate.items() if key != "path"} if candidate else None
