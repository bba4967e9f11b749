"""Which function calls which, inside one file."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tree_sitter import Node

from python_checks.lua.tree import Function, Key, LuaTree


class CallGraph:
    """Named functions of a file and the references between them.

    An unnamed function (an argument of ``pcall``, a field without a name) belongs to the named function around it. A reference
    counts like a call: a function that is handed on is assumed to be called. References for which ``skips`` is true do not count.
    """

    def __init__(self, tree: LuaTree, skips: Callable[[Node], bool] = lambda node: False) -> None:
        self.tree = tree
        self.units = [f for f in tree.functions if f.key is not None]
        self._callees: dict[Function, set[Function]] = {unit: set() for unit in self.units}
        self._reach: dict[Function, frozenset[Function]] = {}
        by_key: dict[Key, list[Function]] = {}
        by_method: dict[object, list[Function]] = {}
        for unit in self.units:
            assert unit.key is not None
            by_key.setdefault(unit.key, []).append(unit)
            by_method.setdefault(unit.key[-1], []).append(unit)
        for node in [*tree.names, *tree.indexes]:
            caller = self.unit_of(node)
            if caller is None:
                continue
            key = tree.key(node)
            found = by_key.get(key, []) if key is not None else []
            if not found and node.type == "method_index_expression":
                method = node.child_by_field_name("method")
                found = by_method.get(tree.text(method), []) if method is not None else []
                found = found if len(found) == 1 else []
            if found and skips(node):
                continue
            self._callees[caller].update(f for f in found if not self._is_own_name(f, node))

    def _is_own_name(self, function: Function, node: Node) -> bool:
        return function.node.child_by_field_name("name") == node

    def unit_of(self, node: Node) -> Function | None:
        """The named function that a node belongs to; None at file level."""
        function = self.tree.function_of(node)
        while function is not None and function.key is None:
            function = function.parent
        return function

    def reach(self, function: Function) -> frozenset[Function]:
        """The function and all that it may call, directly or not, with the named functions defined inside them."""
        if function not in self._reach:
            seen: set[Function] = set()
            waiting = [function]
            while waiting:
                current = waiting.pop()
                if current not in seen:
                    seen.add(current)
                    waiting += self._callees.get(current, ())
            self._reach[function] = frozenset(seen)
        return self._reach[function]

    def reaching(self, targets: Iterable[Function]) -> set[Function]:
        """The functions that reach at least one of the targets."""
        wanted = set(targets)
        return {unit for unit in self.units if self.reach(unit) & wanted}

    @staticmethod
    def is_callback(function: Function) -> bool:
        """True for the functions that the engine calls (``et_*``)."""
        return bool(function.key) and len(function.key or ()) == 1 and function.name.startswith(b"et_")
