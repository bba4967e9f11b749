"""LOAD and LJIT: what keeps an interpreter from loading the file. The interpreters' own compilers have the last word."""

from __future__ import annotations

import re
from collections.abc import Iterator

from python_checks.lua.scan.notes import Note, shown
from python_checks.lua.scan.script import Script

_AT = re.compile(r"^file:(\d+): ?")
SIZE_LIMIT_BYTES = 1024 * 1024


def syntax_notes(script: Script, loads: dict[str, str]) -> Iterator[Note]:
    """LJIT002, LJIT003, LJIT101 and LJIT102; nothing when LuaJIT compiles the file or is no target."""
    if not loads.get("luajit"):
        return
    tree = script.tree
    for node in [*script.binaries, *script.unaries]:
        operator = script.operator(node)
        code = {"<<": "LJIT002", ">>": "LJIT002", "&": "LJIT003", "|": "LJIT003", "~": "LJIT003", "//": "LJIT101"}.get(
            operator
        )
        if code is not None:
            yield Note(node, code, ("luajit",), f"{shown(tree.text(node))}: LuaJIT has no operator {operator}")
    for node in script.attributes:
        yield Note(node, "LJIT102", ("luajit",), f"{shown(tree.text(node))}: LuaJIT has no attributes of locals")


def load_line(message: str) -> tuple[int, str]:
    """The line and the words of a compiler's message."""
    match = _AT.match(message)
    return (int(match.group(1)), message[match.end() :]) if match else (1, message)
