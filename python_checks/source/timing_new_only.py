"""Recipe ``timing-new-only``: a display of the new timing alone, behind its own setting SHOW_TIMING_NEW_ONLY.

The bot of the plan's day knows two displays, decided by SHOW_TIMING_DUAL: old and new side by side, or the old alone
(domain.md 7). The third is made of the second: the same statements with each old value replaced by the new one that the dual
display shows beside it. It is asked for first; with the setting off nothing changes. A player without Lua rows shows old values
as new ones, so the dual display's note about that is taken along.
"""

from __future__ import annotations

import ast
import re

import libcst as cst
from ansible_collections.slomix.timetracking.plugins.module_utils import timing_probe

from python_checks.source.evaluate import Scope
from python_checks.source.tree import Edits, Plan, Refusal, SourceTree, called, dedented, holder_of, key_of, tree_of

HELPER = '''
def _timing_new_only():
    """Whether the Lua timing is shown alone: SHOW_TIMING_NEW_ONLY=true in the environment."""
    import os

    return os.environ.get("SHOW_TIMING_NEW_ONLY", "").strip().lower() == "true"
'''
CALL = "_timing_new_only()"
_FLAG = re.compile(r"\b\w*show_?timing_?dual\w*\b", re.IGNORECASE)
_NOTE = re.compile(r"note|no_?lua|partial|fallback", re.IGNORECASE)


def _files(body: bytes) -> dict[str, str]:
    """The file beside a settings file, which says that the flag's names in it hold the flag."""
    text = body.decode("utf-8", "replace")
    names = sorted(set(_FLAG.findall(text)) - {timing_probe.DUAL_KEY}) or ["show_timing_dual"]
    return {"": text, "settings": "\n".join(f'{name} = getenv("{timing_probe.DUAL_KEY}")' for name in names)}


def _displays(tree: SourceTree) -> tuple[list[timing_probe.Branch], list[timing_probe.Branch]]:
    """The displays that the flag decides, and what else it decides: fetching the new values, a footer on their coverage."""
    found = timing_probe.shows(_files(tree.body))
    telling = [branch for branch in found.branches if branch.file == "" and (branch.on or branch.off)]
    shown = [branch for branch in telling if set(branch.on) == {"old", "new"} and branch.off in (("old",), ())]
    beside = [branch for branch in telling if branch.on == ("new",) and not branch.off]
    if not shown and len(telling) != 1:
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


def plan_timing_new_only(tree: SourceTree) -> Plan:
    """Plan the edits. Raises Refusal."""
    if timing_probe.probe(_files(tree.body))["new_only"]:
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
    for branch, node in zip(shown, nodes, strict=True):
        values = _Values(tree, branch, node)
        if not branch.off:
            _inside(tree, node, values, plan)
        elif isinstance(node, cst.IfExp):
            _expression(tree, node, values, plan)
        else:
            _statement(tree, node, values, plan)
        values.require_all_shown()
        plan.actions.append(
            f"line {branch.line}: with {timing_probe.NEW_ONLY_KEY}=true the display shows {', '.join(sorted(values.used))} alone"
        )
    for branch in beside:
        _asked_too(tree, _node_at(tree, branch), plan)
        plan.actions.append(
            f"line {branch.line}: done with {timing_probe.NEW_ONLY_KEY}=true too, for the new values come from there"
        )
    tree.insert_helpers(plan.edits, dedented(HELPER))
    plan.actions.append(f"with {timing_probe.NEW_ONLY_KEY} unset or anything else the display is as before")
    return plan


def _node_at(tree: SourceTree, branch: timing_probe.Branch) -> cst.If | cst.IfExp:
    at = [
        n
        for n in tree.nodes
        if isinstance(n, (cst.If, cst.IfExp)) and _decides(tree, n) and tree.line(n) == branch.line
    ]
    if len(at) != 1:
        raise Refusal(f"line {branch.line}: looked for one branch on the flag, found {len(at)}")
    return at[0]


def _asked_too(tree: SourceTree, node: cst.If | cst.IfExp, plan: Plan) -> None:
    """``flag`` becomes ``(flag or _timing_new_only())`` in a condition."""
    asked: cst.BaseExpression = node.test
    while True:
        if isinstance(asked, cst.UnaryOperation):
            asked = asked.expression
        elif isinstance(asked, cst.BooleanOperation) and isinstance(asked.operator, cst.And):
            left = _FLAG.search(tree.raw(asked.left)) or _held_names(tree) & _names_in(tree, asked.left)
            asked = asked.left if left else asked.right
        else:
            break
    plan.edits.wrap(*tree.span(asked), b"(", f" or {CALL})".encode())


def _decides(tree: SourceTree, node: cst.If | cst.IfExp) -> bool:
    return bool(_FLAG.search(tree.raw(node.test))) or bool(_held_names(tree) & _names_in(tree, node.test))


def _held_names(tree: SourceTree) -> set[str]:
    files = _files(tree.body)
    return timing_probe._holders({name: ast.parse(text) for name, text in files.items()}, timing_probe.DUAL_KEY)


def _names_in(tree: SourceTree, node: cst.CSTNode) -> set[str]:
    return {name.value for name in tree.within(node, cst.Name)}


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

    def __init__(self, tree: SourceTree, branch: timing_probe.Branch, node: cst.If | cst.IfExp) -> None:
        self.tree, self.branch, self.node = tree, branch, node
        self.scope = Scope(tree)
        self.used: set[str] = set()
        self.shown: set[str] = set()
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
        for one in self._accesses(area):
            name = self._name(one)
            kind, concept = timing_probe.kind_of(name), _concept(name)
            if kind == timing_probe.NEW or (kind == "" and not concept) or self._is_function(one):
                continue
            if kind == "" and not any(_concept(self._name(new)) == concept for new in self.new):
                continue
            new = self._counterpart(one, name)
            text = self._text(one, name, new)
            self._require_bound(text, new, at if at is not None else one)
            self.used.add(self._name(new))
            self.shown.add(_concept(self._name(new)))
            start, end = self.tree.span(one)
            found.append((start, end, text.encode()))
        return sorted(set(found))

    def require_all_shown(self) -> None:
        """Raise Refusal when the dual display shows a new value that the new one would lack."""
        missing = {_concept(self._name(new)) for new in self.new} - self.shown - {""}
        if missing and self.used:
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

    def _is_function(self, node: cst.BaseExpression) -> bool:
        parent = self.tree.parent(node)
        return isinstance(parent, cst.Call) and parent.func is node

    def _counterpart(self, old: cst.BaseExpression, name: str) -> cst.BaseExpression:
        """The same name with the other word, else the one new value about the same thing that is written in the same way."""
        for word in ("new", "lua", "shadow"):
            for pattern, text in ((r"old", word), (r"Old", word.capitalize()), (r"legacy", word)):
                other = re.sub(pattern, text, name, count=1)
                same = [new for new in self.new if self._name(new) == other]
                if other != name and same:
                    return same[0]
        about = [
            new
            for new in self.new
            if _concept(self._name(new)) == _concept(name) != ""
            and _in_minutes(self._name(new)) == _in_minutes(name)
            and self._dress(new) == self._dress(old)
        ]
        if len({self.tree.text(new) for new in about}) == 1:
            return about[0]
        raise Refusal(
            f"line {self.tree.line(old)}: looked for the new value beside {name} in the dual display, found "
            f"{', '.join(self.branch.on_names)}; give that place its third display by hand"
        )

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

    def _require_bound(self, text: str, new: cst.BaseExpression, at: cst.CSTNode) -> None:
        root: cst.BaseExpression = new
        while not isinstance(root, cst.Name) and (holder := holder_of(root)) is not None:
            root = holder
        if not isinstance(root, cst.Name):
            return
        here, there = self.scope.binding(root.value, at), self.scope.binding(root.value, new)
        if (here is None) != (there is None) or (
            here is not None and there is not None and here.node is not there.node
        ):
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
    text = _with_note(tree, _changed(tree, *tree.span(off), values.renames(off, node)), off, on)
    plan.edits.wrap(*tree.span(node), f"({text} if {CALL} else ".encode(), b")")


def _inside(tree: SourceTree, node: cst.If | cst.IfExp, values: _Values, plan: Plan) -> None:
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
    if len(again) != 1:
        raise Refusal(
            f"line {line}: looked for one text that is set in front of the branch and anew inside of it, found {len(again)}; give it its "
            "third display by hand"
        )
    off = before[tree.raw(again[0].targets[0].target)].value
    text = _changed(tree, *tree.span(off), values.renames(off, again[0].value))
    plan.edits.wrap(*tree.span(again[0].value), f"({text}) if {CALL} else (".encode(), b")")
    _asked_too(tree, node, plan)


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
    head = f"if {CALL}:{tree.newline}{_copied(tree, node, off, on, values, indent)}"
    if before and off[0] in before:
        # The text is set first and replaced in dual mode; here it is replaced once more.
        at = tree.line_end(tree.span(node)[1] - 1)
        lead = "" if tree.body[at - 1 : at] == b"\n" else tree.newline
        plan.edits.insert(at, f"{lead}{indent}{head}".encode())
        return
    plan.edits.insert(tree.span(node)[0], f"{head}{indent}{'' if _leaves(off[-1]) else 'el'}".encode())


def _leaves(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and isinstance(
        node.body[-1], (cst.Return, cst.Continue, cst.Raise)
    )


def _copied(
    tree: SourceTree, node: cst.If, off: list[cst.CSTNode], on: list[cst.CSTNode], values: _Values, indent: str
) -> str:
    """The statements of the old display as the body of a new if, with the new values in them."""
    unit = tree.module.default_indent
    pieces = []
    for one in off:
        start, end = tree.line_start(tree.span(one)[0]), tree.line_end(tree.span(one)[1] - 1)
        if any(
            ("\n" in tree.raw(s) and '"""' in tree.raw(s)) or "'''" in tree.raw(s)
            for s in tree.within(one, cst.SimpleString)
        ):
            raise Refusal(
                f"line {tree.line(one)}: looked for statements that can be indented, found a string over lines"
            )
        text = _changed(tree, start, end, values.renames(one, node))
        own = tree.indent(one)
        text = _with_note(tree, text, one, *on)
        for line in text.splitlines(keepends=True):
            pieces.append(indent + unit + line.removeprefix(own) if line.strip() else line)
    text = "".join(pieces)
    return text if text.endswith("\n") else text + tree.newline


def _with_note(tree: SourceTree, text: str, off: cst.CSTNode, *on: cst.CSTNode) -> str:
    """Put what the dual display says about missing Lua rows behind the text, where both are f-strings."""
    notes = [
        tree.raw(part)
        for one in on
        for part in tree.within(one, cst.FormattedStringExpression)
        if _NOTE.search(tree.raw(part)) and not timing_probe.kind_of(tree.raw(part.expression).rpartition(".")[2])
    ]
    strings = tree.within(off, cst.FormattedString)
    if not notes or len(strings) != 1 or notes[0] in text:
        return text
    end = strings[0].end
    head, quote, tail = text.rpartition(end)
    return f"{head}{notes[0]}{quote}{tail}" if quote and tail.strip() in ("", ")") else text


def prove_timing_new_only(before: bytes, after: bytes) -> list[str]:
    """The probe that guards the cutover must find the new display, and the two old ones as they were."""
    old, new = (timing_probe.shows(_files(tree_of(source).body)) for source in (before, after))
    only = timing_probe.probe(_files(tree_of(after).body))
    if not only["new_only"]:
        raise Refusal(f"looked for a display of the new values alone in the result, found {only['new_only_reason']}")
    # The flag's own displays: what they show, not where they stand.
    shown = [
        sorted((b.on, b.off, b.on_names, b.off_names) for b in found.branches if b.on or b.off) for found in (old, new)
    ]
    if shown[0] != shown[1]:
        raise Refusal("looked for the displays of SHOW_TIMING_DUAL as they were, found another one")
    return ["proven: the new display uses new values only, and SHOW_TIMING_DUAL decides what it decided before"]
