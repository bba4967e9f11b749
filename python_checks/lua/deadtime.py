"""Recipe ``deadtime``: no part of a death is counted twice (domain facts 2.3 and 3.1).

Writers that store the numbers every few seconds add the time since a player's death to his sum each time, and again when he is back.
Where such an interval is added and its beginning stays, the beginning moves up to now. With it goes the clock of ``timetracking``, which
stands still in pauses, so that any number of pauses inside one death is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from python_checks.lua.graph import CallGraph
from python_checks.lua.helpers import NothingFound, WriterRecipe
from python_checks.lua.recipe import Plan, Refusal
from python_checks.lua.timetracking import use_clock
from python_checks.lua.tree import Assignment, Function, LuaTree

CLOCKS = ("et.trap_Milliseconds", "rollout_stats.milliseconds")
_PLACES = ("bracket_index_expression", "dot_index_expression")


@dataclass(frozen=True)
class Sum:
    """``total = total + (now - begin …)``: the statement, the place of the begin and the expression that reads the clock."""

    assignment: Assignment
    begin: Node
    clock: Node


def plan_deadtime(tree: LuaTree) -> Plan:
    """Plan all edits of the recipe; raises Refusal when no sum of dead times is found."""
    return _DeadTime(tree).plan()


class _DeadTime(WriterRecipe):
    def plan(self) -> Plan:
        self.graph = CallGraph(self.tree)
        sums = [s for a in self.tree.assignments if (s := self._sum(a)) is not None]
        if not sums:
            raise NothingFound("looked for a sum of intervals that begin with et_Obituary, found none")
        for one in sums:
            if self._is_frame_work(one) and not self._moves_on(one):
                self._move(one)
        use_clock(self)
        return self.finish()

    # --- what is a sum of dead times

    def _sum(self, assignment: Assignment) -> Sum | None:
        target, value = assignment.target, assignment.value
        if value is None or target.type not in _PLACES or value.type != "binary_expression":
            return None
        own = self.tree.text(target)
        if not any(
            sign > 0 and self.tree.text(self._plain(term)).startswith(own) for term, sign in self._terms(value, 1)
        ):
            return None
        found = self._interval(value, 4)
        return Sum(assignment, *found) if found else None

    def _plain(self, node: Node) -> Node:
        """What stands inside of brackets, or in front of an ``or``: ``(total[i] or 0)`` is about ``total[i]``."""
        while node.type in ("parenthesized_expression", "binary_expression"):
            inner = [c for c in node.children if c.is_named]
            if not inner or (node.type == "parenthesized_expression" and len(inner) != 1):
                break
            node = inner[0]
        return node

    def _interval(self, node: Node | None, depth: int) -> tuple[Node, Node] | None:
        """``(begin, clock)`` of the first ``clock - begin`` inside an expression, through locals and calls' arguments."""
        if node is None or depth == 0:
            return None
        if node.type == "identifier":
            binding = self.tree.binding(node)
            values = binding.values if binding is not None and not binding.is_parameter else []
            return self._interval(values[0], depth - 1) if values else None
        terms = list(self._terms(node, 1))
        begins = [term for term, sign in terms if sign < 0 and term.type in _PLACES]
        begin = next((term for term in begins if self._begins_death(term)), None)
        clock = next((term for term, sign in terms if sign > 0 and self._reads_clock(term)), None)
        if begin is not None and clock is not None:
            return begin, clock
        for child in node.children:
            if child.is_named and child.type != "function_definition":
                found = self._interval(child, depth)
                if found:
                    return found
        return None

    def _terms(self, node: Node | None, sign: int) -> Iterator[tuple[Node, int]]:
        """The terms of a sum with their signs: ``a + (b - c)`` gives a, b and minus c."""
        if node is None:
            return
        operator = node.child_by_field_name("operator")
        if node.type == "binary_expression" and operator is not None and operator.type in ("+", "-"):
            yield from self._terms(node.child_by_field_name("left"), sign)
            yield from self._terms(node.child_by_field_name("right"), sign if operator.type == "+" else -sign)
        elif node.type == "parenthesized_expression":
            for inner in node.children:
                if inner.is_named:
                    yield from self._terms(inner, sign)
        else:
            yield node, sign

    def _reads_clock(self, node: Node | None, depth: int = 3) -> bool:
        if node is None or depth == 0:
            return False
        node = self._plain(node) if node.type == "parenthesized_expression" else node
        if node.type == "function_call":
            return self.callee(node) in CLOCKS or self._answers_clock(node, depth)
        if node.type != "identifier":
            return False
        binding = self.tree.binding(node)
        values = binding.values if binding is not None and not binding.is_parameter else []
        return len(values) == 1 and self._reads_clock(values[0], depth - 1)

    def _answers_clock(self, call: Node, depth: int) -> bool:
        """True for a call of a function of the script whose whole answer is the clock."""
        name = call.child_by_field_name("name")
        key = self.tree.key(name) if name is not None else None
        for function in self.graph.units:
            if key is not None and function.key == key:
                body = [n for n in self.tree.descendants(function.node) if n.type == "return_statement"]
                answers = [
                    c for r in body for e in r.children if e.type == "expression_list" for c in e.children if c.is_named
                ]
                return len(answers) == 1 and self._reads_clock(answers[0], depth - 1)
        return False

    def _begins_death(self, begin: Node) -> bool:
        """True when the place is set to the clock by what et_Obituary reaches."""
        field = self._place(begin)
        for assignment in self.tree.assignments if field is not None else ():
            if self._place(assignment.target) != field or not self._reads_clock(assignment.value):
                continue
            unit = self.graph.unit_of(assignment.target)
            if unit is not None and any(unit in self.graph.reach(root) for root in self._roots(b"et_Obituary")):
                return True
        return False

    def _place(self, node: Node) -> object:
        """What a place is called whatever its index or owner: the table of ``t[i]``, the field of ``p.f``, both of ``t[i][2]``."""
        if node.type == "bracket_index_expression":
            table, index = node.child_by_field_name("table"), node.child_by_field_name("field")
            if table is None or index is None:
                return None
            inner = self._place(table) if table.type == "bracket_index_expression" else self.tree.key(table)
            return None if inner is None else (inner, self.number(index))
        if node.type == "dot_index_expression":
            field = node.child_by_field_name("field")
            return self.tree.text(field) if field is not None else None
        return None

    def _roots(self, callback: bytes) -> list[Function]:
        named = [f for f in self.graph.units if f.name == callback]
        keys = {
            self.tree.key(a.value)
            for a in self.tree.assignments
            if a.value is not None and self.tree.text(a.target) == callback
        }
        return named + [f for f in self.graph.units if f.key in keys and f not in named]

    # --- what is counted again

    def _is_frame_work(self, one: Sum) -> bool:
        unit = self.graph.unit_of(one.assignment.target)
        return unit is None or any(unit in self.graph.reach(root) for root in self._roots(b"et_RunFrame"))

    def _moves_on(self, one: Sum) -> bool:
        """True when the begin is set anew behind the sum: there, or farther down in the same function."""
        place, function = self._place(one.begin), self.tree.function_of(one.assignment.target)
        return any(
            self._place(a.target) == place
            and a.target.start_byte > one.assignment.statement.start_byte
            and self.tree.function_of(a.target) is function
            for a in self.tree.assignments
        )

    def _move(self, one: Sum) -> None:
        statement = one.assignment.statement
        if self.graph.unit_of(statement) is None:
            raise Refusal(f"looked for the function that adds the dead time (line {self.line(statement)}), found none")
        at = self.line_end(statement.end_byte)
        begin, clock = self.tree.text(one.begin), self.tree.text(one.clock)
        if one.clock.type == "identifier" and not self._sees(one.clock, statement):
            clock = b"et.trap_Milliseconds()"
        clock = clock.replace(b"et.trap_Milliseconds", b"rollout_stats.milliseconds")
        if at == statement.end_byte and self.source[at : at + 1] not in (b"\r", b"\n", b""):
            text = b"; " + begin + b" = " + clock + b";"
        else:
            text = self.eol + self.indent(statement.start_byte) + begin + b" = " + clock
        self.result.edits.insert(at, text)
        shown = begin.decode("latin-1")
        self.did(f"a death's time is counted once: {shown} moves on when it is added (line {self.line(statement)})")

    def _sees(self, name: Node, at: Node) -> bool:
        return self.tree.visible(self.tree.text(name), at.start_byte) is self.tree.binding(name)
