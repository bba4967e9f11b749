"""The timing comparison of Phase 5 out of the ledger: the newest record of step 5.1 of each host, and what can be drawn of it.

Records may be old, damaged or hostile: what is no finite number is left out and counted, never drawn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils import ledger
from ansible_collections.slomix.timetracking.plugins.module_utils.plain import redact

from python_checks.shadow.words import number, rows_of

STEP, LEG = "5.1", "verify"
_LARGEST = 1e9  # seconds; beyond it a number is damage, not time
_MEASURE_ANEW = "ansible-playbook playbooks/validate.yml -e phase=5 measures anew"


@dataclass(frozen=True)
class RoundDot:
    """One round at its ``place`` (from 1) in time. ``difference_s`` is None for a round that is not compared, ``told`` says which
    round it is and what was found."""

    place: int
    session: str
    difference_s: float | None
    bad: bool
    told: str


@dataclass(frozen=True)
class Evening:
    """Rounds of one evening, ``covered`` of them with Lua data; ``lower`` bounds the share (0 to 1), None if not recorded."""

    label: str
    covered: int
    rounds: int
    lower: float | None


@dataclass(frozen=True)
class Plots:
    """What can be drawn. ``pairs`` holds (mean, difference) of single players' rows in seconds; ``unreadable`` counts what was left out."""

    rounds: tuple[RoundDot, ...]
    pairs: tuple[tuple[float, float], ...]
    evenings: tuple[Evening, ...]
    unreadable: int


@dataclass(frozen=True)
class Comparison:
    """One host's newest comparison. ``plots`` is None where ``missing`` says why; ``failed`` is "" unless a newer run could not compare."""

    seq: int
    at: datetime | None
    host: str
    found: Mapping[str, Any]
    plots: Plots | None
    missing: str
    failed: str


def comparisons(records: Sequence[Mapping[str, Any]], folder: Path) -> tuple[Comparison, ...]:
    """The newest comparison of each host that has one; ``records`` oldest first and redacted, ``folder`` holds their raw files."""
    newest: dict[str, Mapping[str, Any]] = {}
    failed: dict[str, str] = {}
    for record in records:
        result = record.get("result")
        about = (record.get("kind"), record.get("step"), record.get("leg"))
        if about != ("step", STEP, LEG) or record.get("check") or not isinstance(result, Mapping):
            continue
        host = str(record.get("host"))
        if result.get("failed") or not isinstance(result.get("verdict"), str):
            failed[host] = (
                f"record {record.get('seq')} could not compare: {result.get('msg') or 'no reason is recorded'}"
            )
        else:
            newest[host] = record
            failed.pop(host, None)
    return tuple(_comparison(host, newest.get(host), failed.get(host, ""), folder) for host in {**newest, **failed})


def _comparison(host: str, record: Mapping[str, Any] | None, failed: str, folder: Path) -> Comparison:
    if record is None:
        return Comparison(0, None, host, {}, None, "", failed)
    found = record["result"]
    plots, missing = _plots(found.get("plots"), folder)
    moment = datetime.fromisoformat(str(record["at"]))
    return Comparison(int(record["seq"]), moment, host, found, plots, missing, failed)


def _plots(value: Any, folder: Path) -> tuple[Plots | None, str]:
    if value is None:
        return None, f"Points to draw are not recorded: the record is older than they are. {_MEASURE_ANEW}."
    text = ledger.recorded_text(str(folder), value)
    if text is None:
        return None, "The recorded points cannot be drawn: their file under raw/ is missing or was changed."
    try:
        drawn = redact(json.loads(text))
    except (ValueError, RecursionError):
        drawn = None
    if not isinstance(drawn, Mapping):
        return None, f"The recorded points cannot be drawn: they are no JSON object. {_MEASURE_ANEW}."
    return read(drawn), ""


def read(drawn: Mapping[str, Any]) -> Plots:
    """``shadow.plots.of`` as it comes back from a record."""
    listed = {name: drawn.get(name) for name in ("rounds", "bland_altman", "coverage")}
    rounds = [_round(place, one) for place, one in enumerate(rows_of(listed["rounds"]), start=1)]
    pairs = [(time_s(one, "mean_s"), time_s(one, "difference_s")) for one in rows_of(listed["bland_altman"])]
    evenings = [_evening(one) for one in rows_of(listed["coverage"])]
    sound = (
        tuple(one for one in rounds if one is not None),
        tuple((mean, difference) for mean, difference in pairs if mean is not None and difference is not None),
        tuple(one for one in evenings if one is not None),
    )
    many = sum(len(part) for part in listed.values() if isinstance(part, list))
    return Plots(*sound, unreadable=many - sum(len(part) for part in sound))


def _round(place: int, one: Mapping[str, Any]) -> RoundDot | None:
    value = one.get("difference_s")
    difference = time_s(one, "difference_s")
    if value is not None and difference is None:
        return None
    half = f" R{one.get('round')}" if one.get("round") in (1, 2) else ""
    name = f"round {one.get('round_id')}, {one.get('played_at') or 'time unknown'}, {one.get('map') or 'map unknown'}{half}"
    reasons = one.get("not_compared")
    why = ", ".join(f"{code} {many}" for code, many in reasons.items()) if isinstance(reasons, Mapping) else ""
    told = f"{difference:+.1f} s" if difference is not None else f"not compared ({why or 'too few players'})"
    bad = one.get("bad") is True
    return RoundDot(place, str(one.get("session")), difference, bad, f"{name}: {told}{', bad round' if bad else ''}")


def _evening(one: Mapping[str, Any]) -> Evening | None:
    covered, rounds = _count(one, "covered"), _count(one, "rounds")
    if covered is None or not rounds or covered > rounds:
        return None
    lower = number(one, "lower")
    day = re.match(r"\d{4}-\d\d-\d\d", str(one.get("played_at") or ""))
    session = str(one.get("session"))
    label = day.group() if day else f"evening {session}" if session.isdigit() else session
    return Evening(label, covered, rounds, lower if lower is not None and 0 <= lower <= covered / rounds else None)


def _count(one: Mapping[str, Any], name: str) -> int | None:
    value = one.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST else None


def time_s(values: Any, name: str) -> float | None:
    """Seconds out of a mapping; None for what is no number or too large to be a time."""
    value = number(values, name)
    return value if value is not None and abs(value) < _LARGEST else None
