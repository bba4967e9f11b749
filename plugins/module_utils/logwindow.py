"""Read a growing log from a remembered place on, across rotation and truncation.

A cursor is ``{path, dev, inode, offset, sha256}``: the digest covers up to 4 KiB before the offset, so a file that
was replaced or rewritten under the same inode is noticed. Device numbers may change at a reboot and are kept for
information only. That a pattern is *absent* from a window means something only when the window holds a control line
that the program must have printed; this module counts, the judge decides.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

TAIL_BYTES = 4096
LINE_LIMIT_BYTES = 1 << 16

CONTINUED = "continued"
ROTATED = "rotated"
TRUNCATED = "truncated"
MISSING = "missing"
WHOLE = "whole"


@dataclass(frozen=True)
class Segment:
    """The bytes ``start`` to ``end`` of one file."""

    path: str
    start: int
    end: int


@dataclass(frozen=True)
class Window:
    """What lies behind a cursor: ``state`` tells how it was found, ``gap`` that lines in between may be lost."""

    state: str
    gap: bool
    segments: List[Segment] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes in the window."""
        return sum(segment.end - segment.start for segment in self.segments)


@dataclass
class Found:
    """Count and newest matches of one pattern; a match is ``{number, line, groups}``, the line cut to 400."""

    count: int = 0
    matches: List[Dict[str, Any]] = field(default_factory=list)


def cursor_at(path: str, offset: Optional[int] = None) -> Optional[Dict[str, Any]]:
    """A cursor at ``offset``, or after the file's last complete line; None when there is no such file."""
    try:
        with open(path, "rb") as handle:
            info = os.fstat(handle.fileno())
            if offset is None:
                offset = _last_line_end(handle, info.st_size)
            return {
                "path": path,
                "dev": info.st_dev,
                "inode": info.st_ino,
                "offset": offset,
                "sha256": _tail_digest(handle, offset),
            }
    except FileNotFoundError:
        return None


def check_cursor(cursor: Mapping[str, Any]) -> None:
    """Raise ValueError when ``cursor`` lacks a field or has one of a wrong type."""
    for key, kind in (("inode", int), ("offset", int), ("sha256", str)):
        if not isinstance(cursor.get(key), kind):
            raise ValueError(f"not a log cursor: {key} is {cursor.get(key)!r}, required is {kind.__name__}")


def open_window(path: str, cursor: Optional[Mapping[str, Any]], with_rotated: bool = False) -> Window:
    """Find what was written to the log at ``path`` since ``cursor``.

    Without a cursor that is all of the file, and of its rotated predecessors too if ``with_rotated``.
    """
    exists = os.path.exists(path)
    if cursor is None:
        names = (list(reversed(_rotated(path))) if with_rotated else []) + ([path] if exists else [])
        return Window(WHOLE if exists else MISSING, False, [Segment(name, 0, os.path.getsize(name)) for name in names])
    check_cursor(cursor)
    offset = cursor["offset"]
    if exists and os.stat(path).st_ino == cursor["inode"] and _continues(path, cursor):
        return Window(CONTINUED, False, [Segment(path, offset, os.path.getsize(path))])
    rotated = _rotated(path)
    old = next((i for i, name in enumerate(rotated) if _continues(name, cursor)), None)
    segments = []
    if old is not None and offset > 0:
        segments.append(Segment(rotated[old], offset, os.path.getsize(rotated[old])))
        segments += [Segment(name, 0, os.path.getsize(name)) for name in reversed(rotated[:old])]
    if not exists:
        return Window(MISSING, True, segments)
    segments.append(Segment(path, 0, os.path.getsize(path)))
    state = TRUNCATED if os.stat(path).st_ino == cursor["inode"] else ROTATED
    return Window(state, not (old is not None and offset > 0), segments)


def lines(window: Window) -> Iterator[Tuple[Segment, int, str]]:
    """``(segment, byte offset, text)`` of every line; an overlong line comes in pieces."""
    for segment in window.segments:
        try:
            handle = open(segment.path, "rb")  # noqa: SIM115 - closed below
        except FileNotFoundError:
            continue
        with handle:
            handle.seek(segment.start)
            position = segment.start
            while position < segment.end:
                raw = handle.readline(min(LINE_LIMIT_BYTES, segment.end - position))
                if not raw:
                    break
                yield segment, position, raw.decode("utf-8", "replace").rstrip("\r\n")
                position += len(raw)


def scan(window: Window, patterns: Mapping[str, str], limit: int = 20) -> Dict[str, Found]:
    """Count each named pattern (searched anywhere in a line) in the window and keep its last ``limit`` matches."""
    compiled = {name: re.compile(text) for name, text in patterns.items()}
    found = {name: Found() for name in patterns}
    for number, (_, _, text) in enumerate(lines(window)):
        for name, pattern in compiled.items():
            match = pattern.search(text)
            if match:
                entry = found[name]
                entry.count += 1
                entry.matches.append({"number": number, "line": text[:400], "groups": match.groupdict()})
                del entry.matches[: max(0, len(entry.matches) - limit)]
    return found


def _continues(path: str, cursor: Mapping[str, Any]) -> bool:
    try:
        with open(path, "rb") as handle:
            if os.fstat(handle.fileno()).st_size < cursor["offset"]:
                return False
            return _tail_digest(handle, cursor["offset"]) == cursor["sha256"]
    except OSError:
        return False


def _rotated(path: str) -> List[str]:
    """``path.1``, ``path.2``, … newest first."""
    folder, base = os.path.split(path)
    pattern = re.compile(re.escape(base) + r"\.(\d+)$")
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return []
    numbered = sorted((int(m.group(1)), name) for name in names for m in [pattern.match(name)] if m)
    return [os.path.join(folder, name) for _, name in numbered]


def _tail_digest(handle: Any, offset: int) -> str:
    start = max(0, offset - TAIL_BYTES)
    handle.seek(start)
    return hashlib.sha256(handle.read(offset - start)).hexdigest()


def _last_line_end(handle: Any, size: int) -> int:
    start = max(0, size - TAIL_BYTES)
    handle.seek(start)
    newline = handle.read(size - start).rfind(b"\n")
    return start + newline + 1 if newline >= 0 else (0 if start == 0 else size)
