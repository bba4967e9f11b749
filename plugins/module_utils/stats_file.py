"""A stats file's content: the header and one line per player, with 38 named fields and the weapons of a bit mask.

Format (domain.md 2.3): ``guid8\\name\\rounds\\team\\MASK w w w w w ... <space>TAB0<tab>...TAB37``; five numbers per set
bit of the mask, in ascending order of the bits. A name may hold a backslash, so everything behind it is found from the
right. What cannot be read is None and named in ``problems``; nothing here raises on any bytes.

An R2 file continues R1's counters for the fields marked cumulative, and starts the others anew: ``second_half`` takes
the difference, and takes a player's values as they are when the counters restarted because the player reconnected.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple, Union

from ansible_collections.slomix.timetracking.plugins.module_utils.quake import strip_colours
from ansible_collections.slomix.timetracking.plugins.module_utils.stats_header import Header, header_of

Number = Union[int, float]

INTEGER = "integer"
TENTHS = "tenths"
CUMULATIVE = "cumulative"
PER_HALF = "half"
RATIO = "ratio"


class Field(NamedTuple):
    """``span``: whether an R2 file holds the match's sum, the half's own value, or a ratio of mixed origin."""

    name: str
    unit: str
    kind: str
    span: str


FIELDS: Tuple[Field, ...] = (
    Field("damage_given", "hit points", INTEGER, CUMULATIVE),
    Field("damage_received", "hit points", INTEGER, CUMULATIVE),
    Field("team_damage_given", "hit points", INTEGER, CUMULATIVE),
    Field("team_damage_received", "hit points", INTEGER, CUMULATIVE),
    Field("gibs", "count", INTEGER, CUMULATIVE),
    Field("self_kills", "count", INTEGER, CUMULATIVE),
    Field("team_kills", "count", INTEGER, CUMULATIVE),
    Field("team_gibs", "count", INTEGER, CUMULATIVE),
    Field("time_played_percent", "percent", TENTHS, RATIO),
    Field("xp", "points", INTEGER, PER_HALF),
    Field("killing_spree", "count", INTEGER, PER_HALF),
    Field("death_spree", "count", INTEGER, PER_HALF),
    Field("kill_assists", "count", INTEGER, PER_HALF),
    Field("kill_steals", "count", INTEGER, PER_HALF),
    Field("headshot_kills", "count", INTEGER, PER_HALF),
    Field("objectives_stolen", "count", INTEGER, PER_HALF),
    Field("objectives_returned", "count", INTEGER, PER_HALF),
    Field("dynamites_planted", "count", INTEGER, PER_HALF),
    Field("dynamites_defused", "count", INTEGER, PER_HALF),
    Field("times_revived", "count", INTEGER, PER_HALF),
    Field("bullets_fired", "count", INTEGER, CUMULATIVE),
    Field("dpm", "hit points per minute", TENTHS, RATIO),
    Field("time_played_minutes", "min", TENTHS, CUMULATIVE),
    Field("tank_meatshield", "points", TENTHS, PER_HALF),
    Field("time_dead_ratio", "percent", TENTHS, RATIO),
    Field("time_dead_minutes", "min", TENTHS, PER_HALF),
    Field("kd_ratio", "ratio", TENTHS, RATIO),
    Field("useful_kills", "count", INTEGER, PER_HALF),
    Field("denied_playtime", "s", INTEGER, PER_HALF),
    Field("multikill_2x", "count", INTEGER, PER_HALF),
    Field("multikill_3x", "count", INTEGER, PER_HALF),
    Field("multikill_4x", "count", INTEGER, PER_HALF),
    Field("multikill_5x", "count", INTEGER, PER_HALF),
    Field("multikill_6x", "count", INTEGER, PER_HALF),
    Field("useless_kills", "count", INTEGER, PER_HALF),
    Field("full_selfkills", "count", INTEGER, PER_HALF),
    Field("repairs_constructions", "count", INTEGER, PER_HALF),
    Field("revives_given", "count", INTEGER, PER_HALF),
)
FIELD_NAMES = tuple(one.name for one in FIELDS)
CUMULATIVE_FIELDS = tuple(one.name for one in FIELDS if one.span == CUMULATIVE)

WEAPONS: Tuple[str, ...] = (
    "WS_KNIFE",
    "WS_KNIFE_KABAR",
    "WS_LUGER",
    "WS_COLT",
    "WS_MP40",
    "WS_THOMPSON",
    "WS_STEN",
    "WS_FG42",
    "WS_PANZERFAUST",
    "WS_BAZOOKA",
    "WS_FLAMETHROWER",
    "WS_GRENADE",
    "WS_MORTAR",
    "WS_MORTAR2",
    "WS_DYNAMITE",
    "WS_AIRSTRIKE",
    "WS_ARTILLERY",
    "WS_SATCHEL",
    "WS_GRENADELAUNCHER",
    "WS_LANDMINE",
    "WS_MG42",
    "WS_BROWNING",
    "WS_CARBINE",
    "WS_KAR98",
    "WS_GARAND",
    "WS_K43",
    "WS_MP34",
    "WS_SYRINGE",
)
"""By the bit of the mask."""

TEAMS = {1: "Axis", 2: "Allies", 3: "spectator"}
SPECTATOR = 3
MAX_BYTES = 1 << 20
"""A file of 64 players has some 30 KB; a larger one is no stats file."""

_GUID = re.compile(rb"[^\\\t\x00-\x20\x7f]{0,8}")
_WHOLE = re.compile(rb"(-?\d{1,12})(?:\.0+)?")
_DECIMAL = re.compile(rb"-?\d{1,12}(?:\.\d{1,6})?")
_COUNT = re.compile(rb"\d{1,9}")


class Weapon(NamedTuple):
    """Five counters; ``headshots`` are hits to the head, not kills."""

    hits: int
    attempts: int
    kills: int
    deaths: int
    headshots: int


NOTHING = Weapon(0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Problem:
    """What is wrong with a line (1 is the header); ``malformed`` when the line is no player line at all."""

    line: int
    text: str
    malformed: bool = False


@dataclass(frozen=True)
class Player:
    """One player line. ``values`` are the 38 tab fields in order, None where unknown; ``extra`` fields behind them."""

    line: int
    guid: str
    name: str
    rounds: int
    team: int
    mask: int
    weapons: Dict[str, Weapon]
    values: Tuple[Optional[Number], ...]
    extra: int = 0

    @property
    def plain_name(self) -> str:
        """The name without colour codes."""
        return strip_colours(self.name)

    @property
    def fields(self) -> Dict[str, Optional[Number]]:
        """Name to value of the tab fields."""
        return {name: self.values[at] for at, name in enumerate(FIELD_NAMES)}

    @property
    def totals(self) -> Weapon:
        """The sum over all weapons."""
        return total(self.weapons)

    def as_dict(self) -> Dict[str, Any]:
        """For JSON."""
        return {
            "line": self.line,
            "guid": self.guid,
            "name": self.name,
            "plain_name": self.plain_name,
            "rounds": self.rounds,
            "team": self.team,
            "mask": self.mask,
            "weapons": {name: weapon._asdict() for name, weapon in self.weapons.items()},
            "fields": self.fields,
        }


@dataclass(frozen=True)
class StatsFile:
    """``header`` is None when the first line is no round header (``reason`` says why). ``truncated``: the last line has
    no newline; that line is not read, since its last number may be cut."""

    header: Optional[Header]
    reason: str
    players: Tuple[Player, ...] = ()
    problems: Tuple[Problem, ...] = ()
    truncated: bool = False

    @property
    def complete(self) -> bool:
        """Whether every line is whole and of the right kind. A cut exactly between two lines cannot be seen here;
        that the file is at rest is for two reads to tell."""
        return self.header is not None and not self.truncated and not any(one.malformed for one in self.problems)

    @property
    def why_incomplete(self) -> str:
        """One sentence, empty for a complete file."""
        if self.header is None:
            return self.reason
        if self.truncated:
            return "the last line has no end: the file is half-written or cut"
        return next((f"line {one.line}: {one.text}" for one in self.problems if one.malformed), "")

    def as_dict(self) -> Dict[str, Any]:
        """For JSON."""
        return {
            "header": self.header.as_dict() if self.header else None,
            "reason": self.reason,
            "complete": self.complete,
            "truncated": self.truncated,
            "players": [player.as_dict() for player in self.players],
            "problems": [{"line": one.line, "text": one.text, "malformed": one.malformed} for one in self.problems],
        }


@dataclass(frozen=True)
class HalfPlayer:
    """What a player did in R2 alone.

    ``how`` is ``difference``, ``new`` (not in R1), ``restarted`` (reconnected; the counters that dropped are in
    ``dropped``) or ``ambiguous`` (several lines may be this player's). ``time_played_s`` is the site's own arithmetic,
    whole seconds cut off the double-precision difference of two numbers in 0.1 min, so that its rows can be compared.
    """

    player: Player
    how: str
    dropped: Tuple[str, ...]
    fields: Dict[str, Optional[Number]]
    weapons: Dict[str, Weapon] = field(default_factory=dict)
    time_played_s: Optional[int] = None


def parse_stats(data: bytes) -> StatsFile:
    """Read a whole file's bytes. Never raises."""
    if len(data) > MAX_BYTES:
        return StatsFile(None, f"{len(data)} bytes, a stats file has at most {MAX_BYTES}")
    header, reason = header_of(data)
    if header is None:
        return StatsFile(None, reason, truncated=bool(data) and not data.endswith(b"\n"))
    lines = data.split(b"\n")
    rest = lines.pop()
    players: List[Player] = []
    problems = [Problem(1, doubt) for doubt in header.doubts]
    for number, line in enumerate(lines[1:], start=2):
        line = line.rstrip(b"\r")
        if not line:
            continue
        player, found = parse_player(line, number)
        problems.extend(found)
        if player is not None:
            players.append(player)
    if rest:
        problems.append(Problem(len(lines) + 1, f"the last line has no end ({len(rest)} bytes, not read)", True))
    return StatsFile(header, "", tuple(players), tuple(problems), bool(rest))


def parse_player(line: bytes, number: int = 0) -> Tuple[Optional[Player], List[Problem]]:
    """One player line without its newline: ``(player or None, problems)``. Never raises."""
    parts = line.rsplit(b"\\", 3)
    if len(parts) < 4 or b"\\" not in parts[0]:
        return None, [_malformed(number, f"{line.count(b'%c' % 92) + 1} fields between backslashes, required are 5")]
    guid, _, name = parts[0].partition(b"\\")
    if not _GUID.fullmatch(guid):
        return None, [_malformed(number, f"the guid {guid[:20]!r} is not of at most 8 visible characters")]
    if not _COUNT.fullmatch(parts[1]) or parts[2] not in (b"1", b"2", b"3"):
        found = f"rounds {parts[1][:20]!r}, team {parts[2][:20]!r}"
        return None, [_malformed(number, f"{found}; required are a number and 1, 2 or 3")]
    tokens, tab, tail = parts[3].partition(b"\t")
    if not tab:
        return None, [_malformed(number, "no tab fields")]
    mask, weapons, why = _weapons(tokens.split())
    if why:
        return None, [_malformed(number, why)]
    texts = tail.split(b"\t")
    problems = []
    if len(texts) < len(FIELDS):
        problems.append(_malformed(number, f"{len(texts)} tab fields, required are {len(FIELDS)}"))
    elif len(texts) > len(FIELDS):
        problems.append(Problem(number, f"{len(texts)} tab fields, known are {len(FIELDS)}"))
    values: List[Optional[Number]] = []
    for at, text in enumerate(texts[: len(FIELDS)]):
        one = FIELDS[at]
        value = _value(one.kind, text)
        if value is None:
            problems.append(Problem(number, f"{one.name} is {text[:20]!r}, required is a {one.kind} number"))
        values.append(value)
    values.extend([None] * (len(FIELDS) - len(values)))
    player = Player(
        number,
        guid.decode("utf-8", "replace"),
        name.decode("utf-8", "replace"),
        int(parts[1]),
        int(parts[2]),
        mask,
        weapons,
        tuple(values),
        max(0, len(texts) - len(FIELDS)),
    )
    return player, problems


def total(weapons: Dict[str, Weapon]) -> Weapon:
    """The sum of several weapons' counters."""
    sums = NOTHING
    for weapon in weapons.values():
        sums = Weapon(*map(operator.add, sums, weapon))
    return sums


def second_half(first: StatsFile, second: StatsFile, restart_drops: int = 1) -> List[HalfPlayer]:
    """What each player of an R2 file did in R2, in the order of the file (domain.md 6).

    Counters restart at 0 when a player reconnects, so ``restart_drops`` or more cumulative counters below R1's mean
    that the values are R2's own (one since 2026-04; the site's parser of February wanted two). A guid that several
    lines share (bots, or clients without one) is told apart by the name; where that fails too, nothing cumulative is
    known of R2 alone.
    """
    shared = _repeated(player.guid for player in first.players) | _repeated(player.guid for player in second.players)
    unclear = _repeated((one.guid, one.name) for one in first.players)
    unclear |= _repeated((one.guid, one.name) for one in second.players)
    before = {_key(player, shared): player for player in first.players}
    known = {player.guid for player in first.players}
    halves = []
    for player in second.players:
        earlier = before.get(_key(player, shared))
        is_shared = player.guid in shared and player.guid in known
        if is_shared and (earlier is None or (player.guid, player.name) in unclear):
            halves.append(_unknown_half(player))
        else:
            halves.append(_half(earlier, player, restart_drops))
    return halves


def _key(player: Player, shared: Set[Any]) -> Tuple[str, str]:
    return player.guid, player.name if player.guid in shared or not player.guid else ""


def _repeated(keys: Iterable[Any]) -> Set[Any]:
    return {key for key, count in Counter(keys).items() if count > 1}


def _unknown_half(player: Player) -> HalfPlayer:
    spans = {one.name: one.span for one in FIELDS}
    fields = {name: value if spans[name] == PER_HALF else None for name, value in player.fields.items()}
    return HalfPlayer(player, "ambiguous", (), fields)


def _half(first: Optional[Player], second: Player, restart_drops: int) -> HalfPlayer:
    fields = second.fields
    weapons = dict(second.weapons)
    dropped: Tuple[str, ...] = ()
    how = "new"
    if first is not None:
        earlier = first.fields
        dropped = tuple(
            [name for name in CUMULATIVE_FIELDS if _less(fields[name], earlier[name])]
            + [
                name
                for name, weapon in first.weapons.items()
                if any(map(operator.lt, weapons.get(name, NOTHING), weapon))
            ]
        )
        how = "restarted" if len(dropped) >= restart_drops else "difference"
    minutes = fields["time_played_minutes"]
    if first is not None and how == "difference":
        minutes = _minus(minutes, earlier["time_played_minutes"])
        for one in FIELDS:
            if one.span == CUMULATIVE:
                left = _minus(fields[one.name], earlier[one.name])
                fields[one.name] = round(left, 1) if left is not None and one.kind == TENTHS else left
        for name, weapon in first.weapons.items():
            weapons[name] = Weapon(*map(_minus_count, weapons.get(name, NOTHING), weapon))
        weapons = {name: weapon for name, weapon in weapons.items() if any(weapon)}
    time_played_s = None if minutes is None else int(minutes * 60)
    sums = total(weapons)
    fields["kd_ratio"] = sums.kills / max(1, sums.deaths)
    fields["dpm"] = _ratio(fields["damage_given"], time_played_s, 60)
    fields["time_dead_ratio"] = _ratio(fields["time_dead_minutes"], minutes, 100)
    return HalfPlayer(second, how, dropped, fields, weapons, time_played_s)


def _less(now: Optional[Number], then: Optional[Number]) -> bool:
    return now is not None and then is not None and now < then


def _minus(now: Optional[Number], then: Optional[Number]) -> Optional[Number]:
    return None if now is None or then is None else max(0, now - then)


def _minus_count(now: int, then: int) -> int:
    return max(0, now - then)


def _ratio(above: Optional[Number], below: Optional[Number], factor: int) -> Optional[float]:
    """``above`` over ``below``; 0 for nothing in no time, None when either is unknown."""
    if above is None or below is None:
        return None
    return above * factor / below if below > 0 else 0.0


def _malformed(number: int, text: str) -> Problem:
    return Problem(number, text, True)


def _weapons(tokens: List[bytes]) -> Tuple[int, Dict[str, Weapon], str]:
    """``(mask, weapons, why not)`` of the mask and its numbers."""
    if not tokens or not all(_COUNT.fullmatch(token) for token in tokens):
        return 0, {}, "the weapon mask and its numbers are not all whole numbers"
    mask = int(tokens[0])
    bits = [bit for bit in range(mask.bit_length()) if mask >> bit & 1]
    if not bits or bits[-1] >= len(WEAPONS):
        return 0, {}, f"the weapon mask {mask} is not of 1 to {len(WEAPONS)} weapons"
    numbers = [int(token) for token in tokens[1:]]
    if len(numbers) != 5 * len(bits):
        return 0, {}, f"{len(numbers)} weapon numbers, the mask {mask} requires {5 * len(bits)}"
    return mask, {WEAPONS[bit]: Weapon(*numbers[5 * at : 5 * at + 5]) for at, bit in enumerate(bits)}, ""


def _value(kind: str, text: bytes) -> Optional[Number]:
    if kind == INTEGER:
        match = _WHOLE.fullmatch(text)
        return int(match.group(1)) if match else None
    return float(text) if _DECIMAL.fullmatch(text) else None
