"""Runs on a host while a playbook acts there: reads the targets at every file event and every few milliseconds, kills once.

Started as ``python3 -c <this file> <JSON>`` by the user that Ansible connects as; ends when its input ends, and then
prints one line of JSON. Options: ``folders`` to watch with all below them, ``targets`` to read, ``kill``: ``at``
``event`` (the n-th file event), ``module`` (the n-th module that starts), ``switch`` (a target is replaced) or ``""``
(never), ``n``, ``delay_s``, and ``what`` to kill, ``module`` or ``session`` (its sshd).
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import select
import signal
import struct
import sys
import time
from pathlib import Path

# With pipelining a module is this very command line with its code on the standard input.
MODULE = b"/usr/bin/python3\0"
EVENTS = 0x2 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200  # modify, close after writing, moved from, moved to, create, delete
CREATED_FOLDER = 0x40000100
MOVED_TO = 0x80
POLL_S = 0.004
IGNORED = "/.rollout/site"  # the mark of the run that acts: every playbook writes it first

libc = ctypes.CDLL(None, use_errno=True)


def parent(pid: int) -> int:
    """The parent's process id; 0 when there is none any more."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def modules() -> list[int]:
    """Process ids of the modules that this user runs now."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if (
                entry.name.isdigit()
                and entry.stat().st_uid == os.geteuid()
                and (entry / "cmdline").read_bytes() == MODULE
            ):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


class Watch:
    """What was seen, and the one kill."""

    def __init__(self, options: dict) -> None:
        self.kill = options["kill"]
        self.targets = options["targets"]
        self.seen: dict[str, dict[str, int]] = {target: {} for target in self.targets}
        self.handle = libc.inotify_init1(os.O_NONBLOCK)
        self.folders: dict[int, str] = {}
        self.events = 0
        self.started: list[int] = []
        self.last = ""
        self.due: float | None = None
        self.killed: list[str] = []
        for folder in options["folders"]:
            self.add(folder)

    def add(self, folder: str) -> None:
        """Watch a folder and those below it; one that does not exist is left out."""
        for path, _, _ in os.walk(folder):
            if path.endswith(IGNORED):
                continue
            mark = libc.inotify_add_watch(self.handle, os.fsencode(path), EVENTS)
            if mark >= 0:
                self.folders[mark] = path

    def read(self) -> None:
        """Take the events that are there."""
        try:
            data = os.read(self.handle, 65536)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            mark, mask, _, length = struct.unpack_from("iIII", data, at)
            name = data[at + 16 : at + 16 + length].rstrip(b"\0").decode()
            at += 16 + length
            path = f"{self.folders.get(mark, '')}/{name}"
            self.events += 1
            self.last = f"{mask & 0xFFFF:#x} {path}"
            if mask & CREATED_FOLDER == CREATED_FOLDER:
                self.add(path)
            if self.kill["at"] == "event" and self.events == self.kill["n"]:
                self.arm()
            if self.kill["at"] == "switch" and mask & MOVED_TO and path in self.targets:
                self.arm()

    def arm(self) -> None:
        """The moment has come, or comes after the delay."""
        if self.due is None and not self.killed:
            self.due = time.monotonic() + self.kill["delay_s"]

    def sample(self) -> None:
        """Read every target as anybody else would."""
        for target in self.targets:
            try:
                found = hashlib.sha256(Path(target).read_bytes()).hexdigest()
            except OSError as error:
                found = type(error).__name__
            self.seen[target][found] = self.seen[target].get(found, 0) + 1

    def act(self) -> None:
        """Kill, when it is time and there is something to kill."""
        if self.kill["at"] == "module" and self.due is None and not self.killed:
            self.started += [pid for pid in modules() if pid not in self.started]
            if len(self.started) >= self.kill["n"]:
                self.arm()
        if self.due is None or time.monotonic() < self.due:
            return
        self.due = None
        for pid in modules():
            # A module's parent is a shell, and the shell's parent the session.
            victim = parent(parent(pid)) if self.kill["what"] == "session" else pid
            try:
                os.kill(victim, signal.SIGKILL)
            except OSError:
                continue
            self.killed.append(f"{self.kill['what']} {victim} after event {self.events} ({self.last})")
        if self.killed:
            print(json.dumps({"killed": self.killed}), flush=True)
        elif self.kill["at"] == "module":
            # It was over before; the next one then, and sooner.
            self.kill.update(n=len(self.started) + 1, delay_s=self.kill["delay_s"] / 2)

    def run(self) -> None:
        """Until the input ends."""
        print(json.dumps({"ready": True}), flush=True)
        while True:
            ready, _, _ = select.select([self.handle, sys.stdin], [], [], POLL_S)
            if self.handle in ready:
                self.read()
            self.act()
            self.sample()
            if sys.stdin in ready and not os.read(0, 1):
                break
        print(json.dumps({"events": self.events, "seen": self.seen, "killed": self.killed}), flush=True)


if __name__ == "__main__":
    Watch(json.loads(sys.argv[1])).run()
