"""What does a site's parser make of field 9? Files that differ only there are given to it, and the numbers that move
with field 9 tell: ``milliseconds``, ``seconds`` (a thousandfold error), ``ignores``, or ``rejects``.

Two values of field 9 are used, far from field 8 and from every player's own time, so that a number in the parser's
answer that equals field 9 (or its thousandth) for both is no accident. Each is tried with and without the players' own
time (tab field 22), because a parser may rightly prefer that. An answer's key that is named milliseconds may hold them.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils.leftovers import own_folder

from python_checks.stats.compose import Line, Round
from python_checks.stats.replay import DEFAULT_TIMEOUT_S, ParserFailed, Run, failure, leaves, run_parser

MILLISECONDS, SECONDS, IGNORES, REJECTS = "milliseconds", "seconds", "ignores", "rejects"
MINUTES = "minutes"
OWN_MIN = 5.9
DAMAGE = 3000
VALUES_MS = (301250, 407250)
SHORT_MS = 8000
UNKNOWN_TEXTS = ("0", "-5123456", "", "abc", "nan", "inf", "1e309")
_STAMP = "2026-02-20-213000"
_MS_KEY = re.compile(r"(^|[._])(ms|msec|millis\w*)($|[._])", re.IGNORECASE)

Path_ = tuple[Any, ...]


@dataclass
class Probe:
    """``reads`` is the verdict on field 9; ``evidence`` sentences with numbers; ``faults`` what else is wrong with how
    it handles field 9: a value that is no measurement used as one, a file lost, a unit guessed by size; ``log`` its
    lines on the source of a round's time (level, text).
    """

    parser: str
    reads: str
    stand_ins: tuple[str, ...] = ()
    evidence: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    log: list[list[str]] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether Phase 4 may rely on this parser."""
        return self.reads == MILLISECONDS and not self.faults

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.__dict__, "stand_ins": list(self.stand_ins), "right": self.right}


def probe(
    parser: Path,
    *,
    python: str = sys.executable,
    roots: Sequence[Path] = (),
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> Probe:
    """Try the parser; raises ParserFailed when it cannot be run or does not even read an 8-field file."""
    with own_folder(tempfile.gettempdir(), "rollout-probe-") as folder:
        files = []
        for name, data in golden():
            path = Path(folder) / name
            path.parent.mkdir()
            path.write_bytes(data)
            files.append(path)
        run = run_parser(parser, files, python=python, roots=roots, timeout_s=timeout_s)
    return verdict(str(parser), run)


def golden() -> list[tuple[str, bytes]]:
    """The files that a parser is tried on, as (relative path, bytes); each lies in a folder of its own."""
    return [(f"{at}/{one.name(_STAMP)}", one.data()) for at, one in enumerate(_cases().values())]


def verdict(parser: str, run: Run) -> Probe:
    """What the answers for the golden files, in their order, say; raises ParserFailed when even 8 fields are not read."""
    answers = dict(zip(_cases(), run.answers(), strict=True))
    for own in (True, False):
        why = failure(answers[("eight", own)])
        if why:
            raise ParserFailed(f"{run.name} of {parser} does not read an 8-field file, so nothing can be said: {why}")
    log = answers[(str(VALUES_MS[0]), True)]["log"]
    return _judge(Probe(run.name, IGNORES, run.stand_ins, log=log), answers)


def _cases() -> dict[tuple[str, bool], Round]:
    """The files: by (text of field 9 or ``eight``, whether players have a time of their own)."""
    base = Round(
        players=tuple(
            Line(guid, name, team=team, fields={"damage_given": DAMAGE, "time_played_minutes": OWN_MIN})
            for guid, name, team in (("AABBCCDD", "Ana", 1), ("11223344", "Bor", 2))
        )
    )
    cases = {}
    for own in (True, False):
        players = base.players if own else tuple(replace(one, fields={"damage_given": DAMAGE}) for one in base.players)
        for text in ("eight", *map(str, VALUES_MS), str(SHORT_MS), *UNKNOWN_TEXTS):
            cases[(text, own)] = replace(base, players=players, playtime=None if text == "eight" else text)
    return cases


def _judge(found: Probe, answers: dict[tuple[str, bool], dict[str, Any]]) -> Probe:
    low, high = VALUES_MS
    lost = [f"field 9 {text!r}: {why}" for text in map(str, VALUES_MS) if (why := failure(answers[(text, True)]))]
    if lost:
        found.reads, found.evidence = REJECTS, lost
        return found
    units: dict[str, str] = {}
    for own in (True, False):
        one, other = (dict(_numbers(answers[(str(value), own)]["result"])) for value in VALUES_MS)
        for path in (path for path in one if path in other):
            name = ".".join(map(str, path))
            for unit, factor, slack in ((SECONDS, 1, 1.0), (MILLISECONDS, 1000, 1.0), (MINUTES, 60000, 0.1)):
                if all(abs(v - ms / factor) <= slack for v, ms in ((one[path], low), (other[path], high))):
                    if unit == SECONDS and _MS_KEY.search(name):
                        continue  # stored as the milliseconds they are
                    units.setdefault(unit, f"{name} is {one[path]:g} for field 9 {low}")
    if SECONDS in units:
        found.reads = SECONDS
        hours = low / 3600
        found.evidence = [f"{units[SECONDS]}: milliseconds read as seconds, {hours:.1f} h, a factor of 1000"]
    elif units:
        found.reads = MILLISECONDS
        found.evidence = list(units.values())
    else:
        found.evidence = [f"nothing in the answer follows field 9 from {low} to {high}"]
    found.faults = list(_faults(found.reads, answers))
    return found


def _faults(reads: str, answers: dict[tuple[str, bool], dict[str, Any]]) -> Iterator[str]:
    eight = {own: _strip(answers[("eight", own)]["result"]) for own in (True, False)}
    for text in UNKNOWN_TEXTS:
        for own in (True, False):
            answer = answers[(text, own)]
            why = failure(answer)
            if why:
                yield f"field 9 {text!r} loses the file: {why}"
                break
            moved = [
                f"{'.'.join(map(str, path))} {was:g} -> {now:g}"
                for path, was, now in _moved(eight[own], _strip(answer["result"]))
            ]
            if moved:
                yield f"field 9 {text!r} is no measurement, yet it is used: {', '.join(moved[:2])}"
                break
    if reads != MILLISECONDS:
        return
    for own in (True, False):
        answer = answers[(str(SHORT_MS), own)]
        if failure(answer):
            yield f"field 9 {SHORT_MS} (8 s) loses the file: {failure(answer)}"
            return
        raw = [path for path, value in _numbers(answer["result"]) if abs(value - SHORT_MS) < 1]
        names = [name for path in raw if not _MS_KEY.search(name := ".".join(map(str, path)))]
        if names:
            yield f"field 9 {SHORT_MS} (8 s) is read as {SHORT_MS} s in {names[0]}: the unit is guessed by size"
            return


def _numbers(value: Any) -> Iterator[tuple[Path_, float]]:
    """All numbers in an answer with their paths."""
    for path, leaf in leaves(value):
        if isinstance(leaf, (int, float)) and not isinstance(leaf, bool):
            yield path, float(leaf)


def _strip(result: Any) -> dict[Path_, float]:
    return dict(_numbers(result))


def _moved(was: dict[Path_, float], now: dict[Path_, float]) -> Iterator[tuple[Path_, float, float]]:
    """Numbers of the 8-field answer that are others now, unless they follow from the players' own time, which is a
    good source; a number that is new tells nothing."""
    own_s = OWN_MIN * 60
    for path, value in was.items():
        other = now.get(path, value)
        if other != value and abs(other - own_s) > 6 and abs(other / (DAMAGE * 60 / own_s) - 1) > 0.02:
            yield path, value, other
