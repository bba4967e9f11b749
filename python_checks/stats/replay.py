"""Run a site's own parser on stats files and compare: two parsers on the same files, or one on files of known content.

``run_parser`` starts parser_runner.py, which says what keeps such a run harmless. ``replay`` tells whether a changed
parser moves anything it must not: rows of 8-field files are equal to the bit, those of 9-field files differ only in
what follows from field 9 (ALLOWED), and by the rule that field 9 is milliseconds.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils import parser_run, stats_file
from ansible_collections.slomix.timetracking.plugins.module_utils.leftovers import own_folder
from ansible_collections.slomix.timetracking.plugins.module_utils.parser_run import (
    DEFAULT_TIMEOUT_S,
    ParserFailed,
    Run,
    failure,
    rows,
)
from ansible_collections.slomix.timetracking.plugins.module_utils.stats_header import clock_text

RUNNER = Path(__file__).with_name("parser_runner.py")

ALLOWED = {
    "time_played_seconds": "field 9 / 1000 (1 s), or the player's own minutes x 60 (1 s)",
    "time_display": "M:SS of time_played_seconds",
    "dpm": "damage x 60 / time_played_seconds (1 %)",
    "actual_playtime_seconds": "field 9 / 1000 (1 s)",
    "round_time_seconds": "field 9 / 1000 (1 s)",
    "round_time_source": "any text",
}
"""Values of a 9-field file that a parser with the right unit changes, and the rule for the new value."""

DEFAULT_S = 300
"""What a parser takes where neither field 9 nor field 8 says a time (domain.md 6)."""

__all__ = ["ALLOWED", "ParserFailed", "Report", "Run", "compare", "failure", "leaves", "replay", "run_parser"]


@dataclass(frozen=True)
class Difference:
    """One value that differs in one file; ``allowed`` when a rule for 9-field files covers it."""

    file: str
    path: str
    before: Any
    after: Any
    allowed: bool
    why: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dict(self.__dict__)


@dataclass
class Report:
    """``files`` per number of header fields (0: no round header); ``equal`` files; the differences."""

    before: str
    after: str
    files: dict[int, int] = field(default_factory=dict)
    equal: int = 0
    failed: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def refused(self) -> list[Difference]:
        """Differences that no rule covers."""
        return [one for one in self.differences if not one.allowed]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "before": self.before,
            "after": self.after,
            "files": {str(key): count for key, count in sorted(self.files.items())},
            "equal": self.equal,
            "failed_in_both": self.failed,
            "differences": [one.as_dict() for one in self.differences],
            "refused": len(self.refused),
        }


def run_parser(
    parser: Path,
    files: Sequence[Path],
    *,
    python: str = sys.executable,
    roots: Sequence[Path] = (),
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> Run:
    """parser_run.run_parser with the runner that lies here; raises ParserFailed."""
    return parser_run.run_parser(RUNNER, parser, files, python=python, roots=roots, timeout_s=timeout_s)


def replay(
    before: Path,
    after: Path,
    files: Sequence[Path],
    *,
    python: str = sys.executable,
    roots: Sequence[Path] = (),
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> Report:
    """Both parsers on copies of all ``files``; raises ParserFailed.

    A changed parser often lies outside the site's tree, so both may import from the folders of the first.
    """
    roots = [*roots, before.resolve().parent.parent, before.resolve().parent]
    with own_folder(tempfile.gettempdir(), "rollout-replay-") as folder:
        staged = list(parser_run.stage(files, Path(folder)))
        with ThreadPoolExecutor(2) as pool:
            runs = list(
                pool.map(
                    lambda one: run_parser(one, staged, python=python, roots=roots, timeout_s=timeout_s),
                    (before, after),
                )
            )
        parsed = [stats_file.parse_stats(path.read_bytes()) for path in staged]
    return compare(runs[0], runs[1], [path.name for path in files], parsed)


def compare(before: Run, after: Run, names: Sequence[str], parsed: Sequence[stats_file.StatsFile]) -> Report:
    """The differences of two runs over the same files."""
    report = Report(before.name, after.name)
    known = dict(zip(names, parsed, strict=True))
    lost = {name for line, name in zip(before.lines, names, strict=True) if failure(rows(line))}
    for old_line, new_line, name, stats in zip(before.lines, after.lines, names, parsed, strict=True):
        fields = stats.header.fields if stats.header else 0
        report.files[fields] = report.files.get(fields, 0) + 1
        old, new = rows(old_line), rows(new_line)
        # By their text: 1 equals True and 1.0, but is another row.
        if json.dumps(old) == json.dumps(new):
            report.equal += 1
            report.failed += bool(failure(old))
            continue
        first = _first_half(new)
        rescued = _rescued(old, new, stats, known.get(first), first in lost)
        if rescued:
            report.differences.append(Difference(name, "(file)", failure(old), "read", True, rescued))
            continue
        for path, one, other in _different(old, new):
            allowed, why = _judge(path, other, new, stats)
            report.differences.append(Difference(name, ".".join(map(str, path)), one, other, allowed, why))
    return report


def _first_half(answer: dict[str, Any]) -> str:
    """The R1 file that the parser names for an R2; empty without one."""
    result = answer.get("result")
    return str(result.get("r1_filename") or "") if isinstance(result, dict) else ""


def _rescued(
    old: dict[str, Any],
    new: dict[str, Any],
    stats: stats_file.StatsFile,
    first: stats_file.StatsFile | None,
    first_lost: bool,
) -> str:
    """A sentence if a file that was lost for a field 9 that is no measurement is read now, with the right time.

    That field may be the one of ``first``, its R1: where that was lost (``first_lost``), the R2 was lost with it.
    """
    suspects = [one.header for one in (stats, first if first_lost else None) if one is not None]
    guilty = [one for one in suspects if one is not None and one.playtime is not None and one.playtime_ms is None]
    if stats.header is None or not guilty or not failure(old) or failure(new):
        return ""
    times = [(path, value) for path, value in leaves(new) if path and path[-1] == "time_played_seconds"]
    right = times and all(_time_fits(value, _owner(path, new), stats, first) for path, value in times)
    return (
        f"{guilty[0].playtime_reason}; the file was lost, now it is read with another source of time" if right else ""
    )


def _owner(path: tuple[Any, ...], answer: dict[str, Any]) -> Any:
    """The container of the value at ``path``."""
    owner: Any = answer
    for key in path[:-1]:
        owner = owner[key]
    return owner


def _time_fits(
    value: Any, owner: Mapping[str, Any], stats: stats_file.StatsFile, first: stats_file.StatsFile | None = None
) -> bool:
    """Whether a player's seconds are the round's, or his own minutes: of this file, or of this half after ``first``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or stats.header is None:
        return False
    duration_s = stats.header.duration_s
    if abs(value - (DEFAULT_S if duration_s is None else duration_s)) <= 1:
        return True
    guid = str(owner.get("guid") or owner.get("player_guid") or "")[:8].upper()
    minutes = [one.fields["time_played_minutes"] for one in stats.players if one.guid == guid]
    own_s = [one * 60 for one in minutes if one is not None and one > 0]
    if first is not None:
        halves = [half.time_played_s for half in stats_file.second_half(first, stats) if half.player.guid == guid]
        own_s += [one for one in halves if one is not None]
    return any(abs(value - one) <= 1 for one in own_s)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """All values in plain data that are no container, with their paths."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path, value
        return
    for key, item in items:
        yield from leaves(item, (*path, key))


_ABSENT = "(absent)"


def _different(old: Any, new: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    """Paths at which two plain values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _different(old.get(key, _ABSENT), new.get(key, _ABSENT), (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for at, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _different(one, other, (*path, at))
    elif type(old) is not type(new) or old != new:
        yield path, old, new


def _judge(path: tuple[Any, ...], value: Any, answer: dict[str, Any], stats: stats_file.StatsFile) -> tuple[bool, str]:
    """Whether a new value of a file may differ, and the rule or the reason."""
    header = stats.header
    if header is None or header.playtime is None:
        return False, "an 8-field file must give the same rows" if header else "no round header: must give the same"
    name = str(path[-1]) if path else ""
    if name not in ALLOWED:
        return False, f"{name or 'the answer'} does not follow from field 9"
    owner = _owner(path, answer)
    rule = ALLOWED[name]
    if name == "round_time_source":
        return isinstance(value, str), rule
    if name == "time_display":
        seconds = owner.get("time_played_seconds") if isinstance(owner, Mapping) else None
        fits = isinstance(seconds, (int, float)) and value == clock_text(int(seconds))
        return fits, rule
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False, f"{value!r} is no number; rule: {rule}"
    if name == "dpm":
        seconds, damage = owner.get("time_played_seconds"), owner.get("damage_given")
        if not all(isinstance(one, (int, float)) for one in (seconds, damage)):
            return False, f"no time or damage beside it; rule: {rule}"
        expected = damage * 60 / seconds if seconds > 0 else 0.0
        return abs(value - expected) <= max(0.01 * expected, 0.05), f"{rule}: {expected:.1f}"
    duration_s = DEFAULT_S if header.duration_s is None else header.duration_s
    if abs(value - duration_s) <= 1 or (name == "time_played_seconds" and _time_fits(value, owner, stats)):
        return True, rule
    return False, f"{value} is not what field 9 ({header.playtime}) or field 8 ({header.next_timelimit}) says; {rule}"
