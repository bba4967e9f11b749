"""FMT: what is handed to the integer conversions of string.format. MASK: what bit masks are compared with."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from tree_sitter import Node

from python_checks.lua.scan.notes import Note, shown
from python_checks.lua.scan.presence import Presence
from python_checks.lua.scan.script import Script
from python_checks.lua.scan.values import BOOLEAN, FRACTIONAL, NIL, NOT_FINITE, OTHER, TEXT, UNKNOWN, Value, Values
from python_checks.lua.texts import conversions, format_parts

_INTEGER = b"dicuoxX"
_NUMBER = b"eEfFgGaA"
_AND_NAME = re.compile(r"(^|_|\.|:)(b|bit_?|bits_?)and$|(^|_|\.)and_?bits?$", re.IGNORECASE)
_MAX_MASK_BITS = 8


def format_notes(script: Script, values: Values, presences: dict[str, Presence]) -> Iterator[Note]:
    """FMT001 to FMT005."""
    for call in script.calls:
        if not script.is_format(call):
            continue
        template, arguments = format_parts(script.tree, call)
        text = script.tree.constant(template) if template is not None else None
        if text is None:
            continue
        wanted = conversions(text)
        alive = tuple(target for target, presence in presences.items() if not presence.is_dead(call))
        if not alive:
            continue
        yield from _count(script, call, wanted, arguments, alive)
        for (offset, letter), argument in zip(wanted, arguments, strict=False):
            if letter in _INTEGER or letter in _NUMBER:
                yield from _argument(script, values, argument, letter.decode("latin-1"), text[:offset], alive)


def _count(
    script: Script, call: Node, wanted: list[tuple[int, bytes]], arguments: list[Node], targets: tuple[str, ...]
) -> Iterator[Note]:
    is_open = bool(arguments) and arguments[-1].type in ("function_call", "vararg_expression")
    if len(arguments) < len(wanted) and not is_open:
        why = f"the template has {len(wanted)} conversions, the call gives {len(arguments)} values"
        yield Note(call, "FMT005", targets, f'{why}: "bad argument … no value"')


def _argument(
    script: Script, values: Values, argument: Node, letter: str, before: bytes, targets: tuple[str, ...]
) -> Iterator[Note]:
    value = values.of(argument)
    name = f"{shown(script.tree.text(argument))} into %{letter}"
    if isinstance(value.const, float) and not value.has(FRACTIONAL):
        return
    if isinstance(value.const, bytes):
        if not _is_number(value.const, letter):
            yield Note(argument, "FMT004", targets, f"{name}: '{shown(value.const)}' is no whole number")
        return
    if letter in "dicuoxX":
        reason = value.why(FRACTIONAL)
        if reason is None and value.has(UNKNOWN) and values.is_any_number(argument):
            reason = "the condition around it lets any number through"
        if reason is not None and "lua54" in targets:
            why = f'{name}: {reason}; Lua 5.4 raises "number has no integer representation" for a fraction, LuaJIT cuts it off'
            yield Note(argument, "FMT001", ("lua54",), why)
        reason = value.why(NOT_FINITE)
        if reason is not None:
            why = f"{name}: {reason}; Lua 5.4 raises, LuaJIT prints -9223372036854775808"
            yield Note(argument, "FMT002", targets, why)
    for kind in (NIL, BOOLEAN, OTHER):
        reason = value.why(kind)
        if reason is not None:
            yield Note(argument, "FMT003", targets, f"{name}: {reason}; a number is expected, both interpreters raise")
            return
    if value.has(TEXT) and letter in "dicuoxX" and not _is_whole_cvar(value):
        yield Note(argument, "FMT004", targets, f"{name}: {value.why(TEXT) or 'a text'} may be empty or fractional")


def _is_number(text: bytes, letter: str) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return math.isfinite(number) and (number == int(number) or letter not in "dicuoxX")


def _is_whole_cvar(value: Value) -> bool:
    from python_checks.lua.scan.engine import WHOLE_CVARS

    return any(origin.removeprefix("cvar:") in WHOLE_CVARS for origin in value.origins)


# --- masks


def mask_notes(script: Script, values: Values, presences: dict[str, Presence]) -> Iterator[Note]:
    """MASK001 and MASK002."""
    masks = _Masks(script, values)
    targets = tuple(presences)
    for node in script.binaries:
        if script.operator(node) not in ("==", "~="):
            continue
        sides = script.sides(node)
        if sides is None:
            continue
        for masked, other in (sides, sides[::-1]):
            why = masks.impossible(masked, other)
            if why:
                alive = tuple(t for t, p in presences.items() if not p.is_dead(node))
                if alive:
                    always = "never true" if script.operator(node) == "==" else "always true"
                    yield Note(node, "MASK001", alive, f"{shown(script.tree.text(node))} is {always}: {why}")
                break
    for node in _conditions(script):
        if masks.is_mask(node):
            yield Note(
                node, "MASK002", targets, f"{shown(script.tree.text(node))} is always true, because 0 is true in Lua"
            )


def _conditions(script: Script) -> Iterator[Node]:
    waiting = list(script.tree.conditions)
    while waiting:
        node = waiting.pop()
        is_joint = node.type in ("binary_expression", "unary_expression") and script.operator(node) in (
            "and",
            "or",
            "not",
        )
        if is_joint or node.type == "parenthesized_expression":
            waiting += [c for c in node.children if c.is_named]
        else:
            yield node


class _Masks:
    """Finds masked values and the numbers that they can be."""

    def __init__(self, script: Script, values: Values) -> None:
        self.script = script
        self.values = values

    def impossible(self, masked: Node, other: Node) -> str:
        """Why the comparison cannot be meant so; empty when it can."""
        if self._is_bit_test(masked):
            value = self.values.of(other)
            return "et.isBitSet gives a boolean" if isinstance(value.const, float) else ""
        operands = self._operands(masked)
        possible = self._possible(masked)
        if operands is None and (possible is None or not self._is_scaled(masked)):
            return ""
        value = self.values.of(other)
        if other.type in ("true", "false"):
            return "the masked value is a number"
        if not isinstance(value.const, float):
            return ""
        wanted = value.const
        if wanted == 0:
            return ""
        if possible is not None:
            if wanted in possible:
                return ""
            listed = ", ".join(f"{p:g}" for p in sorted(possible))
            return f"the masked value is one of {listed}" if len(possible) <= 4 else f"the mask cannot give {wanted:g}"
        texts = {self.script.tree.text(o) for o in operands or ()}
        if self.script.tree.text(other) in texts:
            return ""
        return f"with a mask other than {wanted:g} the masked value is 0 or the bit's own value, e.g. 16 for bit 4"

    def is_mask(self, node: Node) -> bool:
        """True for an expression that is a masked value itself."""
        return self._operands(node) is not None

    def _is_bit_test(self, node: Node) -> bool:
        node = self._followed(node)
        return node.type == "function_call" and self.script.callee(node) == "et.isBitSet"

    def _followed(self, node: Node, depth: int = 0) -> Node:
        """The expression behind parentheses, a local with one value, or a function with one return."""
        if depth > 4:
            return node
        if node.type == "parenthesized_expression":
            inner = [c for c in node.children if c.is_named]
            return self._followed(inner[0], depth + 1) if len(inner) == 1 else node
        if node.type == "identifier":
            binding = self.script.tree.binding(node)
            sites = self.script.sites.get(binding, []) if binding is not None else []
            sites = [s for s in sites if not s.is_nil]
            if binding is not None and not binding.is_parameter and len(sites) == 1 and sites[0].value is not None:
                return self._followed(sites[0].value, depth + 1)
        if node.type == "binary_expression" and self.script.operator(node) == "and":
            sides = self.script.sides(node)
            return self._followed(sides[1], depth + 1) if sides is not None else node
        if node.type == "function_call" and not self._is_and(node):
            functions = self.script.callees(node)
            if len(functions) == 1:
                returns = self.script.returns.get(functions[0], [])
                found = [self.values.returned_values(r) for r in returns]
                if len(found) == 1 and len(found[0]) == 1:
                    return self._followed(found[0][0], depth + 1)
        return node

    def _is_and(self, call: Node) -> bool:
        callee = self.script.callee(call)
        if callee in ("bit.band", "bit32.band"):
            return True
        name = call.child_by_field_name("name")
        return name is not None and bool(_AND_NAME.search(self.script.tree.text(name).decode("latin-1")))

    def _operands(self, node: Node) -> list[Node] | None:
        """The two sides of a bitwise and; None when the expression is none."""
        node = self._followed(node)
        if node.type == "binary_expression" and self.script.operator(node) == "&":
            sides = self.script.sides(node)
            return list(sides) if sides is not None else None
        if node.type == "function_call" and self._is_and(node):
            arguments = self.script.tree.arguments(node)
            return arguments if len(arguments) == 2 else None
        return None

    def _is_scaled(self, node: Node) -> bool:
        """True for ``x % 2 * 16`` and shifted masks: arithmetic made to test a bit."""
        node = self._followed(node)
        if node.type == "binary_expression":
            return self.script.operator(node) in ("*", ">>", "<<", "%", "/", "//")
        return node.type == "function_call" and self.script.callee(node) in ("bit.rshift", "bit.lshift", "math.floor")

    def _possible(self, node: Node, depth: int = 0) -> frozenset[float] | None:
        """The numbers that a masked value can be; None when they cannot be listed."""
        if depth > 6:
            return None
        node = self._followed(node)
        operands = self._operands(node)
        if operands is not None:
            masks = [self.values.of(o).const for o in operands]
            known = [m for m in masks if isinstance(m, float) and m >= 0 and m == int(m) and m < 2**53]
            return _submasks(int(known[0])) if len(known) == 1 else None
        if node.type == "function_call":
            arguments = self.script.tree.arguments(node)
            callee = self.script.callee(node)
            if callee == "math.floor" and arguments:
                return self._mapped(arguments[0], depth, lambda p, _: p // 1, None)
            if callee in ("bit.rshift", "bit.lshift") and len(arguments) == 2:
                return self._mapped(arguments[0], depth, _shift(callee[4:]), arguments[1])
            return None
        if node.type != "binary_expression":
            return None
        sides, operator = self.script.sides(node), self.script.operator(node)
        if sides is None:
            return None
        if operator == "%":
            modulus = self.values.of(sides[1]).const
            is_whole = not self.values.of(sides[0]).has(FRACTIONAL)
            if isinstance(modulus, float) and 1 <= modulus <= 64 and modulus == int(modulus) and is_whole:
                return frozenset(float(n) for n in range(int(modulus)))
            return None
        if operator == "*" and isinstance(self.values.of(sides[0]).const, float):
            sides = sides[::-1]
        steps = {
            "*": lambda p, k: p * k,
            "//": lambda p, k: p // k,
            "/": lambda p, k: p / k,
            ">>": _shift("rshift"),
            "<<": _shift("lshift"),
        }
        return self._mapped(sides[0], depth, steps[operator], sides[1]) if operator in steps else None

    def _mapped(self, node: Node, depth: int, step: object, by: Node | None) -> frozenset[float] | None:
        possible = self._possible(node, depth + 1)
        factor = self.values.of(by).const if by is not None else 1.0
        if possible is None or not isinstance(factor, float) or not 0 < factor < 2**31 or not callable(step):
            return None
        return frozenset(step(p, factor) for p in possible)


def _shift(name: str) -> object:
    return (lambda p, k: p // 2 ** min(k, 64)) if name == "rshift" else (lambda p, k: p * 2 ** min(k, 64))


def _submasks(mask: int) -> frozenset[float] | None:
    if mask.bit_count() > _MAX_MASK_BITS:
        return None
    found, current = {0.0}, mask
    while current:
        found.add(float(current))
        current = (current - 1) & mask
    return frozenset(found)
