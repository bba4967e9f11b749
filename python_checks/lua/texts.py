"""Texts with holes: what a JSON text built by string.format, ``..`` or a table shows under which name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from python_checks.lua.tree import LuaTree

_CONVERSION = re.compile(rb"%([-+ #0-9.]*)(.)", re.DOTALL)
_FIELD_BEFORE = re.compile(
    rb"""["']?name["']?\s*[:=]\s*"([^"]+)"\s*,\s*(?:"inline"\s*:\s*\w+\s*,\s*)?["']?value["']?\s*[:=]\s*"?[^"]*$"""
)
_KEY_BEFORE = re.compile(rb'"(\w+)"\s*:\s*"?[^"{}\[\],]*$')


@dataclass(frozen=True)
class Hole:
    """One value inside a text. ``conversion`` is the letter of a format's conversion, empty for ``..`` and for plain values.

    ``label`` is the name that the surrounding JSON gives to the value, ``nth`` counts the values under one label from 0.
    """

    label: bytes
    nth: int
    node: Node
    conversion: bytes
    is_field: bool


def is_format(tree: LuaTree, call: Node) -> bool:
    """True for ``string.format`` in any notation, also after the guard has taken its place."""
    name = call.child_by_field_name("name")
    if name is None:
        return False
    receiver = tree.receiver(call)
    if receiver is not None:
        return receiver[1] == b"format"
    return tree.api(name) in ("string.format", "rollout_guard.format", "rollout_guard.method_format")


def format_parts(tree: LuaTree, call: Node) -> tuple[Node | None, list[Node]]:
    """``(template, values)`` of a format call."""
    receiver = tree.receiver(call)
    arguments = tree.arguments(call)
    if receiver is not None:
        return receiver[0], arguments
    return (arguments[0], arguments[1:]) if arguments else (None, [])


def conversions(template: bytes) -> list[tuple[int, bytes]]:
    """``(offset, letter)`` of each conversion that takes a value."""
    return [(m.start(), m.group(2)) for m in _CONVERSION.finditer(template) if m.group(2) != b"%"]


def holes(tree: LuaTree, node: Node) -> Iterator[Hole]:
    """The named values of one text expression (a format call or a ``..`` chain)."""
    text = b""
    counts: dict[bytes, int] = {}
    for piece, conversion in _pieces(tree, node):
        if isinstance(piece, bytes):
            text += piece
            continue
        label, is_field = _label(text)
        if label:
            nth = counts.get(label, 0)
            counts[label] = nth + 1
            yield Hole(label, nth, piece, conversion, is_field)
        text += b"\0"


def _pieces(tree: LuaTree, node: Node) -> Iterator[tuple[bytes | Node, bytes]]:
    for piece in tree.concat_pieces(node):
        constant = tree.constant(piece)
        if constant is not None:
            yield constant, b""
        elif piece.type == "function_call" and is_format(tree, piece):
            yield from _format_pieces(tree, piece)
        else:
            yield piece, b""


def _format_pieces(tree: LuaTree, call: Node) -> Iterator[tuple[bytes | Node, bytes]]:
    template, values = format_parts(tree, call)
    text = tree.constant(template) if template is not None else None
    if text is None:
        yield call, b""
        return
    position = 0
    for index, (offset, letter) in enumerate(conversions(text)):
        yield text[position:offset], b""
        if index < len(values):
            yield values[index], letter
        match = _CONVERSION.match(text, offset)
        position = match.end() if match else len(text)
    yield text[position:], b""


def _label(before: bytes) -> tuple[bytes, bool]:
    match = _FIELD_BEFORE.search(before[-300:])
    if match:
        return match.group(1), True
    match = _KEY_BEFORE.search(before[-300:])
    return (match.group(1), False) if match else (b"", False)
