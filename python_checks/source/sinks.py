"""Where a website backend computes frag potential, survival rate and damage efficiency: the values under the response's keys.

A value counts where it is computed, not where it is handed on: entries of dict displays, keywords, keys and attributes that are
assigned, lambdas, and properties or methods of one object that bear the key as their name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from python_checks.source import sqltext
from python_checks.source.evaluate import Evaluator, Scope, class_of, is_constant
from python_checks.source.querytext import queries
from python_checks.source.tree import Refusal, SourceTree, called, holder_of, key_of, number_value, string_value

KEYS = ("frag_potential", "survival_rate", "damage_efficiency")
ABOUT = re.compile("|".join(KEYS))
"""Definitions of a long file that are looked at."""
_DEPTH = 4
_PROBES = (0.0, 0.05, 0.449, 2.345678, 7.0007, 33.333333, 61.86666, 99.95, 123.00791556728, 20480.123456)
"""What a site's own function is tried on, to see whether it only rounds."""
_PLACES = 6
_PLAIN_CALLS = {"abs", "float", "int", "len", "max", "min", "pow", "round", "sum"}


@dataclass(frozen=True)
class Rounding:
    """How a value is rounded: to ``digits`` places, by ``shape`` with the value at its braces."""

    digits: int
    shape: str


@dataclass(frozen=True)
class Sink:
    """Where a key gets its value: ``value`` as written, ``core`` without the rounding around it, ``digits`` of the rounding around
    or inside it; ``whole`` is the property with several returns that computes it."""

    key: str
    value: cst.BaseExpression
    core: cst.BaseExpression
    digits: int | None
    whole: cst.FunctionDef | None = None


def find_sinks(tree: SourceTree) -> list[Sink]:
    """The computed values in text order. Raises Refusal unless one function or class computes all three."""
    return _split(tree)[0]


def left_alone(tree: SourceTree) -> list[Sink]:
    """Values under the same keys in functions that do not compute all three: what they mean there is not known."""
    return _split(tree)[1]


def _split(tree: SourceTree) -> tuple[list[Sink], list[Sink]]:
    found = list(_computed(tree))
    missing = [key for key in KEYS if not any(one.key == key for one, _ in found)]
    if missing:
        raise Refusal(
            f"looked for a place that computes {', '.join(missing)} (as a key of a dict, an attribute or a keyword), found none; if the "
            "response names them otherwise, put the reference formulas there by hand"
        )
    homes = {id(home): home for _, home in found}
    whole = [h for h in homes.values() if all(any(s.key == key and at is h for s, at in found) for key in KEYS)]
    if not whole:
        lines = ", ".join(f"{s.key} in line {tree.line(s.value)}" for s, _ in found)
        raise Refusal(
            f"looked for one function or class that computes the three values, found several: {lines}; let one of them compute all "
            "three and run this again, or put the reference formulas there by hand"
        )
    names = [h.name.value for h in whole if isinstance(h, (cst.FunctionDef, cst.ClassDef))]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        lines = ", ".join(str(tree.line(h)) for h in whole if getattr(getattr(h, "name", None), "value", "") in twice)
        raise Refusal(
            f"looked for one definition of {', '.join(twice)} that computes the three values, found {len(names)} (lines {lines})"
        )
    inside = [sink for sink, home in found if any(home is h for h in whole)]
    return inside, [sink for sink, home in found if not any(home is h for h in whole)]


def _computed(tree: SourceTree) -> Iterator[tuple[Sink, cst.CSTNode]]:
    """Each computed value with the function or class that is its home."""
    methods = {
        (one.name.value, id(class_of(tree, one))): one
        for one in tree.within(tree.module, cst.FunctionDef)
        if one.name.value in KEYS and class_of(tree, one) is not None and len(_parameters(one)) == 1
    }
    shown = _shown_properties(tree)
    keys = {id(one): one.name.value for one in methods.values()} | {id(one): key for key, (_, one) in shown.items()}
    handed_on = {id(value) for value, _ in shown.values()}
    for node in tree.nodes:
        if isinstance(node, cst.FunctionDef) and id(node) in keys:
            returns = [
                r.value for r in tree.within(node, cst.Return) if tree.function(r) is node and r.value is not None
            ]
            values = [value for value in returns if not is_constant(without_rounding(value)[0])]
            home = class_of(tree, node)
            key = keys[id(node)]
            if values and home is not None and not passes_on(tree, key, values[-1]):
                inside = [d.digits for d in (rounding(tree, value) for value in values) if d is not None]
                core, around = inside_rounding(tree, values[-1])
                if len(returns) > 1:
                    yield Sink(key, values[-1], core, max(inside, default=None), node), home
                else:
                    yield Sink(key, values[-1], core, around), home
            continue
        key, value = _keyed(node)
        if isinstance(value, cst.Lambda):
            value = value.body
        if key not in KEYS or value is None or is_constant(value) or id(value) in handed_on:
            continue
        if not passes_on(tree, key, value):
            core, digits = inside_rounding(tree, value)
            inner = rounding(tree, core) if digits is None else None
            yield Sink(key, value, core, inner.digits if inner else digits), tree.function(value)


def _shown_properties(tree: SourceTree) -> dict[str, tuple[cst.BaseExpression, cst.FunctionDef]]:
    """Where a response shows ``t.fp`` under the key: the value and the property ``fp``, by key. Empty unless all three are properties
    of one class, read from one name, and nothing else in the file has those names."""
    by_root: dict[tuple[int, str], dict[str, tuple[cst.BaseExpression, str]]] = {}
    for node in tree.nodes:
        key, value = _keyed(node)
        core = inside_rounding(tree, value)[0] if key in KEYS and value is not None else None
        if value is not None and isinstance(core, cst.Attribute) and isinstance(core.value, cst.Name):
            found = by_root.setdefault((id(tree.function(value)), core.value.value), {})
            if key in found:
                return {}
            found[key] = value, core.attr.value
    whole = [one for one in by_root.values() if len(one) == len(KEYS)]
    if len(whole) != 1:
        return {}
    names = {name for _, name in whole[0].values()}
    named = [one for one in tree.within(tree.module, cst.FunctionDef) if one.name.value in names]
    properties = {one.name.value: one for one in named if _is_property(one)}
    owners = {id(class_of(tree, one)) for one in named}
    owner = class_of(tree, named[0]) if named else None
    if not (len(named) == len(names) == len(properties) == len(KEYS) and len(owners) == 1 and owner is not None):
        return {}
    if not any(
        isinstance(call.func, cst.Name) and called(call) == owner.name.value
        for call in tree.within(tree.module, cst.Call)
    ):
        return {}
    if _given_elsewhere(tree, names, {id(value) for value, _ in whole[0].values()}):
        return {}
    others = [
        one for one in tree.within(owner, cst.FunctionDef) if one.name.value in KEYS and one.name.value not in names
    ]
    return {} if others else {key: (value, properties[name]) for key, (value, name) in whole[0].items()}


def _given_elsewhere(tree: SourceTree, names: set[str], shown: set[int]) -> bool:
    """Whether a field, an attribute, a keyword (but those ``shown``) or a query's column has one of the names."""
    for node in tree.nodes:
        given: cst.CSTNode | None = None
        if isinstance(node, (cst.AssignTarget, cst.AnnAssign, cst.AugAssign)):
            given = node.target
        elif isinstance(node, cst.Arg) and id(node.value) not in shown:
            given = node.keyword
        if given is not None and (getattr(given, "value", None) in names or key_of(given) in names):
            return True
    return any(re.search(rf"\b(?:{'|'.join(names)})\b", one.text) for one in queries(tree))


def _is_property(function: cst.FunctionDef) -> bool:
    """Whether a method is a plain property."""
    marks = [one.decorator.value for one in function.decorators if isinstance(one.decorator, cst.Name)]
    return (
        len(function.decorators) == 1
        and marks in (["property"], ["cached_property"])
        and len(_parameters(function)) == 1
    )


def _parameters(function: cst.FunctionDef) -> Sequence[cst.Param]:
    return [*function.params.posonly_params, *function.params.params, *function.params.kwonly_params]


def _keyed(node: cst.CSTNode) -> tuple[str, cst.BaseExpression | None]:
    if isinstance(node, cst.DictElement):
        return string_value(node.key) or "", node.value
    if isinstance(node, cst.Arg) and node.keyword is not None:
        return node.keyword.value, node.value
    if isinstance(node, cst.Assign) and len(node.targets) == 1 and not isinstance(node.targets[0].target, cst.Name):
        key = key_of(node.targets[0].target)
        return (key, node.value) if isinstance(key, str) else ("", None)
    return "", None


def passes_on(tree: SourceTree, key: str, value: cst.BaseExpression) -> bool:
    """Whether a value only carries on what was computed elsewhere: ``m["frag_potential"]``, an average of ``p.frag_potential``."""
    plain, _ = without_rounding(value)
    while isinstance(plain, cst.BooleanOperation) and isinstance(plain.operator, cst.Or) and is_constant(plain.right):
        plain, _ = without_rounding(plain.left)
    if isinstance(key_of(plain), int) and not isinstance(holder_of(plain), cst.Tuple):
        return True  # a query's column by its place
    return any(key_of(node) == key for node in tree.within(value, cst.BaseExpression))  # type: ignore[type-abstract]


def without_rounding(value: cst.BaseExpression) -> tuple[cst.BaseExpression, int | None]:
    """The expression inside of ``round``, ``float`` and ``int``, and the digits of the rounding."""
    if (
        called(value) in ("round", "float", "int")
        and isinstance(value, cst.Call)
        and isinstance(value.func, cst.Name)
        and value.args
    ):
        inner, digits = without_rounding(value.args[0].value)
        if called(value) == "float":
            return inner, digits
        given = number_value(value.args[1].value) if len(value.args) == 2 else 0.0
        if called(value) == "round" and given is not None:
            return inner, int(given) if digits is None else min(digits, int(given))
    return value, None


def inside_rounding(tree: SourceTree, value: cst.BaseExpression) -> tuple[cst.BaseExpression, int | None]:
    """As without_rounding, also for a function of the file that only rounds its argument."""
    core, digits = without_rounding(value)
    own = own_rounding(tree, core)
    if own is None or not isinstance(core, cst.Call):
        return core, digits
    inner, more = inside_rounding(tree, core.args[0].value)
    return inner, min(d for d in (digits, own.digits, more) if d is not None)


def own_rounding(tree: SourceTree, value: cst.BaseExpression) -> Rounding | None:
    """The call of a function of the file that does nothing but round its first argument to the nearest, however it does that
    (``quantize``, ``round``, ``format``): it is run, not read. Other arguments are literals."""
    if not hasattr(tree, "_own_roundings"):
        tree._own_roundings = {}  # type: ignore[attr-defined]
    known: dict[int, Rounding | None] = tree._own_roundings  # type: ignore[attr-defined]
    if id(value) not in known:
        known[id(value)] = _own_rounding(tree, value)
    return known[id(value)]


def _own_rounding(tree: SourceTree, value: cst.BaseExpression) -> Rounding | None:
    if not (isinstance(value, cst.Call) and isinstance(value.func, cst.Name) and value.args):
        return None
    function = tree.definitions().get(value.func.value)
    first, others = value.args[0], value.args[1:]
    if function is None or first.keyword is not None or first.star or not _parameters(function):
        return None
    if any(one.star or (string_value(one.value) is None and number_value(one.value) is None) for one in others):
        return None
    scope = Scope(tree)
    binding = scope.binding(value.func.value, value)
    if binding is None or binding.node is not function:
        return None
    one = Evaluator(scope, [], sqltext.Calculator(), {})
    try:
        run = one.name(value.func.value, value)
        given = [one.value(other.value) for other in others if other.keyword is None]
        named = {other.keyword.value: one.value(other.value) for other in others if other.keyword is not None}
        found = [float(run(probe, *given, **named)) for probe in _PROBES]
    except Exception:  # somebody else's function may raise anything
        return None
    for digits in range(_PLACES, -1, -1):
        near = 0.5 * 10**-digits * (1 + 1e-6)
        steps = [got * 10**digits for got in found]
        if all(abs(got - probe) <= near for got, probe in zip(found, _PROBES, strict=True)) and all(
            abs(one - round(one)) < 1e-3 for one in steps
        ):
            (start, end), (at, behind) = tree.span(value), tree.span(first.value)
            texts = [
                tree.body[a:b].decode().replace("{", "{{").replace("}", "}}") for a, b in ((start, at), (behind, end))
            ]
            return Rounding(digits, "{}".join(texts))
    return None


def rounding(tree: SourceTree, value: cst.BaseExpression) -> Rounding | None:
    """The rounding of a value anywhere on its way: around it, in the branches of a choice, in the file's function that it calls,
    where its name is assigned. None when one way is not rounded."""
    ways = [way for way in _ways(tree, value) if not is_constant(way)]
    found = [_rounded(tree, way) for way in ways]
    known = [one for one in found if one is not None]
    return max(known, key=lambda one: one.digits) if known and len(known) == len(found) else None


def unknown_calls(tree: SourceTree, value: cst.BaseExpression) -> list[cst.BaseExpression]:
    """Calls that give a value on one of its ways and that cannot be looked into: they may round it."""
    return [
        core
        for way in _ways(tree, value)
        for core in (without_rounding(way)[0],)
        if _rounded(tree, way) is None
        and (isinstance(core, cst.FormattedString) or (isinstance(core, cst.Call) and called(core) not in _PLAIN_CALLS))
    ]


def _rounded(tree: SourceTree, way: cst.BaseExpression) -> Rounding | None:
    core, digits = without_rounding(way)
    return own_rounding(tree, core) if digits is None else Rounding(digits, f"round({{}}, {digits})")


def _ways(tree: SourceTree, value: cst.BaseExpression, depth: int = 0) -> list[cst.BaseExpression]:
    """What gives a value: itself, or the branches, returns or assignments behind it, up to the first rounding."""
    core, _ = without_rounding(value)
    ways: list[cst.BaseExpression] = []
    if _rounded(tree, value) is None and depth <= _DEPTH:
        if isinstance(core, cst.IfExp):
            ways = [core.body, core.orelse]
        elif isinstance(core, cst.Call):
            named = [f for f in tree.within(tree.module, cst.FunctionDef) if f.name.value == called(core)]
            if len(named) == 1:
                ways = [r.value for r in tree.within(named[0], cst.Return) if r.value is not None]
        elif isinstance(core, cst.Name):
            ways = [
                one.value
                for one in Scope(tree).assignments(core.value, tree.function(core))
                if not isinstance(one, cst.AugAssign) and one.value is not None
            ]
    return [end for way in ways for end in _ways(tree, way, depth + 1)] or [value]
