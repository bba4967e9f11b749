"""A small data flow: what an expression may be (whole, fractional, nil, text …), why, and from which clock or cvar it comes.

Only what there is evidence for is said: an expression that nobody can tell has the kind ``unknown`` and gives no finding.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tree_sitter import Node

from python_checks.lua.scan import engine
from python_checks.lua.scan.notes import shown
from python_checks.lua.scan.script import Script, Site
from python_checks.lua.tree import Binding, Function

WHOLE, FRACTIONAL, NOT_FINITE = "whole", "fractional", "not finite"
NIL, BOOLEAN, TEXT, OTHER, UNKNOWN = "nil", "boolean", "text", "other", "unknown"
CLOCKS = {
    "clock:ms": "et.trap_Milliseconds (ms since the process started)",
    "clock:level": "the level clock (levelTime)",
    "clock:unix": "os.time (unix seconds)",
    "clock:cpu": "os.clock (CPU seconds)",
}
#: Seconds are no clock of their own in a round statistic, so only fields with absolute times count.
_LEVEL_FIELD = re.compile(
    r"^(pers\.)?(last\w*|\w*enter|connect|death|respawn|inactivity|\w*End|spawn)Time$|^lasthurt_time$"
)
_COMPARING = ("==", "~=", "<", ">", "<=", ">=")
_WHOLE_TEST = re.compile(rb"math\s*\.\s*(floor|type|tointeger|ceil|modf|fmod)|%\s*1\b|//\s*1\b")
_MAX_DEPTH = 60
_MAX_CONTEXTS = 4

Context = tuple[tuple[Binding, "Value"], ...]


@dataclass(frozen=True)
class Value:
    """``kinds``: kind -> reason. ``const``: the only value it can have. ``origins``: clocks and cvars it comes from."""

    kinds: tuple[tuple[str, str], ...] = ()
    const: float | bytes | None = None
    origins: frozenset[str] = frozenset()

    def why(self, kind: str) -> str | None:
        """The reason for a kind, or None when there is no evidence for it."""
        return next((reason for name, reason in self.kinds if name == kind), None)

    def has(self, *kinds: str) -> bool:
        """True when there is evidence for one of the kinds."""
        return any(name in kinds for name, _ in self.kinds)

    def without(self, *kinds: str) -> Value:
        """The value when some kinds are excluded."""
        return replace(self, kinds=tuple((n, r) for n, r in self.kinds if n not in kinds))

    @property
    def clocks(self) -> frozenset[str]:
        """The clocks it comes from."""
        return frozenset(origin for origin in self.origins if origin in CLOCKS)


NOTHING = Value()
ANYTHING = Value(((UNKNOWN, ""),))
ONE_WHOLE = Value(((WHOLE, ""),))


def whole(*origins: str, const: float | None = None) -> Value:
    """An integral number."""
    return Value(((WHOLE, ""),), const, frozenset(origins))


def union(values: Iterable[Value]) -> Value:
    """What any of the values may be."""
    kinds: dict[str, str] = {}
    consts: list[float | bytes | None] = []
    origins: set[str] = set()
    for value in values:
        if value is NOTHING:
            continue
        for name, reason in value.kinds:
            kinds[name] = kinds.get(name) or reason
        consts.append(value.const)
        origins |= value.origins
    const = consts[0] if consts and all(c == consts[0] for c in consts) else None
    return Value(tuple(kinds.items()), const, frozenset(origins))


class Values:
    """Evaluates the expressions of one script; results are remembered."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.tree = script.tree
        self._memory: dict[tuple[int, Context], Value] = {}
        self._summaries: dict[tuple[int, int, Context], Value] = {}
        self._unions: dict[tuple[int, Context], tuple[list[Site], Value]] = {}
        self._active: set[object] = set()
        self._depth = 0
        self._kinds: dict[Binding, tuple[str, str]] = {}
        for name, functions in script.callbacks.items():
            for function in functions:
                for parameter, kind in zip(script.parameters(function), engine.CALLBACKS.get(name, ()), strict=False):
                    self._kinds[parameter] = (kind, name)
        self._loop_of: dict[int, Node] = {loop.id: loop for loop in script.loops}

    # --- expressions

    def of(self, node: Node, context: Context = ()) -> Value:
        """What an expression may be where it stands."""
        memory_key = (node.id, context)
        if memory_key in self._memory:
            return self._memory[memory_key]
        if memory_key in self._active:
            return NOTHING
        if self._depth > _MAX_DEPTH:
            return ANYTHING
        self._active.add(memory_key)
        self._depth += 1
        try:
            value = self._of(node, context)
        finally:
            self._depth -= 1
            self._active.discard(memory_key)
        self._memory[memory_key] = value
        return value

    def _of(self, node: Node, context: Context) -> Value:
        kind = node.type
        if kind == "number":
            return self._number(node)
        if kind == "string":
            return Value(((TEXT, ""),), self.tree.constant(node))
        if kind == "nil":
            return Value(((NIL, "nil"),))
        if kind in ("true", "false"):
            return Value(((BOOLEAN, f"{kind}"),))
        if kind == "parenthesized_expression":
            inner = [c for c in node.children if c.is_named]
            return self.of(inner[0], context) if len(inner) == 1 else ANYTHING
        if kind == "identifier":
            return self._refined(node, self._name(node, context))
        if kind in ("dot_index_expression", "bracket_index_expression"):
            return self._refined(node, self._member(node, context))
        if kind == "unary_expression":
            return self._unary(node, context)
        if kind == "binary_expression":
            return self._binary(node, context)
        if kind == "function_call":
            return self._result(node, 0, context)
        if kind in ("table_constructor", "function_definition"):
            return Value(((OTHER, f"a {'table' if kind[0] == 't' else 'function'}"),))
        return ANYTHING

    def _number(self, node: Node) -> Value:
        text = self.tree.text(node).decode("latin-1").lower()
        try:
            number = float(int(text, 16)) if text.startswith("0x") and "." not in text and "p" not in text else (
                float.fromhex(text) if text.startswith("0x") else float(text)
            )  # fmt: skip
        except (ValueError, OverflowError):
            return ANYTHING
        return self._constant(number, node)

    def _constant(self, number: float, node: Node) -> Value:
        if math.isnan(number) or math.isinf(number):
            return Value(((NOT_FINITE, f"{self._quote(node)} is not finite"),))
        if number == math.floor(number):
            return whole(const=number)
        return Value(((FRACTIONAL, f"{self._quote(node)} is fractional"),), number)

    def _quote(self, node: Node) -> str:
        return f"{shown(self.tree.text(node), 40)} (line {self.tree.line(node)})"

    def _unary(self, node: Node, context: Context) -> Value:
        operator, operand = self.script.operator(node), node.child_by_field_name("operand")
        if operator in ("#", "~"):
            return ONE_WHOLE
        if operator == "not" or operand is None:
            return Value(((BOOLEAN, f"{self._quote(node)} is a boolean"),))
        value = self._as_number(self.of(operand, context))
        return replace(value, const=-value.const if isinstance(value.const, float) else None)

    def _binary(self, node: Node, context: Context) -> Value:
        sides, operator = self.script.sides(node), self.script.operator(node)
        if sides is None:
            return ANYTHING
        if operator in _COMPARING:
            return Value(((BOOLEAN, f"{self._quote(node)} is a boolean"),))
        left, right = self.of(sides[0], context), self.of(sides[1], context)
        if operator == "or":
            return union([left.without(NIL, BOOLEAN) if left.has(NIL, BOOLEAN) else left, right])
        if operator == "and":
            falsy = tuple((n, r) for n, r in left.kinds if n in (NIL, BOOLEAN))
            return union([right, Value(falsy)]) if falsy else right
        if operator == "..":
            both = isinstance(left.const, bytes) and isinstance(right.const, bytes)
            return Value(((TEXT, f"{self._quote(node)} is a text"),), left.const + right.const if both else None)  # type: ignore[operator]
        if operator in ("&", "|", "~", "<<", ">>"):
            return whole(const=_bits(operator, left.const, right.const))
        return self._arithmetic(node, operator, left, right)

    def _arithmetic(self, node: Node, operator: str, left: Value, right: Value) -> Value:
        left, right = self._as_number(left), self._as_number(right)
        if isinstance(left.const, float) and isinstance(right.const, float):
            result = _calculate(operator, left.const, right.const)
            if result is not None:
                constant = self._constant(result, node)
                return constant
        origins = left.origins | right.origins
        if operator == "-":
            origins = left.origins ^ right.origins if left.clocks and right.clocks else origins
            origins = frozenset(f"less {o}" if o.startswith("cvar:") else o for o in origins if o not in right.clocks)
        if operator == "/":
            kinds = {FRACTIONAL: f"{self._quote(node)} is a division"}
            if not self._is_nonzero(node, right):
                kinds[NOT_FINITE] = f"{self._quote(node)} is NaN or infinite when the divisor is 0"
            return Value(tuple({**kinds, **self._inherited(left, right, NOT_FINITE)}.items()), None, origins)
        if operator == "^":
            return Value(
                ((FRACTIONAL, f"{self._quote(node)} is a power, a float that need not be whole"),), None, origins
            )
        kinds = self._inherited(left, right, FRACTIONAL, NOT_FINITE, UNKNOWN)
        if operator == "//":
            kinds.pop(FRACTIONAL, None)
        if not kinds and (left.kinds or right.kinds):
            kinds = {WHOLE: ""}
        elif kinds and (left.has(WHOLE) or right.has(WHOLE)):
            kinds.setdefault(WHOLE, "")
        return Value(tuple(kinds.items()), None, frozenset() if operator == "%" else origins)

    @staticmethod
    def _inherited(left: Value, right: Value, *kinds: str) -> dict[str, str]:
        return {k: reason for value in (left, right) for k, reason in value.kinds if k in kinds}

    def _is_nonzero(self, division: Node, divisor: Value) -> bool:
        """True for a constant other than 0, for what is compared nearby, and where nothing shows that it may be 0."""
        if isinstance(divisor.const, float):
            return divisor.const != 0
        if not divisor.has(WHOLE, FRACTIONAL):
            return True
        sides = self.script.sides(division)
        if sides is None:
            return True
        names = [n for n in self.tree.descendants(sides[1]) if n.type in ("identifier", "dot_index_expression")]
        if any(n.type == "function_call" for n in self.tree.descendants(sides[1])):
            return True  # math.max(1, …) and the like
        return any(self._is_compared_before(name) for name in names) or not names

    def _is_compared_before(self, place: Node) -> bool:
        if any(self.script.mentions(c.node, place) for c in self.script.conditions(place)):
            return True
        function = self.tree.function_of(place)
        body = function.node if function is not None else self.tree.root
        return any(
            body.start_byte <= node.start_byte < place.start_byte
            and self.script.operator(node) in _COMPARING
            and self.script.mentions(node, place)
            for node in self.script.binaries
        )

    @staticmethod
    def _as_number(value: Value) -> Value:
        """The value as an operand of arithmetic: nil, booleans and tables raise there, texts become what tonumber makes of them."""
        if isinstance(value.const, bytes):
            return ANYTHING
        if value.has(TEXT):
            value = _to_number(value)
        return value.without(NIL, BOOLEAN, OTHER)

    # --- names and members

    def _name(self, node: Node, context: Context) -> Value:
        binding = self.tree.binding(node)
        if binding is None:
            return self._places(node, (self.tree.text(node),), context)
        for bound, value in context:
            if bound is binding and not self._is_rewritten(binding, node):
                return value
        if binding.is_parameter:
            sites = self.script.sites.get(binding, [])
            if sites:
                reached = self._reaching(sites, node)
                if any(self._is_straight(site, node) for site in reached):
                    return union(self._site(site, context) for site in reached)
                bound_value = next((value for bound, value in context if bound is binding), None)
                first = bound_value if bound_value is not None else self._parameter(binding)
                return union([first, *(self._site(site, context) for site in reached)])
            return self._parameter(binding)
        sites = self.script.sites.get(binding, [])
        loop = self._loop_variable(binding, context) if not sites else None
        if loop is not None:
            return loop
        return self._written(sites, node, context)

    def _is_rewritten(self, binding: Binding, node: Node) -> bool:
        return any(site.node.start_byte < node.start_byte for site in self.script.sites.get(binding, []))

    def _written(self, sites: list[Site], node: Node, context: Context) -> Value:
        if not sites:
            return ANYTHING
        reached = self._reaching(sites, node)
        if reached is sites:
            key = (id(sites), context)
            if key not in self._unions:
                # The list is kept with its union, so that its id stays its own.
                self._unions[key] = (sites, NOTHING)
                self._unions[key] = (sites, self._joined(sites, context))
            value = self._unions[key][1]
        else:
            value = self._joined(reached, context)
        if value.has(NIL, NOT_FINITE) and any(self._mends(site, node) for site in reached):
            value = value.without(NIL, NOT_FINITE)
        return value

    def _joined(self, sites: list[Site], context: Context) -> Value:
        if len(sites) > 1:
            # A start value of nil is no evidence when something else is written later.
            sites = [s for s in sites if not s.is_nil and not (s.value is not None and s.value.type == "nil")] or sites
        return union(self._site(site, context) for site in sites)

    def _mends(self, site: Site, node: Node) -> bool:
        """``if n == nil then n = 0 end``: the write stands behind a question about what it replaces."""
        if site.statement.end_byte > node.start_byte or self.tree.function_of(site.node) is not self.tree.function_of(
            node
        ):
            return False
        return any(self.script.mentions(c.node, site.node) for c in self.script.conditions(site.node))

    def _reaching(self, sites: list[Site], node: Node) -> list[Site]:
        """The writes that may have given the value read at ``node``: behind the last one that must have happened."""
        at = node.start_byte
        first = bisect_left(sites, at, key=lambda site: site.node.start_byte)
        last = next((index for index in range(first - 1, -1, -1) if self._is_straight(sites[index], node)), None)
        if last is None:
            return sites
        function, start = self.tree.function_of(node), sites[last].node.start_byte
        between = [s for s in sites[last + 1 : first] if s.statement.end_byte <= at and self._is_in(s, function)]
        ends = [
            loop.end_byte
            for loop in self.tree.ancestors(node)
            if loop.type in ("for_statement", "while_statement", "repeat_statement") and loop.start_byte > start
        ]
        again = bisect_left(sites, max(ends), key=lambda site: site.node.start_byte) if ends else first
        return [sites[last], *between, *(s for s in sites[first:again] if self._is_in(s, function))]

    def _is_in(self, site: Site, function: Function | None) -> bool:
        return self.tree.function_of(site.node) is function

    def _is_straight(self, site: Site, node: Node) -> bool:
        """True when the write always runs before the read, in the same function: its block is around the read."""
        if site.statement.end_byte > node.start_byte or self.tree.function_of(site.node) is not self.tree.function_of(
            node
        ):
            return False
        if site.statement.type in ("function_declaration", "field"):
            return site.statement.type == "function_declaration"
        block = self.tree.parent(site.statement)
        return block is not None and block.start_byte <= node.start_byte < block.end_byte

    def _site(self, site: Site, context: Context) -> Value:
        if site.is_unknown:
            return ANYTHING
        if site.call is not None:
            return self._result(site.call, site.nth, context)
        if site.value is None:
            return Value(
                ((NIL, f"{shown(self.tree.text(site.node), 40)} has no value yet (line {self.tree.line(site.node)})"),)
            )
        if site.value.type == "function_declaration":
            return Value(((OTHER, "a function"),))
        return self.of(site.value, context)

    def _parameter(self, binding: Binding) -> Value:
        if binding in self._kinds:
            kind, callback = self._kinds[binding]
            if kind == "level":
                return whole("clock:level")
            if kind == "text":
                return Value(((TEXT, f"a text from {callback}"),), None, frozenset({"user"}))
            return whole(f"{kind}:{callback}")
        function = binding.function
        if function is None:
            return ANYTHING
        index = self.script.parameters(function).index(binding)
        found = []
        for call in self.script.call_sites.get(function, []):
            arguments = self.script.arguments_for(call)
            if index < len(arguments):
                found.append(self.of(arguments[index]).without(NIL))
        return union(found) if found else ANYTHING

    def _loop_variable(self, binding: Binding, context: Context) -> Value | None:
        loop = self._loop_of.get(binding.scope.id)
        clause = loop.child_by_field_name("clause") if loop is not None else None
        if clause is None:
            return None
        if clause.type == "for_numeric_clause":
            start, step = clause.child_by_field_name("start"), clause.child_by_field_name("step")
            values = [self.of(n, context) for n in (start, step) if n is not None]
            return replace(union(values), const=None)
        source = next((c for c in clause.children if c.type == "expression_list"), None)
        call = next((c for c in source.children if c.is_named), None) if source is not None else None
        if call is None or call.type != "function_call":
            return ANYTHING
        names = [c for v in clause.children if v.type == "variable_list" for c in v.children if c.type == "identifier"]
        is_first = bool(names) and self.tree.text(names[0]) == binding.name
        return ONE_WHOLE if is_first and self.script.callee(call) == "ipairs" else ANYTHING

    def _member(self, node: Node, context: Context) -> Value:
        path = self.script.path(node)
        if path == ("math", "huge"):
            return Value(((NOT_FINITE, "math.huge is infinite"),))
        if path == ("math", "pi"):
            return Value(((FRACTIONAL, "math.pi is fractional"),))
        if len(path) == 2 and path[0] == "et" and path[1] in engine.names():
            kind, text = engine.names()[path[1]]
            return (
                whole(const=float(text))
                if kind == "number"
                else Value(((OTHER if kind == "function" else TEXT, path[1]),))
            )
        key = self.script.key(node)
        name = self.script.member_name(node)
        if name is None:
            table = node.child_by_field_name("table")
            base = self.script.key(table) if table is not None else None
            sites = self.script.element_sites.get(base, []) if base is not None else []
            same = [s for s in sites if self._is_same_element(s.node, node)]
            return self._places_of(same or sites, node, context)
        return self._places(node, key, context, name)

    def _is_same_element(self, written: Node, read: Node) -> bool:
        indexes = [n.child_by_field_name("field") for n in (written, read)]
        return None not in indexes and self.tree.text(indexes[0]) == self.tree.text(indexes[1])  # type: ignore[arg-type]

    def _places(self, node: Node, key: object, context: Context, name: bytes | None = None) -> Value:
        exact = self.script.place_sites.get(key, []) if key is not None else []  # type: ignore[call-overload]
        straight = [site for site in exact if self._is_straight(site, node)]
        if straight:
            return self._places_of(exact, node, context)
        if name is None:
            return self._places_of(exact, node, context)
        # Objects travel under many names: every write to a member of that name counts.
        return self._places_of(self.script.field_sites.get(name, []), node, context)

    def _places_of(self, sites: list[Site], node: Node, context: Context) -> Value:
        return self._written(sites, node, context).without(NIL) if sites else ANYTHING

    def _refined(self, node: Node, value: Value) -> Value:
        """What conditions around the read exclude."""
        if not value.has(NIL, FRACTIONAL, NOT_FINITE, TEXT, BOOLEAN, OTHER):
            return value
        for condition in self.script.conditions(node):
            text = self._asked(condition.node, node)
            if not text:
                continue
            value = value.without(NIL)
            if _WHOLE_TEST.search(text):
                value = value.without(FRACTIONAL, NOT_FINITE)
            if b"huge" in text or b"~=" in text or re.search(rb"[<>]", text):
                value = value.without(NOT_FINITE)
            if re.search(rb"\btype\b|tonumber", text):
                value = value.without(TEXT, BOOLEAN, OTHER)
        return value

    def is_any_number(self, node: Node) -> bool:
        """True where a condition says that the value is a number, and none that it is a whole one."""
        if node.type not in ("identifier", "dot_index_expression", "bracket_index_expression"):
            return False
        asked = [(c.is_true, self._asked(c.node, node)) for c in self.script.conditions(node)]
        if any(_WHOLE_TEST.search(text) for _, text in asked):
            return False
        return any(is_true and re.search(rb"""["']number["']""", text) and b"type" in text for is_true, text in asked)

    def _asked(self, condition: Node, place: Node) -> bytes:
        """The condition's text when it asks about the place, itself or through a local (``local kind = type(value)``); else empty."""
        if self.script.mentions(condition, place):
            return self.tree.text(condition)
        for name in self.tree.descendants(condition):
            binding = self.tree.binding(name) if name.type == "identifier" else None
            sites = self.script.sites.get(binding, []) if binding is not None else []
            value = sites[0].value if len(sites) == 1 else None
            if (
                value is not None
                and value.type in ("function_call", "binary_expression")
                and self.script.mentions(value, place)
            ):
                return self.tree.text(condition) + b" " + self.tree.text(value)
        return b""

    # --- calls

    def _result(self, call: Node, nth: int, context: Context) -> Value:
        callee = self.script.callee(call)
        arguments = self.tree.arguments(call)
        if callee in _BUILT_IN and (tuple(callee.split(".")) not in self.script.assigned_globals):
            if nth:
                return _second_result(callee)
            values = [self.of(argument, context) for argument in arguments]
            return _BUILT_IN[callee](self, call, values)
        receiver = self.tree.receiver(call)
        if receiver is not None and not self.script.callees(call):
            if receiver[1] in (b"format", b"sub", b"upper", b"lower", b"rep", b"gsub") and not nth:
                return Value(((TEXT, f"{self._quote(call)} is a text"),))
            return ONE_WHOLE if receiver[1] == b"len" else ANYTHING
        functions = self.script.callees(call)
        if not functions:
            return ANYTHING
        return union(self._summary(function, call, nth, context) for function in functions)

    def _summary(self, function: Function, call: Node, nth: int, context: Context) -> Value:
        arguments = self.script.arguments_for(call)
        inner: Context = ()
        if len(self._active) < 200 and sum(1 for a in self._active if isinstance(a, Function)) < _MAX_CONTEXTS:
            pairs = []
            open_ended = bool(arguments) and arguments[-1].type in ("function_call", "vararg_expression")
            for index, parameter in enumerate(self.script.parameters(function)):
                if index < len(arguments):
                    value = self.of(arguments[index], context)
                    pairs.append((parameter, value))
                elif not open_ended:
                    pairs.append((parameter, Value(((NIL, f"{parameter.name.decode('latin-1')} is not given"),))))
            inner = tuple(pairs)
        key = (function.node.id, nth, inner)
        if key in self._summaries:
            return self._summaries[key]
        if key in self._active:
            return NOTHING
        self._active.add(key)
        self._active.add(function)
        try:
            value = self._returned(function, nth, inner)
        finally:
            self._active.discard(key)
            self._active.discard(function)
        self._summaries[key] = value
        return value

    def _returned(self, function: Function, nth: int, context: Context) -> Value:
        found: list[Value] = []
        for statement in self.script.returns.get(function, []):
            values = self.returned_values(statement)
            if nth < len(values) - 1 or (nth < len(values) and values[nth].type != "function_call"):
                found.append(self.of(values[nth], context))
            elif values and values[-1].type == "function_call":
                found.append(self._result(values[-1], nth - len(values) + 1, context))
            elif values and values[-1].type == "vararg_expression":
                found.append(ANYTHING)
            else:
                found.append(
                    Value(((NIL, f"{self._name_of(function)} returns nothing at line {self.tree.line(statement)}"),))
                )
        body = function.node.child_by_field_name("body")
        if body is None or not self.script.always_leaves(body):
            found.append(Value(((NIL, f"{self._name_of(function)} may end without a return"),)))
        return union(found)

    def _name_of(self, function: Function) -> str:
        return shown(function.name) if function.name else f"the function of line {self.tree.line(function.node)}"

    def returned_values(self, statement: Node) -> list[Node]:
        """The expressions of a return statement."""
        for child in statement.children:
            if child.type == "expression_list":
                return [c for c in child.children if c.is_named and c.type != "comment"]
        return []

    def text_of(self, node: Node, context: Context = ()) -> bytes | None:
        """The constant text of an expression, through parameters where the context knows them."""
        const = self.of(node, context).const
        return const if isinstance(const, bytes) else None


def _calculate(operator: str, left: float, right: float) -> float | None:
    try:
        return {
            "+": lambda: left + right,
            "-": lambda: left - right,
            "*": lambda: left * right,
            "/": lambda: left / right,
            "%": lambda: left % right,
            "^": lambda: float(left**right),
            "//": lambda: left // right,
        }[operator]()
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None


def _bits(operator: str, left: object, right: object) -> float | None:
    if not isinstance(left, float) or not isinstance(right, float) or not 0 <= left < 2**53 or not 0 <= right < 2**53:
        return None
    a, b = int(left), int(right)
    if operator in ("<<", ">>") and b > 52:
        return None
    return float({"&": a & b, "|": a | b, "~": a ^ b, "<<": a << b if b < 53 else 0, ">>": a >> b}[operator])


# --- what the functions of the library and the engine give


def _to_number(value: Value) -> Value:
    """``tonumber(value)``."""
    if isinstance(value.const, bytes):
        try:
            number = float(value.const)
        except ValueError:
            return Value(((NIL, f"tonumber('{shown(value.const)}') is nil"),))
        if not math.isfinite(number):
            return Value(((NIL, f"tonumber('{shown(value.const)}') is nil"),))
        return (
            whole(const=number)
            if number == math.floor(number)
            else Value(((FRACTIONAL, f"{number:g} is fractional"),), number)
        )
    if not value.has(TEXT):
        return value
    kinds = {k: r for k, r in value.kinds if k not in (TEXT, BOOLEAN, OTHER)}
    reason = value.why(TEXT) or "a text"
    if any(origin.startswith("cvar:") for origin in value.origins):
        if any(origin.removeprefix("cvar:") in engine.WHOLE_CVARS for origin in value.origins):
            kinds[WHOLE] = ""
        else:
            kinds[FRACTIONAL] = f"{reason} may be fractional"
            if not any(origin.removeprefix("cvar:") in engine.NUMBER_CVARS for origin in value.origins):
                kinds[NIL] = f"tonumber of {reason} is nil when the cvar is unknown or empty"
    elif "info" in value.origins:
        kinds[WHOLE] = ""
        kinds[NIL] = f"tonumber of {reason} is nil when the key is absent"
    elif "user" in value.origins:
        kinds[FRACTIONAL] = f"{reason} may be fractional"
        kinds[NIL] = f"tonumber of {reason} is nil when it is no number"
    else:
        kinds[UNKNOWN] = ""
    return Value(tuple(kinds.items()), None, value.origins - {"info", "user"})


def _tonumber(values: Values, call: Node, arguments: list[Value]) -> Value:
    if len(arguments) > 1:
        return ONE_WHOLE
    return _to_number(arguments[0]) if arguments else ANYTHING


def _floor(values: Values, call: Node, arguments: list[Value]) -> Value:
    if not arguments:
        return ANYTHING
    value = _to_number(arguments[0]) if arguments[0].has(TEXT) else arguments[0]
    const = float(math.floor(value.const)) if isinstance(value.const, float) else None
    kinds = {WHOLE: ""}
    reason = value.why(NOT_FINITE)
    if reason is not None:
        kinds[NOT_FINITE] = reason
    return Value(tuple(kinds.items()), const, value.origins)


def _same(values: Values, call: Node, arguments: list[Value]) -> Value:
    number = union(Values._as_number(a) for a in arguments) if arguments else ANYTHING
    return replace(number, const=None)


def _limited(values: Values, call: Node, arguments: list[Value]) -> Value:
    """math.max and math.min with a finite constant bound one side, so infinities may stay: only NaN evidence goes."""
    return _same(values, call, arguments)


def _fractional(name: str) -> Callable[[Values, Node, list[Value]], Value]:
    def result(values: Values, call: Node, arguments: list[Value]) -> Value:
        origins = frozenset({"clock:cpu"}) if name == "os.clock" else frozenset()
        return Value(((FRACTIONAL, f"{name} gives a float (line {values.tree.line(call)})"),), None, origins)

    return result


def _random(values: Values, call: Node, arguments: list[Value]) -> Value:
    return ONE_WHOLE if arguments else _fractional("math.random()")(values, call, arguments)


def _text(name: str, *origins: str) -> Callable[[Values, Node, list[Value]], Value]:
    def result(values: Values, call: Node, arguments: list[Value]) -> Value:
        return Value(((TEXT, f"the text of {name} (line {values.tree.line(call)})"),), None, frozenset(origins))

    return result


def _cvar(values: Values, call: Node, arguments: list[Value]) -> Value:
    const = arguments[0].const if arguments else None
    name = const.decode("latin-1") if isinstance(const, bytes) else "?"
    spoken = f"cvar {name}" if name != "?" else "a cvar"
    return Value(((TEXT, f"{spoken} (line {values.tree.line(call)})"),), None, frozenset({f"cvar:{name.lower()}"}))


def _info(values: Values, call: Node, arguments: list[Value]) -> Value:
    const = arguments[1].const if len(arguments) > 1 else None
    key = const.decode("latin-1") if isinstance(const, bytes) else "?"
    origin = f"cvar:{key.lower()}" if key.lower() in ("timelimit", "g_nexttimelimit") else "info"
    return Value(((TEXT, f"the value of key {key} (line {values.tree.line(call)})"),), None, frozenset({origin}))


def _configstring(values: Values, call: Node, arguments: list[Value]) -> Value:
    index = arguments[0].const if arguments else None
    level = float(engine.names()["CS_LEVEL_START_TIME"][1])
    origins = frozenset({"clock:level"}) if index == level else frozenset()
    return Value(((TEXT, f"a configstring (line {values.tree.line(call)})"),), None, origins)


def _field(values: Values, call: Node, arguments: list[Value]) -> Value:
    const = arguments[1].const if len(arguments) > 1 else None
    name = const.decode("latin-1") if isinstance(const, bytes) else ""
    kind = engine.fields().get(name, ("", False))[0]
    if kind in ("i", "ai"):
        return whole("clock:level") if _LEVEL_FIELD.match(name) else whole()
    if kind in ("f", "af"):
        return Value(((FRACTIONAL, f"field {name} is a float (line {values.tree.line(call)})"),))
    if kind == "s":
        return Value(((TEXT, f"the text of field {name} (line {values.tree.line(call)})"),), None, frozenset({"user"}))
    return ANYTHING


def _whole(*origins: str) -> Callable[[Values, Node, list[Value]], Value]:
    return lambda values, call, arguments: whole(*origins)


def _tointeger(values: Values, call: Node, arguments: list[Value]) -> Value:
    argument = arguments[0] if arguments else ANYTHING
    if not argument.has(FRACTIONAL, NOT_FINITE, TEXT, NIL):
        return ONE_WHOLE
    return Value(((WHOLE, ""), (NIL, f"{values._quote(call)} is nil for what is not whole")))


def _anything(values: Values, call: Node, arguments: list[Value]) -> Value:
    return ANYTHING


_CURVES = ("sqrt", "sin", "cos", "tan", "log", "log10", "exp", "atan", "atan2", "rad", "deg")
_BUILT_IN: dict[str, Callable[[Values, Node, list[Value]], Value]] = {
    "tonumber": _tonumber,
    "math.floor": _floor,
    "math.ceil": _floor,
    "math.abs": _same,
    "math.max": _limited,
    "math.min": _limited,
    "math.fmod": _same,
    "math.random": _random,
    "math.tointeger": _tointeger,
    "os.time": _whole("clock:unix"),
    "os.clock": _fractional("os.clock"),
    "os.difftime": _whole(),
    "string.len": _whole(),
    "string.byte": _whole(),
    "string.format": _text("string.format"),
    "string.sub": _text("string.sub"),
    "string.upper": _text("string.upper"),
    "string.lower": _text("string.lower"),
    "string.rep": _text("string.rep"),
    "table.concat": _text("table.concat"),
    "tostring": _text("tostring"),
    "et.trap_Milliseconds": _whole("clock:ms"),
    "et.trap_Argc": _whole(),
    "et.trap_Argv": _text("a command's argument", "user"),
    "et.ConcatArgs": _text("a command's arguments", "user"),
    "et.trap_Cvar_Get": _cvar,
    "et.Info_ValueForKey": _info,
    "et.trap_GetConfigstring": _configstring,
    "et.gentity_get": _field,
    "et.trap_FS_FOpenFile": _whole(),
    "et.trap_FS_Write": _whole(),
    "et.isBitSet": lambda values, call, arguments: Value(((BOOLEAN, "et.isBitSet gives a boolean"),)),
    **{f"bit.{name}": _whole() for name in ("band", "bor", "bxor", "bnot", "lshift", "rshift", "arshift", "rol", "ror", "tobit")},
    **{f"bit32.{name}": _whole() for name in ("band", "bor", "bxor", "bnot", "lshift", "rshift", "arshift")},
    **{f"math.{name}": _fractional(f"math.{name}") for name in _CURVES},
}  # fmt: skip


def _second_result(callee: str) -> Value:
    return ONE_WHOLE if callee in ("et.trap_FS_FOpenFile", "string.gsub", "string.find") else ANYTHING
