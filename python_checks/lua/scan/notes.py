"""What rules hand over: a code at a place, for some targets."""

from __future__ import annotations

from dataclasses import dataclass

from tree_sitter import Node


@dataclass(frozen=True)
class Note:
    """``why`` is a clause without a full stop; ``fix`` empty takes the code's own."""

    node: Node
    code: str
    targets: tuple[str, ...]
    why: str
    fix: str = ""


def shown(text: bytes, limit: int = 60) -> str:
    """A piece of source for a message: one line, printable, cut."""
    line = " ".join(text.decode("utf-8", "replace").split())
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"
