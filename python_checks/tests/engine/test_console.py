"""Console lines against recorded consoles of both interpreters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from python_checks.engine import ServerCrash, VirtualClock

from .helpers import boot

ERRS = """et.G_Print("errs.lua chunk: FindSelf=" .. tostring(et.FindSelf()) .. "\\n")
local n = 0
function et_InitGame() et.RegisterModname("errs") end
function et_RunFrame() n = n + 1 local a
    if n == 9 then return a.b elseif n == 12 then error("plain string", 0) elseif n == 16 then error("with level") end
end function et_ClientBegin() local t = {}
    return t + 1
end
function et_ConsoleCommand(word)
    if word == "bad" then
        et.trap_GetConfigstring(word)
    end
end
"""
SCRIPTS = {
    "errs": ERRS,
    "syn": "= 1\n",
    "load": "local a\na.b = 1\n",
    "probe": 'function et_InitGame() et.RegisterModname("probe") end\n',
    "probe0": "function et_InitGame() end\n",
}
MODULES = "luascripts/errs.lua luascripts/syn.lua luascripts/load.lua luascripts/nofile.lua, luascripts/probe.lua"
RECORDER_COLUMN = 9  # the recorder put the server time in front of each line
RECORDINGS = {"lua54": "lua-errors-2.83.1-lua54.log", "luajit": "lua-errors-2.85.0-luajit.log"}


def plain(lines: list[str]) -> list[str]:
    """Only lines of the Lua API and of the module table, without hashes."""
    kept = []
    for line in lines:
        text = re.sub(r"[0-9A-F]{40}", "<sha1>", line)
        if re.search(r"^Lua 5\.\d API|^errs\.lua chunk|^VM Modname|<sha1>", text):
            kept.append(text)
    return kept


@pytest.mark.parametrize("interpreter", ["lua54", "luajit"])
def test_errors_look_recorded(interpreter: str, data: Path, tmp_path: Path) -> None:
    """The same mistakes print the same lines in the same order, through a restart, an unload and a lua_restart."""
    server = boot(tmp_path, interpreter, SCRIPTS, lua_modules=MODULES, cvars={"g_doWarmup": "1"})
    for _ in range(20):
        server.frame()
    server.execute_now("lua_status")
    server.execute_now("bad")
    clients = [server.roster.connect(name, name * 8) for name in ("aaaa", "bbbb")]
    for client in clients:
        assert client is not None
        server.roster.begin(client)
    server.execute_now("map_restart 0")
    for _ in range(20):
        server.frame()
    server.execute_now('set lua_modules ""')
    server.frame()
    server.execute_now("lua_status")
    server.execute_now("set lua_modules luascripts/probe0.lua")
    server.frame()
    server.execute_now("lua_restart")
    server.execute_now("lua_status")
    server.execute_now("map_restart 0")
    recorded = (data / "engine" / RECORDINGS[interpreter]).read_text(encoding="utf-8").splitlines()
    wanted = [
        line for line in plain([row[RECORDER_COLUMN:] for row in recorded]) if "current API available" not in line
    ]
    # The recording goes on with more restarts of the same kind; the first one is compared.
    end = next(i for i, line in enumerate(wanted) if "no scripts loaded" in line) + 1 + 4 + 1
    assert plain(server.console)[: end + 1] == wanted[: end + 1]
    server.quit()


def test_the_column_of_the_recorder_is_not_ours(tmp_path: Path) -> None:
    """etconsole.log holds plain lines; every one is on disk as soon as it is printed."""
    server = boot(tmp_path, "lua54", {})
    log = tmp_path / "home/legacy/etconsole.log"
    assert log.read_text().splitlines() == server.console
    server.gprint("half ")
    assert log.read_text().splitlines() == server.console
    server.gprint("whole\n")
    assert log.read_text().endswith("half whole\n")


def test_load_time_line(tmp_path: Path) -> None:
    """Each start of the game module prints its time before the modules are loaded; a shutdown prints one too."""
    import time

    server = boot(tmp_path, "lua54", {"a": ""}, clock=VirtualClock(epoch_s=1795329050))
    console = server.console
    start = console.index("------- Game Initialization -------")
    stamp = time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(1795329050))
    assert f"gametime: {stamp}" in console[start : start + 6]
    assert console.index("Lua 5.4 API: ^$file 'luascripts/a.lua' loaded into Lua VM") > console.index(
        f"gametime: {stamp}"
    )
    server.execute_now("map_restart 0")
    assert "==== ShutdownGame (1 - supply) ====" in server.console
    server.quit()
    assert "==== ShutdownGame (0 - supply) ====" in server.console


def test_log_survives_rotation(tmp_path: Path) -> None:
    """A log moved away by logrotate is started anew."""
    server = boot(tmp_path, "lua54", {})
    log = tmp_path / "home/legacy/etconsole.log"
    log.rename(log.with_suffix(".1"))
    server.gprint("after\n")
    assert log.read_text() == "after\n"


def test_a_failing_print_handler_crashes_the_server(tmp_path: Path) -> None:
    """As on a real server (engine.md)."""
    with pytest.raises(ServerCrash):
        boot(tmp_path, "lua54", {"a": "function et_Print() error('x') end"})


def test_bytes_reach_the_log_unchanged(tmp_path: Path) -> None:
    """Any byte a module prints is in the file as it was."""
    boot(tmp_path, "lua54", {"a": 'et.G_Print("\\0\\1\\255\\xc5\\xbd\\n")'})
    assert b"\x00\x01\xff\xc5\xbd\n" in (tmp_path / "home/legacy/etconsole.log").read_bytes()


def test_game_log(tmp_path: Path) -> None:
    """G_LogPrint also goes to the file named by g_log."""
    boot(tmp_path, "lua54", {"a": "et.G_LogPrint('LUA event: x\\n')"}, cvars={"g_log": "legacy3.log"})
    assert (tmp_path / "home/legacy/legacy3.log").read_text().endswith("LUA event: x\n")
