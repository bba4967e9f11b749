"""A Lua syntax tree with scopes: what a name means, which function a call reaches, what a constant text says.

Sources are bytes. Script files come as UTF-8, Latin-1 or a mixture, so every byte above 0x7f (and NUL) is replaced by a letter for the
parser only; offsets stay true and texts are always cut from the original bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import tree_sitter_lua
from tree_sitter import Language, Node, Parser

Key = tuple[object, ...]

_PARSER = Parser(Language(tree_sitter_lua.language()))
_ASCII_ONLY = bytes(b if 0 < b < 0x80 else ord("x") for b in range(256))
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # LuaJIT skips it, Lua 5.4 in the engine does not
_SIMPLE_ESCAPES = {
    b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v",
    b"\\": b"\\", b'"': b'"', b"'": b"'", b"\n": b"\n",
}  # fmt: skip
_WRAPPER = re.compile(rb"rollout_guard\.(protect|escaper)\(")
_ESCAPE = re.compile(rb"\\(?:z\s*|x[0-9a-fA-F]{2}|u\{[0-9a-fA-F]+\}|\d{1,3}|\r\n|.)", re.DOTALL)


@dataclass(eq=False)
class Binding:
    """One local name: where it is declared, in which scope it is visible, and every value written to it."""

    name: bytes
    declared_end: int
    scope: Node
    function: Function | None
    values: list[Node | None] = field(default_factory=list)
    is_parameter: bool = False


@dataclass(eq=False)
class Function:
    """One function body. ``name`` is its source text (``M.send``) or empty, ``key`` its place (see ``LuaTree.key``)."""

    node: Node
    parent: Function | None
    name: bytes = b""
    key: Key | None = None

    @property
    def is_statement(self) -> bool:
        """True for ``function f() end`` and ``local function f() end``, False for ``function() end`` as a value."""
        return self.node.type == "function_declaration"


@dataclass(frozen=True)
class Assignment:
    """``target = value``; ``value`` is None where several targets share one call."""

    target: Node
    value: Node | None
    function: Function | None
    statement: Node

    @property
    def is_declaration(self) -> bool:
        """True for ``local target = value``: a new place, nothing that existed before."""
        return self.statement.type == "variable_declaration"


class LuaTree:
    """The parsed file. All collections are in source order."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        plain = source.translate(_ASCII_ONLY)
        if source.startswith(_BYTE_ORDER_MARK):
            plain = b"   " + plain[3:]
        self.root = _PARSER.parse(plain).root_node
        self.calls: list[Node] = []
        self.strings: list[Node] = []
        self.names: list[Node] = []
        self.indexes: list[Node] = []
        self.conditions: list[Node] = []
        self.comparisons: list[Node] = []
        self.functions: list[Function] = []
        self.assignments: list[Assignment] = []
        self.bindings: list[Binding] = []
        self._binding: dict[int, Binding] = {}
        self._parent: dict[int, Node] = {}
        self._function: dict[int, Function | None] = {}
        self._walk(self.root, {}, None, self.root)
        self._name_functions()

    # --- building

    def _walk(self, node: Node, scope: dict[bytes, Binding], function: Function | None, block: Node) -> None:
        """Depth first, in Lua's own order of visibility: a local starts to exist after its own statement."""
        kind = node.type
        self._function[node.id] = function
        if kind == "identifier":
            self._meet_name(node, scope)
            return
        if kind in ("function_declaration", "function_definition"):
            self._walk_function(node, scope, function, block)
            return
        if kind == "variable_declaration":
            self._walk_local(node, scope, function, block)
            return
        if kind in ("block", "do_statement", "while_statement", "if_statement", "elseif_statement", "else_statement"):
            if kind in ("do_statement", "block"):
                scope, block = dict(scope), node
            if kind == "if_statement" or kind == "elseif_statement" or kind == "while_statement":
                condition = node.child_by_field_name("condition")
                if condition is not None:
                    self.conditions.append(condition)
        elif kind == "for_statement":
            self._walk_for(node, scope, function)
            return
        elif kind == "repeat_statement":
            self._walk_repeat(node, scope, function)
            return
        elif kind == "function_call":
            self.calls.append(node)
        elif kind in ("dot_index_expression", "method_index_expression"):
            self.indexes.append(node)
        elif kind == "string":
            self.strings.append(node)
        elif kind == "binary_expression":
            operator = node.child_by_field_name("operator")
            if operator is not None and operator.type in ("==", "~="):
                self.comparisons.append(node)
        elif kind == "assignment_statement":
            self._meet_assignment(node, function)
        for child in node.children:
            self._parent[child.id] = node
            if child.is_named and child.type not in ("comment", "attribute"):
                self._walk(child, scope, function, block)

    def _meet_name(self, node: Node, scope: dict[bytes, Binding]) -> None:
        parent = self._parent.get(node.id)
        if parent is not None:
            if parent.type == "dot_index_expression" and parent.child_by_field_name("field") == node:
                return
            if parent.type == "method_index_expression" and parent.child_by_field_name("method") == node:
                return
            if parent.type == "field" and parent.child_by_field_name("name") == node and parent.children[0] == node:
                return
            if parent.type in ("goto_statement", "label_statement", "attribute"):
                return
        self.names.append(node)
        binding = scope.get(self.text(node))
        if binding is not None:
            self._binding[node.id] = binding

    def _declare(
        self,
        node: Node,
        scope: dict[bytes, Binding],
        function: Function | None,
        block: Node,
        value: Node | None,
        *,
        after: int,
    ) -> Binding:
        binding = Binding(self.text(node), after, block, function)
        if value is not None:
            binding.values.append(value)
        self.bindings.append(binding)
        self._binding[node.id] = binding
        self._function[node.id] = function
        scope[binding.name] = binding
        return binding

    def _walk_local(self, node: Node, scope: dict[bytes, Binding], function: Function | None, block: Node) -> None:
        inner = next((c for c in node.children if c.type in ("assignment_statement", "variable_list")), None)
        if inner is None:
            return
        self._parent[inner.id] = node
        targets = inner if inner.type == "variable_list" else inner.children[0]
        values: list[Node] = []
        for child in inner.children:
            self._parent[child.id] = inner
            if child.type == "expression_list":
                values = [c for c in child.children if c.is_named and c.type != "comment"]
                self._walk(child, scope, function, block)
        if targets != inner:
            self._parent[targets.id] = inner
        names = [c for c in targets.children if c.type == "identifier"]
        for index, name in enumerate(names):
            self._parent[name.id] = targets
            value = values[index] if index < len(values) else None
            spread = index >= len(values) and bool(values) and values[-1].type in ("function_call", "vararg_expression")
            binding = self._declare(name, scope, function, block, value, after=node.end_byte)
            if spread:
                binding.values.append(None)
            if value is not None:
                self.assignments.append(Assignment(name, value, function, node))

    def _walk_function(self, node: Node, scope: dict[bytes, Binding], function: Function | None, block: Node) -> None:
        made = Function(node, function)
        self.functions.append(made)
        self._function[node.id] = function
        name = node.child_by_field_name("name")
        is_local = any(c.type == "local" for c in node.children)
        if name is not None:
            self._parent[name.id] = node
            made.name = self.text(name)
            if is_local:
                self._declare(name, scope, function, block, node, after=name.end_byte)
            else:
                self._walk(name, scope, function, block)
                if name.type == "identifier" and name.id in self._binding:
                    self._binding[name.id].values.append(node)
        inner = dict(scope)
        if name is not None and name.type == "method_index_expression":
            receiver = Binding(b"self", node.start_byte, node, made, is_parameter=True)
            self.bindings.append(receiver)
            inner[b"self"] = receiver
        for child in node.children:
            self._parent[child.id] = node
            if child.type == "parameters":
                for parameter in child.children:
                    self._parent[parameter.id] = child
                    if parameter.type == "identifier":
                        self._declare(parameter, inner, made, node, None, after=child.end_byte).is_parameter = True
            elif child.type == "block":
                self._walk(child, inner, made, node)

    def _walk_for(self, node: Node, scope: dict[bytes, Binding], function: Function | None) -> None:
        inner = dict(scope)
        clause = node.child_by_field_name("clause")
        if clause is not None:
            self._parent[clause.id] = node
            names: list[Node] = []
            for child in clause.children:
                self._parent[child.id] = clause
                if child.type == "variable_list":
                    names += [c for c in child.children if c.type == "identifier"]
                elif clause.type == "for_numeric_clause" and not names and child.type == "identifier":
                    names.append(child)
                elif child.is_named:
                    self._walk(child, scope, function, node)
            for name in names:
                loop = self._declare(name, inner, function, node, None, after=clause.end_byte)
                loop.values.append(None)
        for child in node.children:
            if child.type == "block":
                self._parent[child.id] = node
                self._walk(child, inner, function, node)

    def _walk_repeat(self, node: Node, scope: dict[bytes, Binding], function: Function | None) -> None:
        inner = dict(scope)
        for child in node.children:
            self._parent[child.id] = node
            if child.type == "block":
                self._function[child.id] = function
                for statement in child.children:
                    self._parent[statement.id] = child
                    if statement.is_named and statement.type != "comment":
                        self._walk(statement, inner, function, node)
            elif child.is_named and child.type != "comment":
                self._walk(child, inner, function, node)

    def _meet_assignment(self, node: Node, function: Function | None) -> None:
        targets = [c for c in node.children[0].children if c.is_named]
        values: list[Node] = []
        for child in node.children:
            if child.type == "expression_list":
                values = [c for c in child.children if c.is_named and c.type != "comment"]
        for index, target in enumerate(targets):
            self.assignments.append(Assignment(target, values[index] if index < len(values) else None, function, node))

    def _name_functions(self) -> None:
        for assignment in self.assignments:
            binding = self._binding.get(assignment.target.id)
            if binding is not None and assignment.value not in binding.values:
                binding.values.append(assignment.value)
        by_node = {f.node.id: f for f in self.functions}
        for function in self.functions:
            name = function.node.child_by_field_name("name")
            if name is not None:
                function.key = self.key(name)
        for assignment in self.assignments:
            value = self._unwrapped(assignment.value)
            if value is not None and value.id in by_node:
                function = by_node[value.id]
                function.name, function.key = self.text(assignment.target), self.key(assignment.target)
        for function in self.functions:
            if not function.name:
                self._name_table_function(function)

    def _unwrapped(self, value: Node | None) -> Node | None:
        """The function inside the guard's wrapper, so that a fixed file is understood like the original."""
        if value is not None and value.type == "function_call" and _WRAPPER.match(self.text(value)):
            return self.arguments(value)[0]
        return value

    def _name_table_function(self, function: Function) -> None:
        """``local M = { send = function() end }`` names the function ``M.send``."""
        steps: list[bytes] = []
        node: Node | None = function.node
        while node is not None:
            parent = self.parent(node)
            call = self.parent(parent) if parent is not None and parent.type == "arguments" else None
            if call is not None and self._unwrapped(call) == node:
                node, parent = call, self.parent(call)
            if parent is None or parent.type != "field":
                return
            step = self.field_name(parent)
            table = self.parent(parent)
            if step is None or table is None:
                return
            steps.insert(0, step)
            owner = next((a for a in self.assignments if a.value == table), None)
            if owner is not None:
                base = self.key(owner.target)
                if base is not None:
                    function.key = (*base, *steps)
                    function.name = b".".join([self.text(owner.target), *steps])
                return
            node = table

    # --- reading

    @property
    def has_errors(self) -> bool:
        """True when the grammar could not read the whole file."""
        return self.root.has_error

    def text(self, node: Node) -> bytes:
        """The node's bytes in the original file."""
        return self.source[node.start_byte : node.end_byte]

    def line(self, node: Node) -> int:
        """1-based line of the node."""
        return node.start_point[0] + 1

    def parent(self, node: Node) -> Node | None:
        """The node's parent (None for the root)."""
        return self._parent.get(node.id)

    def ancestors(self, node: Node) -> Iterator[Node]:
        """Parents from the nearest outwards."""
        current = self.parent(node)
        while current is not None:
            yield current
            current = self.parent(current)

    def function_of(self, node: Node) -> Function | None:
        """The function whose body holds the node; None at file level."""
        return self._function.get(node.id)

    def binding(self, node: Node) -> Binding | None:
        """What an identifier is bound to; None for a global."""
        return self._binding.get(node.id)

    def visible(self, name: bytes, position: int) -> Binding | None:
        """The local that ``name`` would mean at a byte position."""
        best: Binding | None = None
        for binding in self.bindings:
            inside = binding.scope.start_byte <= position < binding.scope.end_byte or binding.scope == self.root
            if binding.name == name and inside and binding.declared_end <= position:
                best = binding
        return best

    def statement_of(self, node: Node) -> Node:
        """The innermost statement that holds the node."""
        current = node
        for ancestor in self.ancestors(node):
            if ancestor.type in ("block", "chunk"):
                return current
            current = ancestor
        return current

    def field_name(self, table_field: Node) -> bytes | None:
        """The constant name of a table constructor's field."""
        name = table_field.child_by_field_name("name")
        if name is None or name == table_field.child_by_field_name("value"):
            return None
        return self.text(name) if name.type == "identifier" and table_field.children[0] == name else self.constant(name)

    def key(self, node: Node) -> Key | None:
        """A place in memory that can be compared: ``(Binding | b"name", b"field", …)``; aliases of tables are followed."""
        if node.type == "identifier":
            binding = self.binding(node)
            if binding is None:
                return (self.text(node),)
            owner = binding.function.key if binding.function is not None else None
            if binding.is_parameter and binding.name == b"self" and owner is not None and len(owner) > 1:
                return owner[:-1]
            if len(binding.values) == 1 and binding.values[0] is not None and not binding.is_parameter:
                value = binding.values[0]
                if value.type in ("identifier", "dot_index_expression"):
                    return self.key(value)
            return (binding,)
        if node.type in ("dot_index_expression", "method_index_expression"):
            table = node.child_by_field_name("table")
            name = node.child_by_field_name("field") or node.child_by_field_name("method")
            base = self.key(table) if table is not None else None
            return (*base, self.text(name)) if base is not None and name is not None else None
        if node.type == "bracket_index_expression":
            table, index = node.child_by_field_name("table"), node.child_by_field_name("field")
            base = self.key(table) if table is not None else None
            step = self.constant(index) if index is not None else None
            return (*base, step) if base is not None and step is not None else None
        if node.type == "parenthesized_expression":
            inner = [c for c in node.children if c.is_named]
            return self.key(inner[0]) if len(inner) == 1 else None
        return None

    def api(self, node: Node) -> str:
        """``string.format`` and the like for a callee, through local aliases; empty when it is not a global's path."""
        key = self.key(node)
        if key is None or not all(isinstance(step, bytes) for step in key):
            return ""
        return ".".join(step.decode("latin-1") for step in key if isinstance(step, bytes))

    def arguments(self, call: Node) -> list[Node]:
        """The argument expressions of a call (without the receiver of a method call)."""
        node = call.child_by_field_name("arguments")
        return [] if node is None else [c for c in node.children if c.is_named and c.type != "comment"]

    def receiver(self, call: Node) -> tuple[Node, bytes] | None:
        """``(object, method name)`` of a method call."""
        name = call.child_by_field_name("name")
        if name is None or name.type != "method_index_expression":
            return None
        table, method = name.child_by_field_name("table"), name.child_by_field_name("method")
        return (table, self.text(method)) if table is not None and method is not None else None

    def concat_pieces(self, node: Node) -> list[Node]:
        """The operands of a ``..`` chain, left to right; the node itself when it is none."""
        if node.type == "parenthesized_expression":
            inner = [c for c in node.children if c.is_named]
            if len(inner) == 1 and self._is_concat(inner[0]):
                return self.concat_pieces(inner[0])
        if not self._is_concat(node):
            return [node]
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        return (self.concat_pieces(left) if left else []) + (self.concat_pieces(right) if right else [])

    @staticmethod
    def _is_concat(node: Node) -> bool:
        operator = node.child_by_field_name("operator")
        return node.type == "binary_expression" and operator is not None and operator.type == ".."

    def constant(self, node: Node) -> bytes | None:
        """The value of a text that cannot change: literals, their concatenation, and locals that hold one."""
        if node.type == "string":
            return decode_string(self.text(node))
        if node.type == "identifier":
            binding = self.binding(node)
            if binding is None or binding.is_parameter or len(binding.values) != 1 or binding.values[0] is None:
                return None
            value = binding.values[0]
            return (
                self.constant(value)
                if value.type in ("string", "binary_expression", "parenthesized_expression")
                else None
            )
        if node.type == "parenthesized_expression":
            inner = [c for c in node.children if c.is_named]
            return self.constant(inner[0]) if len(inner) == 1 else None
        if self._is_concat(node):
            pieces = [self.constant(p) for p in self.concat_pieces(node)]
            return None if any(p is None for p in pieces) else b"".join(p for p in pieces if p is not None)
        return None

    def descendants(self, node: Node) -> Iterator[Node]:
        """The node and everything below it, in source order."""
        stack = [node]
        while stack:
            current = stack.pop()
            yield current
            stack.extend(reversed(current.children))


@lru_cache(maxsize=4096)
def decode_string(literal: bytes) -> bytes | None:
    """The value of a Lua string literal in source form (quoted or long bracket)."""
    if literal[:1] in (b'"', b"'"):
        return _ESCAPE.sub(_decode_escape, literal[1:-1])
    opening = re.match(rb"\[(=*)\[(?:\r\n|\n\r|\n|\r)?", literal)
    if opening is None:
        return None
    return literal[opening.end() : len(literal) - len(opening.group(1)) - 2]


def _decode_escape(match: re.Match[bytes]) -> bytes:
    body = match.group()[1:]
    if body in _SIMPLE_ESCAPES:
        return _SIMPLE_ESCAPES[body]
    if body[:1] == b"z":
        return b""
    if body[:1] == b"x" and len(body) == 3:
        return bytes([int(body[1:], 16)])
    if body[:2] == b"u{":
        return chr(min(int(body[2:-1], 16), 0x10FFFF)).encode("utf-8", "surrogatepass")
    if body.isdigit():
        return bytes([min(int(body), 255)])
    return b"\n" if body == b"\r\n" else body
