"""One session after phase 5's decision: is it the same start of the bot, did it log no error, which rounds were played since? Pure.

A watch is a record of before_state.py: ``before`` holds since_unix, invocation (systemd's id of one start), restarts and the logs'
cursors; ``subject`` names what is watched.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.slomix.timetracking.plugins.module_utils import before_state

Record = Optional[Mapping[str, Any]]


def _open(record: Record) -> bool:
    return record is not None and before_state.is_open(dict(record))


def view(record: Record) -> Dict[str, Any]:
    """The shape of before and after."""
    return {
        "watching": _open(record),
        "subject": record.get("subject") if record is not None and _open(record) else None,
    }


def going_on(record: Record) -> Dict[str, Any]:
    """The watch that goes on, or nothing."""
    return {"subject": record.get("subject"), **record["before"]} if record is not None and _open(record) else {}


def plan(record: Record, unit: Mapping[str, Any], state: str, subject: Optional[str], anew: bool) -> List[str]:
    """What is to be done for ``state``: nothing for a watch of this subject and start that goes on."""
    name = unit["name"]
    if state == "ended":
        return [f"end the watch of {name}"] if _open(record) else []
    if state != "begun":
        return []
    if not _open(record):
        return [f"watch {name} from now on"]
    watch = going_on(record)
    if watch["subject"] != subject:
        return [f"watch {name} anew: settings or source are others"]
    if same_start(record, unit) is not True:
        return [f"watch {name} anew: it was restarted since"]
    return [f"watch {name} anew, as asked for"] if anew else []


def same_start(record: Record, unit: Mapping[str, Any]) -> Optional[bool]:
    """Whether the start that is watched still runs; None where that is not known."""
    watch = going_on(record)
    if not watch or not watch.get("invocation") or not unit["invocation"]:
        return None
    return bool(unit["running"]) and unit["invocation"] == watch["invocation"]


def restarts_since(record: Record, unit: Mapping[str, Any]) -> Optional[int]:
    """How often systemd restarted the unit by itself since the watch began; a start by hand sets its counter back."""
    watch = going_on(record)
    if not watch or unit["restarts"] is None or watch.get("restarts") is None:
        return None
    return int(max(0, unit["restarts"] - watch["restarts"]))


def bot_sample(watched: Mapping[str, Any], windows: Mapping[str, Mapping[str, Any]]) -> Dict[str, Any]:
    """What step 5.3 records of the bot: ``watched`` is service_watch's result, ``windows`` log_window_info's by log name.

    ``control_count`` is of the log ``bot``, which holds lines of every kind; the log ``errors`` may well be silent.
    """
    failed = next((one for one in (watched, *windows.values()) if one.get("failed")), None)
    if failed or "unit" not in watched:
        return {"failed": True, "msg": (failed or {}).get("msg", "the bot was not looked at")}
    read = {name: one for name, one in windows.items() if "counts" in one}
    lines = [match["line"] for one in read.values() for match in (one.get("matches") or {}).get("error", [])]
    return {
        "changed": False,
        "watching": bool(watched["watch"]),
        "since_unix": watched["watch"].get("since_unix"),
        "subject": watched["watch"].get("subject"),
        "running": bool(watched["unit"]["running"]),
        "same_start": watched["same_start"],
        "restarts": watched["restarts"],
        "errors": _sum(read, "error"),
        "refused_embeds": _sum(read, "embed"),
        "control_count": (read.get("bot") or {}).get("control_count"),
        "gap": any(one["gap"] for one in read.values()) if len(read) == len(windows) and read else None,
        "missing": sorted(name for name, one in read.items() if one["window_state"] == "missing"),
        "lines": list(dict.fromkeys(lines))[-5:],
    }


def _sum(windows: Mapping[str, Mapping[str, Any]], name: str) -> Optional[int]:
    """Lines of one kind; the logs overlap, so the largest count is the count."""
    counts = [one["counts"].get(name) for one in windows.values()]
    return max(counts) if counts and None not in counts else None


def bot_text(sample: Mapping[str, Any]) -> str:
    """The sample as a sentence."""
    if sample.get("failed"):
        return str(sample["msg"])
    if not sample["watching"]:
        return "nothing is watched: run playbooks/phase5.yml with the decision"
    if not sample["running"]:
        return "the bot does not run; look at its journal"
    if not sample["same_start"]:
        return (
            "the bot was restarted since the watch began; run playbooks/phase5.yml again, play one round, judge again"
        )
    text = f"one start of the bot since the watch began; {sample['errors']} errors, {sample['refused_embeds']} refused embeds in its logs"
    return "; ".join([text, *sample["lines"][:3]])


def rounds_sample(rows: Sequence[Mapping[str, Any]], watch: Mapping[str, Any]) -> Dict[str, Any]:
    """What step 5.3 records of the newest session: one entry per half, from rows of session_display.sql."""
    found: Dict[Any, Dict[str, Any]] = {}
    keep = (
        "round_id",
        "map",
        "round_number",
        "played_at",
        "round_status",
        "is_bot",
        "created_unix",
        "started_unix",
        "lua_links",
    )
    for row in rows:
        if row["rank"] == 1:
            one = found.setdefault(row["round_id"], {**{key: row[key] for key in keep}, "players": 0})
            one["players"] += bool(row.get("player_guid"))
    since = watch.get("since_unix")
    # Both clocks: a round may be imported late, and a game server's clock may run ahead.
    rounds = [
        {**one, "since": bool(since and min(one["started_unix"] or 0, one["created_unix"] or 0) >= since)}
        for one in found.values()
    ]
    session = next((row["session"] for row in rows if row["rank"] == 1), None)
    return {"changed": False, "watching": bool(watch), "since_unix": since, "session": session, "rounds": rounds}
