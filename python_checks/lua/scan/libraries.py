"""LIB: library names that an interpreter does not have, used where nothing guards them. ENG: the same for the engine's names."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from tree_sitter import Node

from python_checks.lua.interpreters import INTERPRETERS
from python_checks.lua.scan import engine
from python_checks.lua.scan.notes import Note, shown
from python_checks.lua.scan.presence import Presence, has_module, roots, standard
from python_checks.lua.scan.script import Path, Script

_SPOKEN = {"lua54": "Lua 5.4", "luajit": "LuaJIT"}
_INSTEAD = {
    "bit": "test bits with et.isBitSet or arithmetic, or bring fallbacks where the library is missing (bit = bit or {…})",
    "bit32": "no target has bit32: use et.isBitSet or arithmetic",
    "unpack": "local unpack = unpack or table.unpack",
    "table.unpack": "local unpack = unpack or table.unpack",
    "table.pack": "write { n = select('#', ...), ... }",
    "loadstring": "local loadstring = loadstring or load",
    "setfenv": "pass the environment to load(text, name, mode, env) where setfenv is missing",
    "table.getn": "write #list",
    "table.maxn": "write #list, or keep the count",
    "table.foreach": "for key, value in pairs(list) do",
    "table.foreachi": "for index, value in ipairs(list) do",
    "string.gfind": "use string.gmatch",
    "math.pow": "write base ^ exponent",
    "math.mod": "write a % b",
    "math.log10": "math.log(x, 10)",
    "math.type": "test math.floor(x) == x",
    "math.tointeger": "math.floor(tonumber(x) or 0)",
    "math.maxinteger": "write the number",
    "math.mininteger": "write the number",
    "utf8": "bring a fallback for LuaJIT, or work on bytes",
    "string.pack": "use string.char and string.byte",
    "string.unpack": "use string.byte",
    "rawlen": "write #value",
    "_ENV": "use locals, or setfenv where it exists",
    "jit": "ask first: if jit then",
}
_HARD_PARENTS = ("binary_expression", "unary_expression")
_TOLERANT = ("type", "tostring", "rawequal", "print", "pcall", "xpcall", "select", "setmetatable", "next")


def library_notes(script: Script, presences: dict[str, Presence]) -> Iterator[Note]:
    """LIB001 to LIB003."""
    for target, presence in presences.items():
        yield from _absent(script, presence, target)
    yield from _required(script, presences)
    yield from _misnamed(script, presences)


def _absent(script: Script, presence: Presence, target: str) -> Iterator[Note]:
    for node in [*script.tree.names, *script.indexes]:
        if node.type == "identifier":
            path = script.path(node)
            # The table of an index expression is judged with its member; an alias of a member at its use.
            if not path or presence.has(path) is not False or _is_table_of_index(script, node):
                continue
            if not _is_hard(script, node) or _is_target(script, node):
                continue
        else:
            path = _indexed(script, presence, node)
            if not path or _is_target(script, node):
                continue
        if presence.is_dead(node) or presence.is_provided(path, node) or _is_probe(script, node):
            continue
        name = _missing_part(presence, path)
        yield Note(
            node,
            "LIB001",
            (target,),
            f"{shown(script.tree.text(node))}: {_SPOKEN[target]} has no {name}",
            _instead(name),
        )


def _missing_part(presence: Presence, path: Path) -> str:
    return path[0] if presence.has(path[:1]) is False else ".".join(path[:2])


def _instead(name: str) -> str:
    advice = _INSTEAD.get(name) or _INSTEAD.get(name.split(".")[0])
    return advice or f"ask first (if {name} then …) and bring a fallback"


def _indexed(script: Script, presence: Presence, node: Node) -> Path:
    """The absent path that an index expression stumbles over; empty when it does not."""
    path = script.path(node)
    if len(path) > 1 and path[0] in roots():
        if presence.has(path[:1]) is False:
            return path
        return path if presence.has(path) is False and _is_known_elsewhere(path) and _is_hard(script, node) else ()
    table = node.child_by_field_name("table")
    if table is None:
        return ()
    missing = presence.is_absent(table)
    if missing:
        return missing
    return _missing_in_shim(script, presence, table, node)


def _is_known_elsewhere(path: Path) -> bool:
    return any(".".join(path[:2]) in standard(target) for target in INTERPRETERS)


def _missing_in_shim(script: Script, presence: Presence, table: Node, node: Node) -> Path:
    """``local bit = bit or { band = … }`` without the member that is used."""
    binding = script.tree.binding(table) if table.type == "identifier" else None
    member = script.member_name(node)
    if binding is None or binding.is_parameter or member is None or not _is_hard(script, node):
        return ()
    sites = [site for site in script.sites.get(binding, []) if not site.is_nil]
    named = [path for site in sites for path in _alternatives(script, presence, site.value)]
    key = script.key(table)
    if not named or key is None or (*key, member) in script.place_sites or key in script.open_tables:
        return ()
    if any(site.value is None or presence.table_may_have(site.value, member) for site in sites):
        return ()
    return (*named[0], member.decode("latin-1"))


def _alternatives(script: Script, presence: Presence, value: Node | None) -> list[Path]:
    if value is None or value.type not in ("binary_expression", "parenthesized_expression", "identifier"):
        return []
    if value.type == "identifier":
        path = script.path(value)
        return [path] if path and presence.has(path) is False else []
    return [path for child in value.children if child.is_named for path in _alternatives(script, presence, child)]


def _is_table_of_index(script: Script, node: Node) -> bool:
    parent = script.tree.parent(node)
    return (
        parent is not None and parent.type.endswith("index_expression") and parent.child_by_field_name("table") == node
    )


def _is_target(script: Script, node: Node) -> bool:
    parent = script.tree.parent(node)
    if parent is None:
        return False
    if parent.type == "variable_list":
        outer = script.tree.parent(parent)
        return outer is not None and outer.type == "assignment_statement" and outer.children[0] == parent
    return parent.type == "function_declaration" and parent.child_by_field_name("name") == node


def _is_hard(script: Script, node: Node) -> bool:
    """True where nil raises or is handed to somebody who will call it."""
    if script.is_test(node):
        return False
    parent = script.tree.parent(node)
    if parent is None:
        return False
    if parent.type == "function_call":
        return True
    if parent.type == "arguments":
        call = script.tree.parent(parent)
        return call is None or script.callee(call) not in _TOLERANT
    if parent.type == "binary_expression":
        return script.operator(parent) not in ("and", "or", "==", "~=")
    if parent.type.endswith("index_expression"):
        return parent.child_by_field_name("table") == node
    return parent.type == "unary_expression"


def _is_probe(script: Script, node: Node) -> bool:
    """True inside ``pcall(function() return bit.band(1, 1) end)``: one statement, made to find out."""
    call = script.protection(node)
    if call is None:
        return False
    arguments = script.tree.arguments(call)
    if not arguments or arguments[0].type != "function_definition":
        return bool(arguments) and arguments[0] == node
    body = arguments[0].child_by_field_name("body")
    return body is None or sum(1 for c in body.children if c.is_named and c.type != "comment") <= 1


def _required(script: Script, presences: dict[str, Presence]) -> Iterator[Note]:
    for call in script.calls:
        if script.callee(call) != "require":
            continue
        arguments = script.tree.arguments(call)
        name = script.tree.constant(arguments[0]) if arguments else None
        if name is None:
            continue
        module = name.decode("latin-1")
        missing = tuple(
            target
            for target, presence in presences.items()
            if has_module(module, target) is False and not presence.is_dead(call)
        )
        if missing and script.protection(call) is None:
            spoken = " and ".join(_SPOKEN[target] for target in missing)
            yield Note(call, "LIB002", missing, f"require of '{module}' raises: {spoken} does not have the module")


def _misnamed(script: Script, presences: dict[str, Presence]) -> Iterator[Note]:
    """A member that neither interpreter has, in a library that both have."""
    for node in script.indexes:
        path = script.path(node)
        if len(path) != 2 or path[0] in ("package", "_G") or not all(p.has(path[:1]) for p in presences.values()):
            continue
        if any(
            standard(target).get(path[0]) != "table" or ".".join(path) in standard(target) for target in INTERPRETERS
        ):
            continue
        if not _is_hard(script, node) or _is_target(script, node) or _is_probe(script, node):
            continue
        targets = tuple(t for t, p in presences.items() if not p.is_dead(node) and not p.is_provided(path, node))
        if targets:
            name = ".".join(path)
            known = [n for n in standard(INTERPRETERS[0]) if n.startswith(path[0] + ".")]
            yield Note(node, "LIB003", targets, f"{name} does not exist", _instead_of(name, known))


def _instead_of(name: str, known: list[str]) -> str:
    if name in _INSTEAD:
        return _INSTEAD[name]
    near = difflib.get_close_matches(name, known, 1, 0.75)
    return f"did you mean {near[0]}?" if near else ""


def engine_notes(script: Script, presences: dict[str, Presence]) -> Iterator[Note]:
    """ENG001 to ENG003."""
    for node in script.indexes:
        path = script.path(node)
        if len(path) != 2 or path[0] != "et" or path[1] in engine.names():
            continue
        if (
            script.is_test(node)
            or _is_target(script, node)
            or path in script.assigned_globals
            or ("et",) in script.assigned_globals
        ):
            continue
        if _is_table_of_index(script, node) and _is_filler(path, script):
            continue
        targets = tuple(t for t, p in presences.items() if not p.is_dead(node))
        if targets and not _is_probe(script, node):
            name = ".".join(path)
            yield Note(
                node, "ENG001", targets, f"{name} is nil: {engine.ENGINE} does not have it", _near(path[1], "et.")
            )
    for name, functions in script.callbacks.items():
        if name not in engine.CALLBACKS:
            near = difflib.get_close_matches(name, engine.CALLBACKS, 1, 0.85)
            same = [known for known in engine.CALLBACKS if known.lower() == name.lower()]
            for function in functions if near or same else []:
                why = f"{name} is never called: the engine's callback is {(same or near)[0]}"
                yield Note(function.node, "ENG002", tuple(presences), why)
    yield from _fields(script, presences)


def _is_filler(path: Path, script: Script) -> bool:
    return any(other[:2] == path for other in script.assigned_globals)


def _near(name: str, prefix: str = "") -> str:
    near = difflib.get_close_matches(name, engine.names(), 1, 0.7)
    return f"did you mean {prefix}{near[0]}?" if near else ""


def _fields(script: Script, presences: dict[str, Presence]) -> Iterator[Note]:
    for call in script.calls:
        if script.callee(call) not in ("et.gentity_get", "et.gentity_set"):
            continue
        arguments = script.tree.arguments(call)
        name = script.tree.constant(arguments[1]) if len(arguments) > 1 else None
        if name is None or name.decode("latin-1") in engine.fields():
            continue
        targets = tuple(t for t, p in presences.items() if not p.is_dead(call))
        if targets and script.protection(call) is None:
            near = difflib.get_close_matches(name.decode("latin-1"), engine.fields(), 1, 0.75)
            fix = f"did you mean '{near[0]}'?" if near else ""
            why = (
                f"field '{shown(name)}' raises \"tried to get invalid gentity field\": {engine.ENGINE} does not have it"
            )
            yield Note(call, "ENG003", targets, why, fix)
