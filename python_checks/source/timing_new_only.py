"""Recipe ``timing-new-only``: a display of the new timing alone, behind its own setting SHOW_TIMING_NEW_ONLY.

The bot of the plan's day knows two displays, decided by SHOW_TIMING_DUAL: old and new side by side, or the old alone
(domain.md 7). The third is made of the second: the same statements with each old value replaced by the new one that the dual
display shows beside it. It is asked for first; with the setting off nothing changes. A player without Lua rows shows old values
as new ones, so the dual display's note about that is taken along.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

import libcst as cst
from ansible_collections.slomix.timetracking.plugins.module_utils import timing_probe

from python_checks.source.tree import Edits, Plan, Refusal, SourceTree, called, dedented, key_of

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


def _display(tree: SourceTree) -> timing_probe.Branch:
    found = timing_probe.shows(_files(tree.body))
    telling = [branch for branch in found.branches if branch.file == "" and (branch.on or branch.off)]
    if len(telling) != 1:
        lines = ", ".join(str(branch.line) for branch in telling) or "no line"
        raise Refusal(
            f"looked for one display of timing values that SHOW_TIMING_DUAL decides, found {len(telling)} ({lines}; {found.reason})"
        )
    only = telling[0]
    if set(only.on) != {"old", "new"} or only.off != ("old",):
        raise Refusal(
            f"line {only.line}: looked for old and new values where the flag is on and old ones where it is off, found "
            f"{' and '.join(only.on) or 'none'} and {' and '.join(only.off) or 'none'}"
        )
    return only


def plan_timing_new_only(tree: SourceTree) -> Plan:
    """Plan the edits. Raises Refusal."""
    if timing_probe.probe(_files(tree.body))["new_only"]:
        return Plan()
    if timing_probe.NEW_ONLY_KEY in tree.body.decode("utf-8", "replace") or "_timing_new_only" in tree.definitions():
        raise Refusal(f"looked for a file without {timing_probe.NEW_ONLY_KEY}, found it used for something else")
    branch = _display(tree)
    at = [
        n
        for n in tree.nodes
        if isinstance(n, (cst.If, cst.IfExp)) and _decides(tree, n) and tree.line(n) == branch.line
    ]
    if len(at) != 1:
        raise Refusal(f"line {branch.line}: looked for one branch on the flag, found {len(at)}")
    plan, renamed = Plan(), dict[str, str]()
    for old in branch.off_names:
        renamed[old] = _counterpart(old, branch)
    node = at[0]
    if isinstance(node, cst.IfExp):
        _expression(tree, node, renamed, plan)
    else:
        _statement(tree, node, renamed, plan)
    tree.insert_helpers(plan.edits, dedented(HELPER))
    plan.actions += [
        f"line {branch.line}: with {timing_probe.NEW_ONLY_KEY}=true the display shows {', '.join(sorted(renamed.values()))} alone",
        f"with {timing_probe.NEW_ONLY_KEY} unset or anything else the display is as before",
    ]
    return plan


def _decides(tree: SourceTree, node: cst.If | cst.IfExp) -> bool:
    return bool(_FLAG.search(tree.raw(node.test))) or bool(_held_names(tree) & _names_in(tree, node.test))


def _held_names(tree: SourceTree) -> set[str]:
    files = _files(tree.body)
    return timing_probe._holders({name: ast.parse(text) for name, text in files.items()}, timing_probe.DUAL_KEY)


def _names_in(tree: SourceTree, node: cst.CSTNode) -> set[str]:
    return {name.value for name in tree.within(node, cst.Name)}


def _negated(test: cst.BaseExpression) -> bool:
    return isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not)


def _counterpart(old: str, branch: timing_probe.Branch) -> str:
    """The new value that the dual display shows for an old one: the same name with the other word."""
    for word in ("new", "lua", "shadow"):
        for pattern, new in ((r"old", word), (r"Old", word.capitalize()), (r"legacy", word)):
            name = re.sub(pattern, new, old, count=1)
            if name != old and name in branch.on_names:
                return name
    raise Refusal(
        f"line {branch.line}: looked for the new value beside {old} in the dual display, found {', '.join(branch.on_names)}"
    )


def _renames(tree: SourceTree, node: cst.CSTNode, renamed: Mapping[str, str]) -> list[tuple[int, int, bytes]]:
    """(start, end, new text) of every name and key below a node that is an old value."""
    found = []
    for one in tree.below(node):
        if isinstance(one, cst.Name) and one.value in renamed:
            start, end = tree.span(one)
            found.append((start, end, renamed[one.value].encode()))
        elif (
            isinstance(one, (cst.Subscript, cst.Call))
            and (key := key_of(one)) in renamed
            and called(one) in ("", "get")
        ):
            string = tree.within(one.slice[0] if isinstance(one, cst.Subscript) else one.args[0], cst.SimpleString)[0]
            start, end = tree.span(string)
            found.append((start, end, tree.raw(string).replace(str(key), renamed[str(key)]).encode()))
    return sorted(set(found))


def _changed(tree: SourceTree, start: int, end: int, renames: list[tuple[int, int, bytes]]) -> str:
    edits = Edits()
    for first, last, new in renames:
        if start <= first and last <= end:
            edits.replace(first - start, last - start, new)
    return edits.apply(tree.body[start:end]).decode("utf-8")


def _expression(tree: SourceTree, node: cst.IfExp, renamed: Mapping[str, str], plan: Plan) -> None:
    off, on = (node.body, node.orelse) if _negated(node.test) else (node.orelse, node.body)
    text = _with_note(tree, _changed(tree, *tree.span(off), _renames(tree, off, renamed)), off, on)
    plan.edits.wrap(*tree.span(node), f"({text} if {CALL} else ".encode(), b")")


def _statement(tree: SourceTree, node: cst.If, renamed: Mapping[str, str], plan: Plan) -> None:
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
    head = f"if {CALL}:{tree.newline}{_copied(tree, off, on, renamed, indent)}"
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
    tree: SourceTree, off: list[cst.CSTNode], on: list[cst.CSTNode], renamed: Mapping[str, str], indent: str
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
        text = _changed(tree, start, end, _renames(tree, one, renamed))
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
    old, new = (timing_probe.shows(_files(SourceTree(source).body)) for source in (before, after))
    only = timing_probe.probe(_files(SourceTree(after).body))
    if not only["new_only"]:
        raise Refusal(f"looked for a display of the new values alone in the result, found {only['new_only_reason']}")
    # The flag's own displays: what they show, not where they stand.
    shown = [
        sorted((b.on, b.off, b.on_names, b.off_names) for b in found.branches if b.on or b.off) for found in (old, new)
    ]
    if shown[0] != shown[1]:
        raise Refusal("looked for the displays of SHOW_TIMING_DUAL as they were, found another one")
    return ["proven: the new display uses new values only, and SHOW_TIMING_DUAL decides what it decided before"]
