"""The values of a webhook: what its payload and its gametime file show, under which name, and where they can be seen."""

from __future__ import annotations

import re

from tree_sitter import Node

from python_checks.lua.texts import Hole, conversions, format_parts, holes, is_format
from python_checks.lua.tree import Function
from python_checks.lua.webhook_targets import GUARD, PLACES, Targets

LISTS = (b"Axis_JSON", b"Allies_JSON", b"Lua_Pauses_JSON")
WHOLE = {
    b"Round", b"Winner", b"Defender", b"Lua_Playtime", b"Lua_Timelimit", b"Lua_Pauses", b"Lua_Warmup", b"Lua_WarmupStart",
    b"Lua_RoundStart", b"Lua_RoundEnd", b"Lua_SurrenderTeam", b"Lua_AxisScore", b"Lua_AlliesScore",
    b"round", b"round_start_unix", b"round_end_unix", b"actual_duration_seconds", b"warmup_seconds", b"pause_seconds", b"pause_count",
}  # fmt: skip
FACTS = {name for name in WHOLE if name[:1].isupper()} | {b"Map", b"Lua_EndReason"}
LABELS = FACTS | set(LISTS)
_TEXT_MAKER = re.compile(rb"esc|text|str|json|fmt|format|quote|gsub|concat", re.IGNORECASE)


class Values(Targets):
    """Adds the named values to the targets."""

    def slots(self, target: Function) -> list[Hole]:
        """Every value that the send function, or what it calls, shows under a JSON name."""
        units = self.graph.reach(target)
        slots: list[Hole] = []
        roots: set[int] = set()
        for call in self.tree.calls:
            if self.graph.unit_of(call) in units:
                slots += self.argument_slots(call)
                if is_format(self.tree, call):
                    roots.add(self.text_root(call).id)
        nodes = {n.id: n for unit in units for n in self.tree.descendants(unit.node)}
        for node in nodes.values():
            if node.type == "table_constructor" and self.graph.unit_of(node) in units:
                slots += self.table_slots(node)
            elif node.type == "binary_expression" and self.text_root(node).id == node.id:
                roots.add(node.id)
        for identity in roots:
            if identity in nodes:
                slots += holes(self.tree, nodes[identity])
        own = [c for c in self.tree.calls if self.tree.text(c).startswith((GUARD + b".note(", GUARD + b".protect("))]
        ranges = [(a.start_byte, a.end_byte) for c in own for a in self.tree.arguments(c) if a.type != "identifier"]
        slots = [s for s in slots if not any(start <= s.node.start_byte < end for start, end in ranges)]
        slots.sort(key=lambda slot: slot.node.start_byte)
        return slots

    def text_root(self, node: Node) -> Node:
        """The outermost ``..`` chain that holds a text expression."""
        root = node
        for ancestor in self.tree.ancestors(node):
            if ancestor.type == "parenthesized_expression":
                continue
            operator = ancestor.child_by_field_name("operator")
            if ancestor.type != "binary_expression" or operator is None or operator.type != "..":
                break
            root = ancestor
        return root

    def argument_slots(self, call: Node) -> list[Hole]:
        """``add(fields, "Round", round)``."""
        arguments = self.tree.arguments(call)
        for index, argument in enumerate(arguments[:-1]):
            label = self.tree.constant(argument)
            if label in LABELS:
                return self.value_slots(label, arguments[index + 1])
        return []

    def table_slots(self, table: Node) -> list[Hole]:
        """``{ name = "Round", value = round }``, ``{ "Round", round }`` and ``{ Round = round }``."""
        fields = [c for c in table.children if c.type == "field"]
        named = {self.tree.field_name(f): f.child_by_field_name("value") for f in fields}
        name, value = named.get(b"name"), named.get(b"value")
        if name is not None and value is not None:
            label = self.tree.constant(name)
            return self.value_slots(label, value) if label in LABELS else []
        values = [f.child_by_field_name("value") for f in fields]
        if (
            len(values) >= 2
            and values[0] is not None
            and values[1] is not None
            and self.tree.field_name(fields[0]) is None
        ):
            label = self.tree.constant(values[0])
            if label in LABELS:
                return self.value_slots(label, values[1])
        slots: list[Hole] = []
        for key, node in named.items():
            if (key in LABELS or (key in WHOLE and b"_" in key)) and node is not None:
                slots += self.value_slots(key, node)
        return slots

    def value_slots(self, label: bytes | None, value: Node) -> list[Hole]:
        """The values inside one field's expression: the numbers of a text, or the expression itself."""
        assert label is not None
        if len(self.tree.concat_pieces(value)) > 1 or (value.type == "function_call" and is_format(self.tree, value)):
            inner: list[Hole] = []
            for piece in self.tree.concat_pieces(value):
                if piece.type == "function_call" and is_format(self.tree, piece):
                    template, values = format_parts(self.tree, piece)
                    text = self.tree.constant(template) if template is not None else None
                    letters = [letter for _, letter in conversions(text or b"")]
                    inner += [Hole(label, 0, v, c, True) for v, c in zip(values, letters, strict=False)]
                elif self.tree.constant(piece) is None:
                    inner.append(Hole(label, 0, piece, b"", True))
            return [Hole(label, i, hole.node, hole.conversion, True) for i, hole in enumerate(inner)]
        return [Hole(label, 0, value, b"", True)]

    def is_guarded(self, node: Node) -> bool:
        name = node.child_by_field_name("name")
        return node.type == "function_call" and name is not None and self.tree.text(name).startswith(GUARD + b".")

    def inside_tostring(self, node: Node) -> Node:
        name, arguments = (
            node.child_by_field_name("name"),
            self.tree.arguments(node) if node.type == "function_call" else [],
        )
        if name is not None and len(arguments) == 1 and self.tree.api(name) == "tostring":
            return arguments[0]
        return node

    def is_text(self, node: Node, depth: int) -> bool:
        """True when the expression is a text already, so that it is left alone."""
        if node.type == "string" or len(self.tree.concat_pieces(node)) > 1:
            return True
        if node.type == "function_call":
            name = node.child_by_field_name("name")
            return name is not None and _TEXT_MAKER.search(self.tree.text(name)) is not None
        if node.type == "identifier" and depth:
            binding = self.tree.binding(node)
            values = [v for v in binding.values if v is not None] if binding is not None else []
            return bool(values) and all(self.is_text(v, depth - 1) for v in values)
        return False

    def limit(self, at: int) -> bytes:
        """The variable that holds the cvar's number at a position; empty when none is in sight."""
        makers = {self.graph.unit_of(c) for c in self.tree.calls if self.reads_limit(c)}
        for binding in reversed(self.tree.bindings):
            if self.tree.visible(binding.name, at) is not binding:
                continue
            for value in binding.values:
                if value is None or value.type in ("function_definition", "function_declaration"):
                    continue
                calls = [n for n in self.tree.descendants(value) if n.type == "function_call"]
                if any(self.reads_limit(c) or self.unit_called(c) in makers - {None} for c in calls):
                    return binding.name
        return b""

    def reads_limit(self, call: Node) -> bool:
        name, arguments = call.child_by_field_name("name"), self.tree.arguments(call)
        is_read = name is not None and self.tree.api(name) == "et.trap_Cvar_Get"
        return is_read and bool(arguments) and self.tree.constant(arguments[0]) == b"timelimit"

    def facts(self, slots: list[Hole], at: int) -> list[tuple[bytes, bytes]]:
        """``(label, expression)`` for what the payload shows and a position can see, by plain names only."""
        facts: dict[bytes, bytes] = {}
        for slot in slots:
            label = (
                slot.label
                if slot.nth == 0
                else b"Lua_Pauses_sec"
                if slot.label == b"Lua_Pauses" and slot.nth == 1
                else b""
            )
            if not label or slot.label not in FACTS or label in facts or not slot.is_field:
                continue
            place = self.plain(slot.node, 4)
            if place is not None and self.sees(place, at):
                facts[label] = self.tree.text(place)
        return sorted(facts.items())

    def plain(self, node: Node, depth: int) -> Node | None:
        """The name inside ``tostring(x)``, ``x or 0``, ``(x)``; None for anything that does something."""
        if node.type in PLACES:
            return node
        if not depth:
            return None
        inner: list[Node] = []
        if node.type == "function_call":
            inner = self.tree.arguments(node)
            receiver = self.tree.receiver(node)
            if receiver is not None and receiver[1] in (b"gsub", b"lower", b"upper"):
                inner = [receiver[0]]
        elif node.type == "parenthesized_expression":
            inner = [c for c in node.children if c.is_named]
        elif node.type == "binary_expression":
            operator = node.child_by_field_name("operator")
            left = node.child_by_field_name("left")
            if operator is not None and operator.type == "or" and left is not None:
                inner = [left]
        return self.plain(inner[0], depth - 1) if len(inner) == 1 else None

    def sees(self, place: Node, at: int) -> bool:
        root = next(n for n in self.tree.descendants(place) if n.type == "identifier")
        binding = self.tree.binding(root)
        return self.tree.visible(self.tree.text(root), at) is binding
