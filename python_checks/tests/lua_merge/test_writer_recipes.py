"""The recipes one by one: what they find, what they leave, what they refuse; the helpers' arithmetic against the real operators."""

from __future__ import annotations

import difflib
import operator
import re
from typing import Any

import lupa.lua54
import lupa.luajit21
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from python_checks.lua.fix import fix
from python_checks.lua.helpers import SECTIONS
from python_checks.lua.interpreters import compile_errors
from python_checks.tests.lua_merge.writers import NEW, OLD, OWN, ROOT, codes, merged, perform, source

HELPERS = ROOT / "python_checks" / "lua" / "writer_helpers"
WRITER_RECIPES = ("portable", "pause", "maxclients", "reinforcements", "timetracking", "deadtime", "files", "integers")
ENGINE = b"""
et = { GS_PLAYING = 0, CS_SERVERTOGGLES = 32, CS_LEVEL_START_TIME = 11, CS_REINFSEEDS = 31 }
world = { gamestate = "0", g_currentRound = "0", sv_maxclients = "16", ms = 0, strings = { [32] = "646", [11] = "1000" } }
function et.trap_Cvar_Get(name) return world[name] or "" end
function et.trap_GetConfigstring(index) return world.strings[index] or "" end
function et.trap_Milliseconds() return world.ms end
function et.trap_FS_FOpenFile() return world.handle, world.length end
function et.G_Print(text) world.said = (world.said or "") .. text end
"""


def lua(interpreter: str, *sections: str) -> Any:
    """A VM with a small engine and sections of the helper block."""
    module = {"lua54": lupa.lua54, "luajit": lupa.luajit21}[interpreter]
    runtime = module.LuaRuntime(encoding="latin-1")
    runtime.execute(
        ENGINE.decode() + "rollout_stats = {}\n" + "".join((HELPERS / f"{s}.lua").read_text() for s in sections)
    )
    return runtime


def fixed(script: bytes, recipe: str) -> bytes:
    result = fix(script, [recipe])
    assert not result.refused_reason, result.refused_reason
    return result.output.split(b"<<< rollout stats helpers <<<")[-1].strip()


# --- every recipe


@pytest.mark.parametrize("recipe", WRITER_RECIPES)
@pytest.mark.parametrize("name", [OLD, NEW, *OWN])
def test_recipes_alone_are_idempotent_and_keep_every_other_byte(name: str, recipe: str) -> None:
    """Whatever a recipe does to a file, all of the file's own lines that it does not name stay as they were, in their order."""
    result = fix(source(name), [recipe])
    if result.refused_reason:
        assert (
            result.output == source(name) and "looked for" in result.refused_reason and "found" in result.refused_reason
        )
        return
    assert fix(result.output, [recipe]).output == result.output
    before, after = source(name).split(b"\n"), result.output.split(b"\n")
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    touched = {n for tag, start, end, _, _ in matcher.get_opcodes() if tag != "equal" for n in range(start, end)}
    shown = [
        int(n)
        for a in result.actions
        for list_ in re.findall(r"lines? ([\d, ]+)", a)
        for n in re.findall(r"\d+", list_)
    ]
    near = {n - 1 + step for n in shown for step in range(4)}  # a call may go on for some lines
    assert touched <= near | {len(before) - 1}, result.actions


def test_every_section_of_the_helpers_has_a_file() -> None:
    assert {path.stem for path in HELPERS.glob("*.lua")} == set(SECTIONS)
    for name in SECTIONS:
        assert (HELPERS / f"{name}.lua").read_bytes().startswith(f"-- section {name}:".encode())


# --- portable


def test_portable_does_on_5_4_what_the_operators_did() -> None:
    for name in (NEW, "lua53_operators"):
        result = fix(source(name), ["portable"])
        assert compile_errors(source(name))["luajit"] and not any(compile_errors(result.output).values())
        before, after = perform(source(name), "completed"), perform(result.output, "completed")
        assert [(f.path, sorted((f.content or b"").split(b"\n"))) for f in before.files] == [
            (f.path, sorted((f.content or b"").split(b"\n"))) for f in after.files
        ]


_NUMBERS = st.integers(-(2**52), 2**52)
_EXPRESSIONS = st.recursive(
    st.integers(0, 255).map(str),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&", "|", "~", "+", "//"]), inner).map(lambda t: f"{t[0]} {t[1]} {t[2]}"),
        st.tuples(inner, st.sampled_from(["<<", ">>"]), st.integers(0, 5)).map(lambda t: f"({t[0]}) {t[1]}{t[2]}"),
        inner.map(lambda e: f"({e})"),
        inner.map(lambda e: f"~ {e}"),
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(_EXPRESSIONS)
def test_portable_expressions_keep_their_value(expression: str) -> None:
    """Precedence included: what 5.4 makes of the expression, both make of its portable form."""
    script = f"function x() return {expression} end".encode()
    try:
        true = lupa.lua54.LuaRuntime().execute(script.decode() + " return x()")
    except lupa.lua54.LuaError:
        return  # a division by zero
    if not -(2**53) < true < 2**53:
        return
    output = fix(script, ["portable"]).output.decode()
    for runtime in (lupa.lua54.LuaRuntime(), lupa.luajit21.LuaRuntime()):
        assert runtime.execute(output + " return x()") == true


@settings(max_examples=150, deadline=None)
@given(_NUMBERS, _NUMBERS)
def test_operators_without_the_operators(a: int, b: int) -> None:
    """The arithmetic that LuaJIT gets is that of 64-bit two's complement."""
    helpers = _JIT.globals().rollout_stats
    for name, python in (("band", operator.and_), ("bor", operator.or_), ("bxor", operator.xor)):
        assert helpers[name](a, b) == python(a, b), name
    assert helpers.bnot(a) == ~a and helpers.idiv(a, b or 7) == a // (b or 7)
    for places in (0, 1, 5):
        assert (
            helpers.lshift(a // 64, places) == (a // 64) << places
            and helpers.rshift(abs(a), places) == abs(a) >> places
        )
    assert helpers.rshift(-1, 60) == 15 and helpers.lshift(1, 64) == 0 and helpers.rshift(8, -1) == 16


_JIT = lua("luajit", "operators")
_BITS = {"lua54": lua("lua54", "bit"), "luajit": lupa.luajit21.LuaRuntime()}


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**31), 2**32 - 1), st.integers(-(2**31), 2**32 - 1), st.integers(0, 31))
def test_bit_shim_is_luajit_s_library(a: int, b: int, n: int) -> None:
    ours, real = (r.globals().bit if name == "luajit" else r.globals().rollout_stats.bit for name, r in _BITS.items())
    for name in ("band", "bor", "bxor"):
        assert ours[name](a, b) == real[name](a, b), name
    for name in ("lshift", "rshift", "arshift", "rol", "ror"):
        assert ours[name](a, n) == real[name](a, n), name
    assert (ours.bnot(a), ours.tobit(a), ours.tohex(a)) == (real.bnot(a), real.tobit(a), real.tohex(a))


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (b"local f <close> = nil\n", "<close>"),
        (b"local x = bit32.band(1, 2)\n", "bit32"),
        (b"local x = utf8\n", "only Lua 5.4"),
        (b"setfenv(1, {})\n", "only LuaJIT"),
    ],
)
def test_portable_refuses_what_has_no_counterpart(script: bytes, why: str) -> None:
    assert why in fix(script, ["portable"]).refused_reason


def test_portable_leaves_what_is_portable() -> None:
    for script in (
        source(OLD),
        b"local b = 3 // 1\n" * 0 + b"if utf8 then print(utf8) end\n",
        b"local x = -- a & b\n '1 << 2'\n",
    ):
        assert fix(script, ["portable"]).output == script


# --- pause


@pytest.mark.parametrize(
    ("test", "right"),
    [
        ("if bit.band(t, 16) == 1 then end", "if bit.band(t, 16) ~= 0 then end"),
        ("local M = 16 if 1 == band(t, M) then end", "local M = 16 if 0 ~= band(t, M) then end"),
        ("if t & 0x10 ~= 1 then end", "if t & 0x10 == 0 then end"),
        ("if not bit.band(t, 16) then end", "if not (bit.band(t, 16) ~= 0) then end"),
        ("if a and t & 1 << 4 then end", "if a and t & 1 << 4 ~= 0 then end"),
        ("local p = t & 16 return p == 1", "local p = t & 16 return p ~= 0"),
        ("return floor(t / 16) % 2 * 16 == 1", "return floor(t / 16) % 2 * 16 ~= 0"),
    ],
)
def test_pause_tests(test: str, right: str) -> None:
    assert fixed(test.encode(), "pause") == right.encode()


@pytest.mark.parametrize(
    "test",
    ["if t & 16 ~= 0 then end", "if t & 16 == 16 then end", "if et.isBitSet(16, t) then end", "x = f(t / 16) % 2 == 1"],
)
def test_pause_tests_that_are_right_stay(test: str) -> None:
    assert not fix(test.encode(), ["pause"]).changed and not fix(test.encode(), ["pause"]).refused_reason


@pytest.mark.parametrize("test", ["x = 1", "if t & 8 == 1 then end", "if t & 16 == n then end"])
def test_pause_refuses(test: str) -> None:
    assert "looked for" in fix(test.encode(), ["pause"]).refused_reason


# --- header


_ARGUMENTS = "a, b, c, 1, 2, 3, d, e"


@pytest.mark.parametrize(
    ("header", "right"),
    [
        (rf'h = string.format("%s\\%s\\%s\\%d\\%d\\%d\\%s\\%s\n", {_ARGUMENTS})',
         rf'h = string.format("%s\\%s\\%s\\%d\\%d\\%d\\%s\\%s\\%d\n", {_ARGUMENTS}, rollout_stats.playtime())'),
        (rf"h = ([[%s\%s\%s\%d\%d\%d\%s\%s]]):format({_ARGUMENTS})",
         rf"h = ([[%s\%s\%s\%d\%d\%d\%s\%s\%d]]):format({_ARGUMENTS}, rollout_stats.playtime())"),
        (r'h = a.."\\"..b.."\\"..c.."\\"..1 .."\\1\\"..w.."\\"..d.."\\"..e.."\n"',
         r'h = a.."\\"..b.."\\"..c.."\\"..1 .."\\1\\"..w.."\\"..d.."\\"..e.."\\" .. rollout_stats.playtime() .. "\n"'),
        (rf'h = table.concat({{{_ARGUMENTS}}}, "\\")', rf'h = table.concat({{{_ARGUMENTS}, rollout_stats.playtime()}}, "\\")'),
        (r'h = string.format("%s\\%s\\%s\\%d\\%d\\%d\\%s\\%s", unpack(t))',
         r'h = rollout_stats.header(string.format("%s\\%s\\%s\\%d\\%d\\%d\\%s\\%s", unpack(t)))'),
        (rf'h = string.format("%s\\%s\\%s\\%d\\%d\\%d\\%s\\%s\\%s\n", {_ARGUMENTS}, f - g)',
         rf'h = string.format("%s\\%s\\%s\\%d\\%d\\%d\\%s\\%s\\%s\n", {_ARGUMENTS}, rollout_stats.playtime())'),
    ],
)  # fmt: skip
def test_headers_in_many_notations(header: str, right: str) -> None:
    found = fixed(header.encode(), "timetracking").decode()
    assert found.split("\n\n--")[0].strip() == right


def test_a_ninth_field_that_reads_the_clock_itself() -> None:
    values = f'{_ARGUMENTS}, et.trap_Milliseconds() - s - tonumber(et.trap_Cvar_Get("g_currentRound"))'
    found = fixed(rf'h = string.format("%s\\%s\\%s\\%d\\%d\\%d\\%s\\%s\\%d\n", {values})'.encode(), "timetracking")
    assert f"{_ARGUMENTS}, rollout_stats.playtime())".encode() in found


# --- dead time

_DEATHS = b"""function et_Obituary(v, k, m) died[v] = et.trap_Milliseconds(); gap[v] = { 0, 0 } end
function store()
  for i = 0, 15 do
    if died[i] ~= 0 then
      numbers[i][17] = ((et.trap_Milliseconds() - (gap[i][2] - gap[i][1])) - died[i]) + numbers[i][17] -- so far
    end
  end
end
function et_RunFrame(t) store() end
function et_ClientSpawn(i)
  if died[i] ~= 0 then numbers[i][17] = numbers[i][17] + (et.trap_Milliseconds() - died[i]); died[i] = 0 end
end
"""


def test_dead_time_in_another_order_of_terms() -> None:
    """The begin of the death is told from other times that are taken off; the sum at the end of a death stays as it is."""
    found = fixed(_DEATHS, "deadtime").replace(b"rollout_stats.milliseconds", b"et.trap_Milliseconds")
    moved = b"-- so far\n      died[i] = et.trap_Milliseconds()\n"
    assert found.split(b"\n\n--")[0].strip() == _DEATHS.replace(b"-- so far\n", moved).strip()


@pytest.mark.parametrize(
    "script", [b"x = 1\n", _DEATHS.replace(b"died[v] =", b"x ="), _DEATHS.replace(b"numbers[i][17] =", b"y =")]
)
def test_dead_time_refuses_without_a_sum_of_deaths(script: bytes) -> None:
    assert "looked for a sum" in fix(script, ["deadtime"]).refused_reason


@pytest.mark.parametrize("order", [WRITER_RECIPES, WRITER_RECIPES[::-1], WRITER_RECIPES[4:] + WRITER_RECIPES[:4]])
@pytest.mark.parametrize("name", [OLD, "tabs_module"])
def test_recipes_in_any_order(name: str, order: tuple[str, ...]) -> None:
    result = fix(source(name), order)
    assert not result.refused_reason and not any(compile_errors(result.output).values())
    assert codes(result.output, "pause_in_death") == set()
    assert fix(result.output, WRITER_RECIPES).output == result.output


# --- the clock, by itself


def play(runtime: Any, until: int, state: str = "0") -> None:
    """Frames of 50 ms up to a server time."""
    runtime.execute(
        f'world.gamestate = "{state}" while world.now < {until} do world.now = world.now + 50 world.ms = world.ms + 50 frame(world.now) end'
    )


@pytest.mark.parametrize("interpreter", ["lua54", "luajit"])
def test_clock(interpreter: str) -> None:
    """Start once, pauses, the end, the next round in the same VM, and the number of a round that is broken off."""
    runtime = lua(interpreter, "engine", "clock")
    helpers = runtime.globals().rollout_stats
    runtime.execute("init, frame, down = rollout_stats.watched() world.now = 1000 init(1000)")
    assert helpers.playtime() == 0
    play(runtime, 11000)
    assert helpers.playtime() == 10000 and helpers.milliseconds() == 10000
    runtime.execute('world.strings[32] = "662"')
    play(runtime, 31000)
    assert helpers.playtime() == 10000
    runtime.execute('world.strings[32] = "646"')
    play(runtime, 41000)
    assert helpers.playtime() == 10000 + 10000 - 50, "the frame that clears the bit is a paused one"
    runtime.execute('world.strings[32] = "16"')
    play(runtime, 51000)
    play(runtime, 52000, "3")
    assert helpers.playtime() == 19950 and helpers.milliseconds() > 19950, "the clock goes on in the intermission"
    runtime.execute("init(60000) world.now = 60000 world.strings[11] = '60000' world.strings[32] = '0'")
    assert helpers.playtime() == 0, "reset for each round"
    play(runtime, 65000)
    assert helpers.playtime() == 5000 and helpers.cvar("g_currentRound") == "0"
    runtime.execute("down(0)")
    assert (
        helpers.playtime() == 5000 and helpers.cvar("g_currentRound") == "1" and helpers.cvar("G_CURRENTROUND") == "1"
    )
    assert helpers.cvar("sv_maxclients") == "16"


@pytest.mark.parametrize("interpreter", ["lua54", "luajit"])
def test_clock_after_lua_restart(interpreter: str) -> None:
    """Loaded in the middle of a half, without et_InitGame: the config string knows the start."""
    runtime = lua(interpreter, "engine", "clock")
    runtime.execute("init, frame, down = rollout_stats.watched() world.now = 200000 world.strings[11] = '80000'")
    play(runtime, 201000)
    assert runtime.globals().rollout_stats.playtime() == 121000


@pytest.mark.parametrize("interpreter", ["lua54", "luajit"])
@pytest.mark.parametrize("seeds", ["70 41 5 6", "7 3 5 6", "63 31 1", "64 32 1", "", "x"])
def test_seeds_modulo_8(interpreter: str, seeds: str) -> None:
    runtime = lua(interpreter, "engine", "reinforcements")
    runtime.globals().world.strings[31] = seeds
    read = runtime.globals().rollout_stats.configstring(31).split()
    wanted = [n for n in seeds.split() if n.isdigit()]
    if wanted:
        assert int(read[0]) >> 3 == (int(wanted[0]) >> 3) % 8 and int(read[1]) >> 2 == (int(wanted[1]) >> 2) % 8
    assert read[2:] == seeds.split()[2:]


@pytest.mark.parametrize("name", [OLD, NEW, "tabs_module", "lua53_operators", "required_bit"])
def test_seeds_are_read_that_way_in_every_writer(name: str) -> None:
    """Each writer that reads them: with seeds of 64 and more it raises before, and not after."""
    odd = b"do local g = et.trap_GetConfigstring et.trap_GetConfigstring = function(i) if i == 31 then return '126 95 11 3 13 7 2 5 1 17'"
    odd += b" end return g(i) end end\n"
    interpreter = "luajit" if name in ("tabs_module", "required_bit") else "lua54"
    match = "players_1" if name in (OLD, NEW) else "completed"
    if name != "required_bit":  # it fails in et_InitGame, before the seeds are there
        assert "lua_error" in codes(odd + source(name), match, interpreter, None)
    assert "lua_error" not in codes(odd + merged(name), match, interpreter)


@pytest.mark.parametrize("interpreter", ["lua54", "luajit"])
@pytest.mark.parametrize(
    ("text", "count"), [("16", 16), ("", 64), ("0", 64), ("-1", 64), ("65", 64), ("x", 64), ("20.0", 20), ("64", 64)]
)
def test_number_of_slots(interpreter: str, text: str, count: int) -> None:
    runtime = lua(interpreter, "engine", "slots")
    runtime.globals().world.sv_maxclients = text
    helpers = runtime.globals().rollout_stats
    assert helpers.ensure_max_clients() == count and helpers.cvar("sv_maxclients") == str(count)


@pytest.mark.parametrize("interpreter", ["lua54", "luajit"])
def test_integers_and_files(interpreter: str) -> None:
    runtime = lua(interpreter, "integers", "files")
    helpers = runtime.globals().rollout_stats
    assert helpers.format("%d|%5.1f|%%|%s|%i", 7.9, 2.25, "x", -7.9) == "7|  2.2|%|x|-7"
    assert runtime.eval("rollout_stats.format('%d %d %d', nil, 0/0, 1/0)") == "0 0 0"
    for handle, length in ((0, 0), (5, -1), (None, None)):
        runtime.globals().world.handle, runtime.globals().world.length = handle, length
        assert tuple(runtime.eval("{rollout_stats.open('a.txt', 1)}").values()) == (0, -1)
    assert runtime.globals().world.said.count("a.txt") == 1
    runtime.globals().world.handle, runtime.globals().world.length = 3, 0
    assert tuple(runtime.eval("{rollout_stats.open('a.txt', 1)}").values()) == (3, 0)
