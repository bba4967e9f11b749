"""The dead time of a session's player, capped to [0, played] in each round, whatever way a file adds the rounds up.

Recorded dead time is inflated (domain.md 2.3), so one bad round must not eat the others. Where the rounds are added up in Python, a
capped sum is put beside the file's own; where the query does it, a column; where there is no room for one, the summand is capped.
"""

from __future__ import annotations

import math
import re

import libcst as cst

from python_checks.source import sqltext
from python_checks.source.evaluate import Binding, CannotEvaluate, class_of
from python_checks.source.finder import Finder, NotInScope, capped_dead_s, raw_dead_s, root_of_access, scaled, sum_of
from python_checks.source.querytext import Query, queries
from python_checks.source.sinks import Sink
from python_checks.source.tree import Plan, Refusal, SourceTree, called, holder_of, key_of, string_value
from python_checks.source.web_sql import capped_dead

CAPPED = "time_dead_capped_seconds"
_REST = "where the file's own sum is shown (time_dead_raw_seconds), it stays as recorded"


def dead_time(tree: SourceTree, finder: Finder, at: cst.CSTNode, plan: Plan, sink: Sink) -> str:
    """Text of the dead seconds, capped in each round where the file's shape allows it."""
    ready = finder.candidates(at, capped_dead_s, (1.0, 60.0))
    if ready:
        node, factor = ready[0]
        return scaled(tree, node, factor)
    found = finder.candidates(at, raw_dead_s, (1.0, 60.0))
    if not found:
        raise NotInScope(
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
            return scaled(tree, node, factor)
    for node, factor in found:
        text = _cap(tree, finder, node, plan, factor)
        if text:
            return text
    raise Refusal(
        f"line {tree.line(at)}: looked for the statement or query that adds up the rounds' dead time, to cap each round's to its played "
        f"time, found {tree.text(found[0][0])!r} put together in a way that is not known; one round with inflated dead time would weigh on "
        "the others: cap it there by hand (dead time within 0 and played time, in each round) and run this again"
    )


def _cap(tree: SourceTree, finder: Finder, node: cst.BaseExpression, plan: Plan, factor: float) -> str:
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
        return scaled(tree, node, factor)
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
        f"line {tree.line(statement)}: each round's dead time is also added up capped to the round's played time; {_REST}"
    )
    return use


def _homes(tree: SourceTree, node: cst.CSTNode) -> list[cst.CSTNode]:
    """Where an accumulator that is read at ``node`` may be filled, the nearest first."""
    function = tree.function(node)
    return [one for one in (function, class_of(tree, function)) if one is not None]


def _capped_round(tree: SourceTree, finder: Finder, value: cst.BaseExpression) -> str:
    """``_dead_seconds(...)`` of one round's dead and played time, in seconds; "" when the played time is not at hand."""
    roots = {root_of_access(n) for n in tree.within(value, cst.BaseExpression) if key_of(n) is not None}  # type: ignore[type-abstract]
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
    return f"_dead_seconds({dead}, {scaled(tree, node, scale)})"


def _cap_loop(tree: SourceTree, finder: Finder, node: cst.Name, binding: Binding, plan: Plan) -> str:
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
        f"line {tree.line(added[0])}: each round's dead time is also added up capped to the round's played time; {_REST}"
    )
    return CAPPED


def _sum_in(tree: SourceTree, value: cst.BaseExpression) -> cst.GeneratorExp | cst.ListComp | None:
    for call in tree.within(value, cst.Call):
        if called(call) == "sum" and call.args and isinstance(call.args[0].value, (cst.GeneratorExp, cst.ListComp)):
            return call.args[0].value
    return None


def _cap_argument(tree: SourceTree, finder: Finder, node: cst.Name, binding: Binding, plan: Plan, factor: float) -> str:
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
    return scaled(tree, node, factor)


def _cap_sum(
    tree: SourceTree,
    finder: Finder,
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
    dead = f"_dead_seconds({'60 * ' if unit == 60 else ''}({text} or 0), {scaled(tree, *played[0])})"
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
    return scaled(tree, node, factor)


def _other_sums(
    tree: SourceTree, finder: Finder, total: cst.GeneratorExp | cst.ListComp
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
            if tree.text(other.for_in.iter) == tree.text(total.for_in.iter) and finder.has(
                _call_around(tree, other), other, lambda r: sum(x["time_played_seconds"] for x in r), factor, None
            ):
                found.append((other.elt, factor))
    return found


def _cap_column(tree: SourceTree, finder: Finder, dead: cst.Call, plan: Plan) -> str:
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
            if finder.has(other, other, sum_of("time_played_seconds"), factor, None):
                played = f'(r["{names[0]}"] or 0){"" if factor == 1 else " * 60"}'
                summand = f'_dead_seconds(60 * (r["{column}"] or 0), {played})'
                tree.insert_after(plan.edits, statement, [f"{CAPPED} = sum({summand} for r in {tree.raw(rows[0])})"])
                plan.actions.append(
                    f"line {tree.line(statement)}: each round's dead time is also added up capped to the round's played time; {_REST}"
                )
                return CAPPED
    return ""


def _call_around(tree: SourceTree, total: cst.CSTNode) -> cst.BaseExpression:
    return next(n for n in tree.ancestors(total) if isinstance(n, cst.Call))


def _root_of_target(for_in: cst.CompFor) -> str:
    return for_in.target.value if isinstance(for_in.target, cst.Name) else ""


_SUM_DEAD = re.compile(r"\bSUM\s*\([^)]*?(?P<what>(?P<alias>\b\w+\.)?\btime_dead_minutes)\b", re.IGNORECASE)


def _cap_query(tree: SourceTree, finder: Finder, node: cst.BaseExpression, plan: Plan, factor: float) -> str:
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
            f"line {tree.line(query.node)}: the query also sums each round's dead time capped to the round's played time; {_REST}"
        )
        read = tree.text(node).replace(key, name)
        return f"({read} or 0) * 60" if factor == 60 else read
    query.edit(plan.edits, match.start("what"), match.end("what"), summand)
    plan.actions.append(
        f"line {tree.line(query.node)}: the query sums each round's dead time capped to the round's played time, wherever it is shown"
    )
    return scaled(tree, node, factor)


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
    return scaled(tree, node, factor)


def _own_column(
    tree: SourceTree, query: Query, match: re.Match[str], node: cst.BaseExpression
) -> tuple[sqltext.Item, int, int] | None:
    """The column that a row read at ``node`` by name gets from the query, when one column more would reach it and harm nobody."""
    lists = sqltext.select_spans(query.text)
    mine = next((items for items in lists for _, a, b in items if a <= match.start() < b), None)
    root = root_of_access(node)
    by_place = [
        one
        for one in tree.within(tree.function(node), cst.BaseExpression)  # type: ignore[type-abstract]
        if root_of_access(one) == root and isinstance(key_of(one), int)
    ]
    reaches = mine is lists[0] or all(i.expression.endswith("*") for i, _, _ in lists[0])
    if mine is None or by_place or not reaches or re.search(r"\bUNION\b", query.text, re.IGNORECASE):
        return None
    return next(one for one in mine if one[1] <= match.start() < one[2])
