"""A Python file as a libcst tree with byte-exact edits.

libcst and not ``ast``: the site's Python is newer than the controller's, and its own parser reads that syntax too. Edits are
byte ranges on the text, so everything outside them (line endings, byte order mark, odd spacing) stays as it was.
"""

from __future__ import annotations

import ast
import bisect
import functools
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper

from python_checks.lua.edits import Edits, unified_diff
from python_checks.lua.recipe import CannotJudge, Plan, Refusal

__all__ = ["CannotJudge", "Edits", "Plan", "Refusal", "SourceTree", "dedented", "tree_of", "unified_diff"]

N = TypeVar("N", bound=cst.CSTNode)
_BOM = b"\xef\xbb\xbf"
_WORD = re.compile(r"[^\W\d]\w*")
LONG = 1500
"""Lines from which on a file is read in part."""


@dataclass
class SourceTree:
    """One file. ``body`` is its text in UTF-8 without byte order mark; positions and edits refer to it.

    With ``about``, ``body`` leaves out functions and classes of a long file's top level that neither match it nor are named by or
    name one that does: a syntax tree of ten thousand lines takes half a minute. ``apply`` puts the edits into the whole file.
    """

    source: bytes
    about: re.Pattern[str] | None = None
    body: bytes = field(init=False)
    encoding: str = field(init=False)
    newline: str = field(init=False)

    def __post_init__(self) -> None:
        try:
            # Python's own rules: coding line, byte order mark.
            encoding, _ = tokenize.detect_encoding(io.BytesIO(self.source).readline)
            self.encoding = "utf-8" if encoding == "utf-8-sig" else encoding
            self._mark = _BOM if self.source.startswith(_BOM) else b""
            self._whole = self.source[len(self._mark) :].decode(self.encoding).encode("utf-8")
            self._left_out = _left_out(self._whole, self.about)
            pieces, at = [], 0
            self._starts = [0]
            for start, end in self._left_out:
                pieces.append(self._whole[at:start])
                self._starts.append(self._starts[-1] + start - at)
                at = end
            self.body = b"".join([*pieces, self._whole[at:]])
            module = cst.parse_module(self.body.decode("utf-8"))
            wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
            self.module = wrapper.module
            self.newline = module.default_newline
            self._spans = wrapper.resolve(ByteSpanPositionProvider)
            self._newlines = [i for i, one in enumerate(self._whole) if one == 0x0A]
            self._parents: dict[int, cst.CSTNode] = {}
            self._functions: dict[int, cst.FunctionDef | cst.Module] = {}
            self.nodes: list[Any] = []
            self._ends: dict[int, tuple[int, int]] = {}
            self._index(self.module)
        except (cst.ParserSyntaxError, SyntaxError, ValueError, LookupError, RecursionError) as problem:
            raise CannotJudge(f"the file is no Python that can be read: {str(problem).splitlines()[0]}") from None

    def apply(self, edits: Edits) -> bytes:
        """The edited file in its own encoding. Raises Refusal when edits overlap, or cannot be written in that encoding."""
        moved = [replace(e, start=self._there(e.start, e.start < e.end), end=self._there(e.end)) for e in edits.edits]
        try:
            return self._mark + Edits(moved).apply(self._whole).decode("utf-8").encode(self.encoding)
        except ValueError as problem:
            raise Refusal(
                f"looked for places that do not overlap, found that they do ({problem}); edit them by hand"
            ) from None

    def _there(self, at: int, behind: bool = False) -> int:
        """A position of ``body`` in the whole file; where something was left out, in front of that or ``behind`` it."""
        index = max(0, (bisect.bisect_right if behind else bisect.bisect_left)(self._starts, at) - 1)
        return at + (self._left_out[index - 1][1] - self._starts[index] if index else 0)

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """(start, end) in ``body``; parentheses around an expression are not part of it."""
        span = self._spans[node]
        return span.start, span.start + span.length

    def text(self, node: cst.CSTNode) -> str:
        """An expression's text, in parentheses where it runs over lines, so that it can be put anywhere."""
        text = self.raw(node)
        return f"({text})" if "\n" in text and not text.startswith(("(", "[", "{")) else text

    def raw(self, node: cst.CSTNode) -> str:
        """The node's text as it stands."""
        start, end = self.span(node)
        return self.body[start:end].decode("utf-8")

    def line(self, node: cst.CSTNode) -> int:
        """The line (1-based) on which the node starts."""
        return bisect.bisect_left(self._newlines, self._there(self.span(node)[0], behind=True)) + 1

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node that holds this one, or None for the module."""
        return self._parents.get(id(node))

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """All holders, the nearest first."""
        current = self.parent(node)
        while current is not None:
            yield current
            current = self.parent(current)

    def within(self, node: cst.CSTNode, kind: type[N]) -> list[N]:
        """All nodes of a kind below (and including) ``node``, in text order."""
        return [found for found in self.below(node) if isinstance(found, kind)]

    def below(self, node: cst.CSTNode) -> list[Any]:
        """A node and all below it, in text order."""
        begin, end = self._ends[id(node)]
        return self.nodes[begin:end]

    def _index(self, node: cst.CSTNode) -> None:
        begin = len(self.nodes)
        self.nodes.append(node)
        for child in node.children:
            self._parents[id(child)] = node
            self._index(child)
        self._ends[id(node)] = (begin, len(self.nodes))

    def function(self, node: cst.CSTNode) -> cst.FunctionDef | cst.Module:
        """The function in which the node stands, or the module."""
        found = self._functions.get(id(node))
        if found is None:
            holders = (holder for holder in self.ancestors(node) if isinstance(holder, cst.FunctionDef))
            found = self._functions[id(node)] = next(holders, self.module)
        return found

    def statement(self, node: cst.CSTNode) -> cst.SimpleStatementLine | cst.BaseCompoundStatement:
        """The whole statement (of one line or compound) in which an expression stands."""
        for holder in (node, *self.ancestors(node)):
            if isinstance(holder, (cst.SimpleStatementLine, cst.BaseCompoundStatement)) and not self._is_elif(holder):
                return holder
        raise Refusal(f"line {self.line(node)}: looked for a statement around the computation, found none")

    def _is_elif(self, node: cst.CSTNode) -> bool:
        return isinstance(node, cst.If) and isinstance(self.parent(node), cst.If)

    def line_start(self, at: int) -> int:
        """Where the line of a position starts."""
        return self.body.rfind(b"\n", 0, at) + 1

    def line_end(self, at: int) -> int:
        """Behind the newline of a position's line (the text's end in a last line without one)."""
        found = self.body.find(b"\n", at)
        return len(self.body) if found < 0 else found + 1

    def indent(self, node: cst.CSTNode) -> str:
        """The white space in front of a statement."""
        start = self.span(node)[0]
        head = self.body[self.line_start(start) : start].decode("utf-8")
        return head[: len(head) - len(head.lstrip())]

    def insert_before(self, edits: Edits, statement: cst.CSTNode, lines: Sequence[str]) -> None:
        """Put lines in front of a statement, indented as it is."""
        indent = self.indent(statement)
        text = "".join(f"{indent}{line}{self.newline}" if line else self.newline for line in lines)
        edits.insert(self.line_start(self.span(statement)[0]), text.encode("utf-8"))

    def insert_after(self, edits: Edits, statement: cst.CSTNode, lines: Sequence[str]) -> None:
        """Put lines behind a one-line or compound statement, indented as it is."""
        indent = self.indent(statement)
        at = self.line_end(self.span(statement)[1] - 1)
        lead = "" if at == 0 or self.body[at - 1 : at] == b"\n" else self.newline
        text = lead + self.newline.join(f"{indent}{line}" for line in lines) + ("" if lead else self.newline)
        edits.insert(at, text.encode("utf-8"))

    def insert_helpers(self, edits: Edits, source: str) -> None:
        """Put functions at module level, behind the imports and the plain assignments that follow them."""
        anchor: cst.CSTNode | None = None
        for statement in self.module.body:
            simple = isinstance(statement, cst.SimpleStatementLine) and isinstance(
                statement.body[0], (cst.Import, cst.ImportFrom, cst.Expr, cst.Assign, cst.AnnAssign)
            )
            guarded = isinstance(statement, (cst.If, cst.Try)) and any(self.within(statement, cst.ImportFrom)) | any(
                self.within(statement, cst.Import)
            )
            if not (simple or guarded) or (anchor is not None and self._cut_between(anchor, statement)):
                break
            anchor = statement
        lines = [*([""] * 2), *source.strip("\n").split("\n")]
        if anchor is None:
            first = self.module.body[0]
            at = self.line_start(self.span(first)[0])
            # Decorators and comments of the first definition belong to it.
            leading = getattr(first, "leading_lines", ())
            at = self.line_start(self.span(leading[0])[0]) if leading else at
            edits.insert(at, self.newline.join([*lines[2:], "", "", ""]).encode("utf-8"))
            return
        at = self.line_end(self.span(anchor)[1] - 1)
        lead = "" if self.body[at - 1 : at] == b"\n" else self.newline
        edits.insert(at, (lead + self.newline.join(lines) + self.newline).encode("utf-8"))

    def _cut_between(self, one: cst.CSTNode, other: cst.CSTNode) -> bool:
        return any(self.span(one)[1] <= at <= self.span(other)[0] for at in self._starts[1:])

    def definitions(self) -> dict[str, cst.FunctionDef]:
        """The functions of the module's top level by name."""
        return {one.name.value: one for one in self.module.body if isinstance(one, cst.FunctionDef)}


@functools.lru_cache(maxsize=2)
def tree_of(source: bytes, about: re.Pattern[str] | None = None) -> SourceTree:
    """A file's tree, kept for the next to ask: the proof and the second run read what the recipe has read or written."""
    return SourceTree(source, about)


def _left_out(body: bytes, about: re.Pattern[str] | None) -> list[tuple[int, int]]:
    """Ranges of whole lines, in order, that hold definitions which have nothing to do with what is looked for."""
    lines = body.splitlines(keepends=True)
    # Only line ends that Python and bytes.splitlines agree on.
    if about is None or len(lines) < LONG or len(lines) != body.count(b"\n") + (not body.endswith(b"\n")):
        return []
    try:
        module = ast.parse(body.decode("utf-8"))
    except (SyntaxError, RecursionError):
        return []  # newer Python than the controller's: libcst reads all of it
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found: list[tuple[str, int, int, set[str]]] = []
    for node in module.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1
            start, end = starts[first], starts[node.end_lineno or node.lineno]
            text = body[start:end].decode("utf-8")
            if not text[:1].isspace():
                found.append((node.name, start, end, set(_WORD.findall(text))))
    outside, at = "", 0
    for _, start, end, _ in found:
        outside += body[at:start].decode("utf-8")
        at = end
    outside += body[at:].decode("utf-8")
    kept = {i for i, (_, start, end, _) in enumerate(found) if about.search(body[start:end].decode("utf-8"))}
    names = {found[i][0] for i in kept}
    # Who calls them says what their parameters are.
    kept |= {i for i, (_, _, _, words) in enumerate(found) if words & names}
    used = set(_WORD.findall(outside)).union(*(found[i][3] for i in kept))
    while more := {i for i, (name, _, _, _) in enumerate(found) if i not in kept and name in used}:
        kept |= more
        used |= set().union(*(found[i][3] for i in more))
    return [(start, end) for i, (_, start, end, _) in enumerate(found) if i not in kept]


def dedented(text: str) -> str:
    """A block of source without the indentation that it has here."""
    return textwrap.dedent(text).strip("\n")


def string_value(node: cst.CSTNode) -> str | None:
    """The text of a plain or concatenated string; of an f-string with ``{}`` for each expression; None for anything else."""
    if isinstance(node, cst.SimpleString):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    if isinstance(node, cst.ConcatenatedString):
        left, right = string_value(node.left), string_value(node.right)
        return None if left is None or right is None else left + right
    if isinstance(node, cst.FormattedString):
        return "".join(part.value if isinstance(part, cst.FormattedStringText) else "{}" for part in node.parts)
    return None


def number_value(node: cst.CSTNode) -> float | None:
    """The value of a number literal, else None."""
    if isinstance(node, (cst.Integer, cst.Float)):
        return float(node.evaluated_value)
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
        inner = number_value(node.expression)
        return None if inner is None else -inner
    return None


def called(node: cst.CSTNode) -> str:
    """The last name of what a call calls (``get`` of ``row.get(...)``); empty for anything else."""
    if not isinstance(node, cst.Call):
        return ""
    if isinstance(node.func, cst.Name):
        return node.func.value
    return node.func.attr.value if isinstance(node.func, cst.Attribute) else ""


def index_of(node: cst.CSTNode) -> cst.BaseExpression | None:
    """The one plain index of a subscript, else None."""
    if isinstance(node, cst.Subscript) and len(node.slice) == 1 and isinstance(node.slice[0].slice, cst.Index):
        return node.slice[0].slice.value
    return None


def key_of(node: cst.CSTNode) -> str | int | None:
    """What an access reads: ``x["k"]``, ``x.get("k")``, ``x.k`` -> ``k``; ``x[3]`` -> 3; None for anything else."""
    index = index_of(node)
    if index is not None:
        number = number_value(index)
        return int(number) if number is not None and number == int(number) else string_value(index)
    if called(node) == "get" and isinstance(node, cst.Call) and node.args:
        return string_value(node.args[0].value)
    if called(node) == "getattr" and isinstance(node, cst.Call) and len(node.args) > 1:
        return string_value(node.args[1].value)
    return node.attr.value if isinstance(node, cst.Attribute) else None


def holder_of(node: cst.CSTNode) -> cst.BaseExpression | None:
    """What an access reads from: ``x`` of ``x["k"]``, ``x.get("k")`` and ``x.k``."""
    if isinstance(node, (cst.Subscript, cst.Attribute)):
        return node.value
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        return node.func.value
    return None
