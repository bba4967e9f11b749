"""The table et entry by entry, and the functions that scripts use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .helpers import boot, lua

INTERPRETERS = ("lua54", "luajit")
HASH = "A" * 40


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_every_recorded_entry(interpreter: str, data: Path, tmp_path: Path) -> None:
    """Names, types and constant values equal the recorded table; nothing is missing and nothing was added."""
    listing = lua(
        tmp_path,
        interpreter,
        'local t = {} for k, v in pairs(et) do local shown = type(v) == "function" and "" or tostring(v) '
        't[#t + 1] = k .. "\\t" .. type(v) .. "\\t" .. shown end '
        'table.sort(t) return table.concat(t, "\\n")',
    )
    found = dict(row.split("\t", 1) for row in listing.split("\n"))
    wanted = dict(
        row.split("\t", 1) for row in (data / "engine/et-api-2.83.1.tsv").read_text(encoding="utf-8").splitlines()
    )
    assert set(found) == set(wanted)
    for name, entry in wanted.items():
        kind, value = entry.split("\t")
        if kind == "number":
            assert float(found[name].split("\t")[1]) == float(value), name
        else:
            assert found[name] == entry, name


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ('et.trap_Cvar_Get("no_such_cvar")', ""),
        ('#et.trap_Cvar_Get("long")', 255),
        ('et.Info_ValueForKey("\\\\a\\\\1\\\\B\\\\2", "b")', "2"),
        ('et.Info_ValueForKey("\\\\a\\\\1", "c")', ""),
        ('et.Q_CleanStr("^1red^7\\1x")', "redx"),
        ("tostring(et.isBitSet(16, 662))", "true"),
        ("tostring(et.isBitSet(16, 646))", "false"),
        ("et.gentity_get(1, 'pers.connected')", 0),
        ("tostring(et.gentity_get(700, 'health'))", "nil"),
        ("et.gentity_get(1022, 'classname')", "worldspawn"),
        ("et.gentity_get(0, 'ps.stats', 3)", 0),
        ("#et.gentity_get(0, 'sess.aWeaponStats', 4)", 5),
        ("#et.gentity_get(0, 'ps.origin')", 3),
        ("select('#', et.trap_FS_FOpenFile('none.txt', et.FS_READ))", 2),
        ("select(2, et.trap_FS_FOpenFile('none.txt', et.FS_READ))", -1),
        ("et.trap_Argc()", 0),
        ("et.trap_GetConfigstring(32)", "646"),
    ],
)
def test_values(interpreter: str, code: str, wanted: Any, tmp_path: Path) -> None:
    """Facts of domain.md 3.4."""
    assert lua(tmp_path, interpreter, f"return {code}", cvars={"long": "x" * 400}) == wanted


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("et.gentity_get(0, 'no.such')", 'tried to get invalid gentity field "no.such"'),
        ("et.gentity_get(60, 'sess.kills')", 'tried to get invalid gentity field "sess.kills"'),
        ("et.gentity_set(0, 'sess.time_played', 1)", 'tried to set read-only gentity field "sess.time_played"'),
        ("et.trap_GetConfigstring('x')", "bad argument #1 to 'trap_GetConfigstring' (number expected, got string)"),
        ("et.G_Print(nil)", "bad argument #1 to 'G_Print' (string expected, got nil)"),
        ("et.trap_Trace()", "et.trap_Trace is not in the stand-in"),
    ],
)
def test_errors(interpreter: str, code: str, message: str, tmp_path: Path) -> None:
    """Errors carry the script's own line, as errors of C functions do."""
    assert (
        lua(tmp_path, interpreter, f"local _, e = pcall(function()\n{code}\nend) return e")
        == f'[string "luascripts/t.lua"]:3: {message}'
    )


def test_numbers_on_5_4(tmp_path: Path) -> None:
    """Integers stay integers; a float argument without integer value is refused; 3.0 is stored as text the interpreter's way."""
    assert (
        lua(
            tmp_path,
            "lua54",
            "return math.type(et.trap_Milliseconds()) .. math.type(et.CS_PLAYERS) .. math.type(et.gentity_get(0, 'health'))",
        )
        == "integer" * 3
    )
    assert "number has no integer representation" in lua(
        tmp_path / "2", "lua54", "return select(2, pcall(et.trap_GetConfigstring, 1.5))"
    )
    assert lua(tmp_path / "3", "lua54", "et.trap_Cvar_Set('x', 3.0) return et.trap_Cvar_Get('x')") == "3.0"
    assert lua(tmp_path / "4", "luajit", "et.trap_Cvar_Set('x', 3.0) return et.trap_Cvar_Get('x')") == "3"


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_files(interpreter: str, tmp_path: Path) -> None:
    """Backslashes are separators, writing goes under the homepath, reading finds the homepath first, a read stops at a NUL."""
    (tmp_path / "base/legacy").mkdir(parents=True)
    (tmp_path / "base/legacy/both.txt").write_text("base")
    code = """
        local fd, length = et.trap_FS_FOpenFile("gamestats\\\\a-b.txt", et.FS_WRITE)
        local count = et.trap_FS_Write("h\\0llo\\255", 5, fd)
        et.trap_FS_FCloseFile(fd)
        local add = et.trap_FS_FOpenFile("gamestats/a-b.txt", et.FS_APPEND)
        et.trap_FS_Write("!", 1, add)
        et.trap_FS_FCloseFile(add)
        et.trap_FS_Rename("gamestats/a-b.txt", "gamestats/c.txt")
        local read, size = et.trap_FS_FOpenFile("both.txt", et.FS_READ)
        local text = et.trap_FS_Read(read, size)
        local outside = et.trap_FS_FOpenFile("../../escape.txt", et.FS_WRITE)
        return length .. "|" .. count .. "|" .. size .. "|" .. text .. "|" .. outside .. "|" .. #et.trap_FS_GetFileList("gamestats", ".txt")
    """
    (tmp_path / "home/legacy").mkdir(parents=True)
    (tmp_path / "home/legacy/both.txt").write_text("home!")
    assert lua(tmp_path, interpreter, code) == "0|5|5|home!|0|1"
    assert (tmp_path / "home/legacy/gamestats/c.txt").read_bytes() == b"h\0llo!"
    assert not (tmp_path / "escape.txt").exists()


def test_print_is_cut_at_one_kilobyte(tmp_path: Path) -> None:
    """G_Print's buffer is 1024 bytes with its NUL; a newline beyond it is lost, so the next print joins the line."""
    server = boot(tmp_path, "lua54", {"t": "et.G_Print(string.rep('a', 1030) .. '\\n') et.G_Print('b\\n')"})
    assert "a" * 1023 + "b" in server.console


def test_modules_talk_only_by_ipc_and_names(tmp_path: Path) -> None:
    """Each module has its own globals; FindMod and IPCSend reach the others; FindSelf is nil while the chunk runs."""
    one = """
        x = 5
        function et_InitGame() et.RegisterModname("one") end
        function et_IPCReceive(vm, message) et.G_Print("got " .. vm .. message .. "\\n") end
    """
    two = """
        local chunk, done = tostring(et.FindSelf())
        function et_RunFrame()
            if done then return end
            done = true
            local name = et.FindMod(0)
            et.G_Print(tostring(x) .. chunk .. name .. et.FindSelf() .. et.IPCSend(0, "hi") .. "\\n")
        end
    """
    console = boot(tmp_path, "lua54", {"one": one, "two": two}).console
    assert "got 1hi" in console
    assert "nilnilone11" in console


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_endless_messages_end(interpreter: str, tmp_path: Path) -> None:
    """A module that answers its own messages comes to an end."""
    code = "et.trap_Cvar_Set('sent', (tonumber(et.trap_Cvar_Get('sent')) or 0) + 1) et.IPCSend(et.FindSelf(), 'again') return 'done'"
    server = boot(tmp_path, interpreter, {"t": f"function et_IPCReceive() {code} end"})
    server.lua.call_vm(0, "et_IPCReceive", 0, "")
    assert 10 < server.cvars.integer("sent") < 100
    assert not [line for line in server.console if "error running" in line]


@pytest.mark.parametrize(
    ("name", "body", "second_runs"),
    [
        ("et_Obituary", "return 0", False),
        ("et_Obituary", "return 'x'", False),
        ("et_Obituary", "return nil", True),
        ("et_Obituary", "return true", True),
        ("et_ClientCommand", "return 0", True),
        ("et_ClientCommand", "return 1", False),
        ("et_ConsoleCommand", "return 1", False),
        ("et_ConsoleCommand", "return 2", True),
        ("et_RunFrame", "return 1", True),
        ("et_RunFrame", "error('x')", True),
    ],
)
def test_chain_stops(name: str, body: str, second_runs: bool, tmp_path: Path) -> None:
    """Which return values keep later modules from being called (domain.md 3.4)."""
    server = boot(
        tmp_path, "lua54", {"a": f"function {name}() {body} end", "b": f"function {name}() et.G_Print('second\\n') end"}
    )
    server.lua.call(name, 0, 0, 0)
    assert ("second" in server.console) is second_runs


def test_modules_list(tmp_path: Path) -> None:
    """The homepath's file shadows the basepath's; the list file wins over the cvar; the ACL refuses what it does not name."""
    for root, text in (
        ("base", "function et_InitGame() et.G_Print('from base\\n') end"),
        ("home", "function et_InitGame() et.G_Print('from home\\n') end"),
    ):
        (tmp_path / root / "legacy").mkdir(parents=True)
        (tmp_path / root / "legacy/m.lua").write_text(text)
    assert "from home" in boot(tmp_path, "lua54", {}, lua_modules="m").console
    (tmp_path / "home/legacy/list.txt").write_text("other.lua\n")
    console = boot(tmp_path, "lua54", {}, lua_modules="m", cvars={"g_luaModuleList": "list.txt"}).console
    assert "Lua 5.4 API: ^$can not open file 'other.lua'" in console
    console = boot(tmp_path, "lua54", {}, lua_modules="m", cvars={"lua_allowedModules": HASH}).console
    assert any("Lua module [m.lua]" in line and line.endswith("disallowed by ACL") for line in console)


def test_changing_the_list_only_unloads(tmp_path: Path) -> None:
    """A change of lua_modules at run time stops every module; lua_restart or the next load brings the new list."""
    server = boot(tmp_path, "lua54", {"a": "", "b": ""}, lua_modules="luascripts/a")
    server.execute_now('set lua_modules "luascripts/b"')
    server.frame()
    assert server.lua_status() == ["Lua 5.4 API: ^$no scripts loaded."]
    server.execute_now("map_restart 0")
    assert server.lua_status()[2].endswith("luascripts/b.lua        ")


def test_reload_reads_the_disk(tmp_path: Path) -> None:
    """A changed file acts at the next map_restart, not before."""
    server = boot(tmp_path, "lua54", {"a": "function et_RunFrame() et.trap_Cvar_Set('v', 1) end"})
    (tmp_path / "base/legacy/luascripts/a.lua").write_text("function et_RunFrame() et.trap_Cvar_Set('v', 2) end")
    server.frame()
    assert server.cvars.get("v") == "1"
    server.execute_now("map_restart 0")
    assert server.cvars.get("v") == "2"


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_host_survives_odd_arguments(interpreter: str, tmp_path: Path) -> None:
    """Whatever a script passes, it gets a value or a Lua error; no object of the host comes back."""
    code = """
        local odd = { 0/0, 1/0, -1/0, -1, 1e18, 0.5, "", "x", "1", true, {}, function() end }
        local count, bad = 0, {}
        for name, value in pairs(et) do
            if type(value) == "function" and name ~= "IPCSend" then -- it would call this very function again
                for _, one in ipairs(odd) do
                    for _, two in ipairs({ 0, "pers.netname", {} }) do
                        local results = { pcall(value, one, two, one) }
                        for i, result in pairs(results) do
                            if type(result) == "userdata" then
                                bad[#bad + 1] = name .. " returned " .. tostring(result) .. " for " .. tostring(one)
                            end
                        end
                        count = count + 1
                    end
                end
            end
        end
        return #bad > 0 and table.concat(bad, ", ") or count > 1000 and "fine" or "too few"
    """
    assert lua(tmp_path, interpreter, code) == "fine"


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_entity_fields_are_set(interpreter: str, tmp_path: Path) -> None:
    """gentity_set reaches plain fields, arrays and vectors."""
    code = """
        et.gentity_set(0, "health", 55)
        et.gentity_set(0, "ps.powerups", 4, 9)
        et.gentity_set(0, "ps.origin", { 1, 2.5, 3 })
        local o = et.gentity_get(0, "ps.origin")
        return et.gentity_get(0, "health") .. "|" .. et.gentity_get(0, "ps.powerups", 4) .. "|" .. o[2]
    """
    assert lua(tmp_path, interpreter, code) == "55|9|2.5"
