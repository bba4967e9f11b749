# ruff: noqa: E501 - lines of Lua are kept whole
"""Recipe webhook: fixes what it understands, in any style, refuses what it does not, and touches nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from python_checks.lua.edits import Edits
from python_checks.lua.finding import Finding
from python_checks.lua.fix import fix
from python_checks.lua.interpreters import compile_errors
from python_checks.lua.judge import judge
from python_checks.lua.recipe import CannotJudge, FixResult
from python_checks.lua.tree import LuaTree
from python_checks.lua.webhook import plan_webhook
from python_checks.lua.webhook_targets import watched_state
from python_checks.tests.lua.conftest import MODULE, WEBHOOKS, fixed, original, perform

SMALL = b"""local busy = false
local function send(map, round)
  if busy then return end
  busy = true
  local limit = tonumber(et.trap_Cvar_Get("timelimit"))
  local body = string.format('{"content":"STATS_READY","embeds":[{"fields":[{"name":"Map","value":"%s"},{"name":"Lua_Timelimit","value":"%d min"}]}]}', map, limit)
  os.execute("curl -d '" .. body .. "' http://hooks.example.invalid/x &")
  busy = false
end
function et_RunFrame() send("supply", 1) end
"""


def repair(source: bytes) -> FixResult:
    """The recipe's result, which must not be a refusal."""
    result = fix(source, ["webhook"])
    assert not result.refused_reason, result.refused_reason
    return result


@pytest.mark.parametrize("name", WEBHOOKS)
def test_fixed_once_and_for_all(name: str) -> None:
    """It compiles on both, says what it did for each step of the plan, and a second run changes nothing."""
    result = repair(original(name))
    assert result.changed and result.diff
    for step in ("1.1", "1.2", "1.3", "1.4"):
        assert any(action.startswith(step) for action in result.actions), step
    assert not any(compile_errors(result.output).values())
    again = repair(result.output)
    assert not again.changed and again.output == result.output and again.actions == () and again.diff == ""


@pytest.mark.parametrize("name", WEBHOOKS)
def test_everything_else_stays_byte_identical(name: str) -> None:
    """Outside of its edits the original is there, byte for byte and in order; address and settings are outside."""
    source = original(name)
    edits = sorted(plan_webhook(LuaTree(source)).edits.edits)
    kept, position = [], 0
    for edit in edits:
        kept.append(source[position : edit.start])
        position = edit.end
    kept.append(source[position:])
    at = 0
    output = fixed(name)
    for piece in kept:
        found = output.find(piece, at)
        assert found >= 0
        at = found + len(piece)
    removed = b"".join(source[e.start : e.end] for e in edits)
    assert b"http" not in removed and b"/home/et" not in removed
    for line in source.splitlines():
        if b"http://" in line and b"=" in line and b"curl" not in line and len(line) < 200:
            assert line in output


@pytest.mark.parametrize("name", WEBHOOKS)
def test_fixed_file_plays_a_fractional_limit_alike_on_both(name: str) -> None:
    posts = {i: [p.payload for p in perform(fixed(name), "completed", i).posts] for i in ("lua54", "luajit")}
    assert len(posts["lua54"]) == 2 and posts["lua54"] == posts["luajit"]


@pytest.mark.parametrize(
    ("defect", "old", "new", "looked_for"),
    [
        ("no payload", b"STATS_READY", b"OTHER", "STATS_READY"),
        ("no send", b"os.execute(", b"et.G_Print(", "found none"),
        (
            "everything in a callback",
            b"local function send(map, round)",
            b"function et_RunFrame(map, round)",
            "outside of the engine's callbacks",
        ),
        (
            "two builders",
            b"function et_RunFrame",
            b'function other() return \'"content":"STATS_READY"\' end function et_RunFrame',
            "other",
        ),
        ("the guard's name in use", b"local busy", b"local rollout_guard = 1 local busy", "rollout_guard"),
    ],
)
def test_refusals_say_what_was_looked_for(defect: str, old: bytes, new: bytes, looked_for: str) -> None:
    source = SMALL.replace(old, new)
    if defect == "no send":
        source = source.replace(b"curl ", b"")
    if defect == "everything in a callback":
        source = source[: source.rindex(b"function et_RunFrame() ")]
    assert source != SMALL
    result = fix(source, ["webhook"])
    assert "looked for" in result.refused_reason and looked_for in result.refused_reason, result.refused_reason
    assert not result.changed and result.output == source and result.diff == "" and result.actions == ()


def test_two_sends_are_refused_and_both_named() -> None:
    source = SMALL.replace(
        b"function et_RunFrame() send",
        b'local function build() return \'"content":"STATS_READY"\' end\nfunction et_RunFrame() send',
    )
    source = source.replace(b"local body = string.format(", b"local body = build() .. string.format(").replace(
        b'{"content":"STATS_READY",', b"{"
    )
    source = source.replace(b"local busy = false\n", b"local busy, build = false\n").replace(
        b"local function build()", b"build = function()"
    )
    twice = (
        source + b"function post_again() os.execute('curl ' .. build()) end\nfunction et_InitGame() post_again() end\n"
    )
    assert not fix(source, ["webhook"]).refused_reason
    reason = fix(twice, ["webhook"]).refused_reason
    assert "post_again" in reason and "send" in reason


@pytest.mark.parametrize("source", [b"local x = = 1", b"\x1bLua", b"\xff\xfel\x00"])
def test_what_is_no_lua_is_not_judged(source: bytes) -> None:
    with pytest.raises(CannotJudge, match="neither interpreter"):
        fix(source, ["webhook"])


def test_a_file_for_one_interpreter_stays_one_for_it() -> None:
    """5.3 operators are not this recipe's business; what 5.4 loads it still loads."""
    result = repair(SMALL + b"local mask = 1 << 4\n")
    assert compile_errors(result.output)["lua54"] == "" and compile_errors(result.output)["luajit"] != ""


def test_a_file_that_would_not_load_any_more_is_refused() -> None:
    """LuaJIT allows 60 upvalues in a function; the note about the limit would be the 61st of a full one."""
    names = [f"v{n}".encode() for n in range(59)]
    source = (
        b"local "
        + b", ".join(names)
        + b"\n"
        + SMALL.replace(
            b"  local body = string",
            b"  pcall(function() local _ = {" + b", ".join(names) + b"}\n  local body = string",
        )
    )
    source = (
        source.replace(b"map, limit)", b"map, 1)")
        .replace(b'example.invalid/x &")\n', b'example.invalid/x &") end)\n')
        .replace(b"body .. \"' http", b"body .. \"' http")
    )
    assert not any(compile_errors(source).values())
    reason = fix(source, ["webhook"]).refused_reason
    assert "would not load" in reason and "luajit" in reason and "lua54" not in reason


def test_a_full_file_still_takes_the_guard() -> None:
    """200 locals are Lua's limit; the guard needs none."""
    full = b"".join(b"local v%d\n" % n for n in range(198)) + SMALL
    assert not any(compile_errors(full).values())
    assert repair(full).changed


def test_an_older_guard_is_renewed() -> None:
    output = repair(SMALL).output
    old = output.replace(b"number - whole >= 0.5", b"number - whole >= 0.6")
    assert repair(old).output == output


def test_last_byte_and_line_endings_stay() -> None:
    bare = SMALL.rstrip(b"\n")
    assert repair(bare).output.endswith(b'send("supply", 1) end')
    crlf = repair(SMALL.replace(b"\n", b"\r\n")).output
    assert crlf.count(b"\n") == crlf.count(b"\r\n")
    assert b"\r" not in repair(SMALL).output


def test_a_byte_order_mark_stays_first() -> None:
    """LuaJIT skips it, Lua 5.4 does not load the file, and that is not this recipe's business."""
    output = repair(b"\xef\xbb\xbf" + SMALL).output
    assert output.startswith(b"\xef\xbb\xbf-- >>>") and compile_errors(output)["luajit"] == ""


def test_the_plans_own_line_gets_its_newline() -> None:
    """Step 1.3 typed in by hand, without a newline (trap 10.20): it is completed and not printed twice."""
    by_hand = b'  et.G_Print("[stats_discord_webhook] timelimit=" .. tostring(limit) .. " type=" .. type(limit))\n  local body ='
    output = repair(SMALL.replace(b"  local body =", by_hand)).output
    assert b'type(limit) .. "\\n")' in output and b"end, true)" in output


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"local function send(map, round)", b"local send\nfunction send(map, round)"),
        (b"local function send(map, round)", b"local send = function(map, round)"),
        (b"local function send(map, round)", b"function send(map, round)"),
        (b"local function send(map, round)", b"local send send = function(map, round)"),
        (b"string.format('", b"('"),
        (b"string.format(", b"string['format']("),
        (b"string.format(", b"(string.format)("),
        (b"string.format(", b"string.format--[[ why ]] ("),
        (b"busy = false\nend\n", b"busy = false end "),
        (b"busy = false\nend\n", b"busy = false\nend -- sent\n"),
        (b"busy = false\nend\n", b"busy = false\nend\n;(function() end)()\n"),
        (b"busy = false\nend\n", b"busy = false\nend;\n"),
        (b"  local limit", b"\tlocal limit"),
        (b"local busy = false", b"do local x = 1 end local busy = false"),
        (b"local busy = false", b"#busy"),
    ],
)
def test_styles(old: bytes, new: bytes) -> None:
    """One webhook in many spellings: a fractional limit must post on both interpreters."""
    source = SMALL.replace(old, new)
    if new == b"('":
        source = source.replace(b"]}]}', map, limit)", b"]}]}'):format(map, limit)")
    if new == b"#busy":
        source = (
            SMALL.replace(b"local busy = false", b"local M = {}")
            .replace(b"busy = ", b"M.busy = ")
            .replace(b"if busy", b"if M.busy")
        )
        source = source.replace(b"local function send(map, round)", b"function M.send(map, round)").replace(
            b"() send(", b"() M.send("
        )
    source = source.replace(
        b'function et_RunFrame() send("supply", 1) end',
        b'function et_RunFrame() if et.trap_Cvar_Get("gamestate") == "3" and not sent then sent = true send("supply", 1) end end',
    )
    source = source.replace(
        b'function et_RunFrame() M.send("supply", 1) end',
        b'function et_RunFrame() if et.trap_Cvar_Get("gamestate") == "3" and not sent then sent = true M.send("supply", 1) end end',
    )
    output = repair(source).output
    assert b"rollout_guard.protect(" in output and b"busy = false end," in output
    for interpreter in ("lua54", "luajit"):
        play = perform(output, "completed", interpreter)
        assert [b"7 min" in p.payload for p in play.posts] == [False, True], (interpreter, play.console[-30:])
        assert not any("error running" in line for line in play.console)


NAMES = {
    b"send_in_progress": b"dispatching", b"match_score": b"standings", b"round_end_unix": b"t_end", b"time_limit": b"mins", b"payload": b"blob",
    b"send_webhook": b"ship", b"json_escape": b"jq", b"configuration": b"C", b"log": b"out", b"winner": b"w_", b"duration": b"secs",
}  # fmt: skip


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(["big_format", "inner_pcall"]),
    renamed=st.sets(st.sampled_from(sorted(NAMES))),
    crlf=st.booleans(),
    tabs=st.booleans(),
    comments=st.booleans(),
    latin=st.booleans(),
    ends=st.booleans(),
)
def test_mutants(
    name: str, renamed: set[bytes], crlf: bool, tabs: bool, comments: bool, latin: bool, ends: bool
) -> None:
    """Renamed, reindented, commented, in Latin-1, with CRLF, without a last newline: fixed alike, twice the same, and it posts."""
    source = original(name)
    for old in renamed:
        source = re.sub(rb"(?<![\w.\"'])" + old + rb"\b(?!\")", NAMES[old], source)
    if tabs:
        source = re.sub(rb"^( {4})+", lambda m: b"\t" * (len(m.group()) // 4), source, flags=re.MULTILINE)
    if comments:
        source = re.sub(rb"^(\s*)(local \w+ = )", rb"\1-- set %d [[ ' \"\n\1\2", source, flags=re.MULTILINE)
    if latin:
        source = b"-- \xe9\xff\xfe caf\xe9\n" + source + b"-- \xe4"
    if ends:
        source = source.rstrip(b"\n")
    if crlf:
        source = source.replace(b"\n", b"\r\n")
    if any(compile_errors(source).values()):
        return
    output = repair(source).output
    assert not repair(output).changed
    play = perform(output, "completed", "lua54")
    assert len(play.posts) == 2 and not any("error running" in line for line in play.console)
    assert sum("timelimit=7.374167 type=number" in line for line in play.console) == 1


@pytest.mark.parametrize(
    ("code", "flags"),
    [
        # Raised in front of the work and lowered behind it: busy, however it is spelt.
        (b"if not F then F = true WORK F = false end", b"F"),
        (b"if F then return end F = true if x then F = false return end WORK F = false", b"F"),
        (b"if S.F == true then return end S.F = true pcall(function() WORK end) S.F = nil", b"S.F"),
        (b"if busy == 1 then return end busy = 1 WORK busy = 0", b"busy"),
        (b"if lock_since then return end lock_since = os.time() WORK lock_since = nil", b"lock_since"),
        (b"if not begin() then return end WORK finish()", b"F"),
        (b"if arg.F then return end arg.F = true WORK arg.F = false", b"arg.F"),
        (b"if F then return end F = true if x then WORK F = false else F = false end", b""),
        (b"if in_progress then return end in_progress = true if x then WORK in_progress = false end", b"in_progress"),
        # Switches with another meaning: clearing them would send twice or lose a round.
        (b"if F then return end F = true WORK", b""),
        (b"if F then return end F = true WORK if x then F = false end", b""),
        (b"if not F then F = true elseif x then WORK F = false end", b""),
        (b"local F = false if F then return end F = true WORK F = false", b""),
        (b"if F == 1 then return end F = 1 WORK F = 0", b""),
        (b"F = true WORK F = false", b""),
    ],
)
def test_which_switch_is_the_busy_flag(code: bytes, flags: bytes) -> None:
    head = b"local F, S, busy, lock_since, in_progress = false, {}, 0, nil, false\nlocal function begin() if F then return false end F = true return true end\nlocal function finish() F = false end\n"
    work = b"local b = string.format('STATS_READY %d', 1.5) os.execute('curl -d ' .. b)"
    source = (
        head
        + b"local function send(arg, x) "
        + code.replace(b"WORK", work)
        + b" end\nfunction et_RunFrame() send({}, true) end\n"
    )
    output = repair(source).output
    found = re.search(rb"idle = function\(.*?\) (.*?) end,", output)
    lowered = found.group(1).split(b" = ")[0] if found else b""
    assert lowered == flags
    if flags == b"self.F":
        assert b"busy = function(self, x) return self.F end," in output
    if flags == b"arg.F":
        assert b"busy = function(arg, x) return arg.F end," in output


def test_a_busy_flag_out_of_sight_is_refused() -> None:
    source = b"""local function post(job) if job.busy then return end job.busy = true os.execute('curl ' .. job.text) job.busy = false end
    local function send() post({ text = 'STATS_READY' }) end function et_RunFrame() send() end"""
    assert "busy flag job.busy" in fix(source, ["webhook"]).refused_reason


def rename_locals(source: bytes) -> bytes:
    """Every local gets a name that says nothing."""
    tree = LuaTree(source)
    numbers = {id(binding): n for n, binding in enumerate(tree.bindings)}
    edits = Edits()
    for node in [n for n in tree.descendants(tree.root) if n.type == "identifier"]:
        binding = tree.binding(node)
        if binding is not None and binding.name != b"self":
            edits.replace(node.start_byte, node.end_byte, b"v%d" % numbers[id(binding)])
    return edits.apply(source)


@pytest.mark.parametrize("name", WEBHOOKS)
def test_names_of_locals_do_not_matter(name: str) -> None:
    """With nameless locals the same is found: same steps, same posts, the same state protected."""
    source = rename_locals(original(name))
    assert source != original(name) or name == "encoder"
    result = repair(source)
    plain, nameless = (watched_state(LuaTree(s)) for s in (original(name), source))
    assert [len(x) for x in plain] == [len(x) for x in nameless]
    posts = [p.payload for p in perform(result.output, "hostile_names", "luajit").posts]
    assert posts == [p.payload for p in perform(fixed(name), "hostile_names", "luajit").posts] and posts
    for fault in ("build", "send"):
        play = perform(result.output, "completed", "lua54", fault)
        assert judge(MODULE, MODULE, "webhook", play) == []


def test_an_unknown_recipe_is_an_error() -> None:
    with pytest.raises(KeyError):
        fix(SMALL, ["nonsense"])


def test_unpatched_big_format_dies_as_recorded(findings: Callable[..., list[Finding]]) -> None:
    """The text of the recorded crash: argument 9, no integer representation, only on 5.4."""
    found = [f for f in findings(original("big_format")) if f.code == "lua_error"]
    assert found and "bad argument #9 to 'format' (number has no integer representation)" in found[0].found
    assert not [f for f in findings(original("big_format"), "full_hold") if f.code == "lua_error"]
    assert not [f for f in findings(original("big_format"), interpreter="luajit") if f.code == "lua_error"]
