"""The header line of a stats file in a script's code: eight or nine fields with backslashes between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from python_checks.lua.recipe import Refusal
from python_checks.lua.texts import conversions, format_parts, is_format
from python_checks.lua.tree import LuaTree

#: A value, then seven or eight fields behind a backslash each; a field holds values and a colon (M:SS) or a short constant.
_HEADER = re.compile(rb"\0(?:\\[\0\w:. -]*){7,8}[\r\n]*")
_CONVERSION = re.compile(rb"%[-+ #0-9.]*[a-zA-Z]")


@dataclass(frozen=True)
class Piece:
    """A constant text (``text``) or a value; ``node`` is the expression that gives it, ``in_format`` where a conversion shows it."""

    text: bytes | None
    node: Node
    in_format: bool = False


@dataclass(frozen=True)
class HeaderText:
    """One expression that makes the header line. ``kind`` is ``format``, ``concat`` or ``table``."""

    node: Node
    kind: str
    fields: int
    pieces: tuple[Piece, ...]


def is_format_call(tree: LuaTree, call: Node) -> bool:
    """True for ``string.format`` in any notation, also after a recipe has put its own in place."""
    name = call.child_by_field_name("name")
    return is_format(tree, call) or (name is not None and tree.text(name) == b"rollout_stats.format")


def find_header(tree: LuaTree) -> HeaderText:
    """The one header line of the script; raises Refusal for none and for several."""
    found = list(_candidates(tree))
    if len(found) == 1:
        return found[0]
    looked = "looked for the one text of a stats file's first line (server\\map\\config\\round\\defender\\winner\\limit\\next limit)"
    if not found:
        raise Refusal(f"{looked}, found none; a text that is put together in several statements is not recognised")
    lines = ", ".join(str(tree.line(h.node)) for h in found)
    raise Refusal(f"{looked}, found {len(found)} (lines {lines})")


def _candidates(tree: LuaTree) -> Iterator[HeaderText]:
    for node in tree.descendants(tree.root):
        kind = _kind(tree, node)
        if not kind:
            continue
        pieces = tuple(_table_pieces(tree, node) if kind == "table" else _pieces(tree, node))
        text = b"".join(b"\0" if p.text is None else p.text for p in pieces)
        if _HEADER.fullmatch(text):
            yield HeaderText(node, kind, text.count(b"\\") + 1, pieces)


def _kind(tree: LuaTree, node: Node) -> str:
    if node.type == "binary_expression" and tree.concat_pieces(node) != [node]:
        return "" if _is_inside_concat(tree, node) else "concat"
    if node.type != "function_call" or _is_inside_concat(tree, node):
        return ""
    if is_format_call(tree, node):
        return "format"
    name = node.child_by_field_name("name")
    return "table" if name is not None and tree.api(name) == "table.concat" else ""


def _is_inside_concat(tree: LuaTree, node: Node) -> bool:
    parent = tree.parent(node)
    while parent is not None and parent.type == "parenthesized_expression":
        parent = tree.parent(parent)
    return parent is not None and parent.type == "binary_expression" and tree.concat_pieces(parent) != [parent]


def _pieces(tree: LuaTree, node: Node) -> Iterator[Piece]:
    for piece in tree.concat_pieces(node):
        constant = tree.constant(piece)
        if constant is not None:
            yield Piece(constant, piece)
        elif piece.type == "function_call" and is_format_call(tree, piece):
            yield from _format_pieces(tree, piece)
        elif piece.type == "function_call" and _kind_of_table(tree, piece):
            yield from _table_pieces(tree, piece)
        else:
            yield Piece(None, piece)


def _kind_of_table(tree: LuaTree, call: Node) -> bool:
    name = call.child_by_field_name("name")
    return name is not None and tree.api(name) == "table.concat"


def _format_pieces(tree: LuaTree, call: Node) -> Iterator[Piece]:
    template, values = format_parts(tree, call)
    text = tree.constant(template) if template is not None else None
    if text is None or template is None:
        yield Piece(None, call)
        return
    position = 0
    for index, (offset, _) in enumerate(conversions(text)):
        match = _CONVERSION.match(text, offset)
        yield Piece(text[position:offset], template, True)
        yield Piece(None, values[index] if index < len(values) else call, True)
        position = match.end() if match else len(text)
    yield Piece(text[position:], template, True)


def _table_pieces(tree: LuaTree, call: Node) -> Iterator[Piece]:
    """``table.concat({a, b, c}, "\\\\")``; anything else is one value."""
    arguments = tree.arguments(call)
    separator = tree.constant(arguments[1]) if len(arguments) == 2 else None
    items = table_items(tree, arguments[0]) if arguments else []
    if separator is None or not items:
        yield Piece(None, call)
        return
    for index, item in enumerate(items):
        if index:
            yield Piece(separator, arguments[1])
        constant = tree.constant(item)
        yield Piece(constant, item) if constant is not None else Piece(None, item)


def table_items(tree: LuaTree, node: Node) -> list[Node]:
    """The positional values of a table constructor, or of the local that holds one and is not changed; empty for others."""
    if node.type == "identifier":
        binding = tree.binding(node)
        if binding is None or len(binding.values) != 1 or binding.values[0] is None or binding.is_parameter:
            return []
        name = binding.name
        changed = re.search(
            rb"\b(?:" + re.escape(name) + rb"\s*\[|insert\s*\(\s*" + re.escape(name) + rb"\b)", tree.source
        )
        return [] if changed else table_items(tree, binding.values[0])
    if node.type != "table_constructor":
        return []
    items = []
    for child in node.children:
        if child.type != "field":
            continue
        value = child.child_by_field_name("value")
        if value is None or child.child_by_field_name("name") is not None:
            return []
        items.append(value)
    return items
