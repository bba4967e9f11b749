"""What a value in somebody else's function amounts to: evaluated, not guessed from names.

``Evaluator`` computes one expression of a file for one generated player. It looks a name up at the place of its use: assignments
are evaluated, sums in loops are summed over the player's rounds, keys lead to the statements that fill them and from there to the
columns of the SQL text. Which expression is "seconds played" is then a matter of comparing numbers. Nothing of the file is imported
or run as a whole; expressions see plain builtins and the file's own small functions.
"""

from __future__ import annotations

import builtins
import contextlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import libcst as cst

from python_checks.source import sqltext
from python_checks.source.players import Round
from python_checks.source.tree import SourceTree, called, holder_of, key_of, string_value

_BUILTINS = "abs bool divmod enumerate filter float format int isinstance len list map max min pow range round set sorted str sum tuple zip"
_BUILTINS_ALLOWED = {name: getattr(builtins, name) for name in _BUILTINS.split()} | {
    "getattr": lambda thing, name, default=None: thing[name] if isinstance(thing, Leaf) else default,
    "None": None,
    "True": True,
    "False": False,
}
_CONTAINERS = {
    "dict",
    "list",
    "set",
    "defaultdict",
    "OrderedDict",
    "Counter",
    "setdefault",
    "fetch_all",
    "fetch",
    "fetchall",
}
_SYNONYMS = {
    "dmg_given": "damage_given",
    "given": "damage_given",
    "damage_recv": "damage_received",
    "dmg_recv": "damage_received",
    "dmg_received": "damage_received",
    "received": "damage_received",
    "time_played_s": "time_played_seconds",
    "time_played_sec": "time_played_seconds",
    "played_seconds": "time_played_seconds",
    "time_dead_min": "time_dead_minutes",
    "dead_minutes": "time_dead_minutes",
    "dead_min": "time_dead_minutes",
    "time_played_min": "time_played_minutes",
    "played_minutes": "time_played_minutes",
}
_ARITHMETIC = re.compile(
    r"import (?:decimal|math)(?: as \w+)?$|from (?:decimal|math) import \(?[\w\s,]+\)?$", re.DOTALL
)
_CONSTANT = re.compile(r"[A-Za-z]\w* = (?:[\w.]*Decimal\([\"'\d.]*\)|[\"'][^\"'{}]*[\"']|[\d._]+)$")
_DEPTH = 60


class CannotEvaluate(Exception):
    """The expression needs something that cannot be followed."""


@dataclass(frozen=True)
class Binding:
    """How a name gets its value: ``kind`` is assign, part (of an unpacked value), loop, param, compound or def."""

    kind: str
    node: cst.CSTNode
    value: cst.BaseExpression | None = None
    index: int = 0


@dataclass
class Store:
    """A statement that fills a key or attribute; ``adds`` when it adds to what is there."""

    node: cst.CSTNode
    target: cst.BaseExpression
    value: cst.BaseExpression
    adds: bool


@dataclass
class Scope:
    """Where names come from in one file."""

    tree: SourceTree
    _stores: dict[int, dict[str, list[Store]]] = field(default_factory=dict)
    _bindings: dict[tuple[str, int], Binding | None] = field(default_factory=dict)
    _assignments: dict[tuple[str, int], list[Any]] = field(default_factory=dict)
    _calls: dict[str, list[cst.Call]] = field(default_factory=dict)
    _named: dict[str, list[cst.FunctionDef]] = field(default_factory=dict)
    _arguments: dict[tuple[str, int], cst.BaseExpression | None] = field(default_factory=dict)
    space: dict[str, Any] = field(default_factory=dict)
    """The file's own plain functions, once one of them was needed."""
    queries: dict[tuple[int, bool], list[str]] = field(default_factory=dict)

    def binding(self, name: str, at: cst.CSTNode) -> Binding | None:
        """The nearest binding in front of ``at`` in the blocks around it; None when there is none."""
        key = (name, id(at))
        if key not in self._bindings:
            self._bindings[key] = self._find_binding(name, at)
        return self._bindings[key]

    def calls(self, name: str) -> list[cst.Call]:
        """All calls of a name or method in the file."""
        if not self._calls:
            for node in self.tree.nodes:
                if isinstance(node, cst.Call):
                    self._calls.setdefault(called(node), []).append(node)
        return self._calls.get(name, [])

    def argument(self, name: str, binding: Binding) -> cst.BaseExpression | None:
        """What the only call in the file gives for a parameter; None when there is no such call, or several."""
        key = (name, id(binding.node))
        if key not in self._arguments:
            self._arguments[key] = self._find_argument(name, binding)
        return self._arguments[key]

    def function(self, name: str) -> cst.FunctionDef | None:
        """The file's one function or method of a name."""
        if not self._named:
            for one in self.tree.within(self.tree.module, cst.FunctionDef):
                self._named.setdefault(one.name.value, []).append(one)
        found = self._named.get(name, [])
        return found[0] if len(found) == 1 else None

    def _find_argument(self, name: str, binding: Binding) -> cst.BaseExpression | None:
        function = binding.node
        if not isinstance(function, cst.FunctionDef):
            return None
        calls = [one for one in self.calls(function.name.value) if self.tree.function(one) is not function]
        return _argument(calls[0], name, binding.index, function) if len(calls) == 1 else None

    def _find_binding(self, name: str, at: cst.CSTNode) -> Binding | None:
        below = at
        for holder in self.tree.ancestors(at):
            if isinstance(holder, (cst.IndentedBlock, cst.Module)):
                body = list(holder.body)
                end = next((i for i, one in enumerate(body) if one is below), len(body))
                for statement in reversed(body[:end]):
                    found = self.bound_in(name, statement)
                    if found:
                        return found
                if isinstance(holder, cst.Module):
                    return next((b for s in body[end:] if (b := self.bound_in(name, s))), None)
            elif isinstance(holder, (cst.For, cst.CompFor)) and (below is not holder.iter):
                found = _in_target(name, holder.target, holder, holder.iter, "loop")
                if found:
                    return found
            elif isinstance(holder, (cst.GeneratorExp, cst.ListComp, cst.SetComp, cst.DictComp)):
                found = _in_target(name, holder.for_in.target, holder.for_in, holder.for_in.iter, "loop")
                if found:
                    return found
            elif isinstance(holder, (cst.FunctionDef, cst.Lambda)):
                parameters = [*holder.params.posonly_params, *holder.params.params, *holder.params.kwonly_params]
                for index, one in enumerate(parameters):
                    if one.name.value == name:
                        return Binding("param", holder, None, index)
            below = holder
        return None

    def bound_in(self, name: str, statement: cst.CSTNode) -> Binding | None:
        """The binding of a name that one statement makes, or None."""
        if isinstance(statement, cst.SimpleStatementLine):
            for small in reversed(statement.body):
                if isinstance(small, cst.Assign):
                    for target in small.targets:
                        found = _in_target(name, target.target, small, small.value, "assign")
                        if found:
                            return found
                elif isinstance(small, cst.AnnAssign) and small.value is not None:
                    found = _in_target(name, small.target, small, small.value, "assign")
                    if found:
                        return found
                elif isinstance(small, cst.AugAssign) and _is_name(small.target, name):
                    return Binding("compound", statement)
            walrus = [w for w in self.tree.within(statement, cst.NamedExpr) if _is_name(w.target, name)]
            return Binding("assign", walrus[-1], walrus[-1].value) if walrus else None
        if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
            return Binding("def", statement) if statement.name.value == name else None
        if isinstance(statement, cst.BaseCompoundStatement) and self.assignments(name, statement):
            return Binding("compound", statement)
        return None

    def assignments(self, name: str, block: cst.CSTNode) -> list[cst.Assign | cst.AnnAssign | cst.AugAssign]:
        """All assignments to a name below a node."""
        key = (name, id(block))
        if key not in self._assignments:
            self._assignments[key] = self._find_assignments(name, block)
        return self._assignments[key]

    def _find_assignments(self, name: str, block: cst.CSTNode) -> list[cst.Assign | cst.AnnAssign | cst.AugAssign]:
        found: list[cst.Assign | cst.AnnAssign | cst.AugAssign] = []
        for node in self.tree.within(block, cst.BaseSmallStatement):  # type: ignore[type-abstract]
            if (
                isinstance(node, cst.Assign)
                and any(_in_target(name, t.target, node, node.value, "") for t in node.targets)
            ) or (isinstance(node, (cst.AnnAssign, cst.AugAssign)) and _is_name(node.target, name)):
                found.append(node)
        return found

    def constants(self, name: str) -> list[Any]:
        """Assignments to a plain name anywhere in the file: for ``self.NAME`` and ``Class.NAME``."""
        return [
            one
            for one in self.tree.nodes
            if isinstance(one, cst.Assign) and len(one.targets) == 1 and _is_name(one.targets[0].target, name)
        ]

    def assignments_with_star(self, name: str, function: cst.CSTNode) -> list[Any]:
        """Unpackings in which a name takes the rest."""
        return [
            one
            for one in self.tree.within(function, cst.Assign)
            if isinstance(one.targets[0].target, (cst.Tuple, cst.List))
            and any(
                isinstance(e, cst.StarredElement) and _is_name(e.value, name) for e in one.targets[0].target.elements
            )
        ]

    def stores(self, function: cst.CSTNode) -> dict[str, list[Store]]:
        """What fills each key and attribute inside a function, sums first, entries of dict displays last."""
        if id(function) not in self._stores:
            found: dict[str, list[Store]] = {}
            for key, store in self._all_stores(function):
                found.setdefault(key, []).append(store)
            for several in found.values():
                several.sort(key=lambda s: (not s.adds, isinstance(s.node, (cst.DictElement, cst.Arg))))
            self._stores[id(function)] = found
        return self._stores[id(function)]

    def _all_stores(self, function: cst.CSTNode) -> Iterator[tuple[str, Store]]:
        for node in self.tree.below(function):
            if isinstance(node, cst.AugAssign) and isinstance(node.operator, cst.AddAssign):
                key = key_of(node.target)
                if isinstance(key, str) and not isinstance(node.target, cst.Name):
                    yield key, Store(node, node.target, node.value, True)
            elif isinstance(node, cst.Assign) and len(node.targets) == 1:
                target = node.targets[0].target
                key = key_of(target)
                if isinstance(key, str) and not is_constant(node.value):
                    rest = added_to_itself(key, node.value)
                    yield key, Store(node, target, rest or node.value, rest is not None)
            elif isinstance(node, cst.DictElement) and not is_constant(node.value):
                key = string_value(node.key)
                if key is not None:
                    yield key, Store(node, node.key, node.value, False)


def class_of(tree: SourceTree, function: cst.CSTNode) -> cst.ClassDef | None:
    """The class whose method a function is; None for any other node."""
    if not isinstance(function, cst.FunctionDef):
        return None
    return next((h for h in list(tree.ancestors(function))[:2] if isinstance(h, cst.ClassDef)), None)


def added_to_itself(key: str, value: cst.BaseExpression) -> cst.BaseExpression | None:
    """``e`` of ``x["k"] = x.get("k", 0) + e``; None when the value is no such sum."""
    if not (isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Add)):
        return None
    if key_of(value.left) == key:
        return value.right
    return value.left if key_of(value.right) == key else None


def is_constant(node: cst.CSTNode) -> bool:
    """Whether an expression is a literal, an empty display or a name like None."""
    if isinstance(node, (cst.BaseNumber, cst.BaseString)):
        return True
    if isinstance(node, cst.Name):
        return node.value in ("None", "True", "False")
    if isinstance(node, (cst.List, cst.Dict, cst.Set, cst.Tuple)):
        return not node.elements
    return isinstance(node, cst.UnaryOperation) and is_constant(node.expression)


def _is_name(node: cst.CSTNode, name: str) -> bool:
    return isinstance(node, cst.Name) and node.value == name


def _in_target(
    name: str, target: cst.CSTNode, node: cst.CSTNode, value: cst.BaseExpression, kind: str
) -> Binding | None:
    if _is_name(target, name):
        return Binding(kind, node, value)
    if isinstance(target, (cst.Tuple, cst.List)):
        for index, element in enumerate(target.elements):
            if _is_name(element.value, name):
                if isinstance(value, (cst.Tuple, cst.List)) and len(value.elements) == len(target.elements):
                    return Binding(kind, node, value.elements[index].value)
                return Binding("loop part" if kind == "loop" else "part", node, value, index)
            deeper = _in_target(name, element.value, node, value, "loop" if kind == "loop" else "part")
            if deeper:
                return deeper
    return None


class Evaluator:
    """Values of expressions for one player, whose ``rounds`` hold the columns of his rows."""

    def __init__(
        self, scope: Scope, rounds: Sequence[Round], calculator: sqltext.Calculator, code: dict[int, Any]
    ) -> None:
        self.scope, self.tree = scope, scope.tree
        self.rounds = rounds
        self.single = False
        """Set when a value was read from a row that no loop adds up: then the player is his first round."""
        self._calculator = calculator
        self._code = code
        self._round: Round | None = None
        self._busy: set[int] = set()
        self._depth = 0

    def in_round(self, expression: cst.BaseExpression, round_: Round) -> Any:
        """The value that an expression has while one round is added up."""
        before, self._round = self._round, round_
        try:
            return self.value(expression)
        finally:
            self._round = before

    def number(self, expression: cst.BaseExpression) -> float:
        """The value as a finite number. Raises CannotEvaluate."""
        found = self.value(expression)
        if isinstance(found, (int, float)) and not isinstance(found, bool) and math.isfinite(found):
            return float(found)
        raise CannotEvaluate(f"{self.tree.text(expression)!r} is {type(found).__name__}")

    def value(self, expression: cst.BaseExpression) -> Any:
        """The value of an expression where it stands. Raises CannotEvaluate."""
        if isinstance(expression, (cst.Await, cst.Dict, cst.List, cst.DictComp, cst.ListComp, cst.SetComp, cst.Yield)):
            return Leaf(self, expression, self._round)
        if isinstance(expression, cst.Call) and called(expression) in _CONTAINERS:
            return Leaf(self, expression, self._round)
        self._depth += 1
        try:
            if self._depth > _DEPTH:
                raise CannotEvaluate("too deep")
            # As globals, so that names inside of comprehensions are looked up there too.
            return eval(self._compiled(expression), _Names(self, expression))
        except CannotEvaluate:
            raise
        except RecursionError:
            raise CannotEvaluate("it refers to itself") from None
        except Exception as problem:
            raise CannotEvaluate(f"{self.tree.text(expression)!r}: {type(problem).__name__}: {problem}") from None
        finally:
            self._depth -= 1

    def _compiled(self, expression: cst.BaseExpression) -> Any:
        if id(expression) not in self._code:
            for name in self.tree.within(expression, cst.Name):
                if name.value.startswith("__"):
                    raise CannotEvaluate(f"it uses {name.value}")
            text = self.tree.text(expression)
            self._code[id(expression)] = compile(f"({text}\n)", "<expression>", "eval")
        return self._code[id(expression)]

    def name(self, name: str, at: cst.CSTNode) -> Any:
        """The value of a name at a place."""
        binding = self.scope.binding(name, at)
        if binding is None:
            if name in _BUILTINS_ALLOWED:
                return _BUILTINS_ALLOWED[name]
            if name == "dict":
                return lambda given=None, **_: given if given is not None else Leaf(self, at, self._round)
            raise CannotEvaluate(f"the name {name} is not bound")
        return self._bound(name, binding)

    def _bound(self, name: str, binding: Binding) -> Any:
        if binding.kind == "assign" and binding.value is not None:
            return self.value(binding.value)
        if binding.kind == "part" and binding.value is not None:
            whole = self.value(binding.value)
            return whole[binding.index]
        if binding.kind == "loop":
            # A row that a loop hands out while rounds are added up is one round; else it stands for the whole player.
            return Leaf(self, binding.value, self._round)
        if binding.kind == "loop part":
            return Leaf(self, binding.value, self._round).part(binding.index, name)
        if binding.kind == "param":
            return self._parameter(name, binding)
        if binding.kind == "def" and isinstance(binding.node, cst.FunctionDef):
            return self._function(binding.node)
        if binding.kind == "compound":
            return self._compound(name, binding.node)
        raise CannotEvaluate(f"{name} is bound in a way that cannot be followed")

    def _compound(self, name: str, statement: cst.CSTNode) -> Any:
        """A name bound below an if, a loop, a try, or by ``+=``."""
        if isinstance(statement, cst.If):
            if self.value(statement.test):
                return self._in_block(name, statement.body, statement)
            other = statement.orelse
            if isinstance(other, cst.If):
                return (
                    self._compound(name, other)
                    if self.scope.assignments(name, other)
                    else self._before(name, statement)
                )
            return self._before(name, statement) if other is None else self._in_block(name, other.body, statement)
        if isinstance(statement, cst.Try):
            try:
                return self._in_block(name, statement.body, statement)
            except CannotEvaluate:
                return self._in_block(name, statement.handlers[0].body, statement) if statement.handlers else None
        if isinstance(statement, cst.With):
            return self._in_block(name, statement.body, statement)
        found = self.scope.assignments(name, statement)
        added = [one for one in found if isinstance(one, cst.AugAssign) and isinstance(one.operator, cst.AddAssign)]
        if len(found) == len(added) == 1:
            start = self._before(name, statement)
            if isinstance(statement, cst.SimpleStatementLine):
                return start + self.value(added[0].value)
            return start + sum(self.in_round(added[0].value, one) for one in self.rounds)
        raise CannotEvaluate(f"{name} is assigned in a loop")

    def _in_block(self, name: str, block: cst.BaseSuite, statement: cst.CSTNode) -> Any:
        for inner in reversed(list(block.body)):
            found = self.scope.bound_in(name, inner)
            if found:
                return self._bound(name, found)
        return self._before(name, statement)

    def _before(self, name: str, statement: cst.CSTNode) -> Any:
        top = statement
        while self.tree._is_elif(top):
            top = self.tree.parent(top) or top
        return self.name(name, top)

    def _parameter(self, name: str, binding: Binding) -> Any:
        argument = self.scope.argument(name, binding)
        if argument is not None:
            return self.value(argument)
        column = _SYNONYMS.get(name, name)
        if column in sqltext.NUMBERS:
            return self._column(column)
        return Leaf(self, binding.node, self._round)

    def _function(self, function: cst.FunctionDef) -> Any:
        if function.asynchronous is not None or function.decorators:
            raise CannotEvaluate(f"{function.name.value} is no plain function")
        if self.scope.space:
            return self.scope.space[function.name.value]
        space = self.scope.space
        space["__builtins__"] = dict(_BUILTINS_ALLOWED)
        self._arithmetic(space)
        for other in self.tree.definitions().values():
            if not (other.asynchronous or other.decorators or self._imports(other)):
                plain = other.with_changes(
                    leading_lines=(), returns=None, params=_without_annotations(other.params), lines_after_decorators=()
                )
                exec(compile(cst.Module([plain]).code, "<function>", "exec"), space)
        return space[function.name.value]

    def _arithmetic(self, space: dict[str, Any]) -> None:
        """What the file's functions round with: ``decimal`` and ``math`` as the file imports them, and its constants of them."""
        for statement in self.tree.module.body:
            for one in statement.body if isinstance(statement, cst.SimpleStatementLine) else ():
                text = self.tree.text(one) if isinstance(one, (cst.Import, cst.ImportFrom, cst.Assign)) else ""
                if _ARITHMETIC.match(text):
                    imported: dict[str, Any] = {}
                    exec(compile(text, "<import>", "exec"), imported)
                    space |= {key: value for key, value in imported.items() if key != "__builtins__"}
                elif isinstance(one, cst.Assign) and _CONSTANT.match(text):
                    with contextlib.suppress(Exception):
                        exec(compile(text, "<constant>", "exec"), space)

    def _imports(self, function: cst.FunctionDef) -> bool:
        return any(isinstance(node, (cst.Import, cst.ImportFrom)) for node in self.tree.below(function))

    def key(self, leaf: Leaf, key: Any) -> Any:
        """What a row or an accumulator holds under a key."""
        if isinstance(key, str):
            stores = self._stores_of(leaf, key)
            for store in stores:
                if id(store.node) in self._busy or (leaf.round is not None and store.adds):
                    continue
                self._busy.add(id(store.node))
                try:
                    if store.adds:
                        return sum(self.in_round(store.value, one) or 0 for one in self.rounds)
                    return self.value(store.value)
                except CannotEvaluate:
                    continue
                finally:
                    self._busy.discard(id(store.node))
            if not isinstance(self.home(leaf), cst.ClassDef):
                return self._from_query(leaf, key)
            method = self._property(leaf, key)
            if method is None:
                return self._given_to_object(leaf, key)
            return self._returned(method.body)
        if isinstance(key, int):
            return leaf.part(key, "")
        return Leaf(self, leaf.origin, leaf.round)

    def _stores_of(self, leaf: Leaf, key: str) -> list[Store]:
        home = self.home(leaf)
        found = self.scope.stores(home).get(key, [])
        # An object's own attributes, not the keys of what its methods return.
        return (
            [one for one in found if isinstance(one.target, cst.Attribute)] if isinstance(home, cst.ClassDef) else found
        )

    def home(self, leaf: Leaf) -> cst.CSTNode:
        """Where what fills a leaf stands: the class of a method's own object, else the function around its origin."""
        if leaf.origin is None:
            return self.tree.module
        return class_of(self.tree, leaf.origin) or self.tree.function(leaf.origin)

    def _given_to_object(self, leaf: Leaf, key: str) -> Any:
        """What the file's one call of the class gives for a field."""
        owner = self.home(leaf)
        calls = self.scope.calls(owner.name.value) if isinstance(owner, cst.ClassDef) else []
        fields = [
            one.target.value
            for one in (self.tree.within(owner, cst.AnnAssign) if len(calls) == 1 else [])
            if isinstance(one.target, cst.Name) and class_of(self.tree, self.tree.function(one)) is None
        ]
        for index, argument in enumerate(calls[0].args if len(calls) == 1 else ()):
            named = argument.keyword.value if argument.keyword is not None else None
            if named == key or (named is None and not argument.star and fields[index : index + 1] == [key]):
                return self.value(argument.value)
        raise CannotEvaluate(f"nothing fills the attribute {key}")

    def _property(self, leaf: Leaf, key: str) -> cst.FunctionDef | None:
        owner = class_of(self.tree, leaf.origin) if leaf.origin is not None else None
        for one in owner.body.body if owner is not None else ():
            if isinstance(one, cst.FunctionDef) and one.name.value == key and one.decorators:
                return one
        return None

    def _returned(self, block: cst.BaseSuite) -> Any:
        """What a function without loops returns for the player."""
        for one in block.body:
            if isinstance(one, cst.If):
                branch: cst.If | cst.Else | None = one
                while isinstance(branch, cst.If) and not self.value(branch.test):
                    branch = branch.orelse
                if branch is not None and self.tree.within(branch.body, cst.Return):
                    return self._returned(branch.body)
            elif isinstance(one, cst.SimpleStatementLine) and isinstance(one.body[-1], cst.Return):
                given = one.body[-1].value
                return None if given is None else self.value(given)
        raise CannotEvaluate("a function whose return cannot be followed")

    def _from_query(self, leaf: Leaf, key: str) -> Any:
        for lists in self._queries(leaf):
            for items in lists:
                for item in items:
                    if item.name == key:
                        return self._expression(item, lists, leaf)
        if key in sqltext.NUMBERS:
            return self._column(key, leaf.round)
        raise CannotEvaluate(f"nothing fills {key!r}")

    def _expression(self, item: sqltext.Item, lists: list[list[sqltext.Item]], leaf: Leaf, depth: int = 0) -> Any:
        bare = item.expression.rpartition(".")[2]
        inner = [i for items in lists for i in items if i.name == bare and i.expression.rpartition(".")[2] != bare]
        if inner and inner[0] != item and depth < 4:
            return self._expression(inner[0], lists, leaf, depth + 1)
        if sqltext.is_aggregate(item.expression):
            rows = self.rounds
        else:
            if leaf.round is None:
                # Only a query's own row is one round; what is filled in a way that is not followed may be a sum.
                if leaf.origin is None or not self.queries_below(leaf.origin, follow=True):
                    raise CannotEvaluate(f"whether {item.name} is one round's value or a sum is not known")
                self.single = True
            rows = [leaf.round if leaf.round is not None else self.rounds[0]]
        try:
            return self._calculator.value(item.expression, rows)
        except ValueError as problem:
            raise CannotEvaluate(str(problem)) from None

    def _column(self, column: str, round_: Round | None = None) -> float:
        current = round_ if round_ is not None else self._round
        return current[column] if current is not None else sum(one[column] for one in self.rounds)

    def _queries(self, leaf: Leaf) -> Iterator[list[list[sqltext.Item]]]:
        """Queries that may have given a row: the one its origin names, then those of the function, then the file's."""
        seen = []
        for node in (
            leaf.origin,
            self.tree.function(leaf.origin) if leaf.origin is not None else None,
            self.tree.module,
        ):
            if node is None:
                continue
            for text in self.queries_below(node, follow=node is leaf.origin):
                if text not in seen:
                    seen.append(text)
                    yield sqltext.selects(text)

    def queries_below(self, node: cst.CSTNode, follow: bool) -> list[str]:
        """SQL texts in a node; with ``follow`` also those behind the names that it uses."""
        if (id(node), follow) not in self.scope.queries:
            self.scope.queries[id(node), follow] = self._find_queries(node, follow)
        return self.scope.queries[id(node), follow]

    def _find_queries(self, node: cst.CSTNode, follow: bool) -> list[str]:
        found: list[str] = []
        names, done = [node], set[str]()
        while names:
            one = names.pop(0)
            for string in (n for n in self.tree.within(one, cst.BaseString)):  # type: ignore[type-abstract]
                text = string_value(string)
                if text and sqltext.is_query(text) and text not in found:
                    found.append(text)
            if follow:
                for name in self.tree.within(one, cst.Name):
                    if name.value in done:
                        continue
                    done.add(name.value)
                    binding = self.scope.binding(name.value, name)
                    if binding is not None and binding.value is not None:
                        names.append(binding.value)
                    elif binding is None or binding.kind == "def":
                        names += [method] if (method := self.scope.function(name.value)) is not None else []
        return found


class Leaf:
    """Something that is not a number: a row, an accumulator, a container of those. ``round`` is set for one round's row."""

    __slots__ = ("_evaluator", "origin", "round")

    def __init__(self, evaluator: Evaluator, origin: cst.CSTNode | None, round_: Round | None) -> None:
        self._evaluator, self.origin, self.round = evaluator, origin, round_

    def __getitem__(self, key: Any) -> Any:
        return self._evaluator.key(self, key)

    def __iter__(self) -> Iterator[Any]:
        return iter([Leaf(self._evaluator, self.origin, one) for one in self._evaluator.rounds])

    def get(self, key: Any, default: Any = None) -> Any:
        """As a dict's; a column that a row may lack is there."""
        return self._evaluator.key(self, key)

    def part(self, index: int, name: str) -> Any:
        """One part of an unpacked row: by the query's order, or another container (``guid, player in totals.items()``)."""
        for lists in self._evaluator._queries(self):
            if self.origin is not None and _hands_out_pairs(self.origin):
                break
            if lists and index < len(lists[0]):
                return self._evaluator._expression(lists[0][index], lists, self)
        return Leaf(self._evaluator, self.origin, self.round)

    def __getattr__(self, name: str) -> Any:
        if name in ("items", "values", "keys", "copy", "setdefault", "mappings", "all", "fetchall"):
            return lambda *_: self
        return self._evaluator.key(self, name)


class _Names(dict):
    """The local names of an expression, looked up when they are used."""

    def __init__(self, evaluator: Evaluator, at: cst.CSTNode) -> None:
        super().__init__(__builtins__={})
        self._evaluator, self._at = evaluator, at

    def __missing__(self, name: str) -> Any:
        return self._evaluator.name(name, self._at)


def _hands_out_pairs(node: cst.CSTNode) -> bool:
    return called(node) in ("items", "enumerate", "zip")


def _argument(call: cst.Call, name: str, index: int, function: cst.FunctionDef) -> cst.BaseExpression | None:
    positional = [argument.value for argument in call.args if argument.keyword is None and not argument.star]
    for argument in call.args:
        if argument.keyword is not None and argument.keyword.value == name:
            return argument.value
    if (
        isinstance(call.func, cst.Attribute)
        and function.params.params
        and function.params.params[0].name.value in ("self", "cls")
    ):
        index -= 1
    return positional[index] if 0 <= index < len(positional) else None


def _without_annotations(params: cst.Parameters) -> cst.Parameters:
    class Strip(cst.CSTTransformer):
        def leave_Param(self, original_node: cst.Param, updated_node: cst.Param) -> cst.Param:
            return updated_node.with_changes(annotation=None)

    return cst.ensure_type(params.visit(Strip()), cst.Parameters)


__all__ = ["Binding", "CannotEvaluate", "Evaluator", "Leaf", "Scope", "Store", "holder_of"]
