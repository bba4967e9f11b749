"""The stand-in against recordings of real servers: same callbacks, arguments, order, times, cvar and configstring transitions."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from python_checks.engine import Server, VirtualClock, parse_match, roster, rules

from .traces import DEVIATIONS, comparable, deviations, differences, play_probe, records

TRACES = ("trace-2.83.1-lua54-completed", "trace-2.83.1-lua54-completed-warmup", "trace-2.85.0-luajit-pauses")
MAX_DEVIATIONS = 12


def recorded(data: Path, trace: str) -> list[str]:
    return records((data / "engine" / f"{trace}.log").read_text(encoding="latin-1"))


@pytest.mark.parametrize("trace", TRACES)
def test_trace(trace: str, data: Path, tmp_path: Path) -> None:
    """The probe's log equals the recorded one, record by record and millisecond by millisecond, but for the listed deviations."""
    found = differences(recorded(data, trace), play_probe(data, tmp_path, trace), trace)
    assert not found, "\n".join(found[:60])


@pytest.mark.parametrize("trace", TRACES)
def test_comparison_keeps_the_substance(trace: str, data: Path) -> None:
    """The deviation list must not empty the comparison: callbacks and transitions of every kind are still in it."""
    kept = comparable(recorded(data, trace), trace)
    assert len(kept) > 600
    text = "\n".join(kept)
    needed = [
        "CB et_InitGame",
        "CB et_ShutdownGame",
        "CB et_ClientSpawn",
        "cvar gamestate",
        "cvar g_currentRound",
        "cvar g_nextTimeLimit",
        "cs CS_WOLFINFO",
    ]
    for piece in [*needed, *(['CS_SERVERTOGGLES(32): "646"', "CB et_Obituary"] if "pauses" in trace else [])]:
        assert piece in text, piece


def test_deviations_are_few_and_justified() -> None:
    """Each deviation has an id and a reason and does something; the list stays short."""
    entries = deviations()
    assert 0 < len(entries) <= MAX_DEVIATIONS
    for entry in entries:
        assert len(entry["reason"]) > 40, entry["id"]
        assert ("drop" in entry) != ("replace" in entry), entry["id"]


def test_every_deviation_is_used(data: Path) -> None:
    """A deviation that matches nothing in any trace is stale."""
    lines = [record for trace in TRACES for record in recorded(data, trace)]
    for entry in deviations():
        pattern = re.compile(entry.get("drop") or entry["replace"], re.S)
        assert any(pattern.search(line) for line in lines), f"{DEVIATIONS.name}: {entry['id']} is stale"


def _late_gamestate(patch: pytest.MonkeyPatch) -> None:
    """A time limit flips the round and the game state in the same frame."""
    original = rules.Rules.end_round

    def end_round(self: rules.Rules, *args: object, **named: object) -> None:
        original(self, *args, **named)  # type: ignore[arg-type]
        self.server.gamestate = rules.GS_INTERMISSION
        self.intermission_at = self.server.time

    patch.setattr(rules.Rules, "end_round", end_round)


def _late_flip(patch: pytest.MonkeyPatch) -> None:
    """g_currentRound flips at the end of the intermission, not at the exit."""
    original = rules.Rules.end_round

    def end_round(self: rules.Rules, *args: object, **named: object) -> None:
        before = self.server.cvars.full("g_currentRound")
        original(self, *args, **named)  # type: ignore[arg-type]
        self.server.pending.append(f"set g_currentRound {self.server.cvars.full('g_currentRound')}")
        self.server.cvars.set("g_currentRound", before)

    patch.setattr(rules.Rules, "end_round", end_round)


def _restart_gamestate_late(patch: pytest.MonkeyPatch) -> None:
    """et_ShutdownGame still sees the old game state."""
    original = Server._shutdown

    def shutdown(self: Server, restart: int, *, write_sessions: bool) -> None:
        after = self.gamestate
        self.gamestate = {0: 1, 2: 3}.get(after, after)
        original(self, restart, write_sessions=write_sessions)
        self.gamestate = after

    patch.setattr(Server, "_shutdown", shutdown)


def _no_seeds(patch: pytest.MonkeyPatch) -> None:
    """No reinforcement seeds are drawn."""
    patch.setattr(rules.Rules, "seed_reinforcements", lambda self: None)


def _floats(patch: pytest.MonkeyPatch) -> None:
    """Times reach Lua 5.4 as floats."""
    original = Server._game_frame

    def frame(self: Server, step_ms: int, *, settling: bool) -> None:
        self.time = float(self.time)  # type: ignore[assignment]
        original(self, step_ms, settling=settling)
        self.time = int(self.time)

    patch.setattr(Server, "_game_frame", frame)


def _no_skills(patch: pytest.MonkeyPatch) -> None:
    """The skill callbacks at connecting are missing."""
    patch.setattr(roster.Roster, "_skills", lambda self, client: None)


MUTANTS: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "gamestate in the frame of the time limit": (TRACES[0], _late_gamestate),
    "round flips late": (TRACES[0], _late_flip),
    "shutdown sees the old gamestate": (TRACES[1], _restart_gamestate_late),
    "pause bit is 8": (TRACES[2], lambda patch: patch.setattr(rules, "PAUSE_BIT", 8)),
    "pause clears at the unpause command": (TRACES[2], lambda patch: patch.setattr(rules, "UNPAUSE_MS", 0)),
    "start time steps by a second": (TRACES[2], lambda patch: patch.setattr(rules, "PAUSE_STEP_MS", 1000)),
    "no new reinforcement seeds": (TRACES[0], _no_seeds),
    "levelTime is a float": (TRACES[0], _floats),
    "no skill callbacks": (TRACES[0], _no_skills),
}


@pytest.mark.parametrize("name", list(MUTANTS))
def test_mutant_is_caught(name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison fails when the stand-in behaves differently."""
    trace, mutate = MUTANTS[name]
    mutate(monkeypatch)
    try:
        ours = play_probe(data, tmp_path, trace)
    except RuntimeError:
        return  # the mutant cannot even finish the match
    assert differences(recorded(data, trace), ours, trace)


_EVENTS: dict[str, tuple[str, list[dict[str, object]]]] = {
    "leave": ("empty_team_s", [{"end": {"empty_team_s": 3, "team": "allies"}}, {"end": {"stop_s": 2}}]),
    "map": ("map_s", [{"end": {"map_s": 3, "to": "testmap2"}}, {"end": {"stop_s": 14}}]),
    "reset": ("reset_match_s", [{"end": {"reset_match_s": 3}}, {"end": {"stop_s": 2}}]),
    "restart": ("map_restart_s", [{"end": {"map_restart_s": 2}}, {"end": {"stop_s": 2}}]),
}


@pytest.mark.parametrize(
    "name", ["warmup0-leave", "warmup0-map", "warmup1-leave", "warmup1-map", "warmup1-reset", "warmup1-restart"]
)
def test_events_in_the_second_round(name: str, data: Path, tmp_path: Path) -> None:
    """The match cvars pass through the recorded values, in the recorded order."""
    wanted = []
    for line in (data / "engine" / f"r2-event-{name}.txt").read_text(encoding="utf-8").splitlines():
        cvars = re.search(r"\{.*?\}", line)
        if cvars:
            wanted.append(dict(re.findall(r"'(\w+)': '([^']*)'", cvars.group(0))))
    assert len(wanted) == 4
    warmup, kind = name.removeprefix("warmup").split("-")
    elapsed_s = float(wanted[0]["g_nextTimeLimit"]) * 60
    halves: list[dict[str, object]] = [{"end": {"objective_s": round(elapsed_s, 2)}}, *_EVENTS[kind][1]]
    if name == "warmup0-leave":
        halves = [halves[0], {"end": {"objective_s": 5}, "events": [{"at_s": 3, "leave": "fake1"}]}]
    match = parse_match(
        {
            "about": name,
            "map": "testmap",
            "timelimit_min": 0.5,
            "warmup": warmup == "1",
            "cvars": {"match_minplayers": 2 if warmup == "1" else 0},
            "players": [{"name": "fake1", "team": "axis"}, {"name": "fake2", "team": "allies"}],
            "halves": halves,
        },
        name,
    )
    seen: list[tuple[int, int, dict[str, str]]] = []

    def watch(server: Server) -> None:
        now = (server.loads, len(server.roster.connected()), {key: server.cvars.get(key) for key in wanted[0]})
        if not seen or seen[-1] != now:
            seen.append(now)

    server = Server(tmp_path / "base", tmp_path / "home", clock=VirtualClock(epoch_s=1795329000))
    server.rules.limits_min["testmap2"] = "10"
    server.boot("testmap", "0.5")
    server.play(match, watch)
    server.quit()
    rest = iter(seen)
    found = [next((entry for entry in rest if entry[2] == state), None) for state in wanted]
    assert None not in found, f"{wanted} does not follow in {seen}"
    playing, after = found[2], found[3]
    assert playing is not None and after is not None
    # The last state may look like the one before: then a new load, or the empty seat, tells that the event has happened.
    assert after[0] > playing[0] or after[1] < playing[1]
    assert (after[0] > playing[0]) == (name != "warmup0-leave")
