"""What must hold in every stats file, each violation named with its numbers; what cannot be judged is said, not passed.

Rules and where they come from (plan, timing invariants; domain.md 2.2, 2.3, 7; gates.md 3.4):

* ``not_positive`` - played time is more than 0; a spectator's is not asked for, and 0.0 beside others who played is a
  note: somebody came or left within the printed step.
* ``dead_over_played`` - dead time is at most played time, 0.1 min allowed for the printed step (twice that in R2, where
  played time is a difference).
* ``playtime_unknown`` - a ninth field that is no positive number of milliseconds; ``playtime_seconds`` - it is whole
  seconds, the legacy writer's unit.
* ``playtime_unit`` - field 9 is another measure by a factor near 1000, 60 or their inverse.
* ``playtime_over_limit`` - field 9 is more than field 7 allows; a half cannot outlast its limit.
* ``playtime_not_field8`` - the attackers completed the half, so field 8 is its true time, and field 9 is off by more
  than 2 s. (When the defender won, field 8 is the full limit, also after a surrender, and binds field 9 from above
  only.)
* ``playtime_not_gametime``, ``gametime_duration`` - field 9, or the webhook's own duration, against
  end - start - pauses of the gametime file of the same round: less than 2 s.
* ``name_disagrees`` - map or round of the header is not the name's: a file saved on the way out of a map.
* ``malformed`` - a line or value that the format does not know.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.slomix.timetracking.plugins.module_utils import stats_file, stats_header, stats_names
from ansible_collections.slomix.timetracking.plugins.module_utils.stats_header import Header

TOLERANCE_S = 2.0
STEP_MIN = 0.1
FACTORS = (1000.0, 1 / 1000, 60.0, 1 / 60)
FACTOR_SLACK = 0.05
_PLAYED_FACTOR = 100
"""Players cannot have played a hundredfold of the half: well beyond any rounding, well below the unit's factor."""

GAMETIME_DELAY_S = (-5.0, 90.0)
"""The stats file is saved 3 s after the round's end; the clocks of both are the server's."""
_ZONE_STEP_S = 900
_ZONE_MAX_S = 14 * 3600


@dataclass(frozen=True)
class Violation:
    """One broken rule; ``numbers`` are the values compared, with units in their names."""

    rule: str
    text: str
    numbers: Dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        """For JSON."""
        return {"rule": self.rule, "text": self.text, "numbers": self.numbers}


@dataclass(frozen=True)
class Gametime:
    """The ``meta`` of a gametime file: whole unix seconds and seconds."""

    name: str
    map: str
    round: Optional[int]
    start_unix: float
    end_unix: float
    pauses_s: float
    duration_s: Optional[float]

    @property
    def measured_s(self) -> float:
        """Seconds of the half without pauses."""
        return self.end_unix - self.start_unix - self.pauses_s


@dataclass(frozen=True)
class Checked:
    """One file's result: ``violations``; ``unjudged`` reasons (any of them means that the file is not clean);
    ``notes`` for a person."""

    name: str
    violations: Tuple[Violation, ...] = ()
    unjudged: Tuple[str, ...] = ()
    notes: Tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """``violations``, ``unjudged`` or ``clean``."""
        return "violations" if self.violations else "unjudged" if self.unjudged else "clean"

    def as_dict(self) -> Dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "violations": [one.as_dict() for one in self.violations],
            "unjudged": list(self.unjudged),
            "notes": list(self.notes),
        }


def check_stats(
    name: str,
    stats: stats_file.StatsFile,
    first: Optional[stats_file.StatsFile] = None,
    gametime: Optional[Gametime] = None,
) -> Checked:
    """Check one file. ``first`` is the R1 of an R2, whose counters it continues; ``gametime`` is the same round's."""
    header = stats.header
    if header is None:
        return Checked(name, unjudged=(stats.reason,))
    if stats.truncated:
        return Checked(name, unjudged=(stats.why_incomplete,))
    violations = [Violation("malformed", f"line {one.line}: {one.text}", {"line": one.line}) for one in stats.problems]
    notes: List[str] = []
    violations += _check_name(name, header)
    violations += _check_playtime(header)
    violations += _check_players(stats, header, first, notes)
    if first is not None and first.header is not None and first.header.fields != header.fields:
        notes.append(
            f"R1 has {first.header.fields} fields and this R2 {header.fields}: the writer changed between the halves,"
            " the pair is no evidence for either"
        )
    if gametime is not None:
        violations += _check_gametime(header, gametime)
    return Checked(name, tuple(violations), (), tuple(notes))


def check_folder(
    files: Mapping[str, bytes],
    gametimes: Optional[Sequence[Gametime]] = None,
    zone: Optional[tzinfo] = None,
    wanted: Optional[Iterable[str]] = None,
) -> List[Checked]:
    """Check round files by name (all, or the ``wanted``), R2 with its R1 where that is among ``files``. With
    ``gametimes`` each round must have one; ``zone`` is the server's time zone, without which a file's time is compared
    up to a quarter of an hour."""
    parsed = {name: stats_file.parse_stats(data) for name, data in files.items()}
    names = {name: stats_names.parse_name(name) for name in files}
    firsts = stats_names.first_halves(names.values())
    results = []
    for name in files if wanted is None else wanted:
        stats = parsed[name]
        first = stats_names.first_half_of(names[name], firsts.get(names[name].map, ()))
        match, why = None, ""
        if gametimes is not None and stats.header is not None:
            match, why = find_gametime(names[name], stats.header, gametimes, zone)
        done = check_stats(name, stats, parsed[first.name] if first else None, match)
        results.append(Checked(name, done.violations, done.unjudged + ((why,) if why else ()), done.notes))
    return results


def parse_gametime(name: str, data: bytes) -> Tuple[Optional[Gametime], str]:
    """A gametime file's meta, or ``(None, why)``. Never raises; a number that is none is not guessed."""
    try:
        body = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return None, f"{name} is no JSON: {error}"
    meta = body.get("meta") if isinstance(body, dict) else None
    if not isinstance(meta, dict):
        return None, f"{name} has no object meta"
    start, end, pauses = (_number(meta.get(key)) for key in ("round_start_unix", "round_end_unix", "pause_seconds"))
    if start is None or end is None or pauses is None or not start or not end:
        return None, f"{name}: meta lacks a round_start_unix, round_end_unix or pause_seconds that is a number"
    round_number = _number(meta.get("round"))
    return (
        Gametime(
            name,
            str(meta.get("map")),
            int(round_number) if round_number in (1, 2) else None,
            start,
            end,
            pauses,
            _number(meta.get("actual_duration_seconds")),
        ),
        "",
    )


def find_gametime(
    name: stats_names.Name, header: Header, gametimes: Iterable[Gametime], zone: Optional[tzinfo] = None
) -> Tuple[Optional[Gametime], str]:
    """The gametime of a round file: same map and round, ended some seconds before the file was saved.

    A file's name holds local time. Without ``zone`` the offset may be any quarter of an hour; if more than one gametime
    fits then, that is said instead of a choice.
    """
    if name.saved is None:
        return None, "the file's name tells no time, so its gametime cannot be found"
    fits = [
        one
        for one in gametimes
        if one.map in (header.map, re.sub(r"[^A-Za-z0-9_-]", "_", header.map))
        and one.round == name.round
        and _saved_after(name.saved, one.end_unix, zone)
    ]
    if len(fits) == 1:
        return fits[0], ""
    if not fits:
        return None, f"no gametime of {header.map} R{name.round} that ended just before {name.stamp}"
    found = ", ".join(sorted(one.name for one in fits))
    return None, f"{len(fits)} gametimes fit {name.stamp} ({found}); name the server's time zone"


def _saved_after(saved: datetime, end_unix: float, zone: Optional[tzinfo]) -> bool:
    low, high = GAMETIME_DELAY_S
    if zone is not None:
        return low <= saved.replace(tzinfo=zone).timestamp() - end_unix <= high
    delay = (saved.replace(tzinfo=timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(seconds=1)
    offset = delay - end_unix
    rest = (offset - low) % _ZONE_STEP_S + low
    return abs(offset) <= _ZONE_MAX_S + high and rest <= high


def _check_name(name: str, header: Header) -> List[Violation]:
    named = stats_names.parse_name(name)
    if named.kind != stats_names.ROUND:
        return []
    found = []
    for what, mine, theirs in (("map", header.map, named.map), ("round", header.round, named.round)):
        if mine is not None and mine != theirs:
            text = f"the header says {what} {mine}, the file's name {theirs}"
            found.append(Violation("name_disagrees", text, {"header": mine, "name": theirs}))
    return found


def _check_playtime(header: Header) -> List[Violation]:
    if header.playtime is None:
        return []
    if header.playtime_ms is None:
        return [Violation("playtime_unknown", header.playtime_reason, {"field9": header.playtime})]
    played_s = header.playtime_ms / 1000
    numbers: Dict[str, Any] = {
        "field9": header.playtime,
        "field9_s": played_s,
        "field8_s": header.next_timelimit_s,
        "field7_s": header.timelimit_s,
    }
    if header.playtime_unit == stats_header.UNIT_S:
        text = f"field 9 is {header.playtime}, whole seconds as field 8 ({header.next_timelimit}); required are ms"
        return [Violation("playtime_seconds", text, {**numbers, "factor": 1000})]
    true_s = header.next_timelimit_s if _completed(header) else None
    factor = unit_factor(played_s, true_s or header.timelimit_s)
    if factor and (true_s or factor > 1):
        text = (
            f"field 9 is {header.playtime} ms = {played_s:g} s, {factor:g} times the"
            f" {true_s or header.timelimit_s} s of field {8 if true_s else 7}: another unit than milliseconds"
        )
        return [Violation("playtime_unit", text, {**numbers, "factor": factor})]
    limit_s = header.timelimit_s
    if limit_s is not None and played_s > limit_s + TOLERANCE_S:
        text = (
            f"field 9 is {played_s:g} s, {played_s - limit_s:g} s more than the time limit {header.timelimit}"
            " (field 7); pauses that were not taken off look like that"
        )
        return [Violation("playtime_over_limit", text, numbers)]
    if true_s is not None and abs(played_s - true_s) > TOLERANCE_S:
        text = (
            f"the attackers completed the half in {header.next_timelimit} = {true_s} s (field 8), field 9 is"
            f" {played_s:g} s: {abs(played_s - true_s):g} s apart, allowed are {TOLERANCE_S:g} s"
        )
        return [Violation("playtime_not_field8", text, numbers)]
    return []


def _completed(header: Header) -> bool:
    """Whether field 8 is the half's true time: the attackers won, and it is not the estimate that the old writer puts
    in place of a target already reset, which shows where it exceeds the limit."""
    if not header.winner or not header.defender or header.winner == header.defender:
        return False
    if header.next_timelimit_s is None:
        return False
    return header.timelimit_s is None or header.next_timelimit_s <= header.timelimit_s


def unit_factor(found_s: float, true_s: Optional[float]) -> Optional[float]:
    """The factor of FACTORS that lies between two durations in seconds, within 5 %: an error of unit; else None."""
    if not true_s:
        return None
    ratio = found_s / true_s
    return next((one for one in FACTORS if abs(ratio / one - 1) <= FACTOR_SLACK), None)


def _check_players(
    stats: stats_file.StatsFile, header: Header, first: Optional[stats_file.StatsFile], notes: List[str]
) -> List[Violation]:
    found = []
    is_difference = first is not None and first.complete
    halves = stats_file.second_half(first if is_difference and first else stats_file.StatsFile(None, ""), stats)
    somebody_played = any((half.fields["time_played_minutes"] or 0) > 0 for half in halves)
    if header.round == 2 and not is_difference:
        notes.append("no complete R1 of this R2: played time is checked as the sum of both halves")
    for half in halves:
        player = half.player
        minutes, dead = half.fields["time_played_minutes"], half.fields["time_dead_minutes"]
        who = f"line {player.line} ({player.guid} {player.plain_name!r})"
        numbers = {"line": player.line, "guid": player.guid, "played_min": minutes, "dead_min": dead}
        if minutes is None or dead is None:
            continue  # named as malformed
        if minutes <= 0 and player.team != stats_file.SPECTATOR:
            if minutes == 0 and somebody_played:
                notes.append(f"{who}: played 0 min, less than the step of {STEP_MIN:g} min that is printed")
            else:
                text = f"{who}: played {minutes:g} min, required is more than 0"
                found.append(Violation("not_positive", text, numbers))
        slack = STEP_MIN * (2 if half.how == "difference" else 1)
        if dead > minutes + slack + 1e-9:
            text = f"{who}: dead {dead:g} min of {minutes:g} min played, allowed are {slack:g} min more"
            found.append(Violation("dead_over_played", text, numbers))
        played_s = None if header.playtime_ms is None else header.playtime_ms / 1000
        judged = header.round == 1 or half.how == "difference"
        if judged and played_s and minutes * 60 > max(60.0, _PLAYED_FACTOR * played_s):
            text = (
                f"{who}: played {minutes * 60:g} s, but field 9 is {header.playtime} ms = {played_s:g} s for the whole"
                " half: another unit than milliseconds"
            )
            found.append(Violation("playtime_unit", text, {**numbers, "field9_s": played_s}))
    return found


def _check_gametime(header: Header, gametime: Gametime) -> List[Violation]:
    found = []
    measured = gametime.measured_s
    base = {
        "start_unix": gametime.start_unix,
        "end_unix": gametime.end_unix,
        "pauses_s": gametime.pauses_s,
        "measured_s": measured,
    }
    if measured <= 0:
        text = f"{gametime.name}: end - start - pauses = {measured:g} s, required is more than 0"
        found.append(Violation("not_positive", text, base))
    for rule, what, value in (
        ("playtime_not_gametime", "field 9", None if header.playtime_ms is None else header.playtime_ms / 1000),
        ("gametime_duration", "actual_duration_seconds", gametime.duration_s),
    ):
        if value is not None and not abs(value - measured) < TOLERANCE_S:
            factor = unit_factor(value, measured)
            text = (
                f"{what} is {value:g} s, {gametime.name} has end - start - pauses = {gametime.end_unix:.0f}"
                f" - {gametime.start_unix:.0f} - {gametime.pauses_s:g} = {measured:g} s: {abs(value - measured):g} s"
                f" apart, required is less than {TOLERANCE_S:g} s" + (f"; a factor of {factor:g}" if factor else "")
            )
            found.append(Violation(rule, text, {**base, "value_s": value}))
    return found


def _number(value: Any) -> Optional[float]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < 1e11 else None
