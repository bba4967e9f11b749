"""Reading and comparing probe logs: records, the deviation list, and the comparison that the conformance tests rest on."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import yaml

from python_checks import engine
from python_checks.engine import Server, VirtualClock, load_match

DEVIATIONS = Path(engine.__file__).parent / "deviations.yml"
_RECORD = re.compile(r"^\[(-?\d+)\] ")


def records(text: str) -> list[str]:
    """Log text to records; a printed newline continues the record on the next line."""
    found: list[str] = []
    for line in text.split("\n"):
        if _RECORD.match(line):
            found.append(line)
        elif found and line:
            found[-1] += "\n" + line
    return found


def deviations() -> list[dict[str, Any]]:
    """The list of known deviations."""
    return yaml.safe_load(DEVIATIONS.read_text(encoding="utf-8")) or []


def comparable(found: list[str], trace: str) -> list[str]:
    """Records after the deviation list was applied."""
    kept = found
    for entry in deviations():
        if entry.get("trace", "") not in trace:
            continue
        if "drop" in entry:
            pattern = re.compile(entry["drop"], re.S)
            kept = [record for record in kept if not pattern.search(record)]
        else:
            pattern = re.compile(entry["replace"], re.S)
            kept = [pattern.sub(entry["with"], record) for record in kept]
    return [_sorted_deltas(record) for record in kept]


def _sorted_deltas(record: str) -> str:
    """Lua's table order is arbitrary: sort the frame lengths of a summary record."""
    head, mark, tail = record.partition(" deltas: ")
    return head + mark + ", ".join(sorted(tail.split(", "))) if mark else record


def differences(recorded: list[str], ours: list[str], trace: str) -> list[str]:
    """Unified diff of the two logs, empty when they agree."""
    return list(
        difflib.unified_diff(
            comparable(recorded, trace), comparable(ours, trace), "recorded", "stand-in", lineterm="", n=2
        )
    )


def play_probe(data: Path, folder: Path, trace: str) -> list[str]:
    """Play the scenario that belongs to a trace with the probe loaded; the probe's records."""
    interpreter = "luajit" if "luajit" in trace else "lua54"
    match = load_match(data / "engine" / f"{trace}.yml")
    (folder / "base/legacy/luascripts").mkdir(parents=True)
    (folder / "home/legacy").mkdir(parents=True)
    (folder / "base/legacy/luascripts/probe.lua").write_bytes((data / "engine/probe.lua").read_bytes())
    server = Server(
        folder / "base",
        folder / "home",
        interpreter=interpreter,
        lua_modules="luascripts/probe.lua",
        cvars={"g_doWarmup": "1" if match.warmup else "0", **match.cvars},
        clock=VirtualClock(epoch_s=1795329000),
        nominal_basepath=f"/home/et/etlegacy-v{trace.split('-')[1]}-x86_64",
        nominal_homepath="/home/et/.etlegacy",
    )
    server.boot(match.map, match.timelimit_min)
    server.play(match)
    server.quit()
    return records((folder / "home/legacy/probe.log").read_text(encoding="latin-1"))
