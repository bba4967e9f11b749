"""Prove from outside that the game server loaded a file: its console since the deployment, and ``lua_status``.

"Copied" is not "loaded": the server reads Lua at a map load or ``map_restart``, and from the homepath first. Loaded
means that
a game init after the deployment printed "loaded into Lua VM" for the file, and that the server itself names the
file's SHA-1:
in ``lua_status`` of the running VM, or, without rcon, in the line that unloaded a later VM. The time of the load is the
server's own clock (``gametime:``), never another host's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from ansible_collections.slomix.timetracking.plugins.module_utils import console, logwindow
from ansible_collections.slomix.timetracking.plugins.module_utils.quake import LuaModule

LOADED = "loaded"
PENDING = "pending"
FAILED = "failed"
UNKNOWN = "unknown"
NEXT_LOAD = "play, or wait for the next map load, then measure again"
LOADING_S = 10
"""A console that has been silent for longer is not in the middle of a map load."""

Place = Tuple[str, int]
"""(path, byte offset) of a game init's first line."""


@dataclass(frozen=True)
class Proof:
    """``state`` with its reason; ``init`` indexes the first init that ran the file without interruption since."""

    state: str
    reason: str
    next: str
    init: Optional[int] = None
    signature: str = ""
    """What the server names for the file now, upper case; empty when it names none."""
    source: str = ""
    """``lua_status`` or ``unload_line``; empty without proof."""


def read_inits(window: logwindow.Window) -> Tuple[List[console.Init], List[Place], bool]:
    """The game inits in a console window, where each begins, and whether the newest is over (completed, or ended)."""
    places: Dict[int, Place] = {}
    completed: List[int] = []

    def texts() -> Iterator[str]:
        for number, (segment, offset, text) in enumerate(logwindow.lines(window)):
            if "Game Initialization" in text:
                places[number] = (segment.path, offset)
            if "Game Initialization completed" in text:
                completed.append(number)
            yield text

    inits = console.inits(texts())
    over = bool(inits) and (inits[-1].ended or max(completed, default=-1) > inits[-1].line)
    return inits, [places[init.line] for init in inits], over


def prove(
    inits: Sequence[console.Init],
    file: str,
    sha1: str,
    running: Optional[Sequence[LuaModule]],
    problem: str = "",
    loading: bool = False,
) -> Proof:
    """Judge the inits since the deployment and the running modules (None: could not be asked, ``problem`` says why).

    ``loading`` says that the server is still at the newest init, so that it may load the file yet.
    """
    wanted = sha1.upper()
    named = _signature(running, file) if running is not None else None
    if not inits:
        return _before_any_load(file, wanted, running, named)
    newest = inits[-1]
    failures = [event for event in newest.failures if console.same_file(event.file, file)]
    start_error = [event for event in newest.errors if _starts(event, file)]
    if failures or start_error:
        return Proof(
            FAILED,
            f"the server could not load {file}: {(failures or start_error)[-1].text}",
            "lead the phase back, then look at the console",
            signature=named or "",
        )
    if not any(console.same_file(name, file) for name in newest.loaded):
        if loading:
            return Proof(PENDING, f"a map is loading; its {file} is not there yet", "measure again in a minute")
        return Proof(
            FAILED,
            f"the newest game init loaded {', '.join(newest.loaded) or 'no Lua file'}, not {file}",
            "look at lua_modules: a competition configuration may have changed it",
            signature=named or "",
        )
    since = _first_of_the_run(inits, file, wanted)
    if since is None:
        return Proof(
            FAILED,
            f"the server unloaded another {file} than the deployed {wanted} after the deployment",
            "look for a copy that shadows the deployed file",
            signature=named or "",
        )
    if running is None:
        shown = [init for init in inits[since:] if init.signature_at_end(file) == wanted]
        if shown:
            return Proof(LOADED, f"the console shows that {file} {wanted} ran", "", since, wanted, "unload_line")
        return Proof(
            UNKNOWN,
            f"the console says that {file} was loaded, but not which bytes: lua_status could not be asked ({problem})",
            "make rcon work (password file, port), or wait for one more map load, then run the validation again",
        )
    if named is None:
        return Proof(FAILED, f"lua_status does not list {file}", "look at lua_modules and at the console")
    if named != wanted:
        return Proof(
            FAILED,
            f"the server runs {file} with SHA-1 {named}, deployed is {wanted}",
            "look for a copy that shadows the deployed file, or for a hand edit",
            signature=named,
        )
    return Proof(LOADED, f"lua_status names the SHA-1 of this {file}", "", since, named, "lua_status")


def _before_any_load(file: str, wanted: str, running: Optional[Sequence[LuaModule]], named: Optional[str]) -> Proof:
    if named == wanted:
        return Proof(
            PENDING,
            f"the running VM has this {file}, but since when is not known: no map load since",
            NEXT_LOAD,
            signature=named,
        )
    if running is None:
        return Proof(PENDING, "no map load since", NEXT_LOAD)
    return Proof(PENDING, f"no map load since; the {file} from before still runs", NEXT_LOAD, signature=named or "")


def _signature(running: Sequence[LuaModule], file: str) -> Optional[str]:
    return next((module.signature.upper() for module in running if console.same_file(module.filename, file)), None)


def _starts(event: console.Event, file: str) -> bool:
    return event.detail == "G_LuaStartVM" and console.same_file(event.file, file)


def _first_of_the_run(inits: Sequence[console.Init], file: str, wanted: str) -> Optional[int]:
    """The first init of the newest unbroken run in which the file was loaded and no unload line names other bytes."""
    first = None
    for index in range(len(inits) - 1, -1, -1):
        init = inits[index]
        loaded = any(console.same_file(name, file) for name in init.loaded)
        if not loaded or init.signature_at_end(file) not in (None, wanted):
            break
        first = index
    return first
