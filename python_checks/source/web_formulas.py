"""Recipe ``web-formulas``: frag potential, survival rate and damage efficiency as the bot computes them (domain.md 8).

The targets are the values under the response's keys. Their ingredients (damage given and received, seconds played, dead time) are
found by evaluating what is in scope for generated players and comparing numbers, so names and units in the file do not matter.
The recipe holds its own result against ``python_checks.formulas`` before it gives it away.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import libcst as cst

from python_checks import formulas
from python_checks.source import sqltext
from python_checks.source.evaluate import Binding, CannotEvaluate, Evaluator, Leaf, Round, Scope, class_of
from python_checks.source.players import as_round, generated_players
from python_checks.source.querytext import Query, queries
from python_checks.source.sinks import ABOUT, Sink, find_sinks, left_alone, rounding, without_rounding
from python_checks.source.tree import (
    Edits,
    Plan,
    Refusal,
    SourceTree,
    called,
    holder_of,
    key_of,
    string_value,
    tree_of,
)
from python_checks.source.web_sql import capped_dead, plan_web_queries, prove_web_queries, web_queries

CAPPED = "time_dead_capped_seconds"
_READ = "session_"
_READS = 12
_HELPERS = (formulas.dead_seconds, formulas.frag_potential, formulas.survival_rate, formulas.damage_efficiency)
_TRIALS = 400


@dataclass(frozen=True)
class Disagreement:
    """One generated player for whom a file's value is not the reference's."""

    sink: Sink
    rounds: tuple[Round, ...]
    found: Any
    required: float

    @property
    def key(self) -> str:
        """The sink's."""
        return self.sink.key

    def sentence(self) -> str:
        """For people."""
        shown = "; ".join(
            f"damage {r['damage_given']}/{r['damage_received']}, {r['time_played_seconds']} s played, "
            f"{r['time_dead_minutes']} min dead"
            for r in self.rounds
        )
        return f"{self.key}: found {self.found}, required {self.required:g} for a player with {shown}"


class _NotInScope(Refusal):
    """A value that the formulas need cannot be read from a name where a sink is computed."""

    def __init__(self, message: str, sink: Sink, what: str) -> None:
        super().__init__(message)
        self.sink, self.what = sink, what


def apply_web_formulas(tree: SourceTree) -> tuple[bytes, list[str]]:
    """The patched file and what was done. Raises Refusal."""
    if _by_query(tree):
        plan = plan_web_queries(tree)
        return tree.apply(plan.edits), plan.actions
    output, actions = _applied(tree, 0)
    return (_without_unused_reads(output) if output != tree.source else output), actions


def _by_query(tree: SourceTree) -> bool:
    """Whether the values are computed by a query, and Python only hands them on."""
    try:
        find_sinks(tree)
    except Refusal:
        return bool(web_queries(tree))
    return False


def _applied(tree: SourceTree, depth: int) -> tuple[bytes, list[str]]:
    try:
        plan = plan_web_formulas(tree)
    except _NotInScope as refusal:
        # A row or an accumulator may have it under a key that is not read here; one line more reads it.
        for source in _with_read(tree, refusal.sink, refusal.what) if depth < _READS else ():
            try:
                return _applied(tree_of(source, tree.about), depth + 1)
            except _NotInScope as deeper:
                refusal = deeper
        raise refusal
    return tree.apply(plan.edits), plan.actions


def _without_unused_reads(output: bytes) -> bytes:
    """Without the lines of ``_with_read`` that nothing uses because a capped sum took their place."""
    tree = tree_of(output, ABOUT)
    edits = Edits()
    for one in tree.within(tree.module, cst.Assign):
        target = one.targets[0].target
        if not isinstance(target, cst.Name) or not target.value.startswith(_READ):
            continue
        used = [n for n in tree.within(tree.function(one), cst.Name) if n.value == target.value and n is not target]
        if not used:
            start, end = tree.span(one)
            edits.replace(tree.line_start(start), tree.line_end(end), b"")
    return tree.apply(edits)


def _with_read(tree: SourceTree, sink: Sink, what: str) -> Iterator[bytes]:
    """The file with an additional read of a value from what has it: as a line in front of the sink's statement, or, in a place
    without statements of its own, inside of the expression that will be replaced."""
    scope = Scope(tree)
    calculator, code = sqltext.Calculator(), dict[int, Any]()
    players = generated_players(12, seed=7)
    alone = any(
        isinstance(h, (cst.GeneratorExp, cst.ListComp, cst.DictComp, cst.Lambda)) for h in tree.ancestors(sink.value)
    )
    for root, shape, keys in _containers(tree, scope, sink.value):
        for key in sorted(keys):
            if _holds(scope, calculator, code, players, root, key, sink.value, what):
                read, edits = shape.format(root, key), Edits()
                if alone or sink.whole is not None:
                    edits.wrap(*_whole(tree, sink.core), b"(", f", {read})[0]".encode())
                else:
                    name = _READ + what.replace(" ", "_")
                    tree.insert_before(edits, tree.statement(sink.value), [f"{name} = {read}"])
                yield tree.apply(edits)


def _containers(tree: SourceTree, scope: Scope, at: cst.CSTNode) -> list[tuple[str, str, set[str]]]:
    """Names in scope that rows or accumulators are read from: (name, how it is read, keys that it must have).

    What is read from a name says which query's row or which accumulator it is, and so what else it holds.
    """
    groups = []
    for one in tree.within(tree.module, cst.FunctionDef):
        groups.append({key for key, found in scope.stores(one).items() if any(store.adds for store in found)})
    for owner in tree.within(tree.module, cst.ClassDef):
        parts = [one for one in owner.body.body if isinstance(one, cst.FunctionDef)]
        fields = [
            one.target.value
            for one in tree.within(owner, cst.AnnAssign)
            if tree.function(one) is tree.function(owner) and isinstance(one.target, cst.Name)
        ]
        groups.append({*scope.stores(owner), *fields, *(one.name.value for one in parts)})
    for node in tree.within(tree.module, cst.BaseString):  # type: ignore[type-abstract]
        text = string_value(node)
        if text and sqltext.is_query(text):
            groups += [{item.name for item in items} - {""} for items in sqltext.selects(text)]
    reads: dict[str, tuple[str, set[str]]] = {}
    for access in tree.within(tree.function(at), cst.BaseExpression):  # type: ignore[type-abstract]
        holder, key = holder_of(access), key_of(access)
        parent = tree.parent(access)
        if not isinstance(holder, cst.Name) or not isinstance(key, str):
            continue
        if isinstance(parent, cst.Call) and parent.func is access:
            continue
        here, there = scope.binding(holder.value, at), scope.binding(holder.value, access)
        if here is not None and there is not None and here.node is there.node:
            shape = "{}.{}" if isinstance(access, cst.Attribute) else '{}["{}"]'
            reads.setdefault(holder.value, (shape, set()))[1].add(key)
    return [
        (root, shape, set().union(*(g for g in groups if used <= g or len(used & g) > 1)))
        for root, (shape, used) in reads.items()
    ]


def _holds(
    scope: Scope,
    calculator: sqltext.Calculator,
    code: dict[int, Any],
    players: Sequence[Sequence[Round]],
    root: str,
    key: str,
    at: cst.CSTNode,
    what: str,
) -> bool:
    """Whether ``root`` holds the wanted value (of _WANTED) under ``key``, for every player."""
    wanted, factors = _WANTED[what]
    for player in players:
        one = Evaluator(scope, player, calculator, code)
        try:
            leaf = one.name(root, at)
            value = leaf[key] if isinstance(leaf, Leaf) else None
        except (CannotEvaluate, TypeError, KeyError):
            return False
        seen = player[:1] if one.single else player
        goals = [goal(seen) / factor for goal in wanted for factor in factors]
        if not isinstance(value, (int, float)) or not any(
            math.isclose(value, goal, rel_tol=1e-9, abs_tol=1e-9) for goal in goals
        ):
            return False
    return True


def _sum_of(column: str) -> Callable[[Sequence[Round]], float]:
    return lambda rounds: sum(one[column] for one in rounds)


def _raw_dead_s(rounds: Sequence[Round]) -> float:
    return 60 * sum(r["time_dead_minutes"] for r in rounds)


def _capped_dead_s(rounds: Sequence[Round]) -> float:
    return sum(formulas.dead_seconds(60 * r["time_dead_minutes"], r["time_played_seconds"]) for r in rounds)


_WANTED: dict[str, tuple[tuple[Callable[[Sequence[Round]], float], ...], tuple[float, ...]]] = {
    "damage given": ((_sum_of("damage_given"),), (1.0,)),
    "damage received": ((_sum_of("damage_received"),), (1.0,)),
    "seconds played": ((_sum_of("time_played_seconds"),), (1.0, 60.0)),
    "dead time": ((_capped_dead_s, _raw_dead_s), (1.0, 60.0)),
}
"""What the formulas are made of: the sums that count as it, and the factors to its unit (damage, seconds)."""
_PARTS = {
    "frag_potential": ("damage given", "seconds played", "dead time"),
    "survival_rate": ("seconds played", "dead time"),
    "damage_efficiency": ("damage given", "damage received"),
}


def plan_web_formulas(tree: SourceTree) -> Plan:
    """Plan the edits. Raises Refusal."""
    scope = Scope(tree)
    sinks = find_sinks(tree)
    calculator, code = sqltext.Calculator(), dict[int, Any]()

    def evaluator(rounds: Sequence[Round]) -> Evaluator:
        return Evaluator(scope, rounds, calculator, code)

    wrong = {id(one.sink.value) for one in _disagreements(sinks, evaluator, 60)}
    if not wrong:
        return Plan()
    taken = tree.definitions()
    if not _disagreements(sinks, evaluator, 60, each_round=False):
        # Somebody's own right formulas, with dead time capped on the session's sum.
        return Plan()
    for helper in _HELPERS:
        if f"_{helper.__name__}" in taken:
            raise Refusal(
                f"line {tree.line(taken['_' + helper.__name__])}: looked for a free name _{helper.__name__}, found it taken, "
                "and the values are not the reference's; somebody has edited the helpers by hand"
            )
    plan = Plan()
    finder = _Finder(tree, scope, evaluator)
    done = [(sink, *_patch(tree, scope, finder, plan, sink)) for sink in sinks if id(sink.value) in wrong]
    _drop_unused(tree, scope, plan.edits, [sink for sink, _, _ in done], [where for _, where, _ in done])
    tree.insert_helpers(plan.edits, _helper_source())
    plan.edits.edits[:] = list({(e.start, e.end, e.text): e for e in reversed(plan.edits.edits)}.values())[::-1]
    plan.actions[:] = dict.fromkeys(plan.actions)
    for sink, where, call in done:
        plan.actions.append(f"{sink.key}: line {tree.line(where)} computes {call}")
        if where is sink.core and isinstance(where, cst.Name):
            plan.actions.append(
                f"{where.value}: what was assigned to it in front of line {tree.line(where)} is not shown any more"
            )
    plan.actions += [
        f"line {tree.line(sink.value)}: {sink.key} is computed there too, outside of what computes all three, and was left as it is"
        for sink in left_alone(tree)
    ]
    plan.actions.append(
        "damage_efficiency is a ratio from now on, not a percentage, and frag_potential is damage per alive minute: labels, axis "
        "limits and thresholds in the front end must follow"
    )
    return plan


def _patch(tree: SourceTree, scope: Scope, finder: _Finder, plan: Plan, sink: Sink) -> tuple[cst.CSTNode, str]:
    """Put the reference's call where a sink is computed, as early as its parts are in scope; gives that place and the call."""
    first: Refusal | None = None
    for place in _places(tree, scope, sink):
        try:
            parts = [finder.part(place.at, what, sink, plan) for what in _PARTS[sink.key]]
        except Refusal as refusal:
            first = refusal  # the last place is the response itself: what is missing there is missing
            continue
        call = f"_{sink.key}({', '.join(parts)})"
        text = call if place.digits is None else f"round({call}, {place.digits})"
        plan.edits.replace(*place.span, place.shape.format(text).encode())
        return place.node, call
    raise first or Refusal(f"line {tree.line(sink.value)}: looked for a place for {sink.key}, found none")


def disagreements(source: bytes, trials: int = _TRIALS, seed: int = 1, each_round: bool = True) -> list[Disagreement]:
    """Hold a file's three values against the reference on generated players; the first disagreement of each key.

    Raises Refusal when the values cannot be found or followed: then nothing is known about them.
    """
    tree = tree_of(source, ABOUT)
    scope = Scope(tree)
    calculator, code = sqltext.Calculator(), dict[int, Any]()
    players = lambda rounds: Evaluator(scope, rounds, calculator, code)  # noqa: E731
    return _disagreements(find_sinks(tree), players, trials, seed, strict=True, each_round=each_round)


def prove_web_formulas(before: bytes, after: bytes) -> list[str]:
    """Raise Refusal unless a patched file agrees with the reference."""
    if _by_query(tree_of(after, ABOUT)):
        return prove_web_queries(after)
    wrong = disagreements(after)
    if wrong:
        raise Refusal("the patched code was evaluated and is not right: " + "; ".join(one.sentence() for one in wrong))
    return [f"evaluated for {_TRIALS} generated players: equal to the reference formulas"]


def _disagreements(
    sinks: Sequence[Sink],
    evaluator: Callable[[Sequence[Round]], Evaluator],
    trials: int,
    seed: int = 1,
    strict: bool = False,
    each_round: bool = True,
) -> list[Disagreement]:
    found: dict[int, Disagreement] = {}
    for rounds in generated_players(trials, seed):
        for sink in sinks:
            if id(sink.value) in found:
                continue
            one = evaluator(rounds)
            try:
                value = one.value(sink.value)
            except CannotEvaluate as problem:
                if strict:
                    raise Refusal(f"{sink.key} cannot be followed, so nothing is known about it: {problem}") from None
                value = f"nothing that can be followed ({problem})"
            seen = rounds[:1] if one.single else rounds
            known = [as_round(r) for r in (seen if each_round else [_merged(seen)])]
            required = getattr(formulas.session_metrics(known), sink.key)
            slack = 1e-6 * max(1.0, abs(required)) + (0 if sink.digits is None else 0.5000001 * 10**-sink.digits)
            if not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value - required) > slack:
                found[id(sink.value)] = Disagreement(sink, tuple(seen), value, required)
    return list(found.values())


def _merged(rounds: Sequence[Round]) -> Round:
    """All rounds as one: what a file sees that caps dead time on the sum only."""
    return {name: sum(one[name] for one in rounds) for name in sqltext.NUMBERS}


class _Finder:
    """Finds, among what is in scope, the expression that has a wanted value for every generated player."""

    def __init__(self, tree: SourceTree, scope: Scope, evaluator: Callable[[Sequence[Round]], Evaluator]) -> None:
        self.tree, self.scope, self.evaluator = tree, scope, evaluator
        self.players = generated_players(12, seed=7)
        self._parts: dict[tuple[int, str], str] = {}

    def part(self, at: cst.CSTNode, what: str, sink: Sink, plan: Plan) -> str:
        """Text of an expression at ``at`` that is one of _WANTED, times in seconds. Raises Refusal."""
        if (id(at), what) not in self._parts:
            self._parts[id(at), what] = (
                _dead(self.tree, self, at, plan, sink) if what == "dead time" else self._part(at, what, sink)
            )
        return self._parts[id(at), what]

    def _part(self, at: cst.CSTNode, what: str, sink: Sink) -> str:
        (wanted,), factors = _WANTED[what]
        found = self.candidates(at, wanted, factors)
        if not found:
            raise _NotInScope(
                f"line {self.tree.line(at)}: looked for the {what} among the values in scope, found none that has its value; read it "
                "from the query there",
                sink,
                what,
            )
        node, factor = found[0]
        return _scaled(self.tree, node, factor)

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
            if root and _root(node) != root:
                continue
            for factor in factors:
                if self._has(node, at, wanted, factor, round_):
                    result.append((node, factor))
                    break
        return result

    def _has(
        self,
        node: cst.BaseExpression,
        at: cst.CSTNode,
        wanted: Callable[[Sequence[Round]], float],
        factor: float,
        round_: int | None,
    ) -> bool:
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
            root = _root(node)
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


def _root(node: cst.CSTNode) -> str:
    while not isinstance(node, cst.Name):
        inner = holder_of(node)
        if inner is None:
            return ""
        node = inner
    return node.value


def _dead(tree: SourceTree, finder: _Finder, at: cst.CSTNode, plan: Plan, sink: Sink) -> str:
    """Text of the dead seconds, capped in each round where the file's shape allows it."""
    ready = finder.candidates(at, _capped_dead_s, (1.0, 60.0))
    if ready:
        node, factor = ready[0]
        return _scaled(tree, node, factor)
    found = finder.candidates(at, _raw_dead_s, (1.0, 60.0))
    if not found:
        raise _NotInScope(
            f"line {tree.line(at)}: looked for the dead time (column time_dead_minutes) among the values in scope, found none that has "
            "its value; the query or the sums do not carry it, and without it neither frag potential nor survival rate can be right: "
            "select SUM(time_dead_minutes) there, or each round's, and run this again",
            sink,
            "dead time",
        )
    for node, factor in found:
        one = finder.evaluator(finder.players[0])
        one.number(node)
        if one.single:
            # One round's own values: the formulas cap them.
            return _scaled(tree, node, factor)
    for node, factor in found:
        text = _cap(tree, finder, node, plan, factor)
        if text:
            return text
    raise Refusal(
        f"line {tree.line(at)}: looked for the statement or query that adds up the rounds' dead time, to cap each round's to its played "
        f"time, found {tree.text(found[0][0])!r} put together in a way that is not known; one round with inflated dead time would weigh on "
        "the others: cap it there by hand (dead time within 0 and played time, in each round) and run this again"
    )


def _cap(tree: SourceTree, finder: _Finder, node: cst.BaseExpression, plan: Plan, factor: float) -> str:
    """Make the sum behind ``node`` one of capped values; gives the text to use, or "" when this shape is not known."""
    scope = finder.scope
    if isinstance(node, cst.Name):
        binding = scope.binding(node.value, node)
        if binding is None:
            return ""
        if binding.kind == "compound":
            return _cap_loop(tree, finder, node, binding, plan)
        if binding.kind == "param" and isinstance(binding.node, cst.FunctionDef):
            return _cap_argument(tree, finder, node, binding, plan, factor)
        if binding.kind == "assign" and binding.value is not None:
            total = _sum_in(tree, binding.value)
            if total is not None:
                return _cap_sum(tree, finder, total, node, plan, factor)
            if key_of(binding.value) is not None:
                return _cap(tree, finder, binding.value, plan, factor)
            if isinstance(binding.value, cst.Call) and (text := _cap_column(tree, finder, binding.value, plan)):
                return text
        return _cap_query(tree, finder, node, plan, factor)
    key = key_of(node)
    filled = [scope.stores(home).get(key, []) for home in _homes(tree, node)] if isinstance(key, str) else []
    stores = next((one for one in filled if one), [])
    adding = [store for store in stores if store.adds]
    if len(adding) != 1:
        total = next((t for s in stores if (t := _sum_in(tree, s.value)) is not None), None)
        if total is not None:
            return _cap_sum(tree, finder, total, node, plan, factor)
        return _cap_query(tree, finder, node, plan, factor)
    store = adding[0]
    expression = _capped_round(tree, finder, store.value)
    if not expression:
        return ""
    if isinstance(store.target, cst.Attribute) and re.search(rb"__slots__|\bslots\s*=\s*True", tree.body):
        # No room for an attribute more.
        plan.edits.replace(*tree.span(store.value), (f"{expression} / 60" if factor == 60 else expression).encode())
        plan.actions.append(
            f"line {tree.line(store.node)}: each round's dead time is capped to the round's played time, wherever it is shown"
        )
        return _scaled(tree, node, factor)
    statement = tree.statement(store.node)
    container = tree.text(holder_of(store.target) or store.target)
    if isinstance(store.target, cst.Attribute):
        start = f'{container}.{CAPPED} = getattr({container}, "{CAPPED}", 0.0) + '
        use = f"{tree.text(holder_of(node) or node)}.{CAPPED}"
    else:
        start = f'{container}["{CAPPED}"] = {container}.get("{CAPPED}", 0.0) + '
        use = f'{tree.text(holder_of(node) or node)}["{CAPPED}"]'
    inside = expression.removeprefix("_dead_seconds(").removesuffix(")")
    tree.insert_after(plan.edits, statement, [f"{start}_dead_seconds(", f"    {inside}", ")"])
    plan.actions.append(
        f"line {tree.line(statement)}: each round's dead time is also added up capped to the round's played time"
    )
    return use


def _homes(tree: SourceTree, node: cst.CSTNode) -> list[cst.CSTNode]:
    """Where an accumulator that is read at ``node`` may be filled, the nearest first."""
    function = tree.function(node)
    return [one for one in (function, class_of(tree, function)) if one is not None]


def _scaled(tree: SourceTree, node: cst.BaseExpression, factor: float) -> str:
    """The text in seconds; a row's value may be NULL."""
    text = tree.text(node)
    if factor != 60:
        return text
    computed = isinstance(node, cst.Name) and Scope(tree).assignments(node.value, tree.function(node))
    return f"{text} * 60" if computed else f"({text} or 0) * 60"


def _capped_round(tree: SourceTree, finder: _Finder, value: cst.BaseExpression) -> str:
    """``_dead_seconds(...)`` of one round's dead and played time, in seconds; "" when the played time is not at hand."""
    roots = {_root(n) for n in tree.within(value, cst.BaseExpression) if key_of(n) is not None}  # type: ignore[type-abstract]
    played = []
    for root in sorted(roots - {""}) or [""]:
        played += finder.candidates(value, lambda r: r[0]["time_played_seconds"], (1.0, 60.0), round_=1, root=root)
    if not played:
        return ""
    node, scale = played[0]
    evaluator = finder.evaluator(finder.players[0])
    one = finder.players[0][-1]
    try:
        in_seconds = math.isclose(evaluator.in_round(value, one), 60 * one["time_dead_minutes"], rel_tol=1e-9)
    except (CannotEvaluate, TypeError):
        return ""
    text = tree.text(value)
    dead = (
        text
        if in_seconds
        else (f"60 * {text}" if isinstance(value, (cst.Subscript, cst.Name, cst.Attribute)) else f"60 * ({text})")
    )
    if not in_seconds and isinstance(value, (cst.Subscript, cst.Attribute)):
        dead = f"60 * ({text} or 0)"
    return f"_dead_seconds({dead}, {_scaled(tree, node, scale)})"


def _cap_loop(tree: SourceTree, finder: _Finder, node: cst.Name, binding: Binding, plan: Plan) -> str:
    """``dead = 0`` ... ``for row in rows: dead += row[...]``: a second sum beside the first."""
    added = [a for a in finder.scope.assignments(node.value, binding.node) if isinstance(a, cst.AugAssign)]
    before = finder.scope.binding(node.value, binding.node)
    if len(added) != 1 or not isinstance(binding.node, cst.For) or before is None or before.kind != "assign":
        return ""
    expression = _capped_round(tree, finder, added[0].value)
    if not expression:
        return ""
    tree.insert_before(plan.edits, binding.node, [f"{CAPPED} = 0.0"])
    tree.insert_after(plan.edits, tree.statement(added[0]), [f"{CAPPED} += {expression}"])
    plan.actions.append(
        f"line {tree.line(added[0])}: each round's dead time is also added up capped to the round's played time"
    )
    return CAPPED


def _sum_in(tree: SourceTree, value: cst.BaseExpression) -> cst.GeneratorExp | cst.ListComp | None:
    for call in tree.within(value, cst.Call):
        if called(call) == "sum" and call.args and isinstance(call.args[0].value, (cst.GeneratorExp, cst.ListComp)):
            return call.args[0].value
    return None


def _cap_argument(
    tree: SourceTree, finder: _Finder, node: cst.Name, binding: Binding, plan: Plan, factor: float
) -> str:
    """A parameter that one caller fills with a loop's sum: the summand is capped at the caller, in its own unit."""
    argument = finder.scope.argument(node.value, binding)
    given = finder.scope.binding(argument.value, argument) if isinstance(argument, cst.Name) else None
    if not isinstance(argument, cst.Name) or given is None or not isinstance(given.node, cst.For):
        return ""
    added = [a for a in finder.scope.assignments(argument.value, given.node) if isinstance(a, cst.AugAssign)]
    expression = _capped_round(tree, finder, added[0].value) if len(added) == 1 else ""
    if not expression:
        return ""
    plan.edits.replace(
        *tree.span(added[0].value), f"{expression} / 60".encode() if factor == 60 else expression.encode()
    )
    plan.actions.append(
        f"line {tree.line(added[0])}: each round's dead time is capped to the round's played time, wherever it is shown"
    )
    return _scaled(tree, node, factor)


def _cap_sum(
    tree: SourceTree,
    finder: _Finder,
    total: cst.GeneratorExp | cst.ListComp,
    node: cst.BaseExpression,
    plan: Plan,
    factor: float,
) -> str:
    """``dead = sum(r["time_dead_minutes"] for r in rounds)``: a capped sum in the next line, else capped in place."""
    element = total.elt
    root = _root_of_target(total.for_in)
    played = finder.candidates(element, lambda r: r[0]["time_played_seconds"], (1.0, 60.0), round_=1, root=root)
    if not played:
        played = _other_sums(tree, finder, total)
    one = finder.players[0]
    try:
        value = finder.evaluator(one).value(_call_around(tree, total))
    except CannotEvaluate:
        return ""
    raw_min = sum(r["time_dead_minutes"] for r in one)
    unit = next(
        (u for u in (1, 60) if isinstance(value, float) and math.isclose(value * u, 60 * raw_min, rel_tol=1e-9)), None
    )
    if not played or unit is None:
        return ""
    text = tree.text(element)
    dead = f"_dead_seconds({'60 * ' if unit == 60 else ''}({text} or 0), {_scaled(tree, *played[0])})"
    statement = tree.statement(total)
    plan.actions.append(f"line {tree.line(element)}: each round's dead time is capped to the round's played time")
    iterated = tree.text(total.for_in.iter)
    again = sum(1 for c in tree.within(tree.function(total), cst.CompFor) if tree.text(c.iter) == iterated) > 1
    if isinstance(node, cst.Name) and isinstance(statement, cst.SimpleStatementLine) and again:
        start, end = tree.span(total)
        first, last = tree.span(element)
        display = tree.body[start:first].decode() + dead + tree.body[last:end].decode()
        tree.insert_after(plan.edits, statement, [f"{CAPPED} = sum({display.removeprefix('(').removesuffix(')')})"])
        return CAPPED
    plan.edits.replace(*tree.span(element), (f"{dead} / 60" if unit == 60 else dead).encode())
    return _scaled(tree, node, factor)


def _other_sums(
    tree: SourceTree, finder: _Finder, total: cst.GeneratorExp | cst.ListComp
) -> list[tuple[cst.BaseExpression, float]]:
    """The element of another sum over the same rows by the same name that is the played time."""
    found: list[tuple[cst.BaseExpression, float]] = []
    for other in [
        *tree.within(tree.function(total), cst.GeneratorExp),
        *tree.within(tree.function(total), cst.ListComp),
    ]:
        if (
            other is total
            or _root_of_target(other.for_in) != _root_of_target(total.for_in)
            or called(tree.parent(tree.parent(other) or other) or other) != "sum"
        ):
            continue
        for factor in (1.0, 60.0):
            if tree.text(other.for_in.iter) == tree.text(total.for_in.iter) and finder._has(
                _call_around(tree, other), other, lambda r: sum(x["time_played_seconds"] for x in r), factor, None
            ):
                found.append((other.elt, factor))
    return found


def _cap_column(tree: SourceTree, finder: _Finder, dead: cst.Call, plan: Plan) -> str:
    """``dead = total(rows, "time_dead_minutes")`` beside the same for the played time: a capped sum in the next line."""
    function = tree.definitions().get(called(dead))
    texts = [string_value(one.value) for one in dead.args]
    rows = [one.value for one in dead.args if isinstance(one.value, cst.Name)]
    reads_keys = function is not None and any(isinstance(i.value, cst.Name) for i in tree.within(function, cst.Index))
    column = next((text for text in texts if text), "")
    statement = tree.statement(dead)
    if not reads_keys or len(rows) != 1 or not column or not isinstance(statement, cst.SimpleStatementLine):
        return ""
    for other in tree.within(tree.function(dead), cst.Call):
        names = [text for one in other.args if (text := string_value(one.value))]
        if (
            called(other) != called(dead)
            or len(names) != 1
            or tree.raw(other).replace(names[0], column) != tree.raw(dead)
        ):
            continue
        for factor in (1.0, 60.0):
            if finder._has(other, other, _sum_of("time_played_seconds"), factor, None):
                played = f'(r["{names[0]}"] or 0){"" if factor == 1 else " * 60"}'
                summand = f'_dead_seconds(60 * (r["{column}"] or 0), {played})'
                tree.insert_after(plan.edits, statement, [f"{CAPPED} = sum({summand} for r in {tree.raw(rows[0])})"])
                plan.actions.append(
                    f"line {tree.line(statement)}: each round's dead time is also added up capped to the round's played time"
                )
                return CAPPED
    return ""


def _call_around(tree: SourceTree, total: cst.CSTNode) -> cst.BaseExpression:
    return next(n for n in tree.ancestors(total) if isinstance(n, cst.Call))


def _root_of_target(for_in: cst.CompFor) -> str:
    return for_in.target.value if isinstance(for_in.target, cst.Name) else ""


_SUM_DEAD = re.compile(r"\bSUM\s*\([^)]*?(?P<what>(?P<alias>\b\w+\.)?\btime_dead_minutes)\b", re.IGNORECASE)


def _cap_query(tree: SourceTree, finder: _Finder, node: cst.BaseExpression, plan: Plan, factor: float) -> str:
    """``SUM(p.time_dead_minutes)`` in the query: a capped sum beside it where rows are read by name, else capped there, so that the
    rows keep their shape."""
    places: list[tuple[Query, re.Match[str]]] = []
    for area in (tree.function(node), tree.module):
        inside = {id(one) for one in tree.below(area)}
        places = places or [(q, m) for q in queries(tree) if id(q.node) in inside for m in _SUM_DEAD.finditer(q.text)]
    if not places:
        return _cap_rows(tree, node, plan, factor)
    if len(places) != 1:
        return ""
    query, match = places[0]
    summand = capped_dead(match["alias"] or "", "min")
    closed = re.match(r"\s*\)", query.text[match.end() :]) and query.text[: match.start("what")].rstrip().endswith("(")
    summand = summand if closed else f"({summand})"
    key, column = key_of(node), _own_column(tree, query, match, node)
    if column is not None and isinstance(key, str):
        item, _, end = column
        name = "time_dead_capped_minutes" if factor == 60 else CAPPED
        shift = item.expression.lower().find(match[0].lower())
        before = match.start("what") - match.start()
        text = item.expression[: shift + before] + summand + item.expression[shift + len(match[0]) :]
        query.edit(plan.edits, end, end, f", {text} AS {name}")
        plan.actions.append(
            f"line {tree.line(query.node)}: the query also sums each round's dead time capped to the round's played time"
        )
        read = tree.text(node).replace(key, name)
        return f"({read} or 0) * 60" if factor == 60 else read
    query.edit(plan.edits, match.start("what"), match.end("what"), summand)
    plan.actions.append(
        f"line {tree.line(query.node)}: the query sums each round's dead time capped to the round's played time, wherever it is shown"
    )
    return _scaled(tree, node, factor)


def _cap_rows(tree: SourceTree, node: cst.BaseExpression, plan: Plan, factor: float) -> str:
    """A query of one row a round: the column itself is capped there."""
    found = []
    for query in queries(tree):
        for items in sqltext.select_spans(query.text):
            columns = {
                name
                for item, _, _ in items
                for name in ("time_dead_minutes", "time_played_seconds")
                if name in item.expression
            }
            found += [
                (query, item, start, end)
                for item, start, end in items
                if "time_dead_minutes" in item.expression
                and len(columns) == 2
                and not sqltext.is_aggregate(item.expression)
            ]
    if len(found) != 1:
        return ""
    query, item, start, end = found[0]
    match = re.search(r"(?P<alias>\b\w+\.)?\btime_dead_minutes\b", query.text[start:end], re.IGNORECASE)
    if match is None:
        return ""
    text = capped_dead(match["alias"] or "", "min")
    whole = match[0] == query.text[start:end]
    query.edit(plan.edits, start + match.start(), start + match.end(), f"{text} AS {item.name}" if whole else text)
    plan.actions.append(
        f"line {tree.line(query.node)}: the query caps each round's dead time to the round's played time, wherever it is shown"
    )
    return _scaled(tree, node, factor)


def _own_column(
    tree: SourceTree, query: Query, match: re.Match[str], node: cst.BaseExpression
) -> tuple[sqltext.Item, int, int] | None:
    """The column that a row read at ``node`` by name gets from the query, when one column more would reach it and harm nobody."""
    lists = sqltext.select_spans(query.text)
    mine = next((items for items in lists for _, a, b in items if a <= match.start() < b), None)
    root = _root(node)
    by_place = [
        one
        for one in tree.within(tree.function(node), cst.BaseExpression)  # type: ignore[type-abstract]
        if _root(one) == root and isinstance(key_of(one), int)
    ]
    reaches = mine is lists[0] or all(i.expression.endswith("*") for i, _, _ in lists[0])
    if mine is None or by_place or not reaches or re.search(r"\bUNION\b", query.text, re.IGNORECASE):
        return None
    return next(one for one in mine if one[1] <= match.start() < one[2])


@dataclass(frozen=True)
class _Place:
    """Where a call can stand: ``span`` is replaced by ``shape`` with the call in it, rounded to ``digits`` when the rounding goes
    with what is replaced; ``at`` is where its parts must be in scope."""

    node: cst.CSTNode
    at: cst.CSTNode
    span: tuple[int, int]
    shape: str = "{}"
    digits: int | None = None


def _places(tree: SourceTree, scope: Scope, sink: Sink) -> Iterator[_Place]:
    """The one assignment of its name, then the response itself."""
    if sink.whole is not None:
        body = [one for one in sink.whole.body.body if not _is_docstring(one)]
        start, end = tree.span(body[0])[0], tree.span(body[-1])[1]
        end = start + len(tree.body[start:end].rstrip())
        yield _Place(body[0], sink.value, (start, end), "return {}", sink.digits)
        return
    if isinstance(sink.core, cst.Name):
        name = sink.core.value
        binding = scope.binding(name, sink.core)
        own = binding is not None and tree.function(binding.node) is tree.function(sink.core)
        if (
            own
            and binding is not None
            and binding.kind == "assign"
            and isinstance(binding.node, (cst.Assign, cst.AnnAssign))
            and binding.value is not None
        ):
            core, _ = without_rounding(binding.value)
            inner = rounding(tree, core)
            yield _Place(binding.node, binding.value, _whole(tree, core), "{}", inner)
        elif (
            own and binding is not None and isinstance(binding.node, cst.If) and _only_assigns(tree, binding.node, name)
        ):
            start, end = tree.span(binding.node)
            end = start + len(tree.body[start:end].rstrip())
            yield _Place(binding.node, binding.node, (start, end), f"{name} = {{}}", rounding(tree, sink.core))
    assign = tree.parent(sink.value)
    choice = next((h for h in tree.ancestors(sink.value) if isinstance(h, cst.If) and not tree._is_elif(h)), None)
    if isinstance(assign, cst.Assign) and choice is not None and tree.function(choice) is tree.function(sink.value):
        target = tree.raw(assign.targets[0].target)
        if _only_assigns(tree, choice, target):
            start, end = tree.span(choice)
            end = start + len(tree.body[start:end].rstrip())
            digits = sink.digits if sink.digits is not None else rounding(tree, sink.core)
            yield _Place(choice, choice, (start, end), f"{target} = {{}}", digits)
            return
        others = [
            one
            for one in tree.within(choice, cst.Assign)
            if one is not assign and any(tree.raw(t.target) == target for t in one.targets)
        ]
        if others:
            raise Refusal(
                f"line {tree.line(choice)}: looked for one way to {target}, found another in line {tree.line(others[0])} in a branch that "
                "does more than that; put the reference formula there by hand"
            )
    yield _Place(sink.core, sink.value, _whole(tree, sink.core), "{}", rounding(tree, sink.core))


def _is_docstring(statement: cst.CSTNode) -> bool:
    return (
        isinstance(statement, cst.SimpleStatementLine)
        and isinstance(statement.body[0], cst.Expr)
        and isinstance(statement.body[0].value, cst.BaseString)
    )


def _whole(tree: SourceTree, node: cst.BaseExpression) -> tuple[int, int]:
    """The span with the parentheses that stand directly around an expression."""
    start, end = tree.span(node)
    for _ in node.lpar:
        start = tree.body.rfind(b"(", 0, start)
        end = tree.body.find(b")", end) + 1
    return start, end


def _only_assigns(tree: SourceTree, statement: cst.If, name: str) -> bool:
    """Whether an if statement always assigns one target and does nothing else, without a comment to lose."""
    if b"#" in tree.body[slice(*tree.span(statement))]:
        return False
    current: cst.If | cst.Else | None = statement
    while current is not None:
        body = list(current.body.body)
        small = (
            body[0].body[0]
            if len(body) == 1 and isinstance(body[0], cst.SimpleStatementLine) and len(body[0].body) == 1
            else None
        )
        if not (isinstance(small, cst.Assign) and len(small.targets) == 1):
            return False
        if tree.raw(small.targets[0].target) != name:
            return False
        if isinstance(current, cst.Else):
            return True
        current = current.orelse
    return False


def _drop_unused(
    tree: SourceTree, scope: Scope, edits: Edits, sinks: Sequence[Sink], replaced: Sequence[cst.CSTNode]
) -> None:
    """Remove plain assignments that only the replaced computations read."""
    for home in {id(f): f for f in (tree.function(sink.value) for sink in sinks)}.values():
        _drop_unused_in(tree, scope, edits, home, sinks, replaced)


def _drop_unused_in(
    tree: SourceTree,
    scope: Scope,
    edits: Edits,
    function: cst.FunctionDef | cst.Module,
    sinks: Sequence[Sink],
    replaced: Sequence[cst.CSTNode],
) -> None:
    gone = [slice(*tree.span(node)) for node in replaced]
    written = [edit for edit in edits.edits]
    new_text = b" ".join(edit.text for edit in written).decode()
    names = {n.value for node in replaced for n in tree.within(node, cst.Name)}
    for name in sorted(names - {sink.core.value for sink in sinks if isinstance(sink.core, cst.Name)}):
        bound = scope.assignments(name, function)
        if len(bound) != 1 or not isinstance(bound[0], cst.Assign) or len(bound[0].targets) != 1:
            continue
        if not isinstance(bound[0].targets[0].target, cst.Name) or tree.within(bound[0].value, cst.Call):
            continue
        used = [n for n in tree.within(function, cst.Name) if n.value == name and n is not bound[0].targets[0].target]
        if re.search(rf"\b{re.escape(name)}\b", new_text) or not all(
            any(g.start <= tree.span(n)[0] < g.stop for g in gone) for n in used
        ):
            continue
        statement = tree.parent(bound[0])
        block = tree.parent(statement) if statement is not None else None
        if (
            isinstance(statement, cst.SimpleStatementLine)
            and len(statement.body) == 1
            and len(getattr(block, "body", ())) > 1
        ):
            start, end = tree.span(statement)
            line = tree.body[tree.line_start(start) : tree.line_end(end)]
            if b"#" not in line:
                edits.replace(tree.line_start(start), tree.line_end(end), b"")


def _helper_source() -> str:
    """The reference's functions under private names, as they stand in ``python_checks.formulas``."""
    blocks = []
    for helper in _HELPERS:
        text = inspect.getsource(helper).replace("  # type: ignore[no-untyped-def]", "").rstrip()
        for other in _HELPERS:
            text = re.sub(rf"\b{other.__name__}\(", f"_{other.__name__}(", text)
        blocks.append(text)
    return "\n\n\n".join(blocks)
