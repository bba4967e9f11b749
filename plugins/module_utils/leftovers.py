"""Temporary folders that a killed process leaves behind do not stay: the next one of their kind removes them.

The name says whose it is (process id and its start in clock ticks since boot), so that what a living process needs is
not touched, and a process id that is used again is told from the one before.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import Iterator, List

from ansible_collections.slomix.timetracking.plugins.module_utils.lock import process_ticks


@contextlib.contextmanager
def own_folder(parent: str, prefix: str) -> Iterator[str]:
    """A private folder (0700) ``<parent>/<prefix><pid>-<ticks>-…``, gone afterwards; those of ended owners go first."""
    sweep(parent, prefix)
    mine = os.getpid()
    with tempfile.TemporaryDirectory(dir=parent, prefix=f"{prefix}{mine}-{process_ticks(mine)}-") as folder:
        yield folder


def sweep(parent: str, prefix: str) -> List[str]:
    """Remove the folders of this user below ``parent`` that such owners left; returns their names."""
    gone = []
    for name in sorted(os.listdir(parent)) if os.path.isdir(parent) else []:
        path = os.path.join(parent, name)
        owner = name[len(prefix) :].split("-") if name.startswith(prefix) else []
        if len(owner) != 3 or not owner[0].isdigit() or str(process_ticks(int(owner[0]))) == owner[1]:
            continue
        # A shared folder (/tmp) may hold another user's, or a link that only looks like one of ours.
        with contextlib.suppress(OSError):
            if os.lstat(path).st_uid == os.geteuid() and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
                gone.append(name)
    return gone
