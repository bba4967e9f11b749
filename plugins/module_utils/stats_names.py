"""Names in the stats folder: which are round stats, which are their siblings, and which R1 belongs to an R2.

Grammar (domain.md 2.1): ``YYYY-MM-DD-HHMMSS-<map>-round-<1|2>.txt``, the server's local time when the file was saved.
A map's name holds letters, digits, ``_`` and ``-`` (the copying layer also lets ``.`` and ``+`` through) and has at
most 50 characters; years are 2020 to 2035, which is what the site's bot takes. The siblings of a round carry the same
beginning and another end, so ``*.txt`` always finds several kinds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Dict, Iterable, List, Optional

ROUND = "round"
ENDSTATS = "endstats"
WEAPON_STATS = "weapon_stats"
ENGAGEMENTS = "engagements"
GAMETIME = "gametime"
OTHER = "other"

PAIR_WINDOW_MIN = 45
"""An R1 belongs to an R2 of the same map that was saved at most this much later (domain.md 2.1)."""
YEARS = range(2020, 2036)

_MAP = r"(?P<map>[A-Za-z0-9_.+-]{1,50})"
_STATS = re.compile(
    r"(?P<stamp>\d{4}-\d\d-\d\d-\d{6})-" + _MAP + r"-round-(?P<round>\d{1,2})(?P<end>-endstats|_ws|_engagements)?\.txt",
    re.ASCII,
)
_ENGAGEMENTS = re.compile(r".+_engagements\.txt", re.ASCII)
_GAMETIME = re.compile(r"gametime-(?P<map>[A-Za-z0-9_-]{1,64})-R(?P<round>[12])-(?P<end>\d{1,12})\.json", re.ASCII)
_KINDS = {None: ROUND, "-endstats": ENDSTATS, "_ws": WEAPON_STATS, "_engagements": ENGAGEMENTS}


@dataclass(frozen=True)
class Name:
    """A file's name, judged. ``stamp`` (as written, local time), ``saved`` (the same, naive), ``map`` and ``round`` are
    set for round stats and their siblings; ``end_unix`` (seconds) for a gametime; ``reason`` for ``other``."""

    name: str
    kind: str
    stamp: str = ""
    saved: Optional[datetime] = None
    map: str = ""
    round: Optional[int] = None
    end_unix: Optional[int] = None
    reason: str = ""

    def as_dict(self) -> Dict[str, Any]:
        """For JSON: ``saved`` as ISO text."""
        return {**self.__dict__, "saved": self.saved.isoformat() if self.saved else None}


def parse_name(name: str) -> Name:
    """Judge one file name (no folder). Never raises."""
    match = _GAMETIME.fullmatch(name)
    if match:
        return Name(name, GAMETIME, map=match["map"], round=int(match["round"]), end_unix=int(match["end"]))
    match = _STATS.fullmatch(name)
    if match is None:
        if _ENGAGEMENTS.fullmatch(name):
            return Name(name, ENGAGEMENTS)
        return Name(name, OTHER, reason="not YYYY-MM-DD-HHMMSS-<map>-round-<1|2>.txt nor a sibling of it")
    try:
        saved = datetime.strptime(match["stamp"], "%Y-%m-%d-%H%M%S")
    except ValueError:
        return Name(name, OTHER, reason=f"{match['stamp']} is no date and time")
    if saved.year not in YEARS:
        return Name(name, OTHER, reason=f"the year {saved.year} is outside {YEARS[0]} to {YEARS[-1]}")
    if match["round"] not in ("1", "2"):
        return Name(name, OTHER, reason=f"round {match['round']}, required is 1 or 2")
    return Name(name, _KINDS[match["end"]], match["stamp"], saved, match["map"], int(match["round"]))


def newest_first(names: Iterable[str]) -> List[Name]:
    """The round stats among ``names``, newest first by the time in the name; a copy's or a restored file's time on
    disk says nothing about the round. The same second sorts by round, then by name."""
    found = [name for name in map(parse_name, names) if name.kind == ROUND]
    return sorted(found, key=lambda name: (name.stamp, name.round or 0, name.name), reverse=True)


def first_halves(names: Iterable[Name]) -> Dict[str, List[Name]]:
    """The R1 files among ``names`` by map: what first_half_of looks through."""
    found: Dict[str, List[Name]] = {}
    for name in names:
        if name.kind == ROUND and name.round == 1:
            found.setdefault(name.map, []).append(name)
    return found


def first_half_of(second: Name, names: Iterable[Name], window_min: int = PAIR_WINDOW_MIN) -> Optional[Name]:
    """The R1 of an R2: the nearest earlier one of the same map within the window, of the same day if there is one,
    else of the day before. None for an orphan, and when ``second`` is no R2."""
    if second.kind != ROUND or second.round != 2 or second.saved is None:
        return None
    found = []
    for first in names:
        if first.kind != ROUND or first.round != 1 or first.map != second.map or first.saved is None:
            continue
        age = second.saved - first.saved
        if timedelta(0) < age <= timedelta(minutes=window_min):
            found.append((first.saved.date() != second.saved.date(), age, first.name, first))
    return min(found, key=lambda item: item[:3])[3] if found else None
