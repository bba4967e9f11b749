"""The engine stand-in: an ET:Legacy server as its Lua modules see it.

It hosts the server's real Lua files, one VM per module, on PUC Lua 5.4 or LuaJIT 2.1, and plays matches that are data, on a virtual clock,
in seconds of real time. Behaviour follows recorded traces of real servers; known deviations are listed in ``deviations.yml``.

In process::

    from pathlib import Path
    from python_checks.engine import Server, VirtualClock

    server = Server(
        basepath=Path("install"),            # holds legacy/…, like fs_basepath
        homepath=Path("home"),               # holds legacy/…, searched first, receives gamestats/ and etconsole.log
        interpreter="lua54",                 # or "luajit"
        lua_modules="luascripts/stats.lua",  # names relative to the mod folder
        cvars={"sv_hostname": "Demo"},
        shell="capture",                     # "run" really executes; "capture" records and confines
        clock=VirtualClock(epoch_s=1771600000),  # fixed start; without it the clock is never behind real time
        nominal_basepath="/home/et/etlegacy-v2.83.1-x86_64",  # what scripts read in fs_basepath and may use in paths
        nominal_homepath="/home/et/.etlegacy",
    )
    server.boot("supply")
    result = server.play("completed")        # a name of matches/, a file, or a Match
    server.quit()

* ``result.halves``: :class:`HalfResult` (round, winner, limits, ``play_ms`` without pauses, pauses, start and end, players).
* ``server.console``: lines, also appended to ``<homepath>/<mod>/etconsole.log`` as they come.
* ``server.shell_calls``: :class:`ShellCall` (command, virtual time, and a copy of each ``@file`` at call time).
  ``on_shell=lambda call: 0`` decides the exit code of a captured command.
* ``server.files_written``: :class:`FileTouch`; ``real`` is None for a refused one.
* ``server.lua_status()``, ``server.execute_now("rcon text")``, ``server.cvars``, ``server.configstrings``, ``server.frame()``.

As a process: ``python3 -m python_checks.engine serve …`` and ``… rcon …``, see :mod:`python_checks.engine.serve`.

Not recorded, therefore composed or left out: the exit line of a surrender, the line for an oversized script, the spawn flags of a revive,
entities other than players and the world, what ``io.popen``'s ``close`` returns, ``lua_api``. An idle server process waits in the warm-up
for its next match, where a real one with ``g_doWarmup 0`` plays the stopwatch cycle to itself.

A script cannot leave its VM: no host object is in reach, ``package.loadlib``, C modules, binary chunks, ``ffi`` and most of ``debug`` are
closed, files go through the sandbox, and a callback that runs too long becomes an error. Two things only a process of its own can limit:
memory on LuaJIT (its allocator offers no limit; on Lua 5.4 it is 256 MB) and time inside one library call, such as a pathological pattern.
"""

from __future__ import annotations

from .clock import VirtualClock
from .lua_host import ServerCrash
from .match import HalfResult, Match, MatchError, MatchResult, load_match, match_names, parse_match
from .sandbox import FileTouch, ShellCall
from .server import Server

__all__ = [
    "FileTouch",
    "HalfResult",
    "Match",
    "MatchError",
    "MatchResult",
    "Server",
    "ServerCrash",
    "ShellCall",
    "VirtualClock",
    "load_match",
    "match_names",
    "parse_match",
]
