"""A match is data: what an operator writes in YAML, as typed objects. The grammar is described in ``matches/README.md``."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .weapons import WEAPONS

MATCHES = Path(__file__).resolve().parent / "matches"
TEAMS = {"axis": 1, "allies": 2, "spectator": 3}
MAX_PLAYERS = 64

#: Verb of an event -> options it may carry beside ``at_s``; a trailing ``!`` marks a required one.
VERBS: dict[str, tuple[str, ...]] = {
    "kill": ("by!", "weapon", "headshot"),
    "damage": ("by!", "weapon", "amount", "headshot"),
    "miss": ("weapon", "shots"),
    "revive": ("by!",),
    "suicide": (),
    "pause": ("for_s",),
    "chat": ("text!", "team"),
    "callvote": ("vote!", "passes"),
    "team": ("to!",),
    "join": (),
    "leave": (),
    "reconnect": ("after_s",),
    "rename": ("to!",),
    "command": ("text!",),
    "console": (),
    "print": (),
}
#: Kind of end -> options.
ENDS: dict[str, tuple[str, ...]] = {
    "time_limit": (),
    "objective_s": ("announce",),
    "surrender_s": ("by!",),
    "map_s": ("to!",),
    "map_restart_s": (),
    "reset_match_s": (),
    "empty_team_s": ("team!",),
    "stop_s": (),
}
_MATCH_KEYS = (
    *("about", "map", "timelimit_min", "warmup", "sv_fps", "seed", "defender"),
    *("intermission_s", "starts_at", "cvars", "players", "crowd", "halves"),
)
_PEOPLE = (
    "kill",
    "damage",
    "miss",
    "revive",
    "suicide",
    "chat",
    "callvote",
    "team",
    "join",
    "leave",
    "reconnect",
    "rename",
    "command",
)


class MatchError(ValueError):
    """A match file that cannot be played: what was found, what is required."""


@dataclass(frozen=True)
class Player:
    """One player. ``team`` is that of the first round; ``*_s`` are seconds after the map load; ``later``: comes by an event."""

    name: str
    guid: str
    team: str
    connect_s: float = 1.95
    begin_s: float = 2.1
    team_s: float = 2.2
    later: bool = False


@dataclass(frozen=True)
class Event:
    """One thing that happens ``at_s`` seconds after the half's beginning (of ``before`` events: after the level's load)."""

    at_s: float
    verb: str
    who: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Half:
    """One stretch of play and how it ends. ``at_s`` counts all time since the half went live, pauses included."""

    end: str
    at_s: float | None
    options: dict[str, Any] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    before: tuple[Event, ...] = ()
    kills_per_min: float = 0.0


@dataclass(frozen=True)
class Match:
    """A whole match. ``timelimit_min`` is the text of the cvar; ``defender`` is the team that defends the map in both rounds.

    ``starts_at_s`` is the local time of day (seconds after midnight) at which the map loads, None for any.
    """

    name: str
    about: str
    map: str
    timelimit_min: str
    warmup: bool
    sv_fps: int | None
    seed: int
    defender: str
    intermission_s: float
    starts_at_s: int | None
    cvars: dict[str, str]
    players: tuple[Player, ...]
    halves: tuple[Half, ...]


@dataclass(frozen=True)
class HalfResult:
    """What happened in one half.

    ``play_ms``: true play time without pauses; ``pauses``: (start, end) in level ms;
    ``winner`` and ``defender``: 1 Axis, 2 Allies, 0 unknown; ``completed``: reached the intermission;
    ``limit_min``, ``next_limit_min``: texts of the cvars ``timelimit`` and ``g_nextTimeLimit`` at the end.
    """

    round: int
    map: str
    end: str
    completed: bool
    winner: int
    defender: int
    limit_min: str
    next_limit_min: str
    start_level_ms: int
    end_level_ms: int
    start_unix_ms: int
    end_unix_ms: int
    play_ms: int
    pauses: tuple[tuple[int, int], ...]
    players: tuple[dict[str, Any], ...]

    @property
    def pause_ms(self) -> int:
        """Sum of all pauses."""
        return sum(end - start for start, end in self.pauses)


@dataclass(frozen=True)
class MatchResult:
    """All halves of a match in order."""

    name: str
    halves: tuple[HalfResult, ...]

    def rounds(self, number: int) -> list[HalfResult]:
        """The completed halves of one round number (1 or 2)."""
        return [half for half in self.halves if half.round == number and half.completed]


def guid_for(name: str) -> str:
    """A stable guid of 32 hex digits for a player without one."""
    return hashlib.md5(name.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest().upper()


def _only(where: str, found: dict[str, Any], allowed: tuple[str, ...], required: tuple[str, ...] = ()) -> None:
    extra, lacking = set(found) - set(allowed), set(required) - set(found)
    if extra or lacking:
        raise MatchError(f"{where}: unknown {sorted(extra)}, missing {sorted(lacking)}; it takes {', '.join(allowed)}")


def _options(where: str, raw: dict[str, Any], allowed: tuple[str, ...]) -> dict[str, Any]:
    _only(
        where,
        raw,
        tuple(name.rstrip("!") for name in allowed),
        tuple(name[:-1] for name in allowed if name.endswith("!")),
    )
    return raw


def _event(where: str, raw: dict[str, Any], names: set[str]) -> Event:
    rest = dict(raw)
    at_s = float(rest.pop("at_s"))
    verbs = [verb for verb in VERBS if verb in rest and not (verb == "team" and "chat" in rest)]
    if len(verbs) != 1:
        raise MatchError(f"{where}: one of {', '.join(VERBS)} is required, found {sorted(raw)}")
    verb = verbs[0]
    who = str(rest.pop(verb))
    options = _options(f"{where} ({verb})", rest, VERBS[verb])
    for name in [who] * (verb in _PEOPLE) + [str(options[key]) for key in ("by",) if key in options]:
        if name not in names:
            raise MatchError(f"{where}: there is no player {name!r}")
    if options.get("weapon", "mp40") not in WEAPONS:
        raise MatchError(f"{where}: weapon {options['weapon']!r} is unknown; known are {', '.join(WEAPONS)}")
    if verb == "pause" and who not in ("referee", "axis", "allies"):
        raise MatchError(f"{where}: pause is by referee, axis or allies, not {who!r}")
    if verb == "team" and options["to"] not in TEAMS:
        raise MatchError(f"{where}: team {options['to']!r} is none of {', '.join(TEAMS)}")
    return Event(at_s, verb, who, options)


def _half(where: str, raw: dict[str, Any], names: set[str]) -> Half:
    _only(where, raw, ("end", "events", "before", "kills_per_min"), ("end",))
    given = {raw["end"]: None} if isinstance(raw["end"], str) else dict(raw["end"])
    kinds = [kind for kind in ENDS if kind in given]
    if len(kinds) != 1:
        raise MatchError(f"{where}: end is one of {', '.join(ENDS)}, found {sorted(given)}")
    at_s = given.pop(kinds[0])
    if (at_s is None) != (kinds[0] == "time_limit"):
        raise MatchError(
            f"{where}: end {kinds[0]} needs {'no' if kinds[0] == 'time_limit' else 'its'} number of seconds"
        )
    options = _options(f"{where} end", given, ENDS[kinds[0]])
    events = [_event(f"{where} event {n}", event, names) for n, event in enumerate(raw.get("events", []), 1)]
    before = [_event(f"{where} before {n}", event, names) for n, event in enumerate(raw.get("before", []), 1)]
    return Half(
        end=kinds[0],
        at_s=None if at_s is None else float(at_s),
        options=options,
        events=tuple(sorted(events, key=lambda event: event.at_s)),
        before=tuple(sorted(before, key=lambda event: event.at_s)),
        kills_per_min=float(raw.get("kills_per_min", 0)),
    )


def _player(raw: dict[str, Any]) -> Player:
    _only("player", raw, ("name", "guid", "team", "connect_s", "begin_s", "team_s", "later"), ("name", "team"))
    if raw["team"] not in TEAMS:
        raise MatchError(f"player {raw['name']!r}: team {raw['team']!r} is none of {', '.join(TEAMS)}")
    name = str(raw["name"])
    return Player(**{**raw, "name": name, "guid": str(raw.get("guid") or guid_for(name))})


def _time_of_day_s(where: str, text: object) -> int:
    # Without quotes YAML 1.1 reads 23:59:00 as a number to the base 60.
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d):([0-5]\d)", text) if isinstance(text, str) else None
    if not found:
        raise MatchError(f'{where}: starts_at is {text!r}; a time of day in quotes is required, as in "23:56:30"')
    hours, minutes, seconds = map(int, found.groups())
    return hours * 3600 + minutes * 60 + seconds


def parse_match(raw: dict[str, Any], name: str) -> Match:
    """A match from loaded YAML; raises :class:`MatchError` naming the entry at fault."""
    _only(name, raw, _MATCH_KEYS, ("about", "map", "timelimit_min", "halves"))
    players = [_player(entry) for entry in raw.get("players", [])]
    for number in range(len(players), int(raw.get("crowd", 0))):
        players.append(_player({"name": f"player{number:02d}", "team": "axis" if number % 2 == 0 else "allies"}))
    names = {player.name for player in players}
    if len(players) > MAX_PLAYERS or len(names) != len(players):
        raise MatchError(f"{name}: {len(players)} players, {len(names)} names; at most {MAX_PLAYERS}, all different")
    return Match(
        name=name,
        about=str(raw["about"]).strip(),
        map=str(raw["map"]),
        timelimit_min=str(raw["timelimit_min"]),
        warmup=bool(raw.get("warmup", False)),
        sv_fps=int(raw["sv_fps"]) if "sv_fps" in raw else None,
        seed=int(raw.get("seed", 1)),
        defender=str(raw.get("defender", "axis")),
        intermission_s=float(raw.get("intermission_s", 6)),
        starts_at_s=_time_of_day_s(name, raw["starts_at"]) if "starts_at" in raw else None,
        cvars={str(key): str(value) for key, value in raw.get("cvars", {}).items()},
        players=tuple(players),
        halves=tuple(_half(f"{name} half {n}", half, names) for n, half in enumerate(raw["halves"], 1)),
    )


def match_names() -> list[str]:
    """Names of the shipped matches."""
    return sorted(path.stem for path in MATCHES.glob("*.yml"))


def load_match(name: str | Path) -> Match:
    """A shipped match by name, or any file; raises :class:`MatchError`."""
    path = Path(name)
    if path.suffix != ".yml":
        path = MATCHES / f"{name}.yml"
    if not path.is_file():
        raise MatchError(f"there is no match {str(name)!r}; shipped are {', '.join(match_names())}")
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(raw, dict):
        raise MatchError(f"{path}: a mapping is required, found {type(raw).__name__}")
    return parse_match(raw, path.stem)
