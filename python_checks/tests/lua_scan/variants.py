"""Other spellings of a script: what its author could as well have written, and small mutilations."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from python_checks.lua.edits import Edits
from python_checks.lua.tree import LuaTree


def renamed_locals(source: bytes) -> bytes:
    """Every local under another name."""
    tree, edits = LuaTree(source), Edits()
    numbers = {binding: index for index, binding in enumerate(tree.bindings)}
    for node in tree.descendants(tree.root):
        binding = tree.binding(node) if node.type == "identifier" else None
        if binding is not None and binding.name != b"self":
            edits.replace(node.start_byte, node.end_byte, b"v%d" % numbers[binding])
    return edits.apply(source)


def reordered_callbacks(source: bytes) -> bytes:
    """The global functions of the file in the opposite order."""
    tree, edits = LuaTree(source), Edits()
    found = [f.node for f in tree.functions if f.parent is None and f.name.startswith(b"et_") and f.is_statement]
    for node, other in zip(found, reversed(found), strict=True):
        edits.replace(node.start_byte, node.end_byte, tree.text(other))
    return edits.apply(source)


def method_formats(source: bytes) -> bytes:
    """``("…"):format(…)`` for ``string.format("…", …)``."""
    tree, edits = LuaTree(source), Edits()
    for call in tree.calls:
        name, arguments = call.child_by_field_name("name"), tree.arguments(call)
        if name is not None and tree.text(name) == b"string.format" and len(arguments) > 1:
            edits.replace(
                call.start_byte, arguments[1].start_byte, b"(" + tree.text(arguments[0]) + b"):format("
            )  # fmt: skip
    return edits.apply(source) if _are_apart(edits) else source


def _are_apart(edits: Edits) -> bool:
    ordered = sorted(edits.edits)
    return all(one.end <= two.start for one, two in pairwise(ordered))


def aliased_format(source: bytes) -> bytes:
    """``string.format`` through a global alias."""
    return b"local sformat = string.format\n" + source.replace(b"string.format(", b"sformat(")


def crlf(source: bytes) -> bytes:
    """Windows line endings."""
    return source.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def tabs(source: bytes) -> bytes:
    """Tabs for four spaces at the start of lines."""
    return re.sub(rb"(?m)^(?:    )+", lambda m: b"\t" * (len(m.group()) // 4), source)


def latin1(source: bytes) -> bytes:
    """A Latin-1 byte in front."""
    return b"-- gr\xfc\xdfe\n" + source


def without_engine_alias(source: bytes) -> bytes:
    """``et`` through a local."""
    return b"local ET = et\n" + re.sub(rb"\bet\.", b"ET.", source)


SAME: dict[str, Callable[[bytes], bytes]] = {
    "renamed locals": renamed_locals,
    "reordered callbacks": reordered_callbacks,
    "method formats": method_formats,
    "aliased format": aliased_format,
    "crlf": crlf,
    "tabs": tabs,
    "latin1": latin1,
    "aliased engine": without_engine_alias,
}

#: Appended texts, and the interpreters that then do not load the file.
BREAKING: dict[bytes, set[str]] = {
    b"\nlocal q1 = 7 // 2\n": {"luajit"},
    b"\nlocal q2 = 7 & 2\n": {"luajit"},
    b"\nlocal q3 <const> = 7\n": {"luajit"},
    b"\nlocal q4 = 7LL\n": {"lua54"},
    b"\nlocal q5 = \n": {"lua54", "luajit"},
    b"\nend\n": {"lua54", "luajit"},
    b"\ngoto nowhere\n": {"lua54", "luajit"},
    b"\nlocal q6 = '\\q'\n": {"lua54", "luajit"},
    b"\n::here:: ::there::\n": set(),
}
