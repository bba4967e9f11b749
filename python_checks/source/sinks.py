"""Where a website backend computes frag potential, survival rate and damage efficiency: the values under the response's keys.

A value counts where it is computed, not where it is handed on: entries of dict displays, keywords, keys and attributes that are
assigned, lambdas, and properties or methods of one object that bear the key as their name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from python_checks.source.evaluate import Scope, class_of, is_constant
from python_checks.source.tree import Refusal, SourceTree, called, holder_of, key_of, number_value, string_value

KEYS = ("frag_potential", "survival_rate", "damage_efficiency")
ABOUT = re.compile("|".join(KEYS))
"""Definitions of a long file that are looked at."""
_DEPTH = 4


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
        raise Refusal(f"looked for one function or class that computes the three values, found several: {lines}")
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
    for node in tree.nodes:
        if isinstance(node, cst.FunctionDef) and node in methods.values():
            returns = [
                r.value for r in tree.within(node, cst.Return) if tree.function(r) is node and r.value is not None
            ]
            values = [value for value in returns if not is_constant(without_rounding(value)[0])]
            home = class_of(tree, node)
            if values and home is not None and not passes_on(tree, node.name.value, values[-1]):
                inside = [d for d in (rounding(tree, value) for value in values) if d is not None]
                core, around = without_rounding(values[-1])
                if len(returns) > 1:
                    yield Sink(node.name.value, values[-1], core, max(inside, default=None), node), home
                else:
                    yield Sink(node.name.value, values[-1], core, around), home
            continue
        key, value = _keyed(node)
        if isinstance(value, cst.Lambda):
            value = value.body
        if key in KEYS and value is not None and not is_constant(value) and not passes_on(tree, key, value):
            core, digits = _core(tree, value)
            yield Sink(key, value, core, rounding(tree, core) if digits is None else digits), tree.function(value)


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


def _core(tree: SourceTree, value: cst.BaseExpression) -> tuple[cst.BaseExpression, int | None]:
    """As without_rounding, also for a small function of the file that only rounds its argument."""
    core, digits = without_rounding(value)
    function = tree.definitions().get(called(core))
    if isinstance(core, cst.Call) and isinstance(core.func, cst.Name) and function is not None and core.args:
        roundings = [call for call in tree.within(function, cst.Call) if called(call) == "round"]
        if len(roundings) == 1 and len(function.body.body) <= 2 and len(core.args) <= 2:
            inner, _ = without_rounding(roundings[0])
            first = function.params.params[0].name.value if function.params.params else ""
            plain = [n.value for n in tree.within(inner, cst.Name) if n.value not in ("float", "int")]
            if plain == [first]:
                return core.args[0].value, without_rounding(roundings[0])[1] or 0
    return core, digits


def rounding(tree: SourceTree, value: cst.BaseExpression, depth: int = 0) -> int | None:
    """Digits to which a value is rounded anywhere on its way: around it, in the branches of a choice, in the file's function that
    it calls, where its name is assigned. None when one way is not rounded."""
    core, digits = without_rounding(value)
    if digits is not None or depth > _DEPTH:
        return digits
    ways: list[cst.BaseExpression] = []
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
    found = [rounding(tree, way, depth + 1) for way in ways if not is_constant(way)]
    known = [one for one in found if one is not None]
    return max(known) if known and len(known) == len(found) else None
