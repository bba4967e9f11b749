"""What each interpreter has, and whether a condition holds there: asked of the interpreters themselves.

A condition that reads nothing but the standard library and ``et`` (``bit and bit.band``, ``type(unpack) == "function"``,
``_VERSION:match("5%.(%d)") > "2"``) is evaluated by both interpreters in an environment without files, processes or loops.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import lupa.lua54
import lupa.luajit21
from tree_sitter import Node

from python_checks.lua.interpreters import INTERPRETERS
from python_checks.lua.scan import engine
from python_checks.lua.scan.script import Path, Script
from python_checks.lua.tree import Function

_MODULES: dict[str, Any] = {"lua54": lupa.lua54, "luajit": lupa.luajit21}
_NOT_STANDARD = ("python", "et")
#: Libraries of other builds that scripts ask for.
_OTHER_LIBRARIES = frozenset({"bit32"})
#: Modules that only one interpreter can require, by root.
_REQUIRED = {"bit": "luajit", "ffi": "luajit", "jit": "luajit", "utf8": "lua54", "bit32": ""}

_LIST = b"""
local found = {}
for name, value in pairs(_G) do
    found[#found + 1] = name .. ' ' .. type(value)
    if type(value) == 'table' and name ~= '_G' and name ~= 'package' then
        for member, inner in pairs(value) do found[#found + 1] = name .. '.' .. tostring(member) .. ' ' .. type(inner) end
    end
end
return table.concat(found, '\\n')
"""
_JUDGE = b"""
local et_names = ...
local env = {}
for _, name in ipairs({ 'type', 'tonumber', 'tostring', 'select', 'next', 'rawequal', 'rawget', 'rawlen', 'unpack', 'assert',
    'error', 'pcall', 'setfenv', 'getfenv', 'loadstring', 'module', 'newproxy', 'gcinfo', '_VERSION', 'ipairs', 'pairs' }) do
    env[name] = _G[name]
end
for _, name in ipairs({ 'string', 'table', 'math', 'bit', 'bit32', 'utf8', 'jit', 'coroutine' }) do
    if type(_G[name]) == 'table' then
        env[name] = {}
        for member, value in pairs(_G[name]) do env[name][member] = value end
    end
end
for _, name in ipairs({ 'debug', 'os', 'io' }) do
    env[name] = {}
    for member, value in pairs(_G[name]) do env[name][member] = type(value) == 'function' and function() end or value end
end
local compile = loadstring or load
local known = {}
for name in pairs(package.loaded) do known[name] = true end
for name in pairs(package.preload) do known[name] = true end
env._G, env._ENV = env, nil
env.load = function(text, name) return compile(text, name) end
if loadstring then env.loadstring = env.load end
env.require = function(name)
    if not known[name] then error("module '" .. tostring(name) .. "' not found") end
    return env[name] or package.loaded[name] or true
end
env.package = { loaded = env, preload = {}, config = package.config, path = package.path }
env.et = {}
for name, value in string.gmatch(et_names, '(%S+)=(%S+)') do
    env.et[name] = value == 'function' and function() end or tonumber(value) or value
end
return function(text)
    local chunk
    if setfenv then
        chunk = loadstring(text)
        if chunk then setfenv(chunk, env) end
    else
        chunk = load(text, 'condition', 't', env)
    end
    if not chunk then return 'unknown' end
    local ok, value = pcall(chunk)
    if not ok then return 'raises' end
    return value and 'true' or 'false'
end
"""
_CALLABLE = frozenset(
    {"type", "tonumber", "tostring", "select", "next", "rawequal", "rawget", "pcall", "require", "load", "loadstring", "assert"}
)  # fmt: skip
_METHODS = frozenset({"match", "find", "sub", "lower", "upper", "byte", "gsub", "format", "len"})
_LITERALS = ("string", "number", "true", "false", "nil")


@cache
def standard(target: str) -> dict[str, str]:
    """The names an interpreter has: ``string.format`` -> ``function``. Read from the interpreter."""
    runtime = _MODULES[target].LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    rows = runtime.execute(_LIST).decode("latin-1").splitlines()
    return {
        name: kind for name, kind in (row.rsplit(" ", 1) for row in rows) if name.split(".")[0] not in _NOT_STANDARD
    }


@cache
def roots() -> frozenset[str]:
    """Globals that at least one interpreter (or a build of another Lua) has."""
    return frozenset(n for t in INTERPRETERS for n in standard(t) if "." not in n) | _OTHER_LIBRARIES


@cache
def _judge(target: str) -> Any:
    runtime = _MODULES[target].LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    known = "\n".join(
        f"{name}={kind if kind == 'function' else value}" for name, (kind, value) in engine.names().items()
    )
    return runtime.execute(_JUDGE, known.encode())


@cache
def _evaluate(text: bytes, target: str) -> bool | None:
    answer = _judge(target)(text).decode()
    return {"true": True, "false": False}.get(answer)


def has_module(name: str, target: str) -> bool | None:
    """Whether ``require(name)`` finds a module of the interpreter; None for a module of the script's author."""
    root = name.split(".")[0]
    if root in _REQUIRED:
        return _REQUIRED[root] == target
    return True if name in standard(target) else None


class Presence:
    """Names and conditions of one script on one interpreter."""

    def __init__(self, script: Script, target: str) -> None:
        self.script = script
        self.target = target
        self._truths: dict[int, bool | None] = {}
        self._dead: dict[int, bool] = {}
        self._providers: dict[Path, list[tuple[Node, Function | None]]] = {}

    def has(self, path: Path) -> bool | None:
        """Whether the interpreter has a global's path; None when it is no name of a standard library."""
        if not path or path[0] not in roots():
            return None
        known = standard(self.target)
        if path[0] not in known:
            return False
        if len(path) == 1 or known[path[0]] != "table" or path[0] in ("package", "_G"):
            return True
        return ".".join(path[:2]) in known

    def is_dead(self, node: Node) -> bool:
        """True when a condition around the node, or an exit in front of it, keeps this interpreter away from it."""
        if node.id not in self._dead:
            self._dead[node.id] = any(
                self.truth(c.node) == (not c.is_true) for c in self.script.conditions(node)
            )  # fmt: skip
        return self._dead[node.id]

    def truth(self, node: Node) -> bool | None:
        """Whether a condition is true on this interpreter; None when that depends on more than the interpreter."""
        if node.id not in self._truths:
            self._truths[node.id] = None
            self._truths[node.id] = self._truth(node)
        return self._truths[node.id]

    def _truth(self, node: Node) -> bool | None:
        kind, script = node.type, self.script
        if kind == "parenthesized_expression":
            inner = [c for c in node.children if c.is_named]
            return self.truth(inner[0]) if len(inner) == 1 else None
        if kind == "unary_expression" and script.operator(node) == "not":
            operand = node.child_by_field_name("operand")
            value = self.truth(operand) if operand is not None else None
            return None if value is None else not value
        if kind == "binary_expression" and script.operator(node) in ("and", "or"):
            sides = script.sides(node)
            if sides is not None:
                left, right = self.truth(sides[0]), self.truth(sides[1])
                decisive = script.operator(node) == "or"
                if decisive in (left, right):
                    return decisive
                return None if None in (left, right) else not decisive
        text = self.pure_text(node)
        return _evaluate(b"return " + text, self.target) if text is not None and len(text) < 400 else None

    def pure_text(self, node: Node, depth: int = 0) -> bytes | None:
        """The expression with the script's constant locals put in, when it reads nothing else than standard names; else None."""
        kind, script, tree = node.type, self.script, self.script.tree
        if depth > 8:
            return None
        if kind in _LITERALS:
            text = tree.text(node)
            return text if len(text) < 200 else None
        if kind == "identifier":
            return self._pure_name(node, depth)
        if kind in ("dot_index_expression", "bracket_index_expression"):
            path = script.path(node)
            if len(path) > 1 and not self._is_assigned(path) and (path[0] in roots() or path[0] == "et"):
                return ".".join(path).encode("latin-1")
            return None
        if kind == "parenthesized_expression":
            inner = [c for c in node.children if c.is_named]
            text_ = self.pure_text(inner[0], depth + 1) if len(inner) == 1 else None
            return b"(" + text_ + b")" if text_ is not None else None
        if kind == "unary_expression":
            operand = node.child_by_field_name("operand")
            text_ = self.pure_text(operand, depth + 1) if operand is not None else None
            return b"(" + script.operator(node).encode() + b" " + text_ + b")" if text_ is not None else None
        if kind == "binary_expression":
            sides = script.sides(node)
            texts = [self.pure_text(side, depth + 1) for side in sides or ()]
            if len(texts) != 2 or texts[0] is None or texts[1] is None:
                return None
            return b"(" + texts[0] + b" " + script.operator(node).encode() + b" " + texts[1] + b")"
        if kind == "function_call":
            return self._pure_call(node, depth)
        return None

    def _is_assigned(self, path: Path) -> bool:
        return any(path[: len(other)] == other for other in self.script.assigned_globals)

    def _pure_name(self, node: Node, depth: int) -> bytes | None:
        binding = self.script.tree.binding(node)
        if binding is None:
            name = self.script.tree.text(node).decode("latin-1")
            if name not in roots() and name != "et":
                return None
            return None if self._is_assigned((name,)) else name.encode("latin-1")
        sites = self.script.sites.get(binding, [])
        if len(sites) != 1 or binding.is_parameter or sites[0].value is None:
            return None
        text = self.pure_text(sites[0].value, depth + 1)
        return b"(" + text + b")" if text is not None else None

    def _pure_call(self, node: Node, depth: int) -> bytes | None:
        script = self.script
        receiver = script.tree.receiver(node)
        arguments = [self.pure_text(argument, depth + 1) for argument in script.tree.arguments(node)]
        if any(argument is None for argument in arguments):
            return None
        joined = b", ".join(argument for argument in arguments if argument is not None)
        if receiver is not None:
            text = self.pure_text(receiver[0], depth + 1)
            if text is None or receiver[1].decode("latin-1") not in _METHODS:
                return None
            return b"(" + text + b"):" + receiver[1] + b"(" + joined + b")"
        callee = script.callee(node)
        name = callee.split(".")
        is_known = callee in _CALLABLE or (name[0] in ("string", "math", "bit", "table") and len(name) == 2)
        if not is_known or name[-1] in ("rep", "sort", "concat") or self._is_assigned(tuple(name)):
            return None
        first = next(iter(script.tree.arguments(node)), None)
        if callee == "pcall" and (first is None or first.type == "function_call"):
            return None
        return callee.encode() + b"(" + joined + b")"

    # --- what the script brings itself

    def is_absent(self, node: Node, depth: int = 0) -> Path:
        """The standard name that makes an expression nil on this interpreter; empty when nothing does (or nobody knows)."""
        if depth > 6:
            return ()
        if node.type == "parenthesized_expression":
            inner = [c for c in node.children if c.is_named]
            return self.is_absent(inner[0], depth + 1) if len(inner) == 1 else ()
        if node.type == "binary_expression" and self.script.operator(node) in ("and", "or"):
            sides = self.script.sides(node)
            if sides is None:
                return ()
            left, right = (self.is_absent(side, depth + 1) for side in sides)
            if self.script.operator(node) == "or" and sides[1].type in ("nil", "false"):
                return left
            if self.script.operator(node) == "or":
                return left if left and right else ()
            return left or right
        path = self.script.path(node)
        if path:
            return path if self.has(path) is False and not self.is_provided(path, node) else ()
        binding = self.script.tree.binding(node) if node.type == "identifier" else None
        if binding is not None and not binding.is_parameter:
            sites = self.script.sites.get(binding, [])
            if len(sites) == 1 and sites[0].value is not None:
                return self.is_absent(sites[0].value, depth + 1)
        return ()

    def is_provided(self, path: Path, use: Node) -> bool:
        """Whether the script itself sets the name before ``use`` can run on this interpreter."""
        for length in range(1, len(path) + 1):
            for site in self.script.assigned_globals.get(path[:length], []):
                if site.is_nil or (site.value is not None and site.value.type == "nil"):
                    continue
                is_before = self._runs_before(site.node, use) and not self.is_dead(site.node)
                if is_before and (length == len(path) or self._may_have(path[:length], path[length], use)):
                    return True
        return False

    def _runs_before(self, write: Node, use: Node) -> bool:
        tree = self.script.tree
        writer, reader = self.script.graph.unit_of(write), self.script.graph.unit_of(use)
        if writer is None:
            return reader is not None or write.start_byte < use.start_byte
        if writer is reader:
            return True
        calls = self.script.call_sites.get(writer, [])
        if self.script.graph.is_callback(writer):
            return reader is not None
        if reader is not None:
            return bool(calls) or self._is_referenced(writer)
        return any(tree.function_of(call) is None and call.start_byte < use.start_byte for call in calls)

    def _is_referenced(self, function: Function) -> bool:
        return any(
            function in self.script.graph.reach(unit) for unit in self.script.graph.units if unit is not function
        )

    def _may_have(self, path: Path, member: str, use: Node) -> bool:
        """Whether a table that the script puts under a name may have a member."""
        script = self.script
        name = member.encode("latin-1")
        key = tuple(step.encode("latin-1") for step in path)
        if key in script.open_tables or self._is_handed_on(path):
            return True
        if any(self._runs_before(site.node, use) for site in script.assigned_globals.get((*path, member), [])):
            return True
        return any(
            self.table_may_have(site.value, name) for site in script.assigned_globals.get(path, []) if not site.is_nil
        )

    def _is_handed_on(self, path: Path) -> bool:
        """True when the table goes to another function (setmetatable, a filler), which may add members."""
        script = self.script
        for node in script.tree.names:
            parent = script.tree.parent(node)
            if parent is not None and parent.type == "arguments" and script.path(node) == path:
                call = script.tree.parent(parent)
                if call is not None and script.callee(call) not in (
                    "type",
                    "tostring",
                    "pairs",
                    "ipairs",
                    "next",
                    "print",
                    "assert",
                ):
                    return True
        return False

    def table_may_have(self, value: Node | None, name: bytes, depth: int = 0) -> bool:
        script = self.script
        if value is None or depth > 4:
            return True
        if value.type == "parenthesized_expression":
            inner = [c for c in value.children if c.is_named]
            return self.table_may_have(inner[0], name, depth + 1) if len(inner) == 1 else True
        if value.type == "binary_expression" and script.operator(value) in ("or", "and"):
            sides = script.sides(value)
            return sides is None or any(
                self.table_may_have(side, name, depth + 1) for side in sides if not self._is_missing(side)
            )
        if value.type == "table_constructor":
            fields = [c for c in value.children if c.type == "field"]
            return any(script.tree.field_name(f) == name or self._is_computed(f) for f in fields)
        path = script.path(value)
        if path and path[0] in roots():
            return False if self.has(path) is False else self.has((*path, name.decode("latin-1"))) is not False
        binding = script.tree.binding(value) if value.type == "identifier" else None
        if binding is not None and not binding.is_parameter:
            key = script.key(value)
            if key in script.open_tables:
                return True
            if key is not None and (*key, name) in script.place_sites:
                return True
            sites = script.sites.get(binding, [])
            return any(
                site.is_unknown or self.table_may_have(site.value, name, depth + 1) for site in sites if not site.is_nil
            )
        return True

    def _is_missing(self, node: Node) -> bool:
        path = self.script.path(node)
        return bool(path) and self.has(path) is False

    def _is_computed(self, table_field: Node) -> bool:
        name = table_field.child_by_field_name("name")
        return name is not None and self.script.tree.field_name(table_field) is None
