"""Whether now is a moment to replace a Lua file: ask the server, then judge.

The server reads Lua at every map load and ``map_restart``, so also between R1 and R2: a file replaced while a match
is on gives a pair whose halves ran different code. Safe is: the server is down, nobody human is connected, or the
intermission after R2 (gamestate 3 and g_currentRound back at 0).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, Optional

from ansible_collections.slomix.timetracking.plugins.module_utils import quake

INTERMISSION = 3
GAMESTATES = {
    -1: "initialising",
    0: "playing",
    1: "warm-up countdown",
    2: "warm-up",
    3: "intermission",
    4: "waiting for players",
    5: "reset",
}
_INTERPRETERS = ("python", "bash", "sh", "dash")


@dataclass(frozen=True)
class Facts:
    """What was seen. None means unknown; ``humans`` counts the connected clients that the server does not call bots."""

    answered: bool
    process_running: Optional[bool]
    map: Optional[str] = None
    players: Optional[int] = None
    humans: Optional[int] = None
    gamestate: Optional[int] = None
    current_round: Optional[int] = None
    problem: str = ""


@dataclass(frozen=True)
class Moment:
    """The judgement: ``safe`` or not, whether that is ``known``, why, and what to do next when it is not safe."""

    safe: bool
    known: bool
    reason: str
    next: str = ""


def judge_moment(facts: Facts) -> Moment:
    """Judge ``facts``; whatever is unknown refuses."""
    if not facts.answered:
        if facts.process_running is False:
            return Moment(True, True, "the game server is not running; it reads the file at its next start")
        seen = "its process runs" if facts.process_running else "whether its process runs is unknown"
        return _unknown(f"the game server does not answer getstatus although {seen}: {facts.problem}")
    if facts.players is None:
        return _unknown("the number of connected players is unknown")
    if facts.players == 0:
        return Moment(True, True, f"nobody is connected (map {facts.map})")
    if facts.humans == 0:
        return Moment(True, True, f"only bots are connected (map {facts.map}, {facts.players} clients)")
    who = f"{facts.humans if facts.humans is not None else facts.players} players on {facts.map}"
    if facts.gamestate is None or facts.current_round is None:
        return _unknown(f"{who}, and the state of the match is unknown: {facts.problem}")
    state = GAMESTATES.get(facts.gamestate, f"gamestate {facts.gamestate}")
    if facts.gamestate == INTERMISSION and facts.current_round == 0:
        return Moment(True, True, f"intermission after R2 ({who})")
    half = "R2 is next or on" if facts.current_round else "R1 is on or about to start"
    return Moment(
        False,
        True,
        f"{who}: {state}, {half}",
        "wait for the intermission after R2 or until nobody is connected; -e lua_release_force_moment=true overrides",
    )


def _unknown(reason: str) -> Moment:
    return Moment(
        False,
        False,
        reason,
        "make the server answer (address, port, rcon password file) or wait until nobody is connected;"
        " -e lua_release_force_moment=true overrides",
    )


def observe(host: str, port: int, password_file: str, timeout_s: float = 2.0) -> Facts:
    """Ask the server at ``host``:``port``; the rcon password is read only when somebody is connected."""
    running = server_process_running()
    try:
        status = quake.getstatus(host, port, timeout_s)
    except quake.QuakeError as error:
        return Facts(False, running, problem=str(error))
    seen: Dict[str, Any] = {
        "answered": True,
        "process_running": running,
        "map": status.info.get("mapname"),
        "players": len(status.players),
    }
    if not status.players:
        return Facts(**seen)
    try:
        password = quake.read_password(password_file)
        clients = quake.parse_clients(quake.rcon(host, port, password, "status", timeout_s))
        if clients is not None and len(clients) >= len(status.players):
            seen["humans"] = sum(not client.bot for client in clients)
        for key, cvar in (("gamestate", "gamestate"), ("current_round", "g_currentRound")):
            seen[key] = _integer(quake.parse_cvar(quake.rcon(host, port, password, cvar, timeout_s), cvar))
    except quake.QuakeError as error:
        seen["problem"] = str(error)
    return Facts(**seen)


def _integer(text: Optional[str]) -> Optional[int]:
    try:
        return int(float(text)) if text else None
    except (ValueError, OverflowError):
        return None


def server_process_running(proc: str = "/proc", name: str = "etlded") -> Optional[bool]:
    """Whether the game server's process runs: a program or interpreted script whose name starts with ``name``."""
    try:
        numbers = [entry for entry in os.listdir(proc) if entry.isdigit()]
    except OSError:
        return None
    for number in numbers:
        try:
            with open(os.path.join(proc, number, "cmdline"), "rb") as handle:
                words = [
                    os.path.basename(word) for word in handle.read().decode("utf-8", "replace").split("\0") if word
                ]
        except OSError:
            continue
        if not words:
            continue
        program = words[0]
        if program.startswith(_INTERPRETERS):
            program = next((word for word in words[1:] if not word.startswith("-")), program)
        if program.startswith(name):
            return True
    return False
