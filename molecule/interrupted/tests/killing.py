"""Killing a running ansible-playbook: its process group, all it started, at a time, or at a file event of a folder."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

_EVENTS = 0x2 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200
KEEPERS = ("module_utils/lock.py", "module_utils/host_lock.py")
_libc = ctypes.CDLL(None, use_errno=True)


def _parents() -> dict[int, int]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(errors="replace")
                found[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
    return found


def _command(process: int) -> str:
    try:
        return (Path("/proc") / str(process) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def tree(process: int) -> list[int]:
    """A process and all that descend from it, the oldest first."""
    parents = _parents()
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def kill_tree(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the process, its workers and their helpers; those that are made to outlive it to give its locks back are spared."""
    doomed = [one for one in tree(process.pid) if not any(keeper in _command(one) for keeper in KEEPERS)]
    for one in doomed:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            continue


def signal_group(process: subprocess.Popen[str], number: int) -> None:
    """A signal to the process group, as a terminal sends it."""
    os.killpg(process.pid, number)


def ended(process: subprocess.Popen[str], seconds: float) -> bool:
    """Whether it ends by itself within this time."""
    try:
        process.wait(timeout=max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return False
    return True


class Folder:
    """File events of one folder."""

    def __init__(self, path: Path) -> None:
        self.handle = _libc.inotify_init1(os.O_NONBLOCK)
        if self.handle < 0 or _libc.inotify_add_watch(self.handle, os.fsencode(path), _EVENTS) < 0:
            raise OSError(ctypes.get_errno(), f"{path} cannot be watched")
        self.events = 0

    def wait(self, count: int, running: Callable[[], bool]) -> bool:
        """Wait for the ``count``-th event; False when what runs ended before."""
        while self.events < count:
            if select.select([self.handle], [], [], 0.05)[0]:
                # One event at a time is too much for the buffer; with a name an event has 32 bytes and more.
                self.events += max(1, len(os.read(self.handle, 64)) // 32)
            elif not running():
                return False
        return True

    def close(self) -> None:
        """Stop watching."""
        os.close(self.handle)


def wait_until(what: Callable[[], bool], seconds: float) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
    return True
