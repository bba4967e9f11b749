"""One script as the rules see it: its tree, what it assigns where, which conditions hold at a place, who calls whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from tree_sitter import Node

from python_checks.lua.graph import CallGraph
from python_checks.lua.texts import is_format
from python_checks.lua.tree import Binding, Function, Key, LuaTree

Path = tuple[str, ...]

_FUNCTIONS = ("function_declaration", "function_definition")
_INDEXES = ("dot_index_expression", "method_index_expression", "bracket_index_expression")
_LEAVING = ("return_statement", "break_statement", "goto_statement")
_PROTECTING = {"pcall", "xpcall", "rollout_guard.pcall", "rollout_guard.xpcall", "rollout_guard.protect"}
_CALLBACK = re.compile(r"et_[A-Za-z]\w*$")


@dataclass(frozen=True)
class Site:
    """One write: ``value`` is the expression, or None with ``call`` and ``nth`` for a further result of a call, or nil when neither."""

    node: Node
    statement: Node
    value: Node | None
    call: Node | None = None
    nth: int = 0
    is_unknown: bool = False

    @property
    def is_nil(self) -> bool:
        """True for ``local x`` and for targets without a value."""
        return self.value is None and self.call is None and not self.is_unknown


@dataclass(frozen=True)
class Condition:
    """An expression that is known to be true or false at a place."""

    node: Node
    is_true: bool


class Script:
    """A parsed file with the indexes that several rules share. Collections are in source order."""

    def __init__(self, source: bytes) -> None:
        self.tree = LuaTree(source)
        self.calls = self.tree.calls
        self.binaries: list[Node] = []
        self.unaries: list[Node] = []
        self.indexes: list[Node] = []
        self.attributes: list[Node] = []
        self.loops: list[Node] = []
        self.returns: dict[Function | None, list[Node]] = {}
        self.sites: dict[Binding, list[Site]] = {}
        self.place_sites: dict[Key, list[Site]] = {}
        self.field_sites: dict[bytes, list[Site]] = {}
        self.element_sites: dict[Key, list[Site]] = {}
        self.open_tables: set[Key] = set()
        self._exits: dict[int, list[tuple[int, Condition]]] = {}
        self._conditions: dict[int, list[Condition]] = {}
        self._keys: dict[int, Key | None] = {}
        for node in self.tree.descendants(self.tree.root):
            self._index(node)

    # --- building

    def _index(self, node: Node) -> None:
        kind = node.type
        if kind == "binary_expression":
            self.binaries.append(node)
        elif kind == "unary_expression":
            self.unaries.append(node)
        elif kind in _INDEXES:
            self.indexes.append(node)
        elif kind == "attribute":
            self.attributes.append(node)
        elif kind == "for_statement":
            self.loops.append(node)
        elif kind == "return_statement":
            self.returns.setdefault(self.tree.function_of(node), []).append(node)
        elif kind == "assignment_statement":
            self._index_assignment(node)
        elif kind == "variable_declaration":
            for child in node.children:
                if child.type == "variable_list":
                    for name in child.children:
                        if name.type == "identifier":
                            self._write(name, Site(name, node, None))
        elif kind in _FUNCTIONS:
            own_name = node.child_by_field_name("name")
            if own_name is not None:
                self._write(own_name, Site(own_name, node, node))
        elif kind == "field":
            name_of, value = self.tree.field_name(node), node.child_by_field_name("value")
            if name_of is not None and value is not None:
                self.field_sites.setdefault(name_of, []).append(Site(node, node, value))

    def _index_assignment(self, node: Node) -> None:
        parent = self.tree.parent(node)
        statement = parent if parent is not None and parent.type == "variable_declaration" else node
        targets = [c for c in node.children[0].children if c.is_named and c.type not in ("attribute", "comment")]
        values: list[Node] = []
        for child in node.children:
            if child.type == "expression_list":
                values = [c for c in child.children if c.is_named and c.type != "comment"]
        for index, target in enumerate(targets):
            last = values[-1] if values else None
            if index < len(values):
                site = Site(target, statement, values[index])
            elif last is not None and last.type == "function_call":
                site = Site(target, statement, None, last, index - len(values) + 1)
            else:
                site = Site(target, statement, None, is_unknown=last is not None and last.type == "vararg_expression")
            self._write(target, site)

    def _write(self, target: Node, site: Site) -> None:
        if target.type == "identifier":
            binding = self.tree.binding(target)
            if binding is not None:
                self.sites.setdefault(binding, []).append(site)
                return
        key = self.tree.key(target)
        if key is not None:
            self.place_sites.setdefault(key, []).append(site)
        name = self.member_name(target)
        if name is not None:
            self.field_sites.setdefault(name, []).append(site)
        elif target.type == "bracket_index_expression":
            base = target.child_by_field_name("table")
            base_key = self.tree.key(base) if base is not None else None
            if base_key is not None:
                self.element_sites.setdefault(base_key, []).append(site)
                self.open_tables.add(base_key)

    # --- names

    def member_name(self, node: Node) -> bytes | None:
        """The constant member that an index expression reads, or None."""
        name = node.child_by_field_name("field") or node.child_by_field_name("method")
        if name is None:
            return None
        return self.tree.constant(name) if node.type == "bracket_index_expression" else self.tree.text(name)

    def key(self, node: Node) -> Key | None:
        """``LuaTree.key``, remembered."""
        if node.id not in self._keys:
            self._keys[node.id] = self.tree.key(node)
        return self._keys[node.id]

    def path(self, node: Node) -> Path:
        """``("bit", "band")`` for a global's path through local aliases and ``_G``; empty when it is none."""
        key = self.key(node)
        if key is None:
            return ()
        steps = tuple(step.decode("latin-1") for step in key if isinstance(step, bytes))
        if len(steps) != len(key):
            return ()
        while len(steps) > 1 and steps[0] == "_G":
            steps = steps[1:]
        return steps

    def callee(self, call: Node) -> str:
        """``string.format`` and the like; empty when the callee is no global's path."""
        name = call.child_by_field_name("name")
        return ".".join(self.path(name)) if name is not None else ""

    @cached_property
    def assigned_globals(self) -> dict[Path, list[Site]]:
        """Globals and their members that the file itself sets, by path."""
        found: dict[Path, list[Site]] = {}
        for key, sites in self.place_sites.items():
            steps = tuple(step.decode("latin-1") for step in key if isinstance(step, bytes))
            if len(steps) == len(key):
                steps = steps[1:] if len(steps) > 1 and steps[0] == "_G" else steps
                found.setdefault(steps, []).extend(sites)
        return found

    @cached_property
    def _functions_by_node(self) -> dict[int, Function]:
        return {function.node.id: function for function in self.tree.functions}

    @cached_property
    def _functions_by_key(self) -> dict[Key, list[Function]]:
        found: dict[Key, list[Function]] = {}
        for function in self.tree.functions:
            if function.key is not None:
                found.setdefault(function.key, []).append(function)
        return found

    def functions_of(self, node: Node, depth: int = 0) -> list[Function]:
        """The functions of this file that an expression may mean."""
        if node.id in self._functions_by_node:
            return [self._functions_by_node[node.id]]
        if node.type == "parenthesized_expression":
            return [f for c in node.children if c.is_named for f in self.functions_of(c, depth)]
        key = self.key(node)
        found = list(self._functions_by_key.get(key, [])) if key is not None else []
        if not found and node.type == "method_index_expression":
            name = self.member_name(node)
            found = [f for f in self.tree.functions if f.key is not None and len(f.key) > 1 and f.key[-1] == name]
            found = found if len(found) == 1 else []
        if not found and key is not None and depth < 4:
            binding = self.tree.binding(node) if node.type == "identifier" else None
            sites = self.sites.get(binding, []) if binding is not None else self.place_sites.get(key, [])
            for site in sites:
                if site.value is not None and site.value.type in ("identifier", *_INDEXES):
                    found += self.functions_of(site.value, depth + 1)
        return found

    def callees(self, call: Node) -> list[Function]:
        """The functions of this file that a call may reach."""
        name = call.child_by_field_name("name")
        return self.functions_of(name) if name is not None else []

    @cached_property
    def callbacks(self) -> dict[str, list[Function]]:
        """The functions that the engine would call, by name, however they are assigned."""
        found: dict[str, list[Function]] = {}
        for path, sites in self.assigned_globals.items():
            if len(path) == 1 and _CALLBACK.match(path[0]):
                for site in sites:
                    if site.value is not None:
                        value = self.unwrapped(site.value)
                        found.setdefault(path[0], []).extend(self.functions_of(value))
        return {name: list(dict.fromkeys(functions)) for name, functions in found.items()}

    def unwrapped(self, node: Node) -> Node:
        """The function inside ``protect(function … end)``."""
        if node.type == "function_call" and self.is_protecting(node):
            arguments = self.tree.arguments(node)
            return arguments[0] if arguments else node
        return node

    # --- parameters and calls

    def parameters(self, function: Function) -> list[Binding]:
        """The parameters in order, with ``self`` of a method in front."""
        return self._parameters.get(function, [])

    @cached_property
    def _parameters(self) -> dict[Function, list[Binding]]:
        found: dict[Function, list[Binding]] = {}
        for binding in self.tree.bindings:
            if binding.is_parameter and binding.function is not None:
                found.setdefault(binding.function, []).append(binding)
        return found

    def arguments_for(self, call: Node) -> list[Node]:
        """The call's arguments in the order of the function's parameters, the receiver of a method call first."""
        arguments = self.tree.arguments(call)
        receiver = self.tree.receiver(call)
        return [receiver[0], *arguments] if receiver is not None else arguments

    @cached_property
    def call_sites(self) -> dict[Function, list[Node]]:
        """The calls that may reach each function."""
        found: dict[Function, list[Node]] = {}
        for call in self.calls:
            for function in self.callees(call):
                found.setdefault(function, []).append(call)
            if self.callee(call) in ("pcall", "xpcall"):
                arguments = self.tree.arguments(call)
                for function in self.functions_of(arguments[0]) if arguments else []:
                    found.setdefault(function, [])
        return found

    # --- protection

    def is_protecting(self, call: Node) -> bool:
        """True for ``pcall`` and what wraps it: an error inside the function handed over does not reach the engine."""
        if self.callee(call) in _PROTECTING:
            return True
        return any(function in self._wrappers for function in self.callees(call))

    @cached_property
    def _wrappers(self) -> set[Function]:
        """Functions of this file that hand their first parameter to pcall."""
        found: set[Function] = set()
        for call in self.calls:
            if self.callee(call) not in ("pcall", "xpcall"):
                continue
            arguments = self.tree.arguments(call)
            if not arguments or arguments[0].type != "identifier":
                continue
            binding = self.tree.binding(arguments[0])
            if binding is not None and binding.is_parameter and binding.function is not None:
                parameters = self.parameters(binding.function)
                if parameters and parameters[0] is binding:
                    found.add(binding.function)
        return found

    def protection(self, node: Node) -> Node | None:
        """The protecting call whose argument holds the node (an argument that is a function or a function's name), or None."""
        inner = node
        for outer in self.tree.ancestors(node):
            if outer.type == "arguments" and (inner.type in _FUNCTIONS or inner is node):
                call = self.tree.parent(outer)
                if call is not None and call.type == "function_call" and self.is_protecting(call):
                    return call
            inner = outer
        return None

    @cached_property
    def graph(self) -> CallGraph:
        """Who reaches whom without a pcall between them."""
        return CallGraph(self.tree, skips=lambda node: self.protection(node) is not None)

    @cached_property
    def each_frame(self) -> frozenset[Function]:
        """The named functions that et_RunFrame reaches unprotected, itself included."""
        found: set[Function] = set()
        for function in self.callbacks.get("et_RunFrame", []):
            if self.protection(function.node) is None:
                found |= self.graph.reach(function)
        return frozenset(found)

    # --- conditions

    def conditions(self, node: Node) -> list[Condition]:
        """What is known to be true or false when the node is reached, from the nearest outwards, split at and/or/not."""
        if node.id not in self._conditions:
            found: list[Condition] = []
            child = node
            for parent in self.tree.ancestors(node):
                for known in self._known_between(child, parent):
                    found += self.split(known)
                child = parent
            self._conditions[node.id] = found
        return self._conditions[node.id]

    def _known_between(self, child: Node, parent: Node) -> Iterator[Condition]:
        kind = parent.type
        if kind in ("if_statement", "elseif_statement", "while_statement"):
            condition = parent.child_by_field_name("condition")
            if condition is None or child == condition:
                return
            if kind == "if_statement" and child.type in ("elseif_statement", "else_statement"):
                yield Condition(condition, False)
                for other in parent.children:
                    if other == child:
                        break
                    if other.type == "elseif_statement":
                        denied = other.child_by_field_name("condition")
                        if denied is not None:
                            yield Condition(denied, False)
            elif child.type == "block":
                yield Condition(condition, True)
        elif kind == "binary_expression":
            left = parent.child_by_field_name("left")
            operator = parent.child_by_field_name("operator")
            if left is not None and operator is not None and child != left and operator.type in ("and", "or"):
                yield Condition(left, operator.type == "and")
        elif kind in ("block", "chunk"):
            for end, condition_ in reversed(self._exits_of(parent)):
                if end <= child.start_byte:
                    yield condition_

    def _exits_of(self, block: Node) -> list[tuple[int, Condition]]:
        """What holds behind a statement of the block: ``if not x then return end``, ``assert(x)``."""
        if block.id not in self._exits:
            found: list[tuple[int, Condition]] = []
            for statement in block.children:
                if statement.type == "if_statement":
                    condition, body = (statement.child_by_field_name(n) for n in ("condition", "consequence"))
                    if condition is not None and body is not None and self.always_leaves(body):
                        found.append((statement.end_byte, Condition(condition, False)))
                elif statement.type == "function_call" and self.callee(statement) == "assert":
                    arguments = self.tree.arguments(statement)
                    if arguments:
                        found.append((statement.end_byte, Condition(arguments[0], True)))
            self._exits[block.id] = found
        return self._exits[block.id]

    def split(self, condition: Condition) -> list[Condition]:
        """The parts of a condition that each hold."""
        node = condition.node
        if node.type == "parenthesized_expression":
            inner = [c for c in node.children if c.is_named]
            return self.split(Condition(inner[0], condition.is_true)) if inner else []
        if node.type == "unary_expression" and node.children[0].type == "not":
            operand = node.child_by_field_name("operand")
            return self.split(Condition(operand, not condition.is_true)) if operand is not None else []
        if node.type == "binary_expression":
            operator = self.operator(node)
            if operator == ("and" if condition.is_true else "or"):
                sides = (node.child_by_field_name("left"), node.child_by_field_name("right"))
                return [
                    condition,
                    *(c for side in sides if side for c in self.split(Condition(side, condition.is_true))),
                ]
        return [condition]

    def always_leaves(self, block: Node) -> bool:
        """True when a block's last statement never goes on behind the block."""
        statements = [c for c in block.children if c.is_named and c.type not in ("comment", "empty_statement")]
        if not statements:
            return False
        last = statements[-1]
        if last.type in _LEAVING:
            return True
        if last.type == "function_call":
            return self.callee(last) in ("error", "os.exit")
        if last.type == "do_statement":
            body = last.child_by_field_name("body")
            return body is not None and self.always_leaves(body)
        if last.type == "if_statement":
            bodies = [last.child_by_field_name("consequence")]
            has_else = False
            for branch in last.children:
                if branch.type == "elseif_statement":
                    bodies.append(branch.child_by_field_name("consequence"))
                elif branch.type == "else_statement":
                    has_else = True
                    bodies.append(branch.child_by_field_name("body"))
            return has_else and all(body is not None and self.always_leaves(body) for body in bodies)
        return False

    def operator(self, node: Node) -> str:
        """The operator of a binary or unary expression."""
        if node.type == "unary_expression":
            return node.children[0].type
        operator = node.child_by_field_name("operator")
        return operator.type if operator is not None else ""

    def sides(self, node: Node) -> tuple[Node, Node] | None:
        """Left and right of a binary expression."""
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        return (left, right) if left is not None and right is not None else None

    def mentions(self, node: Node, place: Node) -> bool:
        """True when an expression reads the same variable or member as ``place``."""
        key = self.key(place)
        if key is None:
            return False
        wanted = self.tree.text(place).rsplit(b".", 1)[-1]
        return any(
            other.type == place.type and self.tree.text(other).endswith(wanted) and self.key(other) == key
            for other in self.tree.descendants(node)
        )

    def is_test(self, node: Node) -> bool:
        """True where nil is expected: a condition, an operand of and/or/not or of a comparison with nil, an argument of type()."""
        parent = self.tree.parent(node)
        if parent is None:
            return False
        if parent.type in ("if_statement", "elseif_statement", "while_statement", "repeat_statement"):
            return parent.child_by_field_name("condition") == node
        if parent.type == "parenthesized_expression":
            return self.is_test(parent)
        if parent.type == "unary_expression":
            return self.operator(parent) == "not"
        if parent.type == "binary_expression":
            sides, operator = self.sides(parent), self.operator(parent)
            if sides is None:
                return False
            if operator in ("and", "or"):
                return sides[0] == node or self.is_test(parent)
            if operator in ("==", "~="):
                return any(side.type == "nil" for side in sides)
        if parent.type == "arguments":
            call = self.tree.parent(parent)
            return call is not None and self.callee(call) in ("type", "tostring", "rawequal", "select", "print")
        return False

    def is_format(self, call: Node) -> bool:
        """True for ``string.format`` in any notation, not for the guard's own."""
        name = call.child_by_field_name("name")
        return is_format(self.tree, call) and not (name is not None and self.path(name)[:1] == ("rollout_guard",))
