"""SQL texts where they stand in a Python file, so that a part of one can be edited there.

A text may be put together: of adjacent strings, by ``+``, in an f-string, of fragments that have names. The query is what comes out;
each of its characters knows its place in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import libcst as cst

from python_checks.source import sqltext
from python_checks.source.tree import Edits, Refusal, SourceTree, called, string_value

_SPEAKS_SQL = re.compile(rb"\b(?:SELECT|FROM|WHERE|JOIN|HAVING|ORDER BY|GROUP BY)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Borrowed:
    """A fragment ``text[start:end]`` of a query that other texts use too; ``reference`` is its name in this one. One that is
    ``emptied`` only is this query's own and may change, but where all of it goes, its name goes from the query instead: another
    file may import it."""

    start: int
    end: int
    reference: cst.CSTNode
    emptied: bool = False


@dataclass(frozen=True)
class Query:
    """One SQL text in a file: ``text`` without quotes, each character at ``offsets`` in the file."""

    tree: SourceTree
    node: cst.CSTNode
    text: str
    offsets: tuple[int, ...]
    borrowed: tuple[Borrowed, ...] = ()
    holes: dict[int, cst.BaseExpression] = field(default_factory=dict)
    """Expressions in the text by the position of their opening brace."""

    def edit(self, edits: Edits, start: int, end: int, new: str) -> None:
        """Replace ``text[start:end]`` (or insert behind what is in front of it), also where the string is put together of pieces.
        Raises Refusal when a part of a fragment would change that other texts use too."""
        if start == end:
            self._own(start - 1, start)
            edits.insert(self.offsets[start - 1] + 1, new.encode("latin-1"))
            return
        runs: list[list[int]] = []
        at = start
        while at < end:
            shared = next(
                (
                    one
                    for one in self.borrowed
                    if one.start <= at < one.end and (not one.emptied or (start <= one.start and one.end <= end))
                ),
                None,
            )
            if shared is not None:
                if not self.text[at : min(end, shared.end)].strip():
                    at = min(end, shared.end)
                    continue
                lead, tail = self.text[shared.start : start], self.text[end : shared.end]
                if lead.strip() or tail.strip():
                    self._own(at, at + 1)
                in_string = isinstance(shared.reference, cst.FormattedStringExpression)
                first, last = self.tree.span(shared.reference)
                text = f" {new} " if new else " "
                edits.replace(first, last, (text if in_string else f'"{text}"').encode("latin-1"))
                new, at = "", shared.end
                continue
            place = self.offsets[at]
            if runs and place == runs[-1][1]:
                runs[-1][1] = place + 1
            else:
                runs.append([place, place + 1])
            at += 1
        for first, last in runs:
            edits.replace(first, last, new.encode("latin-1"))
            new = ""

    def _own(self, start: int, end: int) -> None:
        for one in self.borrowed:
            if one.start < end and start < one.end and not one.emptied:
                raise Refusal(
                    f"line {self.tree.line(self.node)}: looked for a text of the query's own, found a part of "
                    f"{self.tree.raw(one.reference).strip('{}')}, which other queries use too; give this query its own"
                )


def queries(tree: SourceTree) -> list[Query]:
    """The SQL texts of a file."""
    if not hasattr(tree, "_queries"):
        tree._queries = list(_queries(tree))  # type: ignore[attr-defined]
    return tree._queries  # type: ignore[attr-defined]


def _queries(tree: SourceTree) -> Iterator[Query]:
    for node in tree.nodes:
        parent = tree.parent(node)
        if isinstance(parent, cst.ConcatenatedString) or _sum(parent):
            continue
        if not (isinstance(node, cst.BaseString) or _sum(node)):
            continue
        if not _SPEAKS_SQL.search(tree.body[slice(*tree.span(node))]):
            continue
        made = _Maker(tree)
        made.add(node)
        for more in _appended(tree, node, parent):
            made.add(more)
        if sqltext.is_query(made.text):
            yield Query(tree, node, made.text, tuple(made.offsets), tuple(made.borrowed), made.holes)


def _appended(tree: SourceTree, node: cst.CSTNode, parent: cst.CSTNode | None) -> Iterator[cst.BaseExpression]:
    """What ``sql += ...`` puts behind ``sql = node``, taken as if every condition held."""
    if not (
        isinstance(parent, cst.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0].target, cst.Name)
    ):
        return
    name, begun = parent.targets[0].target.value, False
    for one in tree.below(tree.function(node)):
        if one is parent:
            begun = True
        elif begun and isinstance(one, cst.Assign) and any(_last(t.target) == name for t in one.targets):
            return
        elif begun and isinstance(one, cst.AugAssign) and _last(one.target) == name:
            yield one.value


def _sum(node: cst.CSTNode | None) -> bool:
    return isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add)


class _Maker:
    """Puts one text together."""

    def __init__(self, tree: SourceTree) -> None:
        self.tree = tree
        self.text = ""
        self.offsets: list[int] = []
        self.borrowed: list[Borrowed] = []
        self.holes: dict[int, cst.BaseExpression] = {}

    def add(self, node: cst.CSTNode) -> None:
        """Append what an expression gives."""
        if (isinstance(node, cst.BinaryOperation) and _sum(node)) or isinstance(node, cst.ConcatenatedString):
            self.add(node.left)
            self.add(node.right)
        elif isinstance(node, cst.SimpleString):
            start, end = self.tree.span(node)
            self._take(start + len(node.prefix) + len(node.quote), end - len(node.quote))
        elif isinstance(node, cst.FormattedString):
            for part in node.parts:
                if isinstance(part, cst.FormattedStringText):
                    self._take(*self.tree.span(part))
                elif isinstance(part, cst.FormattedStringExpression) and not self._inline(part.expression, part):
                    self._hole(part, part.expression)
        elif isinstance(node, cst.BaseExpression) and not self._inline(node, node):
            self._hole(node, node)

    def _take(self, start: int, end: int) -> None:
        # One character for each byte keeps positions; SQL keywords and columns are ASCII.
        self.text += self.tree.body[start:end].decode("latin-1")
        self.offsets += range(start, end)

    def _hole(self, piece: cst.CSTNode, expression: cst.BaseExpression) -> None:
        start, end = self.tree.span(piece)
        while isinstance(expression, cst.Call) and called(expression) in ("str", "int") and len(expression.args) == 1:
            expression = expression.args[0].value
        self.holes[len(self.text)] = expression
        inner = self.tree.raw(expression).translate(str.maketrans("{}", "()"))
        self.text += f"{{{inner}}}"
        self.offsets += [start] * (len(inner) + 1) + [end - 1]

    def _inline(self, expression: cst.BaseExpression, reference: cst.CSTNode) -> bool:
        """Take a named fragment's text, unless it is a query of its own."""
        fragment, uses = _fragment(self.tree, expression)
        outside = fragment is not None and not isinstance(self.tree.function(fragment), cst.FunctionDef)
        text = string_value(fragment) if fragment is not None else None
        if fragment is None or text is None or sqltext.is_query(text) or not text.strip():
            return False
        start = len(self.text)
        self.add(fragment)
        if uses > 1 or outside:
            self.borrowed.append(Borrowed(start, len(self.text), reference, uses <= 1))
        return True


def _fragment(tree: SourceTree, node: cst.BaseExpression) -> tuple[cst.BaseExpression | None, int]:
    """The string behind a name or an attribute that is assigned once, and how often the file uses it."""
    name = node.value if isinstance(node, cst.Name) else node.attr.value if isinstance(node, cst.Attribute) else ""
    if isinstance(node, cst.Attribute) and not isinstance(node.value, cst.Name):
        return None, 0
    if not name:
        return None, 0
    given, uses = _names(tree)
    assigned, used = given.get(name, []), uses.get(name, [])
    if isinstance(node, cst.Name):
        function = tree.function(node)
        own = [one for one in assigned if tree.function(one) is function]
        if own and isinstance(function, cst.FunctionDef):
            assigned, used = own, [one for one in used if tree.function(one) is function]
    if len(assigned) != 1 or isinstance(assigned[0], cst.AugAssign) or assigned[0].value is None:
        return None, 0
    return assigned[0].value, len(used) - 1


_Assigns = list[cst.Assign | cst.AnnAssign | cst.AugAssign]


def _names(tree: SourceTree) -> tuple[dict[str, _Assigns], dict[str, list[cst.Name]]]:
    """Where each name or attribute is assigned, and each of its uses."""
    if not hasattr(tree, "_assigned_names"):
        assigned: dict[str, _Assigns] = {}
        uses: dict[str, list[cst.Name]] = {}
        for one in tree.nodes:
            if isinstance(one, cst.Name):
                uses.setdefault(one.value, []).append(one)
            elif isinstance(one, cst.Assign):
                for target in one.targets:
                    assigned.setdefault(_last(target.target), []).append(one)
            elif isinstance(one, (cst.AnnAssign, cst.AugAssign)):
                assigned.setdefault(_last(one.target), []).append(one)
        tree._assigned_names = (assigned, uses)  # type: ignore[attr-defined]
    return tree._assigned_names  # type: ignore[attr-defined]


def _last(node: cst.CSTNode) -> str:
    return node.value if isinstance(node, cst.Name) else node.attr.value if isinstance(node, cst.Attribute) else ""
