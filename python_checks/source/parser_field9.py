"""Recipe ``parser-field9``: the parser reads header field 9 as milliseconds (domain.md 2.2, 6).

The target is the place that turns the ninth field of a backslash-separated header into a number. There a helper gives seconds, or
None for what is no measured time; tests on the value ask for None, not for truth; the round's source is logged at INFO; and where a
file has a readable field 9, each player's own minutes (tab field 22) take precedence over the round's duration. Files with eight
fields parse to the same rows as before.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

import libcst as cst

from python_checks.source import field9, probe
from python_checks.source.evaluate import Binding, Scope, Store, is_constant
from python_checks.source.recipe import Unproven
from python_checks.source.tree import (
    Plan,
    Refusal,
    SourceTree,
    called,
    holder_of,
    index_of,
    key_of,
    number_value,
    string_value,
)

HELPER = "_field9_seconds"
WHOLE = "_field9_whole_seconds"
TEXT = "_field9_text"
OWN = "_own_seconds"
PLAYED = "time_played_seconds"
MINUTES = "time_played_minutes"
NINTH = 8
EFFECT = (
    "round-0 summaries and orphan R2 then get about double dpm, since their damage is of both halves and their time of one; by hand: "
    f"where field 9 is known, give each player his own {MINUTES} (tab field 22) * 60 as {PLAYED}, and compute dpm from it"
)
_NOT_CONVERSIONS = {
    "len",
    "str",
    "print",
    "repr",
    "isinstance",
    "append",
    "debug",
    "info",
    "warning",
    "error",
    "format",
    "join",
}
_TOLD = {"debug", "info", "warning", "error", "exception", "log", "print"}
#: Functions that are given a player and leave him as he is.
_HARMLESS = _TOLD | {"append", "add", "bool", "get", "id", "isinstance", "len", "repr", "str", "type"}
#: Methods that leave what they are called on as it is.
_READING = _TOLD | {"get", "items", "keys", "values", "copy"}
_TEXT_METHODS = {"strip", "rstrip", "lstrip", "replace"}


@dataclass
class Target:
    """The conversion of field 9: ``expression`` is replaced, ``parts`` is the header's list there, ``whole`` when an int was made."""

    expression: cst.BaseExpression
    parts: str
    whole: bool
    name: str = ""
    optional: bool = False
    condition: str = ""
    attempt: cst.Try | None = None
    text: bool = False
    """The read itself is replaced, since the number is made somewhere else."""


def plan_parser_field9(tree: SourceTree) -> Plan:
    """Plan the edits. Raises Refusal."""
    defined = tree.definitions().get(HELPER)
    if defined is not None:
        if tree.raw(defined).split() == inspect.getsource(field9._field9_seconds).split():
            _still_right(tree)
            return Plan()
        raise Refusal(
            f"line {tree.line(defined)}: looked for a free name {HELPER} or our own helper, found one edited by hand"
        )
    scope = Scope(tree)
    target = _target(tree, scope)
    before = probe.run(tree.source)
    if not before.error and not probe.wrong(before, before) and "Round time source: field9" in before.log:
        return Plan()
    if before.error:
        unproven = f"the file cannot be run here ({before.error}), so it could not be proven"
        return _planned(tree, scope, target, _left_out(unproven))
    if probe.has_own_time(before):
        return _planned(tree, scope, target, "players have their own time already")
    plan = _planned(tree, scope, target)
    if _with_own_time(tree.apply(plan.edits)):
        after = probe.run(tree.apply(plan.edits))
        wrong = [after.error] if after.error else probe.wrong(before, after, own=True)
        if wrong:
            tried = f"their own was tried and was not right ({wrong[0]})"
            return _planned(tree, scope, _target(tree, scope), _left_out(tried))
    return plan


def _left_out(reason: str) -> str:
    return f"players keep the round's duration: {reason}; {EFFECT}"


def _still_right(tree: SourceTree) -> None:
    """Raise Refusal when a patched file is wrong: earlier versions of this recipe could give a player the one before him's time."""
    done = probe.run(tree.source)
    wrong = [] if done.error else probe.wrong(done, done, own=_with_own_time(tree.source) or None)
    if wrong:
        raise Refusal(
            f"looked for a file that this recipe patched right, found one that is not: {'; '.join(wrong)}; fix the original file again"
        )


def _with_own_time(source: bytes) -> bool:
    return f"def {OWN}(".encode() in source


def _planned(tree: SourceTree, scope: Scope, target: Target, without_own_time: str = "") -> Plan:
    """All edits; those for a player's own time only when no sentence says why they are left out."""
    plan = Plan()
    _convert(tree, scope, target, plan)
    _log(tree, scope, target, plan)
    helpers: list[Any] = [field9._field9_seconds]
    if any(WHOLE.encode() in edit.text for edit in plan.edits.edits):
        helpers.append(field9._field9_whole_seconds)
    if target.text:
        helpers.append(field9._field9_text)
    if not without_own_time and (reason := _own_time(tree, scope, target, plan)):
        without_own_time = _left_out(reason)
    if without_own_time:
        plan.actions.append(without_own_time)
    else:
        helpers.append(field9._own_seconds)
    _import_logging(tree, target, plan)
    tree.insert_helpers(plan.edits, "\n\n\n".join(inspect.getsource(helper).rstrip() for helper in helpers))
    return plan


def _target(tree: SourceTree, scope: Scope) -> Target:
    reads = [(node, parts) for node in tree.nodes if (parts := _reads_ninth(tree, scope, node))]
    found: dict[tuple[int, int], Target] = {}
    for node, parts in reads:
        for conversion in _conversions(tree, scope, node):
            expression, whole = _outermost(tree, conversion)
            found[tree.span(expression)] = Target(expression, parts, whole)
    handed = [choice for node, _ in reads if (choice := _handed_on(tree, node)) is not None]
    if len(handed) == 1 and all(_shares_arguments(tree, one.expression) for one in found.values()):
        # The text goes to another function with other values: it is made one of seconds where it is read.
        return Target(handed[0], reads[0][1], True, text=True)
    what = "the place that turns the ninth field of a backslash-separated header into a number"
    if not found:
        hint = f"; the ninth field is only read in line {tree.line(reads[0][0])}" if reads else ""
        raise Refusal(f"looked for {what}, found none{hint}")
    if len(found) > 1:
        lines = ", ".join(str(tree.line(t.expression)) for t in found.values())
        raise Refusal(f"looked for one place of its kind: {what}; found {len(found)} (lines {lines})")
    return next(iter(found.values()))


def _handed_on(tree: SourceTree, read: cst.CSTNode) -> cst.IfExp | None:
    """``parts[8] if len(parts) > 8 else None``: the choice around a read that is a text yet."""
    parent = tree.parent(read)
    return parent if isinstance(parent, cst.IfExp) and parent.body is read and is_constant(parent.orelse) else None


def _shares_arguments(tree: SourceTree, node: cst.BaseExpression) -> bool:
    """Whether a call takes field 9 beside other values of the header, so that its result is not field 9 alone."""
    return isinstance(node, cst.Call) and len([a for a in node.args if not is_constant(a.value)]) > 1


def _reads_ninth(tree: SourceTree, scope: Scope, node: cst.CSTNode) -> str:
    """Text of the list when the node reads element 8 of a line split at backslashes, else ""."""
    if isinstance(node, cst.Subscript):
        index = index_of(node)
        number = _number(scope, index) if index is not None else None
        if (
            number == NINTH
            and isinstance(node.value, (cst.Name, cst.Attribute))
            and _is_header(tree, scope, node.value, 0)
        ):
            return tree.text(node.value)
        if number == 0 and isinstance(node.value, cst.Name):
            return _rest_of_unpacking(tree, scope, node.value)
    if isinstance(node, cst.Name) and not isinstance(tree.parent(node), (cst.StarredElement, cst.Element)):
        binding = scope.binding(node.value, node)
        if binding is None or binding.kind != "part" or binding.index != NINTH:
            return ""
        if isinstance(binding.value, cst.Name) and _is_header(tree, scope, binding.value, 0):
            return tree.text(binding.value)
    return ""


def _rest_of_unpacking(tree: SourceTree, scope: Scope, name: cst.Name) -> str:
    """``a, b, c, d, e, f, g, h, *rest = parts`` or ``rest = parts[8:]``: ``rest[0]`` is the ninth."""
    binding = scope.binding(name.value, name)
    cut = binding.value if binding is not None and binding.kind == "assign" else None
    if isinstance(cut, cst.Subscript) and len(cut.slice) == 1 and isinstance(cut.slice[0].slice, cst.Slice):
        lower = cut.slice[0].slice.lower
        if lower is not None and _number(scope, lower) == NINTH and _is_header(tree, scope, cut.value, 0):
            return tree.text(cut.value)
    for one in scope.assignments_with_star(name.value, tree.function(name)):
        elements = one.targets[0].target.elements
        if len(elements) == NINTH + 1 and isinstance(one.value, cst.Name) and _is_header(tree, scope, one.value, 0):
            return tree.text(one.value)
    return ""


def _is_backslash(scope: Scope, node: cst.BaseExpression) -> bool:
    """A text of one backslash (two in a regular expression), or a name for it."""
    if isinstance(node, (cst.Name, cst.Attribute)):
        name = node.value if isinstance(node, cst.Name) else node.attr.value
        binding = scope.binding(name, node) if isinstance(node, cst.Name) else None
        values = [binding.value] if binding is not None else [s.value for s in scope.constants(name)]
        return any(value is not None and string_value(value) in ("\\", "\\\\") for value in values)
    return string_value(node) in ("\\", "\\\\")


def _number(scope: Scope, node: cst.BaseExpression) -> float | None:
    number = number_value(node)
    if number is None and isinstance(node, cst.Name):
        binding = scope.binding(node.value, node)
        number = number_value(binding.value) if binding is not None and binding.value is not None else None
    if number is None and isinstance(node, cst.Attribute):
        number = next((n for s in scope.constants(node.attr.value) if (n := number_value(s.value)) is not None), None)
    return number


def _is_header(tree: SourceTree, scope: Scope, node: cst.BaseExpression, depth: int) -> bool:
    """Whether a name holds a line split at backslashes; followed through assignments and parameters."""
    if depth > 4:
        return False
    for call in tree.within(node, cst.Call):
        if called(call) in ("split", "rsplit") and any(_is_backslash(scope, a.value) for a in call.args[:2]):
            return True
    if isinstance(node, cst.Attribute):
        stores = [s for s in scope.stores(tree.module).get(node.attr.value, []) if isinstance(s.node, cst.Assign)]
        return any(_is_header(tree, scope, s.value, depth + 1) for s in stores)
    if not isinstance(node, cst.Name):
        return False
    binding = scope.binding(node.value, node)
    if binding is None:
        return False
    if binding.kind == "param" and isinstance(binding.node, cst.FunctionDef):
        names = [p.name.value for p in binding.node.params.params]
        shift = 1 if names[:1] in (["self"], ["cls"]) else 0
        for call in scope.calls(binding.node.name.value):
            at = binding.index - shift
            given = next((a.value for a in call.args if a.keyword is not None and a.keyword.value == node.value), None)
            if given is None and 0 <= at < len(call.args):
                given = call.args[at].value
            if given is not None and _is_header(tree, scope, given, depth + 1):
                return True
        return False
    if binding.kind == "compound":
        return any(
            one.value is not None and _is_header(tree, scope, one.value, depth + 1)
            for one in scope.assignments(node.value, binding.node)
        )
    return binding.kind == "assign" and binding.value is not None and _is_header(tree, scope, binding.value, depth + 1)


def _conversions(tree: SourceTree, scope: Scope, read: cst.BaseExpression, depth: int = 0) -> list[cst.Call]:
    """Calls that make a number of a read: around it, or around the name that it is kept in."""
    for holder in tree.ancestors(read):
        if isinstance(holder, cst.Call):
            name = called(holder)
            inside = any(tree.span(a.value)[0] <= tree.span(read)[0] < tree.span(a.value)[1] for a in holder.args)
            if inside and name in _NOT_CONVERSIONS:
                return []
            if inside and name not in _TEXT_METHODS:
                return [holder]
        elif (isinstance(holder, (cst.Comparison, cst.If)) and not isinstance(holder, cst.IfExp)) or (
            isinstance(holder, cst.IfExp) and _is_below(tree, read, holder.test)
        ):
            return []
        elif isinstance(holder, (cst.Assign, cst.AnnAssign)) and depth == 0:
            target = holder.targets[0].target if isinstance(holder, cst.Assign) else holder.target
            if not isinstance(target, cst.Name):
                return []
            result = []
            for name_node in tree.within(tree.function(holder), cst.Name):
                if name_node.value == target.value and name_node is not target:
                    result += _conversions(tree, scope, name_node, 1)
            return result
        elif isinstance(holder, cst.BaseSmallStatement):
            return []
    return []


def _is_below(tree: SourceTree, node: cst.CSTNode, top: cst.CSTNode) -> bool:
    return node is top or any(h is top for h in tree.ancestors(node))


def _outermost(tree: SourceTree, call: cst.Call) -> tuple[cst.BaseExpression, bool]:
    """The whole chain of conversions and unit changes around a read; ``whole`` when it makes an integer."""
    node: cst.BaseExpression = call
    whole = "int" in called(call).lower().split("_") or called(call).lower() in (
        "int",
        "round",
        "to_int",
        "safe_int",
        "toint",
    )
    whole = whole or "time_to_seconds" in called(call)
    for holder in tree.ancestors(call):
        if isinstance(holder, cst.Arg):
            continue
        if (
            isinstance(holder, cst.Call)
            and called(holder) in ("int", "float", "round", "Decimal", "abs")
            and isinstance(holder.func, cst.Name)
        ):
            whole = whole or called(holder) in ("int", "round")
            node = holder
        elif (
            isinstance(holder, cst.BinaryOperation)
            and holder.left is node
            and number_value(holder.right) in (1000.0, 0.001)
        ):
            whole = whole or isinstance(holder.operator, cst.FloorDivide)
            node = holder
        else:
            break
    return node, whole


def _convert(tree: SourceTree, scope: Scope, target: Target, plan: Plan) -> None:
    """Replace the conversion, and make what stands around it fall back when the helper knows nothing."""
    call = f"{HELPER}({target.parts})"
    known = f"{call} is not None"
    if target.text and isinstance(target.expression, cst.IfExp):
        nothing = tree.text(target.expression.orelse)
        new = f"{TEXT}({target.parts})"
        plan.edits.replace(
            *tree.span(target.expression), (new if nothing == "None" else f"({new} or {nothing})").encode()
        )
        target.condition = known
        plan.actions.append(
            f"line {tree.line(target.expression)}: field 9 is handed on as whole seconds; what is no measured time is handed on as absent"
        )
        return
    new = f"int({call})" if target.whole else call
    choice = next(
        (h for h in tree.ancestors(target.expression) if isinstance(h, (cst.IfExp, cst.BaseSmallStatement))), None
    )
    line = tree.line(target.expression)
    said = f"line {line}: field 9 is read as milliseconds; zero, negative, huge and unreadable values are unknown"
    small = next(
        h
        for h in (target.expression, *tree.ancestors(target.expression))
        if isinstance(h, (cst.BaseSmallStatement, cst.BaseCompoundStatement))
    )
    target.name = _assigned_name(small)
    function = tree.function(target.expression)
    target.condition = known
    if isinstance(choice, cst.IfExp) and _is_below(tree, target.expression, choice.body):
        if is_constant(choice.orelse):
            seconds = f"{WHOLE}({target.parts})" if target.whole else call
            nothing = tree.text(choice.orelse)
            # None for "unknown" is what the helper gives; another constant stays what the file takes for unknown.
            new = seconds if nothing == "None" else f"({seconds} or {nothing})"
            plan.edits.replace(*tree.span(choice), new.encode())
            target.optional = nothing == "None" and choice.body is target.expression and _assigns(small, choice)
        else:
            plan.edits.replace(*tree.span(target.expression), new.encode())
            plan.edits.replace(*tree.span(choice.test), known.encode())
        plan.actions.append(said)
        _ask_for_none(tree, target, function, plan)
        return
    others = _other_values(tree, scope, target, small, function)
    optional = any(isinstance(o, cst.Name) and o.value == "None" for o in others)
    zero = any(number_value(o) == 0 for o in others)
    attempt = next((h for h in tree.ancestors(small) if isinstance(h, (cst.Try, cst.FunctionDef))), None)
    guard = _guard(tree, target, small)
    if isinstance(small, cst.Return):
        optional = any(isinstance(o, cst.Name) and o.value == "None" for o in others)
    if optional:
        target.optional = bool(target.name)
        new = f"{WHOLE}({target.parts})" if target.whole else call
        plan.edits.replace(*tree.span(target.expression), new.encode())
    elif guard is not None:
        plan.edits.replace(*tree.span(target.expression), new.encode())
        plan.edits.replace(*tree.span(guard.test), known.encode())
    elif isinstance(attempt, cst.Try) and _catches_value_error(attempt):
        target.attempt = attempt
        plan.edits.replace(*tree.span(target.expression), new.encode())
        tree.insert_before(
            plan.edits,
            tree.statement(small),
            [f"if {call} is None:", '    raise ValueError("header field 9 is absent or unknown")'],
        )
    elif zero or _or_chain(tree, target.expression):
        plan.edits.replace(
            *tree.span(target.expression), f"int({call} or 0)".encode() if target.whole else f"({call} or 0)".encode()
        )
    else:
        raise Refusal(
            f"line {line}: looked for the way the parser falls back when field 9 is unknown (a test of the number of fields, None, an "
            "except clause), found none"
        )
    plan.actions.append(said)
    _ask_for_none(tree, target, function, plan)


def _or_chain(tree: SourceTree, node: cst.BaseExpression) -> bool:
    parent = tree.parent(node)
    return isinstance(parent, cst.BooleanOperation) and isinstance(parent.operator, cst.Or) and parent.left is node


def _assigned_name(small: cst.CSTNode) -> str:
    if isinstance(small, cst.Assign) and len(small.targets) == 1 and isinstance(small.targets[0].target, cst.Name):
        return small.targets[0].target.value
    if isinstance(small, cst.AnnAssign) and isinstance(small.target, cst.Name):
        return small.target.value
    return ""


def _assigns(small: cst.CSTNode, value: cst.BaseExpression) -> bool:
    return isinstance(small, (cst.Assign, cst.AnnAssign)) and small.value is value


def _other_values(
    tree: SourceTree, scope: Scope, target: Target, small: cst.CSTNode, function: cst.FunctionDef | cst.Module
) -> list[cst.BaseExpression]:
    """What else the name may hold (or the function may return)."""
    if isinstance(small, cst.Return):
        return [r.value for r in tree.within(function, cst.Return) if r is not small and r.value is not None]
    if target.name:
        return [a.value for a in scope.assignments(target.name, function) if a is not small and a.value is not None]
    if isinstance(small, cst.Assign):
        key = key_of(small.targets[0].target)
        stores = scope.stores(function).get(key, []) if isinstance(key, str) else []
        nothing = [
            n.value
            for n in tree.within(function, cst.Assign)
            if n is not small and key_of(n.targets[0].target) == key and not isinstance(n.targets[0].target, cst.Name)
        ]
        shown = [e.value for e in tree.within(function, cst.DictElement) if string_value(e.key) == key]
        return [s.value for s in stores if s.node is not small] + nothing + shown
    return []


def _guard(tree: SourceTree, target: Target, small: cst.CSTNode) -> cst.If | None:
    """The if statement around the conversion that asks for the ninth field."""
    for holder in tree.ancestors(small):
        if isinstance(holder, cst.FunctionDef):
            return None
        if isinstance(holder, cst.If) and _asks_for_it(tree, target, holder.test):
            return holder
    return None


def _asks_for_it(tree: SourceTree, target: Target, test: cst.BaseExpression) -> bool:
    """Whether a test looks at the header's list, or at the rest of its unpacking."""
    names = {n.value for n in tree.within(target.expression, cst.Name)} - {"int", "float", "round"}
    return (
        bool(names & {n.value for n in tree.within(test, cst.Name)})
        or re.search(rf"\b{re.escape(target.parts)}\b", tree.text(test)) is not None
    )


def _catches_value_error(attempt: cst.Try) -> bool:
    for handler in attempt.handlers:
        names = {n.value for n in _names(handler.type)} if handler.type is not None else {"Exception"}
        if names & {"ValueError", "Exception", "BaseException"}:
            return True
    return False


def _names(node: cst.CSTNode) -> list[cst.Name]:
    if isinstance(node, cst.Name):
        return [node]
    return [name for child in node.children for name in _names(child)]


def _ask_for_none(tree: SourceTree, target: Target, function: cst.FunctionDef | cst.Module, plan: Plan) -> None:
    """``if seconds:`` becomes ``if seconds is not None:`` for the optional value."""
    if not (target.name and target.optional):
        return
    for node in tree.within(function, cst.Name):
        parent = tree.parent(node)
        if node.value != target.name or _is_below(tree, node, target.expression):
            continue
        tested = isinstance(parent, (cst.If, cst.IfExp, cst.While)) and parent.test is node
        joined = (
            isinstance(parent, cst.BooleanOperation) and isinstance(parent.operator, cst.And) and parent.left is node
        )
        end = tree.span(node)[1]
        if isinstance(parent, cst.UnaryOperation) and isinstance(parent.operator, cst.Not):
            plan.edits.replace(*tree.span(parent), f"{target.name} is None".encode())
        elif tested or joined:
            plan.edits.insert(end, b" is not None")
        else:
            continue
        plan.actions.append(f"line {tree.line(node)}: the test asks whether field 9 is known, not whether it is true")


def _log(tree: SourceTree, scope: Scope, target: Target, plan: Plan) -> None:
    """One INFO line per parsed header, in front of the decision."""
    logger = _logger(tree, target.expression)
    where: cst.CSTNode = tree.statement(target.expression)
    condition = target.condition
    if target.name and target.optional:
        end = tree.span(target.expression)[1]
        for node in tree.within(tree.function(target.expression), cst.Name):
            if node.value != target.name or tree.span(node)[0] < end or isinstance(tree.parent(node), cst.AssignTarget):
                continue
            where, condition = tree.statement(node), f"{target.name} is not None"
            break
    if target.attempt is not None:
        where = target.attempt
    elif condition == target.condition:
        for holder in tree.ancestors(target.expression):
            if isinstance(holder, cst.FunctionDef):
                break
            if isinstance(holder, cst.If) and not tree._is_elif(holder) and _asks_for_it(tree, target, holder.test):
                where = holder
        where = _early_return(tree, target, where)
    tree.insert_before(
        plan.edits, where, [f"{logger}.info(f\"Round time source: {{'field9' if {condition} else 'header'}}\")"]
    )
    plan.actions.append(
        f"line {tree.line(where)}: logs `Round time source: field9|header` at INFO, which reaches bot.log"
    )


def _early_return(tree: SourceTree, target: Target, where: cst.CSTNode) -> cst.CSTNode:
    """The statement in front of which a function says which source it takes: before ``if len(parts) < 9: return None`` too."""
    function = tree.function(target.expression)
    if isinstance(function, cst.FunctionDef):
        for statement in function.body.body:
            if _is_below(tree, target.expression, statement):
                break
            if isinstance(statement, cst.If) and _asks_for_it(tree, target, statement.test):
                returned = [r.value for r in tree.within(statement, cst.Return)]
                if returned and all(isinstance(v, cst.Name) and v.value == "None" for v in returned):
                    return statement
    return where


def _logger(tree: SourceTree, at: cst.CSTNode) -> str:
    """The text of the file's own logger, or ``logging``."""
    for node in tree.module.body:
        for one in tree.within(node, cst.Assign) if isinstance(node, cst.SimpleStatementLine) else []:
            if called(one.value) in ("getLogger", "get_logger") and isinstance(one.targets[0].target, cst.Name):
                return one.targets[0].target.value
    in_class = next((h for h in tree.ancestors(at) if isinstance(h, cst.ClassDef)), None)
    if in_class is not None:
        for one in tree.within(in_class, cst.Assign):
            target = one.targets[0].target
            if called(one.value) in ("getLogger", "get_logger") and isinstance(target, cst.Attribute):
                return tree.text(target)
    for node in tree.nodes:
        if (isinstance(node, cst.ImportAlias) and node.evaluated_alias in ("logger", "log")) or (
            isinstance(node, cst.ImportAlias) and node.evaluated_name in ("logger", "log")
        ):
            return node.evaluated_alias or node.evaluated_name
    return "logging.getLogger(__name__)"


def _import_logging(tree: SourceTree, target: Target, plan: Plan) -> None:
    if not _logger(tree, target.expression).startswith("logging."):
        return
    if any(isinstance(n, cst.ImportAlias) and n.evaluated_name == "logging" for n in tree.nodes):
        return
    imports = [
        one
        for one in tree.module.body
        if isinstance(one, cst.SimpleStatementLine) and isinstance(one.body[0], (cst.Import, cst.ImportFrom))
    ]
    if imports:
        tree.insert_after(plan.edits, imports[-1], ["import logging"])
    else:
        tree.insert_before(plan.edits, tree.module.body[0], ["import logging", ""])


@dataclass(frozen=True)
class _Place:
    """Where the round's duration is given to a player: the store, its loop, and what says there that field 9 is known."""

    store: Store
    loop: cst.For
    condition: str


def _own_time(tree: SourceTree, scope: Scope, target: Target, plan: Plan) -> str:
    """Prefer a player's own minutes where the round's duration is given to every player and field 9 is known; says why not."""
    home = tree.function(target.expression)
    places = []
    for function in tree.within(tree.module, cst.FunctionDef):
        tainted, condition = _durations(tree, scope, target, function, home)
        for store in scope.stores(function).get(PLAYED, []):
            loop = next((h for h in tree.ancestors(store.node) if isinstance(h, (cst.For, cst.FunctionDef))), None)
            assigned = isinstance(store.node, cst.Assign) and not store.adds and isinstance(store.value, cst.Name)
            if assigned and isinstance(loop, cst.For) and store.value.value in tainted and condition:  # type: ignore[attr-defined]
                places.append(_Place(store, loop, condition))
    path = _minutes_path(tree, scope)
    if len(places) != 1 or path is None:
        return (
            f"looked for one loop that gives it to each player as {PLAYED} and for the players' own {MINUTES}, found {len(places)} and "
            f"{'none' if path is None else 'some'}"
        )
    place = places[0]
    round_name = place.store.value.value  # type: ignore[attr-defined]
    holder = holder_of(place.store.target)
    minutes = path.format(player=tree.text(holder) if holder is not None else "")
    uses = _reads(tree, place.loop.body, round_name)
    before = _in_front_of(tree, place, holder, minutes, [use for use in uses if not _is_logged(tree, use)])
    if before is None:
        return (
            f"line {tree.line(place.store.node)}: looked for a line where the player is known and from which on the loop uses "
            f"{round_name}, found none"
        )
    own = "own_time_seconds"
    while any(node.value == own for node in tree.within(tree.function(place.loop), cst.Name)):
        own += "_"
    lines = [f"{own} = {round_name}", f"if {place.condition}:", f"    {own} = {OWN}({minutes}, {round_name})"]
    tree.insert_before(plan.edits, before, lines)
    start, end = tree.span(before)[0], tree.span(tree.parent(before) or before)[1]
    for use in uses:
        if start <= tree.span(use)[0] < end:
            plan.edits.replace(*tree.span(use), own.encode())
    plan.actions.append(
        f"line {tree.line(place.store.node)}: with a known field 9 a player's own minutes (tab field 22) come before the round's duration"
    )
    return ""


def _reads(tree: SourceTree, block: cst.CSTNode, name: str) -> list[cst.Name]:
    """Where a block reads a name."""
    found = []
    for node in tree.within(block, cst.Name):
        parent = tree.parent(node)
        named = (isinstance(parent, cst.Attribute) and parent.attr is node) or (
            isinstance(parent, cst.Arg) and parent.keyword is node
        )
        if node.value == name and not named and not isinstance(parent, cst.AssignTarget):
            found.append(node)
    return found


def _is_logged(tree: SourceTree, node: cst.CSTNode) -> bool:
    """Whether a value is only told to a log."""
    small = next((h for h in tree.ancestors(node) if isinstance(h, (cst.BaseSmallStatement, cst.IndentedBlock))), None)
    return isinstance(small, cst.Expr) and called(small.value) in _TOLD


def _in_front_of(
    tree: SourceTree, place: _Place, holder: cst.BaseExpression | None, minutes: str, uses: list[cst.Name]
) -> cst.CSTNode | None:
    """The statement in front of which the player is the one of the store, his minutes are there, and no use comes earlier.

    It is the last such statement of the store's own block; of a block around it only where no condition on the player is left.
    """
    round_name = place.store.value.value  # type: ignore[attr-defined]
    names = {one.value for one in _names(holder)} if holder is not None else set()
    at: cst.CSTNode = tree.statement(place.store.node)
    if holder is None or not names or tree.within(holder, cst.Call) or round_name in _bound(tree, place.loop.body):
        return None
    if not isinstance(at, cst.SimpleStatementLine) or len(at.body) != 1 or names & _bound(tree, at):
        return None
    known = _bound_by(place.loop.target)
    while True:
        block = tree.parent(at)
        if not isinstance(block, cst.IndentedBlock):
            return None
        body = list(block.body)
        index = next(i for i, one in enumerate(body) if one is at)
        if all(_is_below(tree, use, block) for use in uses):
            first = min(tree.span(use)[0] for use in uses)
            while tree.span(body[index])[0] > first:
                if index == 0 or _changes(tree, body[index - 1], names, holder, minutes):
                    return None
                index -= 1
            return body[index]
        if any(_changes(tree, one, names, holder, minutes) for one in body[:index]) or not names <= known:
            return None
        above = tree.parent(block)
        if isinstance(above, cst.Else):
            above = tree.parent(above)
        if not isinstance(above, cst.If):
            return None
        chain = [above, *(h for h in tree.ancestors(above) if isinstance(h, cst.If))]
        while tree._is_elif(chain[0]):
            chain.pop(0)
        at = chain[0]
        one: cst.CSTNode | None = at
        while isinstance(one, cst.If):
            if names & ({name.value for name in tree.within(one.test, cst.Name)} | _bound(tree, one.test)):
                return None
            one = one.orelse


def _changes(
    tree: SourceTree, statement: cst.CSTNode, names: set[str], holder: cst.BaseExpression | None, minutes: str
) -> bool:
    """Whether the player may be another one, or without his minutes, in front of a statement: it binds or fills him, or leaves."""
    if names & _bound(tree, statement):
        return True
    if any(
        isinstance(one, (cst.Continue, cst.Break, cst.Return, cst.Raise, cst.Assert)) for one in tree.below(statement)
    ):
        return True
    for target in _targets(tree, statement):
        key = key_of(target)
        if key == MINUTES or (isinstance(key, str) and f'"{key}"' in minutes):
            return True
        if holder is not None and tree.text(holder).startswith(tree.text(target)):
            return True
    for call in tree.within(statement, cst.Call):
        given = {argument.value.value for argument in call.args if isinstance(argument.value, cst.Name)}
        if given & names and called(call) not in _HARMLESS:
            return True
        owner = call.func.value if isinstance(call.func, cst.Attribute) else None
        if owner is not None and called(call) not in _READING and names & {one.value for one in _names(owner)}:
            return True
    return False


def _targets(tree: SourceTree, node: cst.CSTNode) -> list[cst.BaseExpression]:
    """All that statements below a node assign to."""
    found: list[cst.BaseExpression] = []
    for one in tree.below(node):
        if isinstance(one, (cst.AssignTarget, cst.AnnAssign, cst.AugAssign, cst.NamedExpr, cst.For, cst.Del)):
            found.append(one.target)
        elif isinstance(one, (cst.AsName, cst.MatchAs, cst.MatchStar)) and one.name is not None:
            found.append(one.name)
    return found


def _bound(tree: SourceTree, node: cst.CSTNode) -> set[str]:
    """The names that statements below a node bind."""
    found = {name for target in _targets(tree, node) for name in _bound_by(target)}
    found |= {one.name.value for one in tree.below(node) if isinstance(one, (cst.FunctionDef, cst.ClassDef))}
    for alias in tree.within(node, cst.ImportAlias):
        found.add((alias.evaluated_alias or alias.evaluated_name).partition(".")[0])
    return found


def _bound_by(target: cst.CSTNode) -> set[str]:
    """The names of a target; a subscript or an attribute binds none."""
    if isinstance(target, cst.Name):
        return {target.value}
    if isinstance(target, (cst.Tuple, cst.List)):
        return {name for element in target.elements for name in _bound_by(element.value)}
    return set()


def _durations(
    tree: SourceTree,
    scope: Scope,
    target: Target,
    function: cst.FunctionDef,
    home: cst.FunctionDef | cst.Module,
) -> tuple[set[str], str]:
    """Names in a function that hold the round's duration, and the text that says there whether field 9 is known ("" when nothing
    does)."""
    start = tree.span(target.expression)
    holder = next(
        (
            h
            for h in tree.ancestors(target.expression)
            if isinstance(h, (cst.Assign, cst.DictElement)) or (isinstance(h, cst.Arg) and h.keyword is not None)
        ),
        None,
    )
    key = None
    if isinstance(holder, cst.Assign):
        key = key_of(holder.targets[0].target)
    elif isinstance(holder, cst.DictElement):
        key = string_value(holder.key)
    elif isinstance(holder, cst.Arg) and holder.keyword is not None:
        key = holder.keyword.value
    tainted = {target.name} - {""} if function is home else set()
    condition = ""
    if function is home:
        condition = f"{target.name} is not None" if target.name and target.optional else target.condition

    def given(value: cst.BaseExpression) -> str:
        """Why a value is the duration: text of the access that says so, or "" ."""
        if function is home:
            span = tree.span(value)
            return "here" if span[0] <= start[0] < span[1] else ""
        for node in tree.within(value, cst.BaseExpression):  # type: ignore[type-abstract]
            if isinstance(key, str) and key_of(node) == key:
                return tree.text(node)
            if isinstance(home, cst.FunctionDef) and called(node) == home.name.value:
                return "called"
            if isinstance(key, str) and isinstance(node, cst.Call) and (why := _through(tree, scope, node, key)):
                return why
        return ""

    for _ in range(6):
        before = len(tainted)
        for one in tree.within(function, cst.Assign):
            why = given(one.value)
            names = {n.value for n in tree.within(one.value, cst.Name)}
            if (names & tainted or why) and isinstance(one.targets[0].target, cst.Name):
                tainted.add(one.targets[0].target.value)
                if why not in ("", "here", "called") and not condition:
                    condition = f"{why} is not None"
        if len(tainted) == before:
            break
    if not condition:
        lists = [n for n in tree.within(function, cst.Name) if _is_header(tree, scope, n, 0)]
        condition = f"{HELPER}({lists[0].value}) is not None" if lists else ""
    return tainted, condition


def _through(tree: SourceTree, scope: Scope, call: cst.Call, key: str) -> str:
    """``head.k`` at the call of a function of this file that returns what it makes of its parameter's ``k``; empty for others."""
    function = scope.function(called(call))
    if function is None:
        return ""
    names = [one.name.value for one in function.params.params]
    for returned in tree.within(function, cst.Return):
        for access in tree.within(returned, cst.BaseExpression):  # type: ignore[type-abstract]
            holder = holder_of(access)
            if key_of(access) != key or not isinstance(holder, cst.Name) or holder.value not in names:
                continue
            binding = Binding("param", function, None, names.index(holder.value))
            given = scope.argument(holder.value, binding)
            text = tree.text(access)
            if isinstance(given, cst.Name) and text.startswith(holder.value):
                return given.value + text[len(holder.value) :]
    return ""


def _minutes_path(tree: SourceTree, scope: Scope) -> str | None:
    """How a player's own minutes are reached, as a template with ``{player}``; None when the file does not show it."""
    nests: set[str] = set()
    attribute = False
    for node in tree.nodes:
        if isinstance(node, cst.AnnAssign) and isinstance(node.target, cst.Name) and node.target.value == MINUTES:
            attribute = True
        elif isinstance(node, cst.DictElement) and string_value(node.key) == MINUTES:
            nests.add(_nest_of(tree, node))
        elif key_of(node) == MINUTES and isinstance(node, (cst.Subscript, cst.Call, cst.Attribute)):
            nests |= _nest_read(tree, scope, node)
            attribute = attribute or isinstance(node, cst.Attribute)
    if attribute and nests <= {""}:
        return f"{{player}}.{MINUTES}"
    named = nests - {""}
    if len(named) == 1:
        return f'({{player}}.get("{next(iter(named))}") or {{{{}}}}).get("{MINUTES}")'
    return f'{{player}}.get("{MINUTES}")' if nests == {""} else None


def _nest_read(tree: SourceTree, scope: Scope, node: cst.BaseExpression) -> set[str]:
    """The key of the dict inside the player that is read here; empty text for the player itself."""
    holder = holder_of(node)
    while isinstance(holder, cst.Name):
        binding = scope.binding(holder.value, holder)
        value = binding.value if binding is not None and binding.kind == "assign" else None
        if value is None or (key_of(value) is None and not isinstance(value, cst.Name)):
            kept = _kept_as(tree, holder) if binding is not None and binding.kind in ("assign", "compound") else set()
            if kept:
                return kept
            return {""} if binding is not None and binding.kind != "assign" else set()
        holder = value
    key = key_of(holder) if holder is not None else None
    return {key} if isinstance(key, str) else set()


def _kept_as(tree: SourceTree, name: cst.Name) -> set[str]:
    """The keys under which a function keeps what a name holds: ``{"k": name}``, ``dict(k=name)`` and ``player["k"] = name``."""
    found: set[str | int | None] = set()
    for node in tree.within(tree.function(name), cst.Name):
        parent = tree.parent(node)
        if node.value != name.value:
            continue
        if isinstance(parent, cst.DictElement) and parent.value is node:
            found.add(string_value(parent.key))
        elif isinstance(parent, cst.Arg) and parent.value is node and parent.keyword is not None:
            call = tree.parent(parent)
            found.add(parent.keyword.value if call is not None and called(call) == "dict" else None)
        elif isinstance(parent, cst.Assign) and parent.value is node:
            found.add(key_of(parent.targets[0].target))
    return {key for key in found if isinstance(key, str)}


def _nest_of(tree: SourceTree, element: cst.DictElement) -> str:
    """The key under which a dict display with the minutes is kept in the player; empty text when it is the player."""
    display = tree.parent(element)
    above = tree.parent(display) if display is not None else None
    if isinstance(above, cst.DictElement):
        return string_value(above.key) or ""
    if isinstance(above, cst.Assign):
        target = above.targets[0].target
        key = key_of(target)
        if isinstance(key, str):
            return key
        if isinstance(target, cst.Name):
            for other in tree.within(tree.function(element), cst.DictElement):
                if isinstance(other.value, cst.Name) and other.value.value == target.value:
                    return string_value(other.key) or ""
    return ""


def prove_parser_field9(before: bytes, after: bytes) -> list[str]:
    """Raise Refusal when the patched parser, run on composed files, is not right, and Unproven when neither file can be run."""
    old, new = probe.run(before), probe.run(after)
    if old.error and new.error:
        raise Unproven(f"not proven by a run: neither the file nor its patched version can be run here: {new.error}")
    if new.error:
        raise Refusal(f"the parser ran before and does not run any more: {new.error}")
    wrong = probe.wrong(old, new, own=_with_own_time(after) or None)
    if wrong:
        raise Refusal("the patched parser was run and is not right: " + "; ".join(wrong))
    return [
        f"run on {len(new.cases)} composed files with {len(probe.PLAYERS)} players each: field 9 is milliseconds, files with eight "
        "fields give the same as before"
    ]
