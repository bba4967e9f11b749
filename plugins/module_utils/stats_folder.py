"""Look into a stats folder: the newest complete round file, as ``ls -t *.txt | head -1`` does not find it.

That command finds the newest of several kinds, a file still being written, a copy with a fresh date, or the literal
pattern. Here the kind and the time come from the name, the file must be whole, and it must be the same in two reads.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple

from ansible_collections.slomix.timetracking.plugins.module_utils import stats_file, stats_names

DEFAULT_SETTLE_S = 1.0
"""Between two reads. The engine writes a file within one frame, 50 ms at most."""


@dataclass(frozen=True)
class Read:
    """One file's bytes and what the disk says about it; ``error`` when it could not be read."""

    data: bytes = b""
    size: int = 0
    mtime_unix: float = 0.0
    inode: int = 0
    error: str = ""

    def same(self, other: "Read") -> bool:
        """Whether nothing moved between two reads."""
        return self == other and not self.error


@dataclass(frozen=True)
class Newest:
    """``found`` is the newest complete round file, None when there is none. ``skipped`` are newer ones that were passed
    over, each with the reason; ``counts`` the files per kind; ``doubts`` sentences for a person."""

    found: Optional[stats_names.Name]
    read: Read
    stats: Optional[stats_file.StatsFile]
    skipped: Tuple[Tuple[str, str], ...]
    counts: Dict[str, int]
    doubts: Tuple[str, ...]

    def as_dict(self) -> Dict[str, Any]:
        """For JSON."""
        header = self.stats.header if self.stats else None
        return {
            "found": self.found is not None,
            "name": self.found.name if self.found else None,
            "stamp": self.found.stamp if self.found else None,
            "map": self.found.map if self.found else None,
            "round": self.found.round if self.found else None,
            "header": header.as_dict() if header else None,
            "players": len(self.stats.players) if self.stats else None,
            "size_bytes": self.read.size if self.found else None,
            "mtime_unix": self.read.mtime_unix if self.found else None,
            "sha256": hashlib.sha256(self.read.data).hexdigest() if self.found else None,
            "skipped": [{"name": name, "reason": reason} for name, reason in self.skipped],
            "counts": self.counts,
            "doubts": list(self.doubts),
        }


def read_file(path: str) -> Read:
    """Read one file (at most stats_file.MAX_BYTES and one byte more). Never raises for what the disk does."""
    try:
        with open(path, "rb") as handle:
            info = os.fstat(handle.fileno())
            data = handle.read(stats_file.MAX_BYTES + 1)
    except OSError as error:
        return Read(error=f"cannot be read: {error.strerror or error}")
    return Read(data, info.st_size, info.st_mtime, info.st_ino)


def list_files(folder: str) -> List[str]:
    """Names of the regular files in ``folder``, sorted; raises OSError when it cannot be listed."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_file())


def newest_round(
    folder: str, settle_s: float = DEFAULT_SETTLE_S, sleep: Callable[[float], None] = time.sleep
) -> Newest:
    """Find it; raises OSError when the folder cannot be listed.

    A file that changed between the two reads is passed over like an incomplete one: the caller asks again later, and
    sees in ``skipped`` that something newer is on its way.
    """
    names = list_files(folder)
    parsed = [stats_names.parse_name(name) for name in names]
    counts: Dict[str, int] = {}
    for one in parsed:
        counts[one.kind] = counts.get(one.kind, 0) + 1
    skipped: List[Tuple[str, str]] = []
    for one in stats_names.newest_first(names):
        path = os.path.join(folder, one.name)
        first = read_file(path)
        stats = stats_file.parse_stats(first.data)
        why = first.error or stats.why_incomplete
        if not why:
            sleep(settle_s)
            if not first.same(read_file(path)):
                why = f"it changed within {settle_s:g} s: still being written"
        if not why:
            return Newest(one, first, stats, tuple(skipped), counts, _doubts(folder, one, first, parsed))
        skipped.append((one.name, why))
    return Newest(None, Read(), None, tuple(skipped), counts, ())


def _doubts(folder: str, found: stats_names.Name, read: Read, parsed: List[stats_names.Name]) -> Tuple[str, ...]:
    """Files that the time on disk calls newer although their name says otherwise: a sibling, a copy, or a clock that
    went back."""
    later = []
    for one in parsed:
        if one.kind != stats_names.ROUND or one.stamp >= found.stamp:
            continue
        try:
            mtime = os.stat(os.path.join(folder, one.name)).st_mtime
        except OSError:
            continue
        if mtime > read.mtime_unix:
            later.append(one.name)
    if not later:
        return ()
    return (
        f"{len(later)} round files with an earlier time in their name changed on disk after {found.name}"
        f" (the last by name: {max(later)}): copied or touched, or the server's clock went back",
    )
