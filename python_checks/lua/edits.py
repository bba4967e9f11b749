"""Byte edits: collected first, applied once, never overlapping; every byte outside them stays as it was."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class Edit:
    """Replace ``source[start:end]`` by ``text``; an insertion has ``start == end``. ``rank`` sorts insertions at one place."""

    start: int
    end: int
    rank: tuple[int, int]
    text: bytes


@dataclass
class Edits:
    """The edits of one file."""

    edits: list[Edit] = field(default_factory=list)

    def replace(self, start: int, end: int, text: bytes) -> None:
        """Plan the replacement of a range."""
        self.edits.append(Edit(start, end, (1, len(self.edits)), text))

    def insert(self, at: int, text: bytes) -> None:
        """Plan an insertion; insertions at one place keep the order of their planning and stand outside of wrappings."""
        self.edits.append(Edit(at, at, (1, -(2**40) + len(self.edits)), text))

    def wrap(self, start: int, end: int, before: bytes, after: bytes) -> None:
        """Plan ``before`` in front of a range and ``after`` behind it; the range itself stays editable, wrappings may nest."""
        self.edits.append(Edit(start, start, (1, start - end), before))
        self.edits.append(Edit(end, end, (0, end - start), after))

    def apply(self, source: bytes) -> bytes:
        """The edited source.

        Raises ValueError when two edits overlap: that is a mistake in a recipe, not in the file.
        """
        pieces: list[bytes] = []
        position = 0
        for edit in sorted(self.edits):
            if edit.start < position:
                raise ValueError(f"edits overlap at byte {edit.start}: {edit.text[:60]!r}")
            pieces += [source[position : edit.start], edit.text]
            position = edit.end
        return b"".join([*pieces, source[position:]])


def unified_diff(before: bytes, after: bytes, name: str = "file.lua") -> str:
    """A unified diff for people; bytes that are not UTF-8 are shown as \\xNN. Line endings are kept visible as they are."""
    if before == after:
        return ""
    old, new = (_lines(text) for text in (before, after))
    lines = []
    for line in difflib.unified_diff(old, new, f"a/{name}", f"b/{name}"):
        lines.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    return "".join(lines)


def _lines(text: bytes) -> list[str]:
    """Split at LF only, so that a lone CR or a form feed does not change what a line is."""
    parts = text.split(b"\n")
    kept = [p + b"\n" for p in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
    return [p.decode("utf-8", "backslashreplace") for p in kept]
