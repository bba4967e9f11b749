"""The host's side of the site's lock: who holds this host, and who had it last. Standard library only, imports nothing
of the collection.

The lock in the evidence folder (lock.py) keeps the runs of one controller apart. This one keeps controllers apart: each
host carries the mark of the run that acts on it. Folder, on the host and owned by the ssh user: ``holder.json``
(``holder`` and ``last``, a mark each or null; replaced whole, so never half-written) and ``lock`` (empty; under flock
while the other changes, so that of two runs at once one gets the host).

A mark is what the controller says of its run: ``name`` (run id), ``controller`` (which evidence folder on which
machine, as one digest), and more that is only handed on; ``taken_unix`` is added here, by the host's clock. A host
cannot know whether the holder still runs, so no age ever ends a mark. It ends when its run is over (the controller says
so, see the end of this file), when the same controller comes again (it has its own lock then, so its earlier run is
over), or by name.

The controller sends this file as text over its connection to free a host, so it must stay a script that needs nothing:
``python3 -I - FOLDER NAME``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import time
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

FILE, NEW, GUARD = "holder.json", "holder.json.new", "lock"
UNREADABLE = "unreadable"
TAKEN, MINE, HELD = "taken", "mine", "held"
ENDED, BROKEN = "ended", "broken"
WAIT_S, POLL_S = 10.0, 0.02
Mark = Dict[str, Any]


class HostLockError(RuntimeError):
    """The lock's folder cannot be used; the message says what was found and what to do."""


def decide(holder: Optional[Mapping[str, Any]], mark: Mapping[str, Any], break_lock: str = "") -> Tuple[str, str]:
    """(taken | mine | held, why the holder makes way: "" | ended | broken). Pure."""
    if holder is None:
        return TAKEN, ""
    if holder["name"] == mark["name"]:
        return MINE, ""
    if holder["controller"] and holder["controller"] == mark["controller"] and not _late(holder, mark):
        return TAKEN, ENDED
    if break_lock and break_lock == holder["name"]:
        return TAKEN, BROKEN
    return HELD, ""


def take(folder: str, mark: Mapping[str, Any], *, break_lock: str = "", check: bool = False) -> Dict[str, Any]:
    """Mark this host for the run ``mark``, or find out who has it; under ``check`` nothing is written or made.

    Returns state (taken | mine | held), way (see decide), holder (the mark that stands there, or stood there until it
    made way; None if the host was free), previous (the mark of the run before this one, ended or not; None when it is
    the first) and held_s (seconds that the holder has had the host, by the host's clock). Raises HostLockError.
    """
    with _guarded(folder, make=not check) as there:
        holder, last = _read(folder) if there else (None, None)
        state, way = decide(holder, mark, break_lock)
        if state == TAKEN and check:
            _require_writable(folder)
        elif state == TAKEN:
            _write(folder, {**mark, "taken_unix": round(time.time(), 3)}, holder or last)
        since = (holder or {}).get("taken_unix")
        held_s = max(0.0, time.time() - since) if isinstance(since, (int, float)) else None
        return {
            "state": state,
            "way": way,
            "holder": holder,
            "previous": last if state == MINE else holder or last,
            "held_s": held_s,
        }


def free(folder: str, name: str) -> bool:
    """Take the mark of the run ``name`` away, and remember it as the last one; whether it stood there."""
    with _guarded(folder, make=False) as there:
        holder = _read(folder)[0] if there else None
        if holder is None or holder["name"] != name:
            return False
        _write(folder, None, holder)
        return True


def look(folder: str) -> Tuple[Optional[Mark], Optional[Mark]]:
    """(holder, last); leaves nothing behind. Raises HostLockError."""
    with _guarded(folder, make=False) as there:
        return _read(folder) if there else (None, None)


# --- inside -----------------------------------------------------------------------------------------------------------


def _late(holder: Mapping[str, Any], mark: Mapping[str, Any]) -> bool:
    """Whether ``mark`` is of a run that began before the holder's: this process may have outlived its killed run."""
    mine, theirs = mark.get("process_ticks"), holder.get("process_ticks")
    same_boot = mark.get("place") == holder.get("place")
    return same_boot and isinstance(mine, int) and isinstance(theirs, int) and mine < theirs


@contextlib.contextmanager
def _guarded(folder: str, make: bool) -> Iterator[bool]:
    """Nobody else changes the folder meanwhile; False when there is none yet (and none is made)."""
    path = os.path.join(folder, GUARD)
    if not make and not os.path.lexists(path):
        # Nobody has taken this host yet, or somebody has tidied up: the mark counts, not the guard.
        yield os.path.isdir(folder)
        return
    try:
        if make:
            os.makedirs(folder, mode=0o700, exist_ok=True)
        handle = os.open(path, os.O_RDWR | (os.O_CREAT if make else 0) | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        _share(handle, folder)
        _flock(handle, folder)
        yield True
    finally:
        os.close(handle)


def _share(handle: int, folder: str) -> None:
    """Give a file of ours to whom the folder belongs: nobody else, unless the site made it for a group."""
    wanted = os.stat(folder).st_mode & 0o666
    found = os.fstat(handle)
    if found.st_uid == os.geteuid() and found.st_mode & 0o777 != wanted:
        os.fchmod(handle, wanted)


def _flock(handle: int, folder: str) -> None:
    end = time.monotonic() + WAIT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise HostLockError(
                    f"found: {os.path.join(folder, GUARD)} has been busy for {WAIT_S:.0f} s; required: a moment; "
                    "next: end the process that keeps it open (fuser shows it)"
                ) from None
            time.sleep(POLL_S)
        except OSError as error:
            raise _unusable(folder, error) from error


def _read(folder: str) -> Tuple[Optional[Mark], Optional[Mark]]:
    """(holder, last). What cannot be read is held by somebody: unknown is never free."""
    try:
        with open(os.path.join(folder, FILE), "rb") as stream:
            data = json.loads(stream.read().decode("utf-8"))
        return _mark(data["holder"]), _mark(data["last"])
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise _unusable(folder, error) from error
    except (ValueError, TypeError, KeyError):
        return {"name": UNREADABLE, "controller": ""}, None


def _mark(value: Any) -> Optional[Mark]:
    if value is not None and not all(isinstance(value[key], str) and value[key] for key in ("name", "controller")):
        raise ValueError("a mark names a run and its controller")
    return value


def _write(folder: str, holder: Optional[Mapping[str, Any]], last: Optional[Mapping[str, Any]]) -> None:
    """Replace the whole file in one step, durably."""
    kept = last if last is not None and last["name"] != UNREADABLE else None
    data = (json.dumps({"holder": holder, "last": kept}, sort_keys=True) + "\n").encode("ascii")
    made = os.path.join(folder, NEW)
    try:
        with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as stream:
            _share(stream.fileno(), folder)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(made, os.path.join(folder, FILE))
        parent = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(made)
        raise _unusable(folder, error) from error


def _require_writable(folder: str) -> None:
    """The same refusal that a real run would meet, found without writing."""
    there = folder
    while not os.path.lexists(there) and os.path.dirname(there) != there:
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        raise _unusable(folder, NotADirectoryError(20, "not a folder", there))
    if not os.access(there, os.W_OK | os.X_OK):
        why = "read-only file system" if os.statvfs(there).f_flag & os.ST_RDONLY else "permission denied"
        raise _unusable(folder, PermissionError(13, why, there))


def _unusable(folder: str, error: OSError) -> HostLockError:
    return HostLockError(
        f"found: {error.filename or folder}: {error.strerror}; required: a folder that uid {os.geteuid()} may write, "
        f"to mark this host as taken; next: give it {folder}, or name another one with rollout_lock_dir (the same for "
        "everybody who runs the rollout on this host)"
    )


if __name__ == "__main__":
    free(sys.argv[1], sys.argv[2])
