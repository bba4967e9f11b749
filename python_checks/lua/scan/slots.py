"""SLOT: client fields asked of numbers that may be no client."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from python_checks.lua.scan import engine
from python_checks.lua.scan.notes import Note, shown
from python_checks.lua.scan.presence import Presence
from python_checks.lua.scan.script import Script, Site
from python_checks.lua.scan.values import Values
from python_checks.lua.tree import Binding, Function

_CLIENT_PREFIXES = ("pers.", "sess.", "ps.", "client.")
_ENTITY = {"entity:et_Obituary": "et_Obituary's killer", "entity:et_Damage": "et_Damage's entity"}


def slot_notes(script: Script, values: Values, presences: dict[str, Presence]) -> Iterator[Note]:
    """SLOT001 to SLOT003."""
    slots = _Slots(script, values)
    seen: set[tuple[int, str]] = set()
    uses = list(slots.uses())
    for node, why in slots.start_values() if uses else ():
        yield Note(node, "SLOT002", tuple(presences), why)
    for node, what in uses:
        targets = tuple(t for t, p in presences.items() if not p.is_dead(node))
        for code, place, why in slots.judge(node, what):
            if targets and (place.id, code) not in seen:
                seen.add((place.id, code))
                yield Note(place, code, targets, why)


class _Slots:
    def __init__(self, script: Script, values: Values) -> None:
        self.script = script
        self.values = values
        self.tree = script.tree

    def uses(self) -> Iterator[tuple[Node, str]]:
        """Argument expressions that end up as the slot of a client field, with that field; through parameters, to a fixed point."""
        waiting: list[tuple[Node, str]] = []
        for call in self.script.calls:
            if self.script.callee(call) not in ("et.gentity_get", "et.gentity_set"):
                continue
            arguments = self.tree.arguments(call)
            if len(arguments) < 2:
                continue
            name = self.values.text_of(arguments[1])
            if name is not None and self._is_client_field(name.decode("latin-1")):
                waiting.append((arguments[0], name.decode("latin-1")))
        done: set[Binding] = set()
        while waiting:
            node, what = waiting.pop(0)
            if self.script.protection(node) is not None:
                continue
            yield node, what
            binding = self.tree.binding(node) if node.type == "identifier" else None
            if binding is None or not binding.is_parameter or binding in done or self._is_guarded(node):
                continue
            done.add(binding)
            waiting += [(argument, what) for argument in self._arguments(binding)]

    def _arguments(self, binding: Binding) -> Iterator[Node]:
        function = binding.function
        if function is None:
            return
        index = self.script.parameters(function).index(binding)
        for call in self.script.call_sites.get(function, []):
            arguments = self.script.arguments_for(call)
            if index < len(arguments):
                yield arguments[index]

    @staticmethod
    def _is_client_field(name: str) -> bool:
        known = engine.fields().get(name)
        return known[1] if known is not None else name.startswith(_CLIENT_PREFIXES)

    def judge(self, node: Node, what: str) -> Iterator[tuple[str, Node, str]]:
        """``(code, place, why)``."""
        if node.type != "identifier" or self._is_guarded(node):
            return
        binding = self.tree.binding(node)
        if binding is None:
            return
        clause = self._clause(binding)
        if clause is not None:
            yield from self._loop(clause, node, what)
            return
        origins = (
            self.values.of(node).origins
            if not binding.is_parameter or self._is_callback(binding.function)
            else frozenset()
        )
        for origin in origins & _ENTITY.keys():
            asked = f"field {what} of {shown(self.tree.text(node))}, {_ENTITY[origin]}, which may be the world (1022) or another entity"
            yield "SLOT003", node, f"{asked}: et.gentity_get raises there"

    def _is_callback(self, function: Function | None) -> bool:
        return any(function in functions for functions in self.script.callbacks.values())

    def _clause(self, binding: Binding) -> Node | None:
        clause = binding.scope.child_by_field_name("clause") if binding.scope.type == "for_statement" else None
        return clause if clause is not None and clause.type == "for_numeric_clause" else None

    def _loop(self, clause: Node, node: Node, what: str) -> Iterator[tuple[str, Node, str]]:
        end = clause.child_by_field_name("end")
        if end is None:
            return
        value = self.values.of(end)
        spoken = f"field {what} of slots up to {shown(self.tree.text(end))}"
        if isinstance(value.const, float):
            if value.const >= 1:
                why = f"{spoken}: raises at the first slot that is not below {engine.SLOT_CVAR}, which is often smaller"
                yield "SLOT001", end, why
            return
        if f"cvar:{engine.SLOT_CVAR}" in value.origins and end.type != "binary_expression":
            yield (
                "SLOT001",
                end,
                f"{spoken}: slot number {engine.SLOT_CVAR} itself has no client, the last one is one less",
            )

    def start_values(self) -> Iterator[tuple[Node, str]]:
        """Counts that start as a constant and are read from the cvar in et_InitGame only: ``(declaration, why)``."""
        for binding, all_sites in self.script.sites.items():
            sites = [s for s in all_sites if not s.is_nil]
            if len(sites) < 2 or binding.function is not None:
                continue
            read = [s for s in sites if f"cvar:{engine.SLOT_CVAR}" in self._origins(s)]
            at_load = [s for s in sites if s not in read and self.tree.function_of(s.node) is None]
            if not at_load or not read or not all(self._only_at_start(self.tree.function_of(s.node)) for s in read):
                continue
            start = self.values.of(at_load[0].value).const if at_load[0].value is not None else None
            if isinstance(start, float) and start >= 1:
                name = shown(self.tree.text(at_load[0].node))
                why = f"{name} is {start:g} until et_InitGame reads {engine.SLOT_CVAR}; lua_restart loads the script without et_InitGame"
                yield at_load[0].node, f"{why}, and client fields of slots that do not exist raise in every frame"

    def _origins(self, site: Site) -> frozenset[str]:
        return self.values.of(site.value).origins if site.value is not None else frozenset()

    def _only_at_start(self, function: Function | None) -> bool:
        starts = self.script.callbacks.get("et_InitGame", [])
        if function is None:
            return False
        reaching = {f for name, fs in self.script.callbacks.items() if name != "et_InitGame" for f in fs}
        if function in starts:
            return True
        used_elsewhere = any(function in self.script.graph.reach(f) for f in reaching)
        return not used_elsewhere and any(function in self.script.graph.reach(f) for f in starts)

    def _is_guarded(self, node: Node) -> bool:
        """A condition around the use asks about the number itself: a limit, a constant, or a function of it."""
        for condition in self.script.conditions(node):
            for part in self.tree.descendants(condition.node):
                if part.type == "binary_expression" and self._is_limit(part, node):
                    return True
                if part.type == "function_call" and self._asks(part, node):
                    return True
                if part.type == "bracket_index_expression":
                    index = part.child_by_field_name("field")
                    if index is not None and self._is_same(index, node):
                        return True
        return False

    def _is_limit(self, comparison: Node, node: Node) -> bool:
        sides, operator = self.script.sides(comparison), self.script.operator(comparison)
        if sides is None or operator not in ("<", ">", "<=", ">=", "==", "~="):
            return False
        if not any(self._is_same(side, node) for side in sides):
            return False
        other = sides[1] if self._is_same(sides[0], node) else sides[0]
        return operator in ("<", ">", "<=", ">=") or isinstance(self.values.of(other).const, float)

    def _asks(self, call: Node, node: Node) -> bool:
        return any(self._is_same(argument, node) for argument in self.tree.arguments(call))

    def _is_same(self, one: Node, other: Node) -> bool:
        return one.type == other.type and self.script.key(one) == self.script.key(other) is not None
