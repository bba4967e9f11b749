"""Recipe ``timing-new-only``: a display of the new timing alone, behind its own setting SHOW_TIMING_NEW_ONLY.

The bot of the plan's day knows two displays, decided by SHOW_TIMING_DUAL: old and new side by side, or the old alone
(domain.md 7). The third is made of the second: the same statements with each old value replaced by the new one that the dual
display shows beside it. It is asked for first; with the setting off nothing changes. A player without Lua rows shows old values
as new ones, so the dual display's note about that is taken along.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import libcst as cst
from ansible_collections.slomix.timetracking.plugins.module_utils import timing_probe

from python_checks.source.evaluate import Scope
from python_checks.source.timing_flow import CALL, Decision, Flow, asked_too, asks, beside_flag, files, flag_in, sense
from python_checks.source.timing_run import prove_by_running
from python_checks.source.tree import Edits, Plan, Refusal, SourceTree, called, dedented, holder_of, key_of, tree_of

HELPER = '''
def _timing_new_only():
    """Whether the Lua timing is shown alone: SHOW_TIMING_NEW_ONLY=true in the environment."""
    import os

    return os.environ.get("SHOW_TIMING_NEW_ONLY", "").strip().lower() == "true"
'''
_GUARDS = (
    cst.If,
    cst.IfExp,
    cst.For,
    cst.While,
    cst.Try,
    cst.TryStar,
    cst.ExceptHandler,
    cst.MatchCase,
    cst.Lambda,
    cst.FunctionDef,
    cst.BaseComp,
)
_LEAVING = (cst.Return, cst.Raise, cst.Continue, cst.Break, cst.Assert)
_NOTE = re.compile(r"note|no[-_ ]?lua|partial|fallback", re.IGNORECASE)


def _displays(tree: SourceTree) -> tuple[list[timing_probe.Branch], list[timing_probe.Branch]]:
    """The displays that the flag decides, and what else it decides: fetching the new values, a footer on their coverage."""
    found = timing_probe.shows(files(tree.body))
    telling = [branch for branch in found.branches if branch.file == "" and (branch.on or branch.off)]
    shown = [branch for branch in telling if set(branch.on) == {"old", "new"} and branch.off in (("old",), ())]
    beside = [branch for branch in telling if branch.on == ("new",) and not branch.off]
    _require_read(tree, bool(shown) or (len(telling) == 1 and not beside))
    if not shown and (len(telling) != 1 or beside):
        lines = ", ".join(str(branch.line) for branch in telling) or "no line"
        raise Refusal(
            f"looked for one display of timing values that SHOW_TIMING_DUAL decides, found {len(telling)} ({lines}; {found.reason}); "
            "give the display its third form by hand"
        )
    for one in telling:
        if one not in shown and one not in beside:
            raise Refusal(
                f"line {one.line}: looked for old and new values where the flag is on and old ones where it is off, found "
                f"{' and '.join(one.on) or 'none'} and {' and '.join(one.off) or 'none'}; give that place its third display by hand"
            )
    return shown, beside


def _require_read(tree: SourceTree, found: bool) -> None:
    """Raise Refusal when the flag is asked for in a way that is not read, and no display was found, or it decides new values."""
    decided = [one for one in tree.nodes if isinstance(one, (cst.If, cst.IfExp)) and asks(tree, one.test)]
    unread = [one for one in decided if sense(tree, one.test) is None]
    telling = [
        one for one in unread if any(timing_probe.kind_of(name) == timing_probe.NEW for name in _behind(tree, one))
    ]
    if unread and (telling or not found):
        places = ", ".join(f"line {tree.line(one)}: {tree.raw(one.test)!r}" for one in telling or unread)
        raise Refusal(
            f"looked for a display of timing values under `flag`, `not flag` or `flag and more`, found {places}; write `if flag and more:` "
            "around the dual display with the old one behind it (`if not flag or p is None: return old` is `if flag and p is not None: "
            "return both`), or give that place its third display by hand"
        )


def _behind(tree: SourceTree, node: Decision) -> set[str]:
    """Names and keys below a decision, and behind it in its block."""
    block = tree.parent(node)
    parts: list[cst.CSTNode] = [node]
    if isinstance(block, (cst.IndentedBlock, cst.Module)):
        parts = list(block.body[next(i for i, one in enumerate(block.body) if one is node) :])
    texts = [tree.raw(s).strip("\"'") for part in parts for s in tree.within(part, cst.SimpleString)]
    return {name.value for part in parts for name in tree.within(part, cst.Name)} | set(texts)


def plan_timing_new_only(tree: SourceTree) -> Plan:
    """Plan the edits. Raises Refusal."""
    if timing_probe.probe(files(tree.body))["new_only"]:
        return Plan()
    if timing_probe.NEW_ONLY_KEY in tree.body.decode("utf-8", "replace") or "_timing_new_only" in tree.definitions():
        raise Refusal(f"looked for a file without {timing_probe.NEW_ONLY_KEY}, found it used for something else")
    shown, beside = _displays(tree)
    nodes = [_node_at(tree, branch) for branch in shown]
    names = [f.name.value for f in (tree.function(node) for node in nodes) if isinstance(f, cst.FunctionDef)]
    several = [f for f in tree.within(tree.module, cst.FunctionDef) if f.name.value in names]
    if len(several) > len({f.name.value for f in several} & set(names)) and len(shown) > 1:
        lines = ", ".join(str(branch.line) for branch in shown)
        raise Refusal(
            f"looked for one display under each name, found {len(shown)} (lines {lines}) in functions of the same name"
        )
    plan = Plan()
    known = [node for branch, node in zip(shown, nodes, strict=True) if not branch.off]
    known += [_node_at(tree, branch) for branch in beside]
    flow = Flow(tree, Scope(tree), nodes, known)
    for branch, node in zip(shown, nodes, strict=True):
        if (sense(tree, node.test) is False) != _negated(node.test):
            raise Refusal(
                f"line {branch.line}: looked for `flag`, `not flag` or `flag and more`, found {tree.raw(node.test)!r}; write it so, or "
                "give that place its third display by hand"
            )
        values = _Values(tree, branch, node)
        if not branch.off:
            _inside(tree, node, values, plan)
        elif isinstance(node, cst.IfExp):
            _expression(tree, node, values, plan)
        else:
            _statement(tree, node, values, plan)
        values.require_all_shown()
        more = beside_flag(tree, node.test)
        flow.reach(node)
        if branch.off and not values.noted and _NOTE.search(_dual_text(tree, node)):
            plan.actions.append(
                f"line {branch.line}: what both displays say about missing Lua rows is not in the new one; add it by hand"
            )
        for source in (*more, *values.sources):
            flow.follow(source)
        plan.actions.append(
            f"line {branch.line}: with {timing_probe.NEW_ONLY_KEY}=true the display shows {', '.join(sorted(values.used))} alone"
            + (f"; without {' and '.join(tree.raw(one) for one in more)} it stays the old one" if more else "")
        )
    for branch in beside:
        asked_too(tree, _node_at(tree, branch), plan)
        plan.actions.append(
            f"line {branch.line}: done with {timing_probe.NEW_ONLY_KEY}=true too, for the new values come from there"
        )
    for decision in flow.asked[len(known) :]:
        asked_too(tree, decision, plan)
        plan.actions.append(
            f"line {tree.line(decision)}: decided with {timing_probe.NEW_ONLY_KEY}=true as for both displays, for the new values come "
            "by it"
        )
    for name, function in flow.given:
        plan.actions.append(
            f"{name} of {function}() comes from another file: see that it is fetched there with {timing_probe.NEW_ONLY_KEY}=true too"
        )
    tree.insert_helpers(plan.edits, dedented(HELPER))
    plan.actions.append(f"with {timing_probe.NEW_ONLY_KEY} unset or anything else the display is as before")
    return plan


def _dual_text(tree: SourceTree, node: Decision) -> str:
    """The text of the dual display."""
    if not _negated(node.test):
        return tree.raw(node.body)
    if node.orelse is not None:
        return tree.raw(node.orelse)
    block = tree.parent(node)
    rest = block.body if isinstance(block, (cst.IndentedBlock, cst.Module)) else ()
    return "".join(tree.raw(one) for one in rest if tree.span(one)[0] > tree.span(node)[0])


def _node_at(tree: SourceTree, branch: timing_probe.Branch) -> Decision:
    at = [
        n
        for n in tree.nodes
        if isinstance(n, (cst.If, cst.IfExp)) and asks(tree, n.test) and tree.line(n) == branch.line
    ]
    if len(at) != 1:
        raise Refusal(f"line {branch.line}: looked for one branch on the flag, found {len(at)}")
    return at[0]


def _condition(tree: SourceTree, node: Decision) -> str:
    """The dual display's own condition with the new setting for the flag: the rest of it says whether there are new values."""
    test = node.test.expression if isinstance(node.test, cst.UnaryOperation) else node.test
    (start, end), (first, last) = tree.span(test), tree.span(flag_in(tree, node.test))
    text = (tree.body[start:first] + CALL.encode() + tree.body[last:end]).decode("utf-8")
    return f"({text})" if "\n" in text else text


def _negated(test: cst.BaseExpression) -> bool:
    return isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not)


def _concept(name: str) -> str:
    """dead, denied or "" : what a timing value is about."""
    words = {word.lower() for word in timing_probe._WORDS.findall(name)}
    return "denied" if "denied" in words else "dead" if words & {"dead", "death"} else ""


def _in_minutes(name: str) -> bool:
    return bool({word.lower() for word in timing_probe._WORDS.findall(name)} & {"min", "mins", "minutes"})


class _Values:
    """The new value that the dual display shows for each old one."""

    def __init__(self, tree: SourceTree, branch: timing_probe.Branch, node: Decision) -> None:
        self.tree, self.branch, self.node = tree, branch, node
        self.scope = Scope(tree)
        self.used: set[str] = set()
        self.shown: set[str] = set()
        self.noted = False
        self.sources: list[cst.CSTNode] = []
        """Expressions of the file that the new display uses."""
        on: list[cst.CSTNode] = [node.body, *([node.orelse] if node.orelse is not None else [])]
        if isinstance(node, cst.If) and isinstance(block := tree.parent(node), (cst.IndentedBlock, cst.Module)):
            on += list(block.body[next(i for i, one in enumerate(block.body) if one is node) + 1 :])
        self.new = [
            one
            for part in on
            for one in self._accesses(part)
            if timing_probe.kind_of(self._name(one)) == timing_probe.NEW
        ]

    def renames(self, area: cst.CSTNode, at: cst.CSTNode | None = None) -> list[tuple[int, int, bytes]]:
        """(start, end, new text) of every old value below ``area``, for a text that will stand at ``at`` (or there)."""
        found = []
        place = at if at is not None else self.node
        for one in self._accesses(area):
            name = self._name(one)
            kind, concept = timing_probe.kind_of(name), _concept(name)
            if kind == timing_probe.NEW or (kind == "" and not concept) or self._is_function(one):
                continue
            if kind == "" and not any(_concept(self._name(new)) == concept for new in self.new):
                continue
            new = self._counterpart(one, name, place)
            text = self._text(one, name, new)
            self.require_bound(text, new, place)
            self.sources.append(new)
            self.used.add(self._name(new))
            self.shown.add(_concept(self._name(new)))
            start, end = self.tree.span(one)
            found.append((start, end, text.encode()))
        return sorted(set(found))

    def require_all_shown(self) -> None:
        """Raise Refusal when the dual display shows a new value that the new one would lack."""
        if not self.used:
            raise Refusal(
                f"line {self.branch.line}: looked for old values in the display with the flag off, found none by name; name them like the "
                "new ones (old_dead, old_denied), or give that place its third display by hand"
            )
        missing = {_concept(self._name(new)) for new in self.new} - self.shown - {""}
        if missing:
            raise Refusal(
                f"line {self.branch.line}: looked for an old value for each new one in the display with the flag off, found none for "
                f"{', '.join(sorted(missing))}; give that place its third display by hand"
            )

    def _accesses(self, area: cst.CSTNode) -> list[cst.BaseExpression]:
        """Names and accesses, the outermost of each."""
        found: list[cst.BaseExpression] = []
        for one in self.tree.within(area, cst.BaseExpression):  # type: ignore[type-abstract]
            if not (isinstance(one, (cst.Name, cst.Attribute, cst.Subscript)) or called(one) == "get"):
                continue
            parent = self.tree.parent(one)
            inner = (isinstance(parent, (cst.Attribute, cst.Subscript)) and parent.value is one) or (
                isinstance(parent, cst.Attribute) and parent.attr is one
            )
            target = any(isinstance(h, (cst.AssignTarget, cst.Param)) for h in list(self.tree.ancestors(one))[:1])
            keyword = isinstance(parent, cst.Arg) and parent.keyword is one
            if not inner and not target and not keyword:
                found.append(one)
        return found

    def _name(self, node: cst.BaseExpression) -> str:
        if isinstance(node, cst.Name):
            return node.value
        key = key_of(node)
        return key if isinstance(key, str) else ""

    def names(self, area: cst.CSTNode) -> set[str]:
        """Names of the values that some code reads."""
        return {self._name(one) for one in self._accesses(area) if not self._is_function(one)} - {""}

    def _is_function(self, node: cst.BaseExpression) -> bool:
        parent = self.tree.parent(node)
        return isinstance(parent, cst.Call) and parent.func is node

    def _counterpart(self, old: cst.BaseExpression, name: str, at: cst.CSTNode) -> cst.BaseExpression:
        """The same name with the other word, else the one new value about the same thing that is written in the same way."""
        for word in ("new", "lua", "shadow"):
            for pattern, text in ((r"old", word), (r"Old", word.capitalize()), (r"legacy", word)):
                other = re.sub(pattern, text, name, count=1)
                same = [new for new in self.new if self._name(new) == other]
                if other != name and same:
                    return self._unguarded(same, at)
        about = [
            new
            for new in self.new
            if _concept(self._name(new)) == _concept(name) != ""
            and _in_minutes(self._name(new)) == _in_minutes(name)
            and self._dress(new) == self._dress(old)
        ]
        if len({self.tree.text(new) for new in about}) == 1:
            return self._unguarded(about, at)
        raise Refusal(
            f"line {self.tree.line(old)}: looked for the new value beside {name} in the dual display, found "
            f"{', '.join(self.branch.on_names)}; give that place its third display by hand"
        )

    def _unguarded(self, same: list[cst.BaseExpression], at: cst.CSTNode) -> cst.BaseExpression:
        guards = [self.guard(one, at) for one in same]
        if None in guards:
            return same[guards.index(None)]
        self.require_bound(self.tree.raw(same[0]), same[0], at)
        raise Refusal(
            f"line {self.tree.line(same[0])}: looked for {self.tree.raw(same[0])} in every dual display, found it only under a further "
            f"condition (line {self.tree.line(guards[0] or same[0])}); ask for that together with the flag (`if flag and more:`), or give "
            "that place its third display by hand"
        )

    def guard(self, one: cst.CSTNode, at: cst.CSTNode) -> cst.CSTNode | None:
        """What may keep the program from ``one``, a part of the dual display, though it came to ``at``; None for nothing."""
        shared = {id(holder): holder for holder in (at, *self.tree.ancestors(at))}
        below = one
        for holder in self.tree.ancestors(one):
            if isinstance(holder, _GUARDS) and holder is not self.node:
                asked = getattr(holder, "test", getattr(holder, "iter", None))
                if below is not asked:
                    return holder
            if isinstance(holder, cst.BooleanOperation) and below is holder.right:
                return holder
            if isinstance(holder, (cst.IndentedBlock, cst.Module)):
                body = list(holder.body)
                here = next((i + 1 for i, two in enumerate(body) if id(two) in shared), 0)
                there = next(i for i, two in enumerate(body) if two is below)
                for statement in body[here:there]:
                    if any(isinstance(part, _LEAVING) for part in self.tree.below(statement)):
                        return statement
            if id(holder) in shared:
                return None
            below = holder
        return None

    def _dress(self, node: cst.CSTNode) -> str:
        """What is directly done with a value: the function that it is given to, or the arithmetic around it."""
        parent = self.tree.parent(node)
        if isinstance(parent, cst.Arg):
            return called(self.tree.parent(parent) or parent) + "()"
        if isinstance(parent, cst.FormattedStringExpression):
            return self.tree.raw(parent).replace(self.tree.raw(node), "")
        return (
            type(parent).__name__ + self.tree.raw(parent).replace(self.tree.raw(node), "") if parent is not None else ""
        )

    def _text(self, old: cst.BaseExpression, name: str, new: cst.BaseExpression) -> str:
        """The new value as it stands in the dual display, or read as the old one is, where that is the same object."""
        if type(old) is type(new) and not isinstance(old, cst.Name):
            return (
                self.tree.text(old).replace(name, self._name(new))
                if self._same_holder(old, new)
                else self.tree.text(new)
            )
        return self.tree.text(new)

    def _same_holder(self, old: cst.BaseExpression, new: cst.BaseExpression) -> bool:
        one, other = holder_of(old), holder_of(new)
        return one is not None and other is not None and self.tree.text(one) == self.tree.text(other)

    def unbound(self, value: cst.CSTNode, at: cst.CSTNode) -> list[cst.Name]:
        """The names in an expression that mean something else at ``at``."""
        found = []
        for name in self.tree.within(value, cst.Name):
            parent = self.tree.parent(name)
            if (isinstance(parent, cst.Attribute) and parent.attr is name) or (
                isinstance(parent, cst.Arg) and parent.keyword is name
            ):
                continue
            here, there = self.scope.binding(name.value, at), self.scope.binding(name.value, name)
            inner = there is not None and any(there.node is one for one in self.tree.below(value))
            if not inner and (here.node if here else None) is not (there.node if there else None):
                found.append(name)
        return found

    def require_bound(self, text: str, new: cst.CSTNode, at: cst.CSTNode) -> None:
        """Raise Refusal when a value of the dual display is not known at ``at``."""
        if self.unbound(new, at):
            raise Refusal(
                f"line {self.tree.line(at)}: looked for {text} in scope where the new display would stand, found it known only inside of "
                "the dual display; fetch the new values in front of the branch, or give that place its third display by hand"
            )


def _changed(tree: SourceTree, start: int, end: int, renames: list[tuple[int, int, bytes]]) -> str:
    edits = Edits()
    for first, last, new in renames:
        if start <= first and last <= end:
            edits.replace(first - start, last - start, new)
    return edits.apply(tree.body[start:end]).decode("utf-8")


def _expression(tree: SourceTree, node: cst.IfExp, values: _Values, plan: Plan) -> None:
    off, on = (node.body, node.orelse) if _negated(node.test) else (node.orelse, node.body)
    text = _changed(tree, *tree.span(off), values.renames(off, node))
    note = _note(tree, values, on)
    if note is not None and _takes_note(tree, off, note):
        values.require_bound(tree.raw(note), note, node)
        text = _with_note(tree, text, off, note)
        values.sources.append(note)
        values.noted = True
    plan.edits.wrap(*tree.span(node), f"({text} if {_condition(tree, node)} else ".encode(), b")")


def _inside(tree: SourceTree, node: Decision, values: _Values, plan: Plan) -> None:
    """The text is set first, and set anew somewhere inside of the dual display: there the new one stands beside it."""
    line, block = tree.line(node), tree.parent(node)
    if not isinstance(node, cst.If) or _negated(node.test) or not isinstance(block, (cst.IndentedBlock, cst.Module)):
        raise Refusal(
            f"line {line}: looked for the display with the flag off, found none; give it its third display by hand"
        )
    place = next(i for i, one in enumerate(block.body) if one is node)
    before = {
        tree.raw(one.targets[0].target): one
        for statement in block.body[:place]
        for one in tree.within(statement, cst.Assign)
        if len(one.targets) == 1
    }
    again = [
        one
        for one in tree.within(node.body, cst.Assign)
        if len(one.targets) == 1 and tree.raw(one.targets[0].target) in before
    ]
    if not again:
        raise Refusal(_not_known(tree, values, node, block.body[place + 1 :]))
    if len(again) != 1:
        raise Refusal(
            f"line {line}: looked for one text that is set in front of the branch and anew inside of it, found {len(again)}; give it its "
            "third display by hand"
        )
    off = before[tree.raw(again[0].targets[0].target)].value
    text = _changed(tree, *tree.span(off), values.renames(off, again[0].value))
    plan.edits.wrap(*tree.span(again[0].value), f"({text}) if {CALL} else (".encode(), b")")
    asked_too(tree, node, plan)


def _not_known(tree: SourceTree, values: _Values, node: cst.If, rest: Sequence[cst.CSTNode]) -> str:
    """Why no old values were found where the flag is off."""
    line, off = tree.line(node), [node.orelse] if node.orelse is not None else list(rest)
    last = node.body.body[-1]
    if node.orelse is None and not _leaves(last) and any(isinstance(one, cst.Return) for one in tree.below(node.body)):
        return (
            f"line {line}: looked for a dual display that leaves from the if on the flag, found one that leaves from a condition inside "
            f"of it (line {tree.line(last)}); set what that needs in front and ask for both in one if (`if flag and more:`), or give "
            "that place its third display by hand"
        )
    names = sorted({name for one in off for name in values.names(one) if _concept(name)})
    return (
        f"line {line}: looked for old values where the flag is off, found {', '.join(names) or 'no timing value'}, which "
        f"{'are' if len(names) > 1 else 'is'} not known as old by name; rename here what shows it (old_dead, old_denied), or give that "
        "place its third display by hand"
    )


def _statement(tree: SourceTree, node: cst.If, values: _Values, plan: Plan) -> None:
    if isinstance(tree.parent(node), cst.If):
        raise Refusal(f"line {tree.line(node)}: looked for an if of its own, found an elif")
    line, inverted = tree.line(node), _negated(node.test)
    block = tree.parent(node)
    rest: list[cst.CSTNode] = []
    before: list[cst.CSTNode] = []
    if isinstance(block, (cst.IndentedBlock, cst.Module)):
        place = next(i for i, one in enumerate(block.body) if one is node)
        before, rest = list(block.body[:place]), list(block.body[place + 1 :])
    inner = list(node.body.body)
    other = list(node.orelse.body.body) if isinstance(node.orelse, cst.Else) else []
    leaves = bool(inner) and _leaves(inner[-1])
    if isinstance(node.orelse, cst.If) or not isinstance(node.body, cst.IndentedBlock):
        raise Refusal(f"line {line}: looked for an if with a plain else or none, found another form")
    if inverted:
        off, on = inner, other or rest
    elif other:
        off, on = other, inner
    elif leaves:
        off, on = rest, inner
    else:
        wanted = {tree.raw(t.target) for one in inner for t in tree.within(one, cst.AssignTarget)}
        off = [one for one in before if any(tree.raw(t.target) in wanted for t in tree.within(one, cst.AssignTarget))]
        on = inner
    if not off or (off is rest and not _leaves(off[-1])):
        raise Refusal(
            f"line {line}: looked for the statements of the display with the flag off, found none that stand alone"
        )
    if any(isinstance(one, cst.FunctionDef) for one in off):
        raise Refusal(f"line {line}: looked for plain statements with the flag off, found a function")
    indent = tree.indent(node)
    set_before = bool(before) and any(off[0] is one for one in before)
    if set_before:
        _require_movable(tree, node, off, values)
    head = f"if {_condition(tree, node)}:{tree.newline}{_copied(tree, node, off, on, values, indent)}"
    if set_before:
        # The text is set first and replaced in dual mode; here it is replaced once more.
        at = tree.line_end(tree.span(node)[1] - 1)
        lead = "" if tree.body[at - 1 : at] == b"\n" else tree.newline
        plan.edits.insert(at, f"{lead}{indent}{head}".encode())
        return
    plan.edits.insert(tree.span(node)[0], f"{head}{indent}{'' if _leaves(off[-1]) else 'el'}".encode())


def _require_movable(tree: SourceTree, node: cst.If, off: list[cst.CSTNode], values: _Values) -> None:
    """Raise Refusal when statements in front of the branch would mean something else behind it."""
    for one in off:
        if not isinstance(one, cst.SimpleStatementLine):
            raise Refusal(
                f"line {tree.line(one)}: looked for one statement that sets the text in front of the branch, found a block; give that "
                "place its third display by hand"
            )
        # What an earlier one of them sets is set again with it.
        again = [part for two in off for part in tree.below(two)]
        read = [name for part in tree.within(one, cst.Assign) for name in values.unbound(part.value, node)]
        for name in read:
            there = values.scope.binding(name.value, name)
            if there is None or not any(there.node is part for part in again):
                raise Refusal(
                    f"line {tree.line(one)}: looked for {name.value} as it is here behind the branch too (line {tree.line(node)}), found "
                    "it set anew; give that place its third display by hand"
                )
    asked = {name.value for name in tree.within(node.test, cst.Name)}
    if any(values.scope.assignments(name, node.body) for name in asked):
        raise Refusal(
            f"line {tree.line(node)}: looked for a condition that the dual display leaves as it is, found one that it sets anew; give "
            "that place its third display by hand"
        )


def _leaves(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and isinstance(
        node.body[-1], (cst.Return, cst.Continue, cst.Raise)
    )


def _copied(
    tree: SourceTree, node: cst.If, off: list[cst.CSTNode], on: list[cst.CSTNode], values: _Values, indent: str
) -> str:
    """The statements of the old display as the body of a new if, with the new values in them."""
    note = _note(tree, values, *on)
    taking = [one for one in off if note is not None and _takes_note(tree, one, note)]
    # A text that is put together says it once, at its end.
    noted = taking[-1] if taking else None
    pieces = []
    if note is not None and noted is not None:
        values.noted = True
        copied = _sets_note(tree, node, note, on, values)
        values.sources += [one.value for line in copied for one in tree.within(line, cst.Assign)] or [note]
        pieces = [_moved(tree, one, tree.raw(one), indent) for one in copied]
    for one in off:
        start, end = tree.line_start(tree.span(one)[0]), tree.line_end(tree.span(one)[1] - 1)
        text = _changed(tree, start, end, values.renames(one, node))
        if note is not None and one is noted:
            text = _with_note(tree, text, one, note)
        pieces.append(_moved(tree, one, text, indent))
    return "".join(pieces)


def _moved(tree: SourceTree, one: cst.CSTNode, text: str, indent: str) -> str:
    """A statement's lines one level below ``indent``."""
    if any(
        ("\n" in tree.raw(s) and '"""' in tree.raw(s)) or "'''" in tree.raw(s)
        for s in tree.within(one, cst.SimpleString)
    ):
        raise Refusal(f"line {tree.line(one)}: looked for statements that can be indented, found a string over lines")
    unit, own = tree.module.default_indent, tree.indent(one)
    lines = text.splitlines(keepends=True)
    moved = "".join(indent + unit + line.removeprefix(own) if line.strip() else line for line in lines)
    return moved if moved.endswith("\n") else moved + tree.newline


def _note(tree: SourceTree, values: _Values, *on: cst.CSTNode) -> cst.FormattedStringExpression | None:
    """What the dual display says about missing Lua rows, in its f-strings."""
    notes = [
        part
        for one in on
        for part in tree.within(one, cst.FormattedStringExpression)
        if _NOTE.search(tree.raw(part)) and not timing_probe.kind_of(tree.raw(part.expression).rpartition(".")[2])
    ]
    return next((one for one in notes if values.guard(one, values.node) is None), notes[0] if notes else None)


def _takes_note(tree: SourceTree, off: cst.CSTNode, note: cst.FormattedStringExpression) -> bool:
    strings = tree.within(off, cst.FormattedString)
    return len(strings) == 1 and tree.raw(note) not in tree.raw(off)


def _sets_note(
    tree: SourceTree, node: cst.If, note: cst.FormattedStringExpression, on: list[cst.CSTNode], values: _Values
) -> list[cst.CSTNode]:
    """The assignments inside of the dual display that the note needs in front of it. Raises Refusal when they cannot be copied."""
    needed: list[cst.CSTNode] = []
    for name in values.unbound(note, node):
        binding = values.scope.binding(name.value, name)
        line = tree.parent(binding.node) if binding is not None else None
        plain = (
            binding is not None
            and isinstance(binding.node, cst.Assign)
            and isinstance(line, cst.SimpleStatementLine)
            and len(line.body) == len(binding.node.targets) == 1
            and isinstance(binding.node.targets[0].target, cst.Name)
            and any(line is part for one in on for part in tree.below(one))
            and values.guard(line, node) is None
            and not values.unbound(binding.node.value, node)
            and not any(timing_probe.kind_of(one) == timing_probe.OLD for one in values.names(binding.node.value))
        )
        if not plain or line is None:
            raise Refusal(
                f"line {tree.line(note)}: looked for {name.value} of the dual display's note on missing Lua rows in one plain assignment, "
                "found none that can be done in front of the branch; set it there, or give that place its third display by hand"
            )
        if not any(line is one for one in needed):
            needed.append(line)
    if values.guard(note, node) is not None:
        raise Refusal(
            f"line {tree.line(note)}: looked for the note on missing Lua rows in every dual display, found it under a further condition; "
            "give that place its third display by hand"
        )
    return needed


def _with_note(tree: SourceTree, text: str, off: cst.CSTNode, note: cst.FormattedStringExpression) -> str:
    """Put the note behind the text, where that is one f-string."""
    head, quote, tail = text.rpartition(tree.within(off, cst.FormattedString)[0].end)
    return f"{head}{tree.raw(note)}{quote}{tail}" if quote and tail.strip() in ("", ")") else text


def prove_timing_new_only(before: bytes, after: bytes) -> list[str]:
    """The probe that guards the cutover must find the new display, and the two old ones as they were."""
    old, new = (timing_probe.shows(files(tree_of(source).body)) for source in (before, after))
    only = timing_probe.probe(files(tree_of(after).body))
    if not only["new_only"]:
        raise Refusal(f"looked for a display of the new values alone in the result, found {only['new_only_reason']}")
    # The flag's own displays: what they show, not where they stand.
    shown = [
        sorted((b.on, b.off, b.on_names, b.off_names) for b in found.branches if b.on or b.off) for found in (old, new)
    ]
    if shown[0] != shown[1]:
        raise Refusal("looked for the displays of SHOW_TIMING_DUAL as they were, found another one")
    runs = prove_by_running(tree_of(before).body, tree_of(after).body)
    return [
        f"proven: the new display uses new values only, and SHOW_TIMING_DUAL decides what it decided before ({runs})"
    ]
