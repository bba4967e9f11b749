"""What is in scope at a place of a website backend: the expression that has a wanted value for every generated player."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import libcst as cst

from python_checks import formulas
from python_checks.source.evaluate import CannotEvaluate, Evaluator, Round, Scope
from python_checks.source.players import generated_players
from python_checks.source.sinks import Sink
from python_checks.source.tree import Refusal, SourceTree, called, holder_of, key_of


class NotInScope(Refusal):
    """A value that the formulas need cannot be read from a name where a sink is computed."""

    def __init__(self, message: str, sink: Sink, what: str) -> None:
        super().__init__(message)
        self.sink, self.what = sink, what


def sum_of(column: str) -> Callable[[Sequence[Round]], float]:
    """A player's sum of a column over his rounds."""
    return lambda rounds: sum(one[column] for one in rounds)


def raw_dead_s(rounds: Sequence[Round]) -> float:
    """Seconds dead as recorded."""
    return 60 * sum(r["time_dead_minutes"] for r in rounds)


def capped_dead_s(rounds: Sequence[Round]) -> float:
    """Seconds dead, each round's within its played time."""
    return sum(formulas.dead_seconds(60 * r["time_dead_minutes"], r["time_played_seconds"]) for r in rounds)


WANTED: dict[str, tuple[tuple[Callable[[Sequence[Round]], float], ...], tuple[float, ...]]] = {
    "damage given": ((sum_of("damage_given"),), (1.0,)),
    "damage received": ((sum_of("damage_received"),), (1.0,)),
    "seconds played": ((sum_of("time_played_seconds"),), (1.0, 60.0)),
    "dead time": ((capped_dead_s, raw_dead_s), (1.0, 60.0)),
}
"""What the formulas are made of: the sums that count as it, and the factors to its unit (damage, seconds)."""
PARTS = {
    "frag_potential": ("damage given", "seconds played", "dead time"),
    "survival_rate": ("seconds played", "dead time"),
    "damage_efficiency": ("damage given", "damage received"),
}


class Finder:
    """Finds, among what is in scope, the expression that has a wanted value for every generated player."""

    def __init__(self, tree: SourceTree, scope: Scope, evaluator: Callable[[Sequence[Round]], Evaluator]) -> None:
        self.tree, self.scope, self.evaluator = tree, scope, evaluator
        self.players = generated_players(12, seed=7)
        self.parts: dict[tuple[int, str], str] = {}

    def part(self, at: cst.CSTNode, what: str, sink: Sink) -> str:
        """Text of an expression at ``at`` that is one of WANTED (but the dead time), times in seconds. Raises NotInScope."""
        (wanted,), factors = WANTED[what]
        found = self.candidates(at, wanted, factors)
        if not found:
            lost = self._not_followed(at)
            raise NotInScope(
                f"line {self.tree.line(at)}: looked for the {what} among the values in scope, found none that has its value"
                + (f" ({', '.join(lost[:8])} cannot be followed back to a query)" if lost else "")
                + "; read it from the query there, or put the reference formulas there by hand",
                sink,
                what,
            )
        node, factor = found[0]
        return scaled(self.tree, node, factor)

    def _not_followed(self, at: cst.CSTNode) -> list[str]:
        """Accesses in scope that may well be it, and whose value is not known."""
        lost = []
        for node in self._in_scope(at):
            parent = self.tree.parent(node)
            calls = isinstance(parent, cst.Decorator) or (isinstance(parent, cst.Call) and parent.func is node)
            if not isinstance(node, cst.Name) and not calls:
                try:
                    self.evaluator(self.players[0]).number(node)
                except CannotEvaluate:
                    lost.append(self.tree.text(node))
        return lost

    def candidates(
        self,
        at: cst.CSTNode,
        wanted: Callable[[Sequence[Round]], float],
        factors: Sequence[float],
        round_: int | None = None,
        root: str = "",
    ) -> list[tuple[cst.BaseExpression, float]]:
        """Expressions usable at ``at`` whose value times the factor is the wanted one, names first."""
        result = []
        for node in self._in_scope(at):
            if root and root_of_access(node) != root:
                continue
            for factor in factors:
                if self.has(node, at, wanted, factor, round_):
                    result.append((node, factor))
                    break
        return result

    def has(
        self,
        node: cst.BaseExpression,
        at: cst.CSTNode,
        wanted: Callable[[Sequence[Round]], float],
        factor: float,
        round_: int | None,
    ) -> bool:
        """Whether an expression has the wanted value for every player."""
        for player in self.players:
            one = self.evaluator(player)
            try:
                if round_ is None:
                    value = one.number(node)
                    goal = wanted(player[:1] if one.single else player)
                else:
                    value = one.in_round(node, player[-1])
                    goal = wanted(player[-1:])
            except CannotEvaluate:
                return False
            if not isinstance(value, (int, float)) or not math.isclose(
                value * factor, goal, rel_tol=1e-9, abs_tol=1e-9
            ):
                return False
        return True

    def _in_scope(self, at: cst.CSTNode) -> list[cst.BaseExpression]:
        """Names and accesses that stand in the function and mean at ``at`` what they mean where they stand."""
        function = self.tree.function(at)
        seen: dict[str, cst.BaseExpression] = {}
        for node in self.tree.within(function, cst.BaseExpression):  # type: ignore[type-abstract]
            name = isinstance(node, cst.Name)
            if not (name or isinstance(node, (cst.Subscript, cst.Attribute)) or called(node) == "get"):
                continue
            root = root_of_access(node)
            text = self.tree.text(node)
            if not root or text in seen or (not name and key_of(node) is None):
                continue
            if name and self._is_target_or_part(node):
                continue
            here, there = self.scope.binding(root, at), self.scope.binding(root, node)
            if here is not None and there is not None and here.node is there.node and here.kind != "def":
                seen[text] = node
        return sorted(seen.values(), key=lambda n: (not isinstance(n, cst.Name), len(self.tree.text(n))))

    def _is_target_or_part(self, node: cst.BaseExpression) -> bool:
        parent = self.tree.parent(node)
        if isinstance(parent, (cst.Param, cst.AssignTarget, cst.Arg)) and getattr(parent, "keyword", None) is node:
            return True
        return isinstance(parent, (cst.Attribute, cst.Param)) and getattr(parent, "value", None) is not node


def root_of_access(node: cst.CSTNode) -> str:
    """The name that an access starts from; "" when it starts from none."""
    while not isinstance(node, cst.Name):
        inner = holder_of(node)
        if inner is None:
            return ""
        node = inner
    return node.value


def scaled(tree: SourceTree, node: cst.BaseExpression, factor: float) -> str:
    """The text in seconds; a row's value may be NULL."""
    text = tree.text(node)
    if factor != 60:
        return text
    computed = isinstance(node, cst.Name) and Scope(tree).assignments(node.value, tree.function(node))
    return f"{text} * 60" if computed else f"({text} or 0) * 60"
