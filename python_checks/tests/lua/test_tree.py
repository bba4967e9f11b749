"""Names mean what Lua says they mean, and no byte is lost on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_checks.lua.edits import Edits, unified_diff
from python_checks.lua.graph import CallGraph
from python_checks.lua.interpreters import compile_error
from python_checks.lua.tree import Binding, LuaTree, decode_string


def _key(source: bytes, text: bytes, nth: int = -1) -> object:
    tree = LuaTree(source)
    nodes = [n for n in [*tree.names, *tree.indexes] if tree.text(n) == text]
    return tree.key(nodes[nth])


def test_local_starts_after_its_own_statement() -> None:
    """The right ``x`` of ``local x = x`` is the global."""
    tree = LuaTree(b"local x = x\nprint(x)")
    bound = [tree.binding(n) is not None for n in tree.names if tree.text(n) == b"x"]
    assert bound == [False, True]


@pytest.mark.parametrize(
    "source",
    [
        b"local a = 1 do local a = 2 end return a",
        b"local a = 1 for a = 1, 2 do end return a",
        b"local a = 1 for _, a in pairs({}) do end return a",
        b"local a = 1 local function f(a) return a end return a",
        b"local a = 1 if true then local a = 2 end return a",
        b"local a = 1 repeat local a = 2 until a return a",
        b"local a = 1 while true do local a = 2 end return a",
    ],
)
def test_inner_scopes_end(source: bytes) -> None:
    """The last ``a`` is the first one again."""
    tree = LuaTree(source)
    found = tree.binding([n for n in tree.names if tree.text(n) == b"a"][-1])
    assert isinstance(found, Binding) and found.values and tree.text(found.values[0]) == b"1"


def test_repeat_condition_sees_the_body() -> None:
    tree = LuaTree(b"repeat local done = true until done")
    assert tree.binding([n for n in tree.names if tree.text(n) == b"done"][-1]) is not None


def test_aliases_and_fields_are_one_place() -> None:
    source = b"local state = {} local s = state s.axis = 1 state['axis'] = 2 return state.axis"
    tree = LuaTree(source)
    keys = {tree.key(a.target) for a in tree.assignments if not a.is_declaration}
    assert len(keys) == 1


def test_self_is_the_table() -> None:
    source = b"local M = {} function M:go() self.busy = true end function M.stop(self) self.busy = false end"
    tree = LuaTree(source)
    assert len({tree.key(a.target) for a in tree.assignments if not a.is_declaration}) == 1


@pytest.mark.parametrize(
    "source", [b"local f = string.format f('x')", b"local s = string s.format('x')", b"string['format']('x')"]
)
def test_api_follows_aliases(source: bytes) -> None:
    tree = LuaTree(source)
    name = tree.calls[-1].child_by_field_name("name")
    assert name is not None and tree.api(name) == "string.format"


def test_api_of_a_local_is_not_the_library() -> None:
    tree = LuaTree(b"local string = {} string.format('%d')")
    name = tree.calls[-1].child_by_field_name("name")
    assert name is not None and tree.api(name) == ""


def test_constants() -> None:
    tree = LuaTree(b"local a = 'x' .. [[y]] local b = a .. \"\\65\\x42\\u{43}\\n\" local c = a .. d")
    values = [tree.constant(a.value) for a in tree.assignments if a.value is not None]
    assert values == [b"xy", b"xyABC\n", None]


def test_a_reassigned_text_is_no_constant() -> None:
    tree = LuaTree(b"local a = 'x' a = 'y' print(a)")
    assert tree.constant(tree.arguments(tree.calls[-1])[0]) is None


@given(st.binary(max_size=40))
def test_quoted_literals_decode_to_their_bytes(data: bytes) -> None:
    """Every byte written as a decimal escape comes back."""
    assert decode_string(b'"' + b"".join(b"\\%03d" % b for b in data) + b'"') == data


def test_bytes_above_ascii_keep_offsets() -> None:
    source = b"-- caf\xe9 \xff\nlocal n = '\xe9'\nprint(n)"
    tree = LuaTree(source)
    assert not tree.has_errors
    assert [tree.text(s) for s in tree.strings] == [b"'\xe9'"]


def test_graph_reaches_through_methods_and_references() -> None:
    source = b"""local M = {} local function a() end function M.b() a() end M.c = function(self) self.b() end
    local function d() pcall(M.c, M) end local function e() end"""
    graph = CallGraph(LuaTree(source))
    reach = {u.name: {v.name for v in graph.reach(u)} for u in graph.units}
    assert reach[b"d"] == {b"d", b"M.c", b"M.b", b"a"}
    assert reach[b"e"] == {b"e"}


def test_edits_nest_and_do_not_overlap() -> None:
    edits = Edits()
    edits.wrap(0, 5, b"A(", b")")
    edits.wrap(0, 3, b"B(", b")")
    edits.insert(0, b"!")
    assert edits.apply(b"abcde") == b"!A(B(abc)de)"
    edits.replace(1, 3, b"")
    edits.replace(2, 4, b"")
    with pytest.raises(ValueError, match="overlap"):
        edits.apply(b"abcde")


def test_diff_keeps_what_a_line_is() -> None:
    shown = unified_diff(b"a\r\nb\x0cb\r\nc", b"a\r\nB\x0cb\r\nc", "x.lua")
    assert "-b\x0cb\r\n" in shown and "+B\x0cb\r\n" in shown
    assert "\\ No newline" in unified_diff(b"a", b"b")


def test_each_interpreter_judges_for_itself() -> None:
    assert compile_error(b"return 1 << 2", "lua54") == ""
    assert compile_error(b"return 1 << 2", "luajit") != ""
    assert compile_error(b"return '\xe9'", "luajit") == ""


def test_a_local_without_a_value_has_ancestors_up_to_the_root() -> None:
    """``local a`` is its own list of names; it must not become its own parent, or every walk outwards would never end."""
    tree = LuaTree(b"local a\na = 2")
    name = next(n for n in tree.descendants(tree.root) if n.type == "identifier")
    assert [n.type for n, _ in zip(tree.ancestors(name), range(9), strict=False)] == [
        "variable_list",
        "variable_declaration",
        "chunk",
    ]
