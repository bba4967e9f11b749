"""Shape the results of phases 3 and 6 into what their steps record; pure."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence

_FILE_KEYS = ("target", "sha256", "mode", "current", "original", "wish")
_OVERRIDE = "-e lua_release_force_moment=true"


def match_moment(results: Sequence[Mapping[str, Any]], override: str) -> Dict[str, Any]:
    """The moment of all game servers together, from game_server_info on each; the first that is not safe decides.

    ``override`` names the variable that forces a restart here. Empty without a game server: nothing is known.
    """
    moments = [one.get("moment") or {"safe": False, "reason": one.get("msg", "no answer")} for one in results]
    if not moments:
        return {}
    worst = next((one for one in moments if one.get("safe") is not True), moments[0])
    advice = str(worst.get("next", "")).replace(_OVERRIDE, f"-e {override}=true")
    return {**worst, "known": bool(worst.get("known")), "next": advice}


def source_sample(seen: Mapping[str, Any]) -> Dict[str, Any]:
    """What a step that deploys a source verifies: the file is on disk, a healthy process has loaded it."""
    if seen.get("failed") or "after" not in seen:
        return {"failed": True, "msg": seen.get("msg", "the deployed file could not be read")}
    after, unit, health = seen["after"], seen.get("unit") or {}, seen.get("health") or {}
    drift = seen.get("drift", "")
    deployed = after.get("wish") == "deployed" and not drift and bool(after.get("sha256"))
    running = bool(unit.get("running")) and unit.get("loaded") is True
    if seen.get("predicted"):
        guidance = f"{after.get('target')} would hold {after.get('sha256')}; {unit.get('name')} would be restarted"
    elif not deployed:
        guidance = drift or f"{after.get('target')} holds no deployed release (last: {after.get('wish') or 'none'})"
    elif not running:
        guidance = f"{unit.get('name')} does not run, or runs since before the file came; run the phase again"
    elif health.get("ok") is False:
        guidance = f"{unit.get('name')} is not healthy: {health.get('problem')}; look at its journal"
    else:
        guidance = f"{unit.get('name')} runs {after.get('sha256')} since its restart"
    checkout = seen.get("checkout") or {}
    return {
        "changed": False,
        "predicted": bool(seen.get("predicted")),
        "deployed": deployed,
        "loaded": unit.get("loaded"),
        "healthy": health.get("ok"),
        "drift": drift,
        "renewed": bool(seen.get("renewed")),
        "guidance": guidance,
        "file": {key: after.get(key) for key in _FILE_KEYS},
        "deployment": seen.get("deployment"),
        "unit": {key: unit.get(key) for key in ("name", "running", "pid", "started_unix", "restarts", "python")},
        "health": dict(health),
        "checkout": {
            key: checkout.get(key) for key in ("found", "root", "head", "branch", "upstream", "path", "dirty", "pull")
        },
    }


def logged_sample(window: Mapping[str, Any], deployment: Any) -> Dict[str, Any]:
    """What step 3.3 verifies: lines that name the source of a round's time, in the bot's log since the deployment."""
    if window.get("failed") or "counts" not in window:
        return {"failed": True, "msg": window.get("msg", "the bot's log was not read")}
    counts = window["counts"]
    return {
        "changed": False,
        # The time, not the cursor: there is none if the log did not exist then.
        "since_deployment": (deployment or {}).get("at_unix") is not None,
        "counts": counts,
        # A traceback has one last line. None of a lost connection or a stop: it may be an import's.
        "unexplained_tracebacks": max(0, counts["traceback"] - counts["connection_traceback"]),
        "lines": [one.get("line") for one in (window.get("matches") or {}).get("source", [])][-5:],
        "control_count": window.get("control_count"),
        "window_state": window.get("window_state"),
        "gap": window.get("gap"),
    }


def probe_sample(probed: Mapping[str, Any], predicted: bool) -> Dict[str, Any]:
    """What step 3.2 verifies: how the parser reads field 9, and that the stored files give the same rows."""
    if probed.get("failed") or "reads" not in probed:
        return {"failed": True, "msg": probed.get("msg", "the parser was not tried")}
    keep = ("parser", "reads", "right", "evidence", "faults", "log", "python_version", "sha256", "replay")
    levels = sorted({str(level) for level, _text in probed.get("log", [])})
    return {
        "changed": False,
        "predicted": predicted,
        **{key: probed.get(key) for key in keep},
        "logs_source": bool(levels) and not set(levels) <= {"DEBUG", "NOTSET"},
    }


def probe_text(sample: Mapping[str, Any]) -> str:
    """The verdict of a probe as a sentence."""
    if sample.get("failed"):
        return str(sample.get("msg"))
    replay = sample["replay"]
    found = [f"field 9 is read as {sample['reads']}", *sample["evidence"][:1], *sample["faults"][:3]]
    found.append(
        f"{replay['compared']} stored files: {replay['equal']} give the same rows, {replay['differing']} others,"
        f" {replay['refused']} against the rules"
    )
    found += [f"{one['file']} {one['path']}: {one['before']} -> {one['after']}" for one in replay["differences"][:3]]
    return "; ".join(found)
