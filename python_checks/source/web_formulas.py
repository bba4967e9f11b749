"""Recipe ``web-formulas``: frag potential, survival rate and damage efficiency as the bot computes them (domain.md 8).

The targets are the values under the response's keys. Their ingredients (damage given and received, seconds played, dead time) are
found by evaluating what is in scope for generated players and comparing numbers, so names and units in the file do not matter.
The recipe holds its own result against ``python_checks.formulas`` before it gives it away.
"""

from __future__ import annotations

import inspect
import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import libcst as cst

from python_checks import formulas
from python_checks.source import sqltext
from python_checks.source.evaluate import Binding, CannotEvaluate, Evaluator, Leaf, Round, Scope, is_constant
from python_checks.source.tree import (
    Edits,
    Plan,
    Refusal,
    SourceTree,
    called,
    holder_of,
    key_of,
    number_value,
    string_value,
)

KEYS = ("frag_potential", "survival_rate", "damage_efficiency")
CAPPED = "time_dead_capped_seconds"
_READ = "session_time_dead"
_HELPERS = (formulas.dead_seconds, formulas.frag_potential, formulas.survival_rate, formulas.damage_efficiency)
_TRIALS = 400
_SUM_ONLY = (
    "dead time is capped on the session's sum only: the statement that adds up the rounds was not found, so one round with inflated "
    "dead time still weighs on the others"
)


@dataclass(frozen=True)
class Sink:
    """Where a key gets its value: ``value`` as written, ``core`` without the rounding around it, ``digits`` of that rounding."""

    key: str
    value: cst.BaseExpression
    core: cst.BaseExpression
    digits: int | None


@dataclass(frozen=True)
class Disagreement:
    """One generated player for whom a file's value is not the reference's."""

    key: str
    rounds: tuple[Round, ...]
    found: Any
    required: float

    def sentence(self) -> str:
        """For people."""
        shown = "; ".join(
            f"damage {r['damage_given']}/{r['damage_received']}, {r['time_played_seconds']} s played, "
            f"{r['time_dead_minutes']} min dead"
            for r in self.rounds
        )
        return f"{self.key}: found {self.found}, required {self.required:g} for a player with {shown}"


class _NoDeadTime(Refusal):
    """The dead time is not in scope where the values are computed."""


def apply_web_formulas(tree: SourceTree) -> tuple[bytes, list[str]]:
    """The patched file and what was done. Raises Refusal."""
    try:
        plan = plan_web_formulas(tree)
    except _NoDeadTime as refusal:
        for source, line in _with_dead_time(tree):
            wider = SourceTree(source)
            plan = plan_web_formulas(wider)
            output = wider.apply(plan.edits)
            name = re.compile(rf"\b{_READ}\b".encode())
            if len(name.findall(output)) == len(name.findall(tree.source)) + 1:
                # A capped sum beside it is used instead.
                output = re.sub(rb"[ \t]*" + re.escape(line.encode()) + rb"\r?\n", b"", output)
            return output, plan.actions
        raise refusal
    return tree.apply(plan.edits), plan.actions


def _with_dead_time(tree: SourceTree) -> Iterator[tuple[bytes, str]]:
    """The file with one line more, which reads the dead time from a row or an accumulator that has it."""
    scope = Scope(tree)
    sink = find_sinks(tree)[0]
    if any(isinstance(h, (cst.GeneratorExp, cst.ListComp, cst.DictComp)) for h in tree.ancestors(sink.value)):
        return
    calculator, code = sqltext.Calculator(), dict[int, Any]()
    players = generated_players(12, seed=7)
    for root, shape, keys in _containers(tree, scope, sink.value):
        for key in sorted(keys):
            if _is_dead_time(scope, calculator, code, players, root, key, sink.value):
                line = f"{_READ} = {shape.format(root, key)}"
                edits = Edits()
                tree.insert_before(edits, tree.statement(sink.value), [line])
                yield tree.apply(edits), line


def _containers(tree: SourceTree, scope: Scope, at: cst.CSTNode) -> list[tuple[str, str, set[str]]]:
    """Names in scope that rows or accumulators are read from: (name, how it is read, keys that it must have).

    What is read from a name says which query's row or which accumulator it is, and so what else it holds.
    """
    groups = []
    for one in tree.within(tree.module, cst.FunctionDef):
        groups.append({key for key, found in scope.stores(one).items() if any(store.adds for store in found)})
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
        (root, shape, set().union(*(g for g in groups if used <= g)))
        for root, (shape, used) in reads.items()
        if any(used <= g for g in groups)
    ]


def _is_dead_time(
    scope: Scope,
    calculator: sqltext.Calculator,
    code: dict[int, Any],
    players: Sequence[Sequence[Round]],
    root: str,
    key: str,
    at: cst.CSTNode,
) -> bool:
    for player in players:
        one = Evaluator(scope, player, calculator, code)
        try:
            leaf = one.name(root, at)
            value = leaf[key] if isinstance(leaf, Leaf) else None
        except (CannotEvaluate, TypeError, KeyError):
            return False
        seen = player[:1] if one.single else player
        raw = sum(r["time_dead_minutes"] for r in seen)
        held = sum(formulas.dead_seconds(60 * r["time_dead_minutes"], r["time_played_seconds"]) for r in seen)
        goals = (raw, 60 * raw, held, held / 60)
        if not isinstance(value, (int, float)) or not any(
            math.isclose(value, goal, rel_tol=1e-9, abs_tol=1e-9) for goal in goals
        ):
            return False
    return True


def plan_web_formulas(tree: SourceTree) -> Plan:
    """Plan the edits. Raises Refusal."""
    scope = Scope(tree)
    sinks = find_sinks(tree)
    calculator, code = sqltext.Calculator(), dict[int, Any]()

    def evaluator(rounds: Sequence[Round]) -> Evaluator:
        return Evaluator(scope, rounds, calculator, code)

    if not _disagreements(sinks, evaluator, 60):
        return Plan()
    taken = tree.definitions()
    if "_frag_potential" in taken and not _disagreements(sinks, evaluator, 60, each_round=False):
        return Plan()
    plan = Plan()
    finder = _Finder(tree, scope, evaluator)
    at = sinks[0].value
    parts = {
        "given": finder.find(at, "damage given", lambda r: sum(x["damage_given"] for x in r)),
        "received": finder.find(at, "damage received", lambda r: sum(x["damage_received"] for x in r)),
        "played": finder.find(at, "seconds played", lambda r: sum(x["time_played_seconds"] for x in r), time=True),
    }
    parts["dead"] = _dead(tree, finder, at, plan)
    if _SUM_ONLY in plan.actions and not _disagreements(sinks, evaluator, 60, each_round=False):
        return Plan()
    calls = {
        "frag_potential": f"_frag_potential({parts['given']}, {parts['played']}, {parts['dead']})",
        "survival_rate": f"_survival_rate({parts['played']}, {parts['dead']})",
        "damage_efficiency": f"_damage_efficiency({parts['given']}, {parts['received']})",
    }
    for helper in _HELPERS:
        if f"_{helper.__name__}" in taken:
            raise Refusal(
                f"line {tree.line(taken['_' + helper.__name__])}: looked for a free name _{helper.__name__}, found it taken, "
                "and the values are not the reference's; somebody has edited the helpers by hand"
            )
    replaced = [_replace(tree, scope, plan.edits, sink, calls[sink.key]) for sink in sinks]
    _drop_unused(tree, scope, plan.edits, sinks, replaced)
    tree.insert_helpers(plan.edits, _helper_source())
    for sink, where in zip(sinks, replaced, strict=True):
        plan.actions.append(f"{sink.key}: line {tree.line(where)} computes {calls[sink.key]}")
    plan.actions.append(
        "damage_efficiency is a ratio from now on, not a percentage, and frag_potential is damage per alive minute: labels, axis "
        "limits and thresholds in the front end must follow"
    )
    return plan


def disagreements(source: bytes, trials: int = _TRIALS, seed: int = 1, each_round: bool = True) -> list[Disagreement]:
    """Hold a file's three values against the reference on generated players; the first disagreement of each key.

    Raises Refusal when the values cannot be found or followed: then nothing is known about them.
    """
    tree = SourceTree(source)
    scope = Scope(tree)
    calculator, code = sqltext.Calculator(), dict[int, Any]()
    players = lambda rounds: Evaluator(scope, rounds, calculator, code)  # noqa: E731
    return _disagreements(find_sinks(tree), players, trials, seed, strict=True, each_round=each_round)


def prove_web_formulas(before: bytes, after: bytes) -> list[str]:
    """Raise Refusal unless a patched file agrees with the reference."""
    wrong = disagreements(after)
    if wrong and not disagreements(after, each_round=False):
        return [
            f"evaluated for {_TRIALS} generated players: equal to the reference formulas, with dead time capped on the sum"
        ]
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
    found: dict[str, Disagreement] = {}
    for rounds in generated_players(trials, seed):
        for sink in sinks:
            if sink.key in found:
                continue
            one = evaluator(rounds)
            try:
                value = one.value(sink.value)
            except CannotEvaluate as problem:
                if strict:
                    raise Refusal(f"{sink.key} cannot be followed, so nothing is known about it: {problem}") from None
                value = f"nothing that can be followed ({problem})"
            seen = rounds[:1] if one.single else rounds
            known = [_as_round(r) for r in (seen if each_round else [_merged(seen)])]
            required = getattr(formulas.session_metrics(known), sink.key)
            slack = 1e-6 * max(1.0, abs(required)) + (0 if sink.digits is None else 0.5000001 * 10**-sink.digits)
            if not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value - required) > slack:
                found[sink.key] = Disagreement(sink.key, tuple(seen), value, required)
    return list(found.values())


def generated_players(count: int, seed: int = 1) -> Sequence[tuple[Round, ...]]:
    """Players with one to four rounds: ordinary ones, and those at the edges (nothing played, dead all the time, inflated dead
    time in one round, no damage)."""
    draw = random.Random(seed)
    players = []
    for number in range(count):
        kind = number % 6
        rounds = []
        for index in range(1 if kind == 1 else draw.randint(1, 4)):
            played = draw.randint(60, 1200)
            dead = round(draw.uniform(0, 0.6) * played / 60, 1)
            one = {name: float(draw.randint(0, 90)) for name in sqltext.NUMBERS}
            one |= {"damage_given": draw.randint(1, 9000), "damage_received": draw.randint(1, 9000)}
            one |= {"time_played_seconds": played, "time_dead_minutes": dead}
            if kind == 1:
                one |= {"time_played_seconds": 0, "time_dead_minutes": 0.0}
            if kind == 2:
                one |= {"damage_given": draw.choice((0, 5)), "damage_received": 0}
            if kind == 3 and index == 0:
                one["time_dead_minutes"] = round(played / 60 * draw.uniform(1.2, 80), 1)
            if kind == 4:
                one["time_dead_minutes"] = played / 60
            one["time_played_minutes"] = one["time_played_seconds"] / 60
            one["time_dead_ratio"] = 100 * one["time_dead_minutes"] / max(1e-9, one["time_played_minutes"])
            rounds.append(one)
        players.append(tuple(rounds))
    return players


def _merged(rounds: Sequence[Round]) -> Round:
    """All rounds as one: what a file sees that caps dead time on the sum only."""
    return {name: sum(one[name] for one in rounds) for name in sqltext.NUMBERS}


def _as_round(one: Round) -> formulas.PlayerRound:
    return formulas.PlayerRound(
        int(one["damage_given"]), int(one["damage_received"]), one["time_played_seconds"], one["time_dead_minutes"]
    )


def find_sinks(tree: SourceTree) -> list[Sink]:
    """The computed values of the three keys, in the order of KEYS. Raises Refusal unless each is computed at one place."""
    found: dict[str, list[cst.BaseExpression]] = {key: [] for key in KEYS}
    for node in tree.nodes:
        key, value = _keyed(node)
        if key in found and value is not None and not is_constant(value) and not _passes_on(tree, key, value):
            found[key].append(value)
    missing = [key for key in KEYS if not found[key]]
    if missing:
        raise Refusal(
            f"looked for a place that computes {', '.join(missing)} (as a key of a dict, an attribute or a keyword), found none"
        )
    functions = {id(tree.function(value)): tree.function(value) for values in found.values() for value in values}
    whole = [
        one
        for one in functions.values()
        if all(any(tree.function(v) is one for v in values) for values in found.values())
    ]
    if not whole:
        lines = ", ".join(f"{key} in line {tree.line(found[key][0])}" for key in KEYS)
        raise Refusal(f"looked for one function that computes the three values, found several: {lines}")
    for key, values in found.items():
        inside = [value for value in values if any(tree.function(value) is one for one in whole)]
        if len(inside) > 1:
            lines = ", ".join(str(tree.line(value)) for value in inside)
            raise Refusal(
                f"looked for one place that computes {key}, found {len(inside)} (lines {lines}); which one is meant is unclear"
            )
        found[key] = inside
    return [Sink(key, found[key][0], *_core(tree, found[key][0])) for key in KEYS]


def _keyed(node: cst.CSTNode) -> tuple[str, cst.BaseExpression | None]:
    if isinstance(node, cst.DictElement):
        return string_value(node.key) or "", node.value
    if isinstance(node, cst.Arg) and node.keyword is not None:
        return node.keyword.value, node.value
    if isinstance(node, cst.Assign) and len(node.targets) == 1 and not isinstance(node.targets[0].target, cst.Name):
        key = key_of(node.targets[0].target)
        return (key, node.value) if isinstance(key, str) else ("", None)
    return "", None


def _passes_on(tree: SourceTree, key: str, value: cst.BaseExpression) -> bool:
    """Whether a value only carries on what was computed elsewhere: ``m["frag_potential"]``, an average of ``p.frag_potential``."""
    return any(key_of(node) == key for node in tree.within(value, cst.BaseExpression))  # type: ignore[type-abstract]


def _without_rounding(value: cst.BaseExpression) -> tuple[cst.BaseExpression, int | None]:
    if (
        called(value) in ("round", "float", "int")
        and isinstance(value, cst.Call)
        and isinstance(value.func, cst.Name)
        and value.args
    ):
        inner, digits = _without_rounding(value.args[0].value)
        if called(value) == "float":
            return inner, digits
        given = number_value(value.args[1].value) if len(value.args) == 2 else 0.0
        if called(value) == "round" and given is not None:
            return inner, int(given) if digits is None else min(digits, int(given))
    return value, None


def _core(tree: SourceTree, value: cst.BaseExpression) -> tuple[cst.BaseExpression, int | None]:
    """As _without_rounding, also for a small function of the file that only rounds its argument."""
    core, digits = _without_rounding(value)
    function = tree.definitions().get(called(core))
    if isinstance(core, cst.Call) and isinstance(core.func, cst.Name) and function is not None and core.args:
        rounding = [call for call in tree.within(function, cst.Call) if called(call) == "round"]
        if len(rounding) == 1 and len(function.body.body) <= 2 and len(core.args) <= 2:
            inner, _ = _without_rounding(rounding[0])
            first = function.params.params[0].name.value if function.params.params else ""
            plain = [n.value for n in tree.within(inner, cst.Name) if n.value not in ("float", "int")]
            if plain == [first]:
                return core.args[0].value, _without_rounding(rounding[0])[1] or 0
    return core, digits


class _Finder:
    """Finds, among what is in scope, the expression that has a wanted value for every generated player."""

    def __init__(self, tree: SourceTree, scope: Scope, evaluator: Callable[[Sequence[Round]], Evaluator]) -> None:
        self.tree, self.scope, self.evaluator = tree, scope, evaluator
        self.players = generated_players(12, seed=7)

    def find(
        self, at: cst.CSTNode, what: str, wanted: Callable[[Sequence[Round]], float], time: bool = False, root: str = ""
    ) -> str:
        """Text of the expression; for times multiplied so that it is in seconds. Raises Refusal."""
        found = self.candidates(at, wanted, (1.0, 60.0) if time else (1.0,), None, root)
        if not found:
            raise Refusal(
                f"line {self.tree.line(at)}: looked for the {what} among the values in scope, found none that has its value"
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


def _dead(tree: SourceTree, finder: _Finder, at: cst.CSTNode, plan: Plan) -> str:
    """Text of the dead seconds, capped in each round where the file's shape allows it."""

    def raw(rounds: Sequence[Round]) -> float:
        return 60 * sum(r["time_dead_minutes"] for r in rounds)

    def capped(rounds: Sequence[Round]) -> float:
        return sum(formulas.dead_seconds(60 * r["time_dead_minutes"], r["time_played_seconds"]) for r in rounds)

    ready = finder.candidates(at, capped, (1.0, 60.0))
    if ready:
        node, factor = ready[0]
        return _scaled(tree, node, factor)
    found = finder.candidates(at, raw, (1.0, 60.0))
    if not found:
        raise _NoDeadTime(
            f"line {tree.line(at)}: looked for the dead time (column time_dead_minutes) among the values in scope, found none that has "
            "its value; the query or the sums do not carry it, and without it neither frag potential nor survival rate can be right"
        )
    for node, factor in found:
        text = _cap(tree, finder, node, plan, factor)
        if text:
            return text
    node, factor = found[0]
    plan.actions.append(_SUM_ONLY)
    return _scaled(tree, node, factor)


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
            return _cap(tree, finder, binding.value, plan, factor) if key_of(binding.value) is not None else ""
        return _cap_query(tree, finder, node, plan, factor)
    key = key_of(node)
    stores = scope.stores(tree.function(node)).get(key, []) if isinstance(key, str) else []
    adding = [store for store in stores if store.adds]
    if len(adding) != 1:
        total = next((t for s in stores if (t := _sum_in(tree, s.value)) is not None), None)
        if total is not None:
            return _cap_sum(tree, finder, total, node, plan, factor)
        return _cap_query(tree, finder, node, plan, factor)
    store = adding[0]
    expression = _capped_round(tree, finder, store.value)
    if not expression or (
        isinstance(store.target, cst.Attribute) and re.search(rb"__slots__|\bslots\s*=\s*True", tree.body)
    ):
        return ""
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


def _scaled(tree: SourceTree, node: cst.BaseExpression, factor: float) -> str:
    """The text in seconds; a row's value may be NULL."""
    text = tree.text(node)
    if factor != 60:
        return text
    return f"{text} * 60" if isinstance(node, cst.Name) else f"({text} or 0) * 60"


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
        f"line {tree.line(added[0])}: each round's dead time is capped to the round's played time, everywhere it is shown"
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


def _call_around(tree: SourceTree, total: cst.CSTNode) -> cst.BaseExpression:
    return next(n for n in tree.ancestors(total) if isinstance(n, cst.Call))


def _root_of_target(for_in: cst.CompFor) -> str:
    return for_in.target.value if isinstance(for_in.target, cst.Name) else ""


_SUM_DEAD = re.compile(r"\bSUM\s*\([^)]*?(?P<what>(?P<alias>\b\w+\.)?\btime_dead_minutes)\b", re.IGNORECASE)


def _cap_query(tree: SourceTree, finder: _Finder, node: cst.BaseExpression, plan: Plan, factor: float) -> str:
    """``SUM(p.time_dead_minutes)`` in the query: the summand is capped there, so the rows keep their shape."""
    places: list[tuple[int, str, re.Match[str]]] = []
    for area in (tree.function(node), tree.module):
        strings = [*tree.within(area, cst.SimpleString), *tree.within(area, cst.FormattedStringText)]
        places = places or [
            (tree.span(one)[0], tree.raw(one), m) for one in strings for m in _SUM_DEAD.finditer(tree.raw(one))
        ]
    if len(places) != 1:
        return ""
    start, text, match = places[0]
    alias = match["alias"] or ""
    # CASE and not LEAST/GREATEST: it is standard SQL, and a NULL counts as 0 in both columns.
    summand = (
        f"CASE WHEN {alias}time_dead_minutes * 60 > {alias}time_played_seconds THEN {alias}time_played_seconds / 60.0 "
        f"WHEN {alias}time_dead_minutes > 0 THEN {alias}time_dead_minutes ELSE 0 END"
    )
    at = start + len(text[: match.start("what")].encode())
    closed = re.match(r"\s*\)", text[match.end() :]) and text[: match.start("what")].rstrip().endswith("(")
    summand = summand if closed else f"({summand})"
    plan.edits.replace(at, at + len(match["what"].encode()), summand.encode())
    plan.actions.append("the query sums each round's dead time capped to the round's played time")
    return _scaled(tree, node, factor)


def _replace(tree: SourceTree, scope: Scope, edits: Edits, sink: Sink, call: str) -> cst.CSTNode:
    """Put ``call`` where the value is computed: at the one assignment of its name, else in the response itself."""
    if isinstance(sink.core, cst.Name):
        binding = scope.binding(sink.core.value, sink.core)
        plain = (
            binding is not None and binding.kind == "assign" and isinstance(binding.node, (cst.Assign, cst.AnnAssign))
        )
        if binding is not None and plain and tree.function(binding.node) is tree.function(sink.core):
            core, _ = _without_rounding(binding.value or sink.core)
            edits.replace(*_whole(tree, core), call.encode())
            return binding.node
        if (
            binding is not None
            and isinstance(binding.node, cst.If)
            and _only_assigns(tree, binding.node, sink.core.value)
        ):
            start, end = tree.span(binding.node)
            end = start + len(tree.body[start:end].rstrip())
            edits.replace(start, end, f"{sink.core.value} = {call}".encode())
            return binding.node
    edits.replace(*_whole(tree, sink.core), call.encode())
    return sink.core


def _whole(tree: SourceTree, node: cst.BaseExpression) -> tuple[int, int]:
    """The span with the parentheses that stand directly around an expression."""
    start, end = tree.span(node)
    for _ in node.lpar:
        start = tree.body.rfind(b"(", 0, start)
        end = tree.body.find(b")", end) + 1
    return start, end


def _only_assigns(tree: SourceTree, statement: cst.If, name: str) -> bool:
    """Whether an if statement always assigns one name and does nothing else, without a comment to lose."""
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
        target = small.targets[0].target
        if not (isinstance(target, cst.Name) and target.value == name):
            return False
        if isinstance(current, cst.Else):
            return True
        current = current.orelse
    return False


def _drop_unused(
    tree: SourceTree, scope: Scope, edits: Edits, sinks: Sequence[Sink], replaced: Sequence[cst.CSTNode]
) -> None:
    """Remove plain assignments that only the replaced computations read."""
    function = tree.function(sinks[0].value)
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
