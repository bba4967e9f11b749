"""Shape what phase 2 builds and phase 4 asks into what their steps record; pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.slomix.timetracking.plugins.module_utils.stats_header import FIELDS_NEW

PLAYTIME_TOLERANCE_MS = 50
"""What field 9 may be off from the match's true play time: one frame."""
SHOWN = 5


def merge_sample(candidate: Mapping[str, Any]) -> Dict[str, Any]:
    """What step 2.1 records: from which bytes which candidate was made, by which edits."""
    if "edits" not in candidate:
        return {"failed": True, "msg": candidate.get("msg", "the candidate was not built")}
    keys = ("file", "source", "running", "timetracking", "merge", "recipes", "edited", "edits", "unified_diff")
    result = {"changed": False, **{key: candidate.get(key) for key in keys}, "candidate": _bare(candidate)}
    if candidate.get("failed"):
        result.update(failed=True, msg=candidate.get("msg", ""))
    return result


def writer_sample(seen: Mapping[str, Any], step: str, proven: Mapping[str, Any]) -> Dict[str, Any]:
    """What steps 2.1 to 2.3 verify about the kept bytes: where they come from, scan and rehearsal, and the header.

    ``seen`` is the result of lua_candidate on those bytes, ``proven`` that of lua_proven.
    """
    if "candidate" not in seen and step != "2.1":
        return {"failed": True, "msg": seen.get("msg", "the candidate was not looked at")}
    if step == "2.1":
        return _provenance(seen, proven)
    if step == "2.2":
        rehearsal = (seen.get("rehearsal") or {}).get("candidate") or {}
        return {"changed": False, "candidate": _bare(seen), "scan": seen.get("scan"), "rehearsal": rehearsal}
    return {
        "changed": False,
        "candidate": _bare(seen),
        "problem": (seen.get("specimen") or {}).get("problem"),
        "files": [_header_row(row) for row in (seen.get("specimen") or {}).get("files") or []],
    }


def _provenance(seen: Mapping[str, Any], proven: Mapping[str, Any]) -> Dict[str, Any]:
    """Do the kept bytes still have their digest, and is the file they were made from (or they themselves) what runs?"""
    if "candidate" not in seen:
        return {"failed": True, "msg": seen.get("msg", "the candidate was not looked at")}
    built = proven.get("candidate") or {}
    running = (seen.get("running") or {}).get("sha256")
    kept = seen["candidate"]["sha256"]
    made_from = (built.get("source") or {}).get("sha256") if proven.get("found") else (seen["source"] or {})["sha256"]
    by_hand = (built.get("source") or {}).get("kind") == "file"
    return {
        "changed": False,
        "candidate": _bare(seen),
        "made_from": built.get("source") or seen.get("source"),
        "timetracking": built.get("timetracking"),
        "running": seen.get("running"),
        "kept": not proven.get("found") or kept == (built.get("candidate") or {}).get("sha256"),
        "current": by_hand or running in (made_from, kept),
    }


def _header_row(row: Mapping[str, Any]) -> Dict[str, Any]:
    header = row.get("header") or {}
    playtime, true_ms = header.get("playtime_ms"), row.get("true_ms")
    return {
        "id": f"{row.get('interpreter')} {row.get('name')}",
        "round": row.get("round"),
        "complete": row.get("complete"),
        "fields": header.get("fields"),
        "playtime_ms": playtime,
        "true_ms": true_ms,
        "off_ms": None if playtime is None or true_ms is None else playtime - true_ms,
        "unit": header.get("playtime_unit"),
        "header": header or None,
        "why_not": row.get("why_not"),
    }


def writer_faults(seen: Mapping[str, Any]) -> List[str]:
    """Why a looked-at candidate must not be deployed, as sentences; empty when it may be."""
    if seen.get("failed") or "candidate" not in seen:
        return [str(seen.get("msg") or "the candidate was not looked at")]
    scan, rehearsal = seen.get("scan") or {}, (seen.get("rehearsal") or {}).get("candidate") or {}
    found = []
    if not scan.get("clean"):
        shown = [f"line {one['line']} {one['code']}: {one['why']}" for one in (scan.get("findings") or [])[:SHOWN]]
        loads = [f"{name}: {text}" for name, text in (scan.get("loads") or {}).items() if text]
        found.append(f"the scan is not clean: {'; '.join(loads + shown) or scan.get('not_judged') or 'not scanned'}")
    if not rehearsal.get("passed"):
        found.append(f"the rehearsal did not pass: {len(rehearsal.get('findings') or [])} findings")
    rows = [_header_row(row) for row in (seen.get("specimen") or {}).get("files") or []]
    wrong = [
        f"{row['id']}: {row['fields']} fields, field 9 {row['playtime_ms']} ms, played {row['true_ms']} ms"
        for row in rows
        if row["fields"] != FIELDS_NEW or row["off_ms"] is None or abs(row["off_ms"]) > PLAYTIME_TOLERANCE_MS
    ]
    if wrong or not rows:
        found.append(f"its header is wrong: {'; '.join(wrong[:SHOWN]) or 'no stats file was written'}")
    return found


def parser_sample(probe: Mapping[str, Any], forced: bool = False) -> Dict[str, Any]:
    """What is recorded of the site's own parser. ``forced`` is the named override of the order; it is recorded only
    where it overrode something."""
    if "reads" not in probe:
        return {"failed": True, "msg": str(probe.get("msg") or "the parser was not tried"), "forced": bool(forced)}
    right = bool(probe.get("right"))
    keys = ("reads", "evidence", "faults", "python_version", "sha256")
    return {
        "changed": False,
        **{key: probe.get(key) for key in keys},
        "right": right,
        "forced": bool(forced) and not right,
    }


def writers_sample(inventory: Mapping[str, Any], name: str) -> Dict[str, Any]:
    """Which modules the server is told to load that are stats writers: ``name``, and whatever its bytes say writes into
    the stats folder (see module_utils/lua_files.py, ``writes_stats``)."""
    if "files" not in inventory:
        return {"failed": True, "msg": str(inventory.get("msg") or "the files were not listed")}
    listed = [row for row in inventory["files"] if row.get("in_lua_modules") and not row.get("shadowed")]
    known = all(row.get("writes_stats") is not None for row in listed)
    modules: Optional[Any] = (inventory.get("lua_modules") or {}).get("modules")
    return {
        "changed": False,
        "known": bool(modules) and known,
        "writers": sorted(str(row["name"]) for row in listed if row["name"] == name or row.get("writes_stats")),
        "modules": modules,
    }


def _bare(result: Mapping[str, Any]) -> Any:
    """The candidate without the controller's path, which is of no use in the evidence."""
    candidate = result.get("candidate")
    return {key: value for key, value in candidate.items() if key != "path"} if candidate else None
