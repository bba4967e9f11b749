"""The first line of a stats file: eight fields of the old writer, nine of the new one, typed and with units.

Format (domain.md 2.2): ``server\\map\\config\\round\\defender\\winner\\M:SS\\M:SS[\\playtime]`` and a newline. There is
no escaping, so a backslash in the server's name shifts the fields: the line is resolved **from the right**, where
round, defender and winner are integers and the time limit is a clock. That anchor fits at one place at most, since no
text is an integer and a clock.

Unit of field 9. The writer's contract is milliseconds as plain integer digits. The one exception is a rule, not a
guess by size: field 8 is a duration cut off to M:SS, so a field 9 that is *the same number of seconds as field 8, or
one more* (the second that cutting off may cost) is the whole-second legacy writer's. Read as milliseconds such a value
would be a half of less than a few seconds whose target happens to have the same digits. Everything else that is not a
positive integer of at most a day is unknown, and unknown is None, never a number.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Optional, Tuple

FIELDS_OLD = 8
FIELDS_NEW = 9
AXIS = 1
ALLIES = 2
SIDES = {0: "unknown", AXIS: "Axis", ALLIES: "Allies"}
UNIT_MS = "ms"
UNIT_S = "s"
FIELD9 = "field9"
HEADER = "header"
UNKNOWN = "unknown"

MAX_PLAYTIME_MS = 24 * 3600 * 1000
"""No half lasts a day: the game server is restarted every day (domain.md 1.1)."""
_MAX_LINE = 4096

_INTEGER = re.compile(rb"-?\d{1,9}")
_CLOCK_SHAPE = re.compile(rb"-?\d{1,9}:-?\d{1,3}")
_CLOCK = re.compile(r"(\d{1,5}):([0-5]\d)", re.ASCII)
_PLAYTIME = re.compile(r"[1-9]\d{0,11}", re.ASCII)
_NOT_POSITIVE = re.compile(r"-\d{1,20}|0", re.ASCII)
_MINUTES = re.compile(r"\d{1,6}(\.\d{1,12})?", re.ASCII)


@dataclass(frozen=True)
class Header:
    """One header. Text fields are as sent (colour codes kept, no UTF-8 replaced); None is unknown or absent.

    ``timelimit`` and ``next_timelimit`` (fields 7 and 8) and ``playtime`` (field 9; None with eight fields) keep the
    file's text beside the values in seconds and milliseconds. ``playtime_unit`` is what field 9 was read as,
    ``playtime_reason`` why it is unknown. ``doubts`` are sentences on values outside their range.
    """

    fields: int
    server: str
    map: str
    config: str
    round: Optional[int]
    defender: Optional[int]
    winner: Optional[int]
    timelimit: str
    next_timelimit: str
    timelimit_s: Optional[int]
    next_timelimit_s: Optional[int]
    playtime: Optional[str]
    playtime_ms: Optional[int]
    playtime_unit: Optional[str]
    playtime_reason: str
    doubts: Tuple[str, ...] = ()

    @property
    def duration_s(self) -> Optional[float]:
        """Seconds of the half as a reader may use them: field 9, else field 8 (a stopwatch target), else None."""
        return self.next_timelimit_s if self.playtime_ms is None else self.playtime_ms / 1000

    @property
    def duration_source(self) -> str:
        """``field9``, ``header`` (field 8) or ``unknown``."""
        if self.playtime_ms is not None:
            return FIELD9
        return UNKNOWN if self.next_timelimit_s is None else HEADER

    def as_dict(self) -> Dict[str, Any]:
        """All fields and the duration, for JSON."""
        return {
            **asdict(self),
            "doubts": list(self.doubts),
            "duration_s": self.duration_s,
            "duration_source": self.duration_source,
        }


def parse_header(line: bytes) -> Tuple[Optional[Header], str]:
    """A header line without its newline; ``(header, "")``, or ``(None, why it is not one)``. Never raises."""
    if len(line) > _MAX_LINE:
        return None, f"the first line has {len(line)} bytes, a round header has at most {_MAX_LINE}"
    parts = line.rstrip(b"\r").split(b"\\")
    at = _anchor(parts)
    if at is None:
        return None, _refusal(parts)
    texts = [_text(part) for part in parts]
    doubts: List[str] = []
    limit, following = texts[at + 3].strip(), texts[at + 4].strip()
    following_s = clock_seconds(following)
    playtime = texts[at + 5].strip() if len(parts) - at == 6 else None
    playtime_ms, unit, reason = (None, None, "the header has eight fields")
    if playtime is not None:
        playtime_ms, unit, reason = read_playtime(playtime, following_s)
    header = Header(
        fields=FIELDS_OLD if playtime is None else FIELDS_NEW,
        server="\\".join(texts[: at - 2]),
        map=texts[at - 2],
        config=texts[at - 1],
        round=_within(int(parts[at]), (1, 2), "round (field 4)", doubts),
        defender=_within(int(parts[at + 1]), (AXIS, ALLIES), "defender (field 5)", doubts),
        winner=_within(int(parts[at + 2]), (0, AXIS, ALLIES), "winner (field 6)", doubts),
        timelimit=limit,
        next_timelimit=following,
        timelimit_s=clock_seconds(limit),
        next_timelimit_s=following_s,
        playtime=playtime,
        playtime_ms=playtime_ms,
        playtime_unit=unit,
        playtime_reason=reason,
        doubts=tuple(doubts),
    )
    return (header, "") if header.map else (None, "field 2 (map) is empty, required is a map's name")


def header_of(data: bytes) -> Tuple[Optional[Header], str]:
    """The header of a file's bytes, as parse_header. A first line without its newline is half-written: its last
    number may be cut, so nothing is read from it."""
    if not data:
        return None, "the file is empty"
    end = data.find(b"\n")
    if end < 0:
        return None, "the first line has no end: the file is half-written or cut; read it again when it is complete"
    return parse_header(data[:end])


def read_playtime(text: str, next_timelimit_s: Optional[int]) -> Tuple[Optional[int], Optional[str], str]:
    """Field 9 as ``(milliseconds, unit it was written in, why unknown)``; the rule is in the module's text."""
    if not _PLAYTIME.fullmatch(text):
        if not text:
            return None, None, "field 9 is empty"
        if _NOT_POSITIVE.fullmatch(text):
            return None, None, f"field 9 is {text}, a measured half is longer than 0 ms"
        return None, None, f"field 9 is {text[:40]!r}, required are the digits of a whole number of milliseconds"
    number = int(text)
    if next_timelimit_s is not None and number - next_timelimit_s in (0, 1):
        return number * 1000, UNIT_S, ""
    if number > MAX_PLAYTIME_MS:
        return None, None, f"field 9 is {number} ms, more than a day"
    return number, UNIT_MS, ""


def clock_seconds(text: str) -> Optional[int]:
    """Seconds of ``M:SS`` as the writer prints it; None for 0:00 (no limit, or a cvar that was reset already), for
    seconds over 59, and for anything else."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    return int(match.group(1)) * 60 + int(match.group(2)) or None


def clock_text(seconds: int) -> str:
    """M:SS of whole seconds, as headers and displays write it; minutes have no bound.

    >>> clock_text(442)
    '7:22'
    """
    return f"{seconds // 60}:{seconds % 60:02d}"


def limit_seconds(minutes_text: str) -> Optional[float]:
    """Seconds of the cvar ``timelimit`` (minutes, up to six decimals); None for 0 and for what is no such number."""
    if not _MINUTES.fullmatch(minutes_text):
        return None
    return float(minutes_text) * 60 or None


def limit_clock(minutes_text: str) -> Optional[str]:
    """The M:SS that the writer prints for a cvar in minutes: cut off to the millisecond, then to the second.

    ``7.374583`` -> ``7:22``; ``7.033333``, which is 422 s stored with six decimals, -> ``7:01``.
    """
    if limit_seconds(minutes_text) is None:
        return None
    return clock_text(math.floor(float(minutes_text) * 60000) // 1000)


def _anchor(parts: List[bytes]) -> Optional[int]:
    """Index of field 4 in ``parts``: three integers and a clock, one or two fields before the end of the line."""
    for behind in (5, 6):
        at = len(parts) - behind
        if at < 3 or not all(_INTEGER.fullmatch(part) for part in parts[at : at + 3]):
            continue
        if _CLOCK_SHAPE.fullmatch(parts[at + 3].strip()):
            return at
    return None


def _refusal(parts: List[bytes]) -> str:
    if len(parts) < FIELDS_OLD:
        tabs = " (tabs instead: an endstats file looks like that)" if b"\t" in parts[0] else ""
        return f"{len(parts)} fields between backslashes{tabs}, a round header has {FIELDS_OLD} or {FIELDS_NEW}"
    shown = "\\".join(_text(part) for part in parts[-6:])[-80:]
    return (
        f"{len(parts)} fields end in {shown!r}; required are round, defender, winner (integers), time limit and next"
        " time limit (M:SS) and at most one field more"
    )


def _within(number: int, allowed: Tuple[int, ...], what: str, doubts: List[str]) -> Optional[int]:
    if number in allowed:
        return number
    doubts.append(f"{what} is {number}, required is one of {', '.join(map(str, allowed))}")
    return None


def _text(part: bytes) -> str:
    return part.decode("utf-8", "replace")
