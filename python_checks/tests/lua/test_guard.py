# ruff: noqa: E501 - lines of Lua are kept whole
"""The guard's own functions on both interpreters: numbers, texts, lists, failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import lupa.lua54
import lupa.luajit21
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

MODULES = {"lua54": lupa.lua54, "luajit": lupa.luajit21}
GUARD = resources.files("python_checks.lua").joinpath("webhook_guard.lua").read_bytes()
STUB = b"""printed = {} cvars = {}
et = { FS_WRITE = 1, G_Print = function(t) printed[#printed + 1] = t end, trap_Cvar_Get = function(n) return cvars[n] or "" end,
 trap_GetConfigstring = function() return "" end, Info_ValueForKey = function() return "supply" end }
"""


def _runtime(interpreter: str) -> Any:
    return MODULES[interpreter].LuaRuntime(encoding=None)


@pytest.fixture(params=sorted(MODULES))
def lua(request: pytest.FixtureRequest) -> Callable[[bytes], Any]:
    """Runs a chunk behind the guard's code."""
    runtime = _runtime(request.param)
    return lambda chunk: runtime.execute(STUB + GUARD + chunk)


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        ("7.374583", 7), ("12", 12), ("12.0", 12), ("7.5", 8), ("-0.4", 0), ("nil", 0), ("0/0", 0), ("1/0", 0), ("-1/0", 0), ("'7.6'", 8),
        ("'abc'", 0), ("''", 0), ("{}", 0), ("true", 0), ("2^53", 2**53), ("1e300", 0), ("-1e300", 0), ("1771600868.0", 1771600868),
    ],
)  # fmt: skip
def test_int(lua: Callable[[bytes], Any], value: str, whole: int) -> None:
    """nil, NaN, infinities and what is no number are 0; all else is the nearest whole number, exact for %d."""
    assert lua(f"return string.format('%d', rollout_guard.int({value}))".encode()) == str(whole).encode()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("'%d:%02d', 7.4, 2.6", "7:03"), ("'%5.1f|%s|%d', 1.25, 'x', nil", "  1.2|x|0"), ("'%%d %d', 1.0", "%d 1"), ("'%d'", "0"),
        ("'%i%x%X', 1.2, 254.6, 10.4", "1ffA"), ("'%s %s', 'a', nil", "a nil"), ("'%-5d|%+d', 3.2, 4.1", "3    |+4"), ("'none', 1.5", "none"),
    ],
)  # fmt: skip
def test_format(lua: Callable[[bytes], Any], call: str, text: str) -> None:
    assert lua(f"return rollout_guard.format({call})".encode()) == text.encode()


def test_other_errors_stay_errors(lua: Callable[[bytes], Any]) -> None:
    """Only integer conversions are made safe; a wrong %f is still an error for the protection to catch."""
    assert lua(b"return (pcall(rollout_guard.format, '%f', nil))") is False


def test_method_format(lua: Callable[[bytes], Any]) -> None:
    chunk = b"local o = { format = function(self, a) return 'own' .. a end } return rollout_guard.method_format(o, 1) .. rollout_guard.method_format('%d', 1.2)"
    assert lua(chunk) == b"own11"


def test_time_and_whole_keep_what_is_no_number(lua: Callable[[bytes], Any]) -> None:
    assert (
        lua(
            b"return rollout_guard.time(nil) == nil and rollout_guard.whole('7.375') == '7.375' and rollout_guard.whole(nil) == nil"
        )
        is True
    )
    assert lua(b"return '' .. rollout_guard.whole(300.0)") == b"300"


@settings(max_examples=60, deadline=None)
@given(name=st.binary(max_size=40))
@pytest.mark.parametrize("interpreter", sorted(MODULES))
def test_any_name_survives_json(interpreter: str, name: bytes) -> None:
    """A nested text, escaped twice, comes back: valid UTF-8 as it is, other bytes as Latin-1."""
    runtime = _runtime(interpreter)
    run = runtime.execute(
        STUB
        + GUARD
        + b"""return function(name)
        local esc = rollout_guard.escaper(function(s) return (s:gsub('\\\\', '\\\\\\\\'):gsub('"', '\\\\"')) end)
        local list = '[{"guid":"G","name":"' .. esc(name) .. '"}]'
        return '{"value":"' .. rollout_guard.quote(list) .. '"}' end"""
    )
    outer = json.loads(run(name).decode("utf-8"))
    found = json.loads(outer["value"])[0]["name"]
    assert found == _as_shown(name)


def _as_shown(name: bytes) -> str:
    out, rest = "", name
    while rest:
        for length in (1, 2, 3, 4):
            try:
                out += rest[:length].decode("utf-8")
            except UnicodeDecodeError:
                continue
            rest = rest[length:]
            break
        else:
            out, rest = out + chr(rest[0]), rest[1:]
    return out


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize("players", [4, 12, 16, 20, 32])
def test_lists_fit(lua: Callable[[bytes], Any], players: int, escaped: bool) -> None:
    """Up to 1024 characters: first the guids shrink to the 8 characters that everybody joins on, then players go, whole ones."""
    entries = [{"guid": f"{n:02d}" * 16, "name": f'^1"pla\\yer}},{{ {n:02d}'} for n in range(players)]
    text = json.dumps(entries, separators=(",", ":"))
    value = text.replace("\\", "\\\\").replace('"', '\\"') if escaped else text
    fitted = lua(f"return rollout_guard.fit([=[{value}]=])".encode()).decode()
    shown = json.loads(f'"{fitted}"') if escaped else fitted
    assert len(shown) <= 1024
    kept = json.loads(shown)
    if len(text) <= 1024:
        assert fitted == value
    else:
        assert all(
            k["name"] == e["name"] and e["guid"].startswith(k["guid"]) and len(k["guid"]) == 8
            for k, e in zip(kept, entries, strict=False)
        )
        assert len(kept) == players or len(shown) + 60 > 1024


def test_what_is_no_list_is_left(lua: Callable[[bytes], Any]) -> None:
    assert (
        lua(b"return rollout_guard.fit(('x'):rep(2000)) == ('x'):rep(2000) and rollout_guard.fit(nil) == nil") is True
    )


def test_note_is_one_short_line(lua: Callable[[bytes], Any]) -> None:
    lua(b"rollout_guard.note(function() return { limit = 7.374583 } end)")
    printed = lua(b"rollout_guard.note(function() return { limit = ('9'):rep(5000) } end) return printed[1]")
    assert (
        printed.startswith(b"[stats_discord_webhook] timelimit=999")
        and printed.endswith(b" type=string\n")
        and len(printed) < 1024
    )
    assert printed.count(b"\n") == 1


def test_note_reads_the_cvar_when_the_script_cannot(lua: Callable[[bytes], Any]) -> None:
    printed = lua(b"cvars.timelimit = '7.5' rollout_guard.note(function() error('x') end) return printed[1]")
    assert printed == b"[stats_discord_webhook] timelimit=7.5 type=number\n"


PROTECTED = b"""
local busy, score, last, calls = false, { axis = 0 }, 'old', 0
local fail = true
local send = rollout_guard.protect(function(a, b)
    calls = calls + 1
    if busy then return 'skipped' end
    busy = true
    score.axis = score.axis + 1
    last = 'new'
    if a == 'early' then return 'early' end
    if a == 'nested' then return again() end
    if fail then error({ 'odd' }) end
    busy = false
    return a, nil, b
end, { busy = function() return busy end, idle = function() busy = false end, save = function() return last, score end,
    restore = function(_, ...) last, score = ... end, folder = function() return folder end })
function again() return send('x') end
"""


def test_protected_failure_leaves_no_trace(lua: Callable[[bytes], Any], tmp_path: Any) -> None:
    chunk = (
        b"folder = [[%s]] " % bytes(tmp_path)
        + PROTECTED
        + b"local ok = send('x') return tostring(ok) .. tostring(busy) .. score.axis .. last"
    )
    assert lua(chunk) == b"falsefalse0old"
    assert len(list(tmp_path.glob("gametime-supply-R*-*.json"))) == 1
    assert json.loads(next(tmp_path.iterdir()).read_text())["meta"]["map"] == "supply"


def test_protected_ways_out(lua: Callable[[bytes], Any], tmp_path: Any) -> None:
    """Results come through, holes and all; an early return and a nested call leave the flag down; the next attempt works."""
    head = b"folder = [[%s]] " % bytes(tmp_path) + PROTECTED + b"fail = false "
    assert (
        lua(head + b"local a, n, b = send('x', 'y') return a .. tostring(n) .. b .. select('#', send('x', 'y'))")
        == b"xnily3"
    )
    assert lua(head + b"send('early') return tostring(busy)") == b"false"
    assert lua(head + b"return send('nested') .. tostring(busy)") == b"skippedfalse"
    assert lua(head + b"fail = true send('x') fail = false return send('x') .. score.axis .. last") == b"x1new"


def test_a_failure_writes_one_file_however_often_it_comes_back(lua: Callable[[bytes], Any], tmp_path: Any) -> None:
    lua(b"folder = [[%s]] " % bytes(tmp_path) + PROTECTED + b"for _ = 1, 5 do send('x') end")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_script_without_hooks_is_still_protected(lua: Callable[[bytes], Any]) -> None:
    """Even when the engine itself fails to answer, no error leaves the function."""
    chunk = b"et.trap_Cvar_Get = nil local f = rollout_guard.protect(function() error('x') end, {}) return tostring((pcall(f)))"
    assert lua(chunk) == b"true"


def test_hostile_facts_become_a_valid_file(lua: Callable[[bytes], Any], tmp_path: Any) -> None:
    chunk = b"""local f = rollout_guard.protect(function()
        rollout_guard.note(function() return { Map = 'a"b/\\\\c\\27', Round = 0/0, Lua_RoundEnd = 1771600868.5, Lua_Playtime = 1/0, Lua_Timelimit = '7.375 min',
            Winner = {}, Lua_EndReason = function() end } end)
        error('x') end, { folder = function() return [[%s]] end }) cvars.g_currentRound = '1' cvars.gamestate = '3' f()""" % bytes(
        tmp_path
    )
    lua(chunk)
    (path,) = tmp_path.iterdir()
    assert path.name == "gametime-a_b__c_-R1-1771600869.json"
    content = json.loads(path.read_text())
    assert content["meta"]["round"] == 1 and content["meta"]["actual_duration_seconds"] == 0
    fields = {f["name"]: f["value"] for f in content["payload"]["embeds"][0]["fields"]}
    assert (
        fields["Map"] == 'a"b/\\c\x1b'
        and fields["Winner"] == "0"
        and fields["Lua_Timelimit"] == "7 min"
        and fields["Lua_EndReason"] == "unknown"
    )
