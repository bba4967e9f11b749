"""Recipe ``web-formulas``: frag potential, survival rate and damage efficiency as the bot computes them (domain.md 8).

The targets are the values under the response's keys. Their ingredients (damage given and received, seconds played, dead time) are
found by evaluating what is in scope for generated players and comparing numbers, so names and units in the file do not matter.
The recipe holds its own result against ``python_checks.formulas`` before it gives it away.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import libcst as cst

from python_checks import formulas
from python_checks.source import sqltext
from python_checks.source.dead_time import dead_time
from python_checks.source.evaluate import CannotEvaluate, Evaluator, Leaf, Round, Scope, class_of
from python_checks.source.finder import PARTS, WANTED, Finder, NotInScope
from python_checks.source.players import as_round, generated_players
from python_checks.source.sinks import ABOUT, Sink, find_sinks, inside_rounding, left_alone, rounding, unknown_calls
from python_checks.source.tree import (
    Edits,
    Plan,
    Refusal,
    SourceTree,
    holder_of,
    key_of,
    string_value,
    tree_of,
)
from python_checks.source.web_sql import plan_web_queries, prove_web_queries, web_queries

_READ = "session_"
_READ_LINE = re.compile(rb"session_\w+ = ")
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


def apply_web_formulas(tree: SourceTree) -> tuple[bytes, list[str]]:
    """The patched file and what was done. Raises Refusal."""
    if _by_query(tree):
        plan = plan_web_queries(tree)
        return tree.apply(plan.edits), plan.actions
    output, actions = _applied(tree, 0)
    if output == tree.source:
        return output, actions
    output = _without_unused_reads(output)
    return output, [*actions, *_left_unused(tree.source, output)]


def _left_unused(before: bytes, after: bytes) -> list[str]:
    """Functions that only the old computations called. They stay: another file may import them."""
    was, now = ast.parse(before), ast.parse(after)
    return [
        f"line {one.lineno}: nothing in this file uses {one.name} any more, which computes the old value; take it out unless another "
        "file imports it"
        for one in ast.walk(was)
        if isinstance(one, ast.FunctionDef) and _used(was, one.name) and not _used(now, one.name)
    ]


def _used(module: ast.Module, name: str) -> bool:
    return any(getattr(one, "id", None) == name or getattr(one, "attr", None) == name for one in ast.walk(module))


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
    except NotInScope as refusal:
        # A row or an accumulator may have it under a key that is not read here; one line more reads it.
        for source in _with_read(tree, refusal.sink, refusal.what) if depth < _READS else ():
            try:
                return _applied(tree_of(source, tree.about), depth + 1)
            except NotInScope as deeper:
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
    """Whether ``root`` holds the wanted value (of WANTED) under ``key``, for every player."""
    wanted, factors = WANTED[what]
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
    finder = Finder(tree, scope, evaluator)
    done = [(sink, *_patch(tree, scope, finder, plan, sink)) for sink in sinks if id(sink.value) in wrong]
    _drop_unused(tree, scope, plan.edits, [sink for sink, _, _ in done], [place.node for _, place, _ in done])
    told = [sentence for sink, place, _ in done for sentence in _old_words(tree, plan.edits, sink, place)]
    tree.insert_helpers(plan.edits, _helper_source())
    plan.edits.edits[:] = list({(e.start, e.end, e.text): e for e in reversed(plan.edits.edits)}.values())[::-1]
    plan.actions[:] = dict.fromkeys(plan.actions)
    for sink, place, call in done:
        where = place.node
        plan.actions.append(f"{sink.key}: line {tree.line(where)} computes {call}")
        if where is sink.core and isinstance(where, cst.Name):
            plan.actions.append(
                f"{where.value}: what was assigned to it in front of line {tree.line(where)} is not shown any more"
            )
    plan.actions += dict.fromkeys(told)
    plan.actions += [
        f"line {tree.line(sink.value)}: {sink.key} is computed there too, outside of what computes all three, and was left as it is"
        for sink in left_alone(tree)
    ]
    plan.actions.append(
        "damage_efficiency is a ratio from now on, not a percentage, and frag_potential is damage per alive minute: labels, axis "
        "limits and thresholds in the front end must follow"
    )
    return plan


def _patch(tree: SourceTree, scope: Scope, finder: Finder, plan: Plan, sink: Sink) -> tuple[_Place, str]:
    """Put the reference's call where a sink is computed, as early as its parts are in scope; gives that place and the call."""
    first: Refusal | None = None
    for place in _places(tree, scope, sink):
        try:
            parts = [_part(finder, place.at, what, sink, plan) for what in PARTS[sink.key]]
        except Refusal as refusal:
            first = refusal  # the last place is the response itself: what is missing there is missing
            continue
        call = f"_{sink.key}({', '.join(parts)})"
        rounded = rounding(tree, place.replaced)
        text = call if rounded is None else rounded.shape.format(call)
        plan.edits.replace(*place.span, place.shape.format(text).encode())
        for gone in unknown_calls(tree, place.replaced) if rounded is None else ():
            plan.actions.append(
                f"line {tree.line(gone)}: {tree.text(gone)[:60]!r} gave {sink.key} and is not used for it any more; if it rounded or "
                "formatted the value, put it around the new call"
            )
        return place, call
    raise first or Refusal(f"line {tree.line(sink.value)}: looked for a place for {sink.key}, found none")


def _part(finder: Finder, at: cst.CSTNode, what: str, sink: Sink, plan: Plan) -> str:
    """Text of one of WANTED at a place, found once."""
    if (id(at), what) not in finder.parts:
        finder.parts[id(at), what] = (
            dead_time(finder.tree, finder, at, plan, sink) if what == "dead time" else finder.part(at, what, sink)
        )
    return finder.parts[id(at), what]


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
            if isinstance(value, (str, Decimal)):
                value = _as_number(value)
            if not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value - required) > slack:
                found[id(sink.value)] = Disagreement(sink, tuple(seen), value, required)
    return list(found.values())


def _as_number(value: str | Decimal) -> Any:
    """What a site's own rounding gives, when that is a text or a Decimal."""
    try:
        return float(value)
    except ValueError:
        return value


def _merged(rounds: Sequence[Round]) -> Round:
    """All rounds as one: what a file sees that caps dead time on the sum only."""
    return {name: sum(one[name] for one in rounds) for name in sqltext.NUMBERS}


@dataclass(frozen=True)
class _Place:
    """Where a call can stand: ``span`` is replaced by ``shape`` with the call in it, rounded as ``replaced`` was; ``at`` is where
    its parts must be in scope."""

    node: cst.CSTNode
    at: cst.CSTNode
    span: tuple[int, int]
    replaced: cst.BaseExpression
    shape: str = "{}"


def _places(tree: SourceTree, scope: Scope, sink: Sink) -> Iterator[_Place]:
    """The one assignment of its name, then the response itself."""
    if sink.whole is not None:
        body = [one for one in sink.whole.body.body if not _is_docstring(one)]
        start, end = tree.span(body[0])[0], tree.span(body[-1])[1]
        end = start + len(tree.body[start:end].rstrip())
        given = [one.value for one in tree.within(sink.whole, cst.Return) if one.value is not None]
        replaced = next((one for one in given if rounding(tree, one) is not None), sink.value)
        yield _Place(body[0], sink.value, (start, end), replaced, "return {}")
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
            core, _ = inside_rounding(tree, binding.value)
            yield _Place(binding.node, binding.value, _whole(tree, core), core)
        elif (
            own and binding is not None and isinstance(binding.node, cst.If) and _only_assigns(tree, binding.node, name)
        ):
            start, end = tree.span(binding.node)
            end = start + len(tree.body[start:end].rstrip())
            yield _Place(binding.node, binding.node, (start, end), sink.core, f"{name} = {{}}")
    assign = tree.parent(sink.value)
    choice = next((h for h in tree.ancestors(sink.value) if isinstance(h, cst.If) and not tree._is_elif(h)), None)
    if isinstance(assign, cst.Assign) and choice is not None and tree.function(choice) is tree.function(sink.value):
        target = tree.raw(assign.targets[0].target)
        if _only_assigns(tree, choice, target):
            start, end = tree.span(choice)
            end = start + len(tree.body[start:end].rstrip())
            yield _Place(choice, choice, (start, end), sink.value, f"{target} = {{}}")
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
    yield _Place(sink.core, sink.value, _whole(tree, sink.core), sink.core)


def _old_words(tree: SourceTree, edits: Edits, sink: Sink, place: _Place) -> Iterator[str]:
    """Comments directly above a new call, or behind it, and a property's docstring: they were written about the old computation."""
    words: list[tuple[int, bytes]] = []
    start, end = place.span
    behind = tree.body[end : tree.line_end(end)].lstrip(b" \t,;)]}")
    if behind.startswith(b"#"):
        words.append((end, behind))
    at = tree.line_start(start)
    while at > 0:
        above = tree.line_start(at - 1)
        line = tree.body[above:at].strip()
        if line.startswith(b"#"):
            words.append((above, line))
        elif not _READ_LINE.match(line) and not any(
            e.start <= above and at <= e.end and not e.text for e in edits.edits
        ):
            break
        at = above
    function = tree.function(place.at)
    first = next(iter(function.body.body), None) if isinstance(function.body, cst.IndentedBlock) else None
    returned = isinstance(tree.parent(place.at), cst.Return)
    if class_of(tree, function) is not None and returned and first is not None and _is_docstring(first):
        words.append((tree.span(first)[0], tree.raw(first).encode()))
    for where, text in sorted(words):
        said = text.strip().decode()
        if re.sub("[^a-z]", "", said.lower()) != sink.key.replace("_", ""):
            anchor = tree.span(place.node)[0]
            shift = tree.body[anchor:where].count(b"\n") - tree.body[where:anchor].count(b"\n")
            yield f"line {tree.line(place.node) + shift}: {said!r} was written about the old {sink.key}; it stays, so correct it"


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
