"""A service as the release of its source sees it: does it run, since when, which interpreter, and is it healthy."""

from __future__ import annotations

import os
import re
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ansible_collections.slomix.timetracking.plugins.module_utils.http_read import get_json

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "MainPID",
    "NRestarts",
    "ExecMainStartTimestampMonotonic",
    "InvocationID",
    "ExecStart",
)
JOURNAL_LINES = 40
POLL_S = 0.5
_PATH = re.compile(r"path=(\S+)")
_PYTHON = re.compile(r"python[0-9.]*$")

RunCommand = Callable[[List[str]], Tuple[int, str, str]]


def parse_show(text: str, now_unix: float, now_monotonic: float) -> Dict[str, Any]:
    """``systemctl show`` as facts: load, active, pid (None when it does not run), started_unix, invocation (systemd's own
    id of this start), restarts, python."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    active, sub = values.get("ActiveState", ""), values.get("SubState", "")
    pid = _whole(values.get("MainPID")) or None
    started_us = _whole(values.get("ExecMainStartTimestampMonotonic"))
    started: Optional[float] = None
    if pid is not None and started_us:
        started = round(now_unix - now_monotonic + started_us / 1e6, 3)
    path = _PATH.search(values.get("ExecStart", ""))
    python = path.group(1) if path and _PYTHON.search(path.group(1)) else ""
    return {
        "load": values.get("LoadState", ""),
        "active": active,
        "sub": sub,
        "running": active == "active" and sub == "running" and pid is not None,
        "pid": pid,
        "started_unix": started,
        "invocation": values.get("InvocationID", ""),
        "restarts": _whole(values.get("NRestarts")),
        "python": python,
    }


def _whole(text: Optional[str]) -> Optional[int]:
    return int(text) if text and text.isdigit() else None


def read(run_command: RunCommand, name: str, target: str) -> Dict[str, Any]:
    """Facts of the unit, and ``loaded``: whether its process started after ``target`` was last replaced (None when it
    does not run or a time is not known)."""
    rc, out, err = run_command(["systemctl", "show", "-p", ",".join(PROPERTIES), "--", name])
    facts = parse_show(out if rc == 0 else "", time.time(), time.monotonic())
    facts["name"] = name
    facts["problem"] = "" if rc == 0 else err.strip() or f"systemctl show ended with {rc}"
    facts["loaded"] = loaded(facts, replaced_unix(target))
    return facts


def replaced_unix(target: str) -> Optional[float]:
    """When the file came to its place: a rename sets the change time, which no copy can take along."""
    try:
        return os.stat(target).st_ctime
    except OSError:
        return None


def loaded(facts: Mapping[str, Any], replaced: Optional[float]) -> Optional[bool]:
    """Whether a running process is younger than the file."""
    started = facts["started_unix"]
    if not facts["running"] or started is None or replaced is None:
        return None
    return bool(started >= replaced)


def health(url: str, timeout_s: float) -> Dict[str, Any]:
    """``{url, ok, idle, problem}``; ok is None without a URL, idle None when the answer does not say it."""
    if not url:
        return {"url": "", "ok": None, "idle": None, "problem": "no health URL is named"}
    answer = get_json(url, timeout_s)
    body = answer["body"] if isinstance(answer["body"], dict) else {}
    idle = body.get("idle")
    # An error page in JSON is no health: the status decides, and a body that calls itself unwell.
    well = answer["status"] == 200 and str(body.get("status", "ok")).lower() not in ("error", "unhealthy", "down")
    return {
        "url": url,
        "ok": well,
        "idle": idle if isinstance(idle, bool) else None,
        "problem": "" if well else answer["error"] or f"{url} answered {answer['status']} {body.get('status', '')}",
    }


def settled(
    observe: Callable[[], Tuple[Dict[str, Any], Dict[str, Any]]],
    old_pid: Optional[int],
    timeout_s: float,
    settle_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Wait until ``observe`` -> (unit, health) shows one new process running and healthy for ``settle_s`` without a
    break; "" then, else what was missing after ``timeout_s``.

    A service that dies and is started again by systemd never keeps one process that long.
    """
    deadline, since, steady = clock() + timeout_s, 0.0, None
    while True:
        unit, state = observe()
        mark = (unit["pid"], unit["restarts"])
        problem = _missing(unit, state, old_pid)
        now = clock()
        if problem or mark != steady:
            since, steady = now, None if problem else mark
        elif now - since >= settle_s:
            return ""
        if now >= deadline:
            return problem or f"{unit['name']} did not stay up for {settle_s:g} s (restarted {unit['restarts']} times)"
        sleep(POLL_S)


def _missing(unit: Mapping[str, Any], state: Mapping[str, Any], old_pid: Optional[int]) -> str:
    if not unit["running"]:
        return f"{unit['name']} is {unit['active'] or 'unknown'} ({unit['sub'] or unit['problem'] or 'no state'})"
    if unit["pid"] == old_pid:
        return f"{unit['name']} still runs as the old process {old_pid}"
    return str(state["problem"]) if state["ok"] is False else ""
