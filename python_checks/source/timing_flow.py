"""What SHOW_TIMING_DUAL decides on the way to a display of the new values: the fetch, a helper's early return.

A display that is asked for by another setting stands where the dual one stands only if everything in front of it went as it
goes for the dual one. So each value is followed back through its assignments, parameters and the file's own functions, and
each decision of the flag on that way must be taken for the new setting too. What cannot be followed is refused.
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Iterator

import libcst as cst
from ansible_collections.slomix.timetracking.plugins.module_utils import timing_probe

from python_checks.source.evaluate import Scope, _argument
from python_checks.source.tree import Plan, Refusal, SourceTree, called

CALL = f"{timing_probe.NEW_ONLY_CALL}()"
_FLAG = re.compile(r"\b\w*show_?timing_?dual\w*\b", re.IGNORECASE)
_LEAVING = (cst.Return, cst.Raise, cst.Continue, cst.Break)
Decision = cst.If | cst.IfExp


def files(body: bytes) -> dict[str, str]:
    """The file beside a settings file, which says that the flag's names in it hold the flag."""
    text = body.decode("utf-8", "replace")
    names = sorted(set(_FLAG.findall(text)) - {timing_probe.DUAL_KEY}) or ["show_timing_dual"]
    return {"": text, "settings": "\n".join(f'{name} = getenv("{timing_probe.DUAL_KEY}")' for name in names)}


@functools.lru_cache(maxsize=2)
def held_names(body: bytes) -> frozenset[str]:
    """Names that hold the flag's value in a file."""
    trees = {name: ast.parse(text) for name, text in files(body).items()}
    return frozenset(timing_probe._holders(trees, timing_probe.DUAL_KEY))


def asks(tree: SourceTree, node: cst.CSTNode) -> bool:
    """Whether a node's text names the flag."""
    names = {name.value for name in tree.within(node, cst.Name)}
    return bool(_FLAG.search(tree.raw(node))) or bool(held_names(tree.body) & names)


def sense(tree: SourceTree, test: cst.BaseExpression) -> bool | None:
    """True for ``flag`` and ``flag and more``, False for ``not flag``, None for another use of the flag."""
    parsed = ast.parse(f"({tree.raw(test)})", mode="eval").body
    return timing_probe._sense(parsed, set(held_names(tree.body)), timing_probe.DUAL_KEY)


def flag_in(tree: SourceTree, test: cst.BaseExpression) -> cst.BaseExpression:
    """The flag alone in ``flag``, ``not flag`` or ``flag and more``. Raises Refusal for any other use of it."""
    asked = test
    while True:
        if isinstance(asked, cst.UnaryOperation) and isinstance(asked.operator, cst.Not):
            asked = asked.expression
        elif isinstance(asked, cst.BooleanOperation) and isinstance(asked.operator, cst.And):
            if asks(tree, asked.left) and asks(tree, asked.right):
                break
            asked = asked.left if asks(tree, asked.left) else asked.right
        else:
            break
    if sense(tree, test) is None or sense(tree, asked) is not True or isinstance(asked, cst.BooleanOperation):
        raise Refusal(
            f"line {tree.line(test)}: looked for a condition `flag`, `not flag` or `flag and more`, found {tree.raw(test)!r}; "
            "write it so, or give that place its third display by hand"
        )
    return asked


def beside_flag(tree: SourceTree, test: cst.BaseExpression) -> list[cst.BaseExpression]:
    """What a condition asks beside the flag: ``more`` of ``flag and more``."""
    flag = flag_in(tree, test)
    around = {id(one) for one in (flag, *tree.ancestors(flag))}
    operations = [one for one in tree.within(test, cst.BooleanOperation) if id(one) in around]
    return [side for one in operations for side in (one.left, one.right) if id(side) not in around]


def asked_too(tree: SourceTree, node: Decision, plan: Plan) -> None:
    """``flag`` becomes ``(flag or _timing_new_only())`` in a condition."""
    plan.edits.wrap(*tree.span(flag_in(tree, node.test)), b"(", f" or {CALL})".encode())


class Flow:
    """``asked`` collects the decisions that must be taken for the new setting too."""

    def __init__(self, tree: SourceTree, scope: Scope, shown: list[Decision], inside: list[Decision]) -> None:
        self.tree, self.scope = tree, scope
        self.shown, self.asked = shown, list(inside)
        self.given: list[tuple[str, str]] = []
        """(parameter, function) of values that come from outside of the file."""
        self._keys = 0
        self._inside: set[int] = set()
        self._seen: set[tuple[str, int]] = set()

    def reach(self, node: cst.CSTNode) -> None:
        """Follow how the program gets to a node: the decisions around it, and around the calls of its function."""
        self._decisions(node)
        function = self.tree.function(node)
        if not isinstance(function, cst.FunctionDef) or id(function) in self._inside:
            return
        self._inside.add(id(function))
        for call in self.scope.calls(function.name.value):
            if self.tree.function(call) is not function:
                self.reach(call)

    def follow(self, node: cst.CSTNode) -> None:
        """Follow where the values in an expression or a plain statement come from."""
        if ("", id(node)) in self._seen:
            return
        self._seen.add(("", id(node)))
        for one in self.tree.below(node):
            if isinstance(one, cst.Attribute):
                own = isinstance(one.value, cst.Name) and one.value.value in ("self", "cls")
                (self._attribute if own else self._function)(one.attr.value)
            elif isinstance(one, cst.Call):
                self._function(called(one))
            elif isinstance(one, cst.Name) and not self._is_label(one):
                if one.value in held_names(self.tree.body):
                    self._flag_within(one, node)
                else:
                    # A key that something is looked up by says nothing of where that comes from.
                    key = any(isinstance(h, (cst.Arg, cst.Index)) for h in self._holders(one, node))
                    self._keys += key
                    self._name(one.value, one)
                    self._keys -= key

    def _holders(self, one: cst.CSTNode, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        return itertools.takewhile(lambda holder: holder is not self.tree.parent(node), self.tree.ancestors(one))

    def _is_label(self, name: cst.Name) -> bool:
        parent = self.tree.parent(name)
        held = (
            isinstance(parent, cst.Attribute) and parent.attr is name and name.value not in held_names(self.tree.body)
        )
        return held or (isinstance(parent, cst.Arg) and parent.keyword is name)

    def _flag_within(self, name: cst.Name, node: cst.CSTNode) -> None:
        """The flag in a followed expression: known as the condition of a part of it, of nothing else."""
        below: cst.CSTNode = name
        for holder in self.tree.ancestors(name):
            if below is node:
                break
            if isinstance(holder, cst.IfExp) and holder.test is below:
                self._ask(holder)
                return
            below = holder
        raise Refusal(
            f"line {self.tree.line(name)}: looked for new values that are fetched under an if on the flag, found {self.tree.raw(node)!r}, "
            f"which is made of the flag; fetch them with {timing_probe.NEW_ONLY_KEY} too, by hand"
        )

    def _name(self, name: str, at: cst.CSTNode) -> None:
        function = self.tree.function(at)
        if (name, id(function)) in self._seen or name in ("self", "cls"):
            return
        self._seen.add((name, id(function)))
        found = False
        for one in self.tree.below(function):
            values = self._written(name, one)
            if values:
                found = True
                self._decisions(one)
                for value in values:
                    self.follow(value)
        if not isinstance(function, cst.FunctionDef):
            return
        parameters = [*function.params.posonly_params, *function.params.params, *function.params.kwonly_params]
        index = next((i for i, one in enumerate(parameters) if one.name.value == name), None)
        if index is None:
            if not found:
                self._name(name, function)
        elif id(function) in self._inside:
            calls = self.scope.calls(function.name.value)
            if not calls and not self._keys and function.name.value != "__init__":
                self.given.append((name, function.name.value))
            for call in calls:
                given = _argument(call, name, index, function)
                if given is not None and self.tree.function(call) is not function:
                    self.follow(given)

    def _written(self, name: str, one: cst.CSTNode) -> list[cst.CSTNode]:
        """What a node puts into a name, an item of it, or one of its attributes."""
        if isinstance(one, cst.Assign):
            return [one.value] if any(_roots(t.target, name) for t in one.targets) else []
        if isinstance(one, (cst.AnnAssign, cst.AugAssign, cst.NamedExpr)):
            return [one.value] if one.value is not None and _roots(one.target, name) else []
        if isinstance(one, (cst.For, cst.CompFor)):
            return [one.iter] if _roots(one.target, name) else []
        if isinstance(one, cst.WithItem):
            return [one.item] if one.asname is not None and _roots(one.asname.name, name) else []
        if isinstance(one, cst.Expr) and isinstance(one.value, cst.Call) and isinstance(one.value.func, cst.Attribute):
            return [arg.value for arg in one.value.args] if _roots(one.value.func.value, name) else []
        return []

    def _attribute(self, attribute: str) -> None:
        if (attribute, 0) in self._seen or attribute in held_names(self.tree.body):
            return
        self._seen.add((attribute, 0))
        for one in self.tree.nodes:
            targets = [t.target for t in one.targets] if isinstance(one, cst.Assign) else []
            targets += [one.target] if isinstance(one, (cst.AnnAssign, cst.AugAssign)) else []
            if (
                any(isinstance(t, cst.Attribute) and t.attr.value == attribute for t in targets)
                and one.value is not None
            ):
                self.reach(one)
                self.follow(one.value)
        self._function(attribute)

    def _function(self, name: str) -> None:
        """What the file's own functions of that name give back."""
        if (name, 1) in self._seen or not name or name in held_names(self.tree.body):
            return
        self._seen.add((name, 1))
        for function in self.tree.within(self.tree.module, cst.FunctionDef):
            if function.name.value != name:
                continue
            for one in self.tree.within(function, cst.Return):
                if self.tree.function(one) is function:
                    self._decisions(one)
                    if one.value is not None:
                        self.follow(one.value)

    def _decisions(self, node: cst.CSTNode) -> None:
        """Each decision of the flag around a node, and each in front of it that leaves."""
        below = node
        for holder in self.tree.ancestors(node):
            if isinstance(holder, (cst.If, cst.IfExp)):
                if below is not holder.test and asks(self.tree, holder.test):
                    self._ask(holder)
            elif isinstance(holder, cst.BooleanOperation):
                if below is holder.right and asks(self.tree, holder.left):
                    self._cannot(holder)
            elif isinstance(holder, cst.While):
                if asks(self.tree, holder.test):
                    self._cannot(holder.test)
            elif isinstance(holder, cst.CompFor):
                for condition in holder.ifs:
                    if asks(self.tree, condition):
                        self._cannot(condition)
            elif isinstance(holder, (cst.IndentedBlock, cst.Module)):
                for statement in holder.body:
                    if statement is below:
                        break
                    self._guards(statement)
            if isinstance(holder, (cst.FunctionDef, cst.Lambda)):
                return
            below = holder

    def _guards(self, statement: cst.CSTNode) -> None:
        if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
            return
        for one in self.tree.within(statement, cst.If):
            leaves = any(isinstance(part, _LEAVING) for part in self.tree.below(one))
            # A display that leaves has shown its values: what stands behind it is the other one.
            if leaves and asks(self.tree, one.test) and not any(one is display for display in self.shown):
                self._ask(one)

    def _ask(self, node: Decision) -> None:
        if any(node is one for one in self.asked):
            return
        if any(node is one for one in self.shown):
            raise Refusal(
                f"line {self.tree.line(node)}: looked for new values that are known in front of the dual display, found some that are set "
                "only inside of it; fetch them in front of the branch, or give that place its third display by hand"
            )
        flag_in(self.tree, node.test)
        self.asked.append(node)

    def _cannot(self, node: cst.CSTNode) -> None:
        raise Refusal(
            f"line {self.tree.line(node)}: looked for new values that are fetched under an if on the flag, found {self.tree.raw(node)!r}; "
            f"fetch them with {timing_probe.NEW_ONLY_KEY} too, by hand"
        )


def _roots(target: cst.CSTNode, name: str) -> bool:
    """Whether a target is a name, an unpacking with it, or something inside of what it holds."""
    if isinstance(target, (cst.Tuple, cst.List)):
        return any(_roots(element.value, name) for element in target.elements)
    while isinstance(target, (cst.Subscript, cst.Attribute)):
        target = target.value
    return isinstance(target, cst.Name) and target.value == name
