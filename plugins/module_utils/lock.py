"""One rollout at a time per site: who holds it, whether the holder still runs, and how a lock that was left over is broken.

The lock is the file ``rollout.lock`` in the site's evidence folder: canonical JSON of a Holder while a run acts, empty
otherwise. It lives as long as the ansible-playbook process it names. A *keeper*, a small process of its own session,
waits for that process and empties the file, however it ended: finished, failed, interrupted or killed. Every change is
made under flock on the file, so of two operators at once one gets it.

What else is to be done at the end of a run (the hosts that it took are freed, see host_lock.py) is left to a process of
the same kind, by ``at_end``.

Only when the keeper is gone too (power cut, reboot, a control group that was killed whole) a holder is left over. It
is *stale* where that can be proven: same boot and process-id namespace and no such process, or the same machine after
a reboot. A holder on another controller (a shared evidence folder) is *unseen*. Both are broken by name only, so that
nobody runs over a half-done act without having looked; a running holder cannot be broken at all.

The keeper runs this file as a script: nothing but the standard library is imported.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence

FILE = "rollout.lock"
UNREADABLE = "unreadable"
FREE, MINE, HELD, ENDED, STALE, UNSEEN = "free", "mine", "held", "ended", "stale", "unseen"
POLL_S = 0.2
END_TRIES, END_PAUSE_S, END_LIMIT_S = 3, 2.0, 30.0


class LockError(RuntimeError):
    """Another rollout has the site, or had; the message says who, for how long, and what to do."""


@dataclass(frozen=True)
class Place:
    """Where a process id means something: host name, boot and process-id namespace; ``machine`` outlives a reboot."""

    host: str
    machine: str
    boot: str
    pid_namespace: str


@dataclass(frozen=True)
class Holder:
    """A run: ``name`` is its run id, ``process_ticks`` the start of its process in clock ticks since boot."""

    name: str
    operator: str
    purpose: str
    since: str
    process: int
    process_ticks: int
    place: Place
    keeper: int = 0
    keeper_ticks: int = 0


def place() -> Place:
    """This controller."""
    return Place(
        host=socket.gethostname(),
        machine=_line("/etc/machine-id"),
        boot=_line("/proc/sys/kernel/random/boot_id"),
        pid_namespace=_link("/proc/self/ns/pid"),
    )


def process_ticks(process: int) -> int:
    """Start of a running process in clock ticks since boot; 0 if there is none (one that only waits to be reaped has
    ended)."""
    try:
        with open(f"/proc/{int(process)}/stat", encoding="ascii", errors="replace") as stream:
            # The command's name may hold blanks and brackets; state is the first field after it, start time the 20th.
            fields = stream.read().rpartition(")")[2].split()
        return 0 if fields[0] in ("Z", "X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return 0


def state_of(holder: Optional[Holder], mine: str, here: Place) -> str:
    """free | mine | held | ended (its keeper is about to say so) | stale | unseen, for whoever is called ``mine``."""
    if holder is None:
        return FREE
    if holder.name == mine:
        return MINE
    there = holder.place
    if there.boot and (there.boot, there.pid_namespace) == (here.boot, here.pid_namespace):
        if _runs(holder.process, holder.process_ticks):
            return HELD
        return ENDED if _runs(holder.keeper, holder.keeper_ticks) else STALE
    if there.machine and there.machine == here.machine and there.host == here.host and there.boot != here.boot:
        return STALE
    return UNSEEN


def acquire(folder: str, me: Holder, *, break_lock: str = "") -> Optional[Holder]:
    """Take the site for ``me`` (again, if it has it already) and set a keeper to watch ``me.process``.

    ``break_lock`` names a stale or unseen holder that is to be pushed aside; the return value is that holder, else
    None. Raises LockError when the site stays with somebody else.
    """
    if not _runs(me.process, me.process_ticks):
        raise LockError(f"process {me.process} does not run, so the lock cannot be tied to it")
    with _opened(folder, write=True) as handle:
        holder = _content(handle)
        state = state_of(holder, me.name, me.place)
        if state == MINE:
            return None
        broken = holder if state in (STALE, UNSEEN) and holder is not None and break_lock == holder.name else None
        if state not in (FREE, ENDED) and broken is None:
            assert holder is not None
            raise LockError(refusal(holder, state, break_lock))
        keeper = _keeper(folder, me)
        _write(handle, asdict(replace(me, keeper=keeper, keeper_ticks=process_ticks(keeper))))
    return broken


def release(folder: str, name: str) -> bool:
    """Free the site if ``name`` holds it; whether it did."""
    with _opened(folder, write=True) as handle:
        holder = _content(handle)
        if holder is None or holder.name != name:
            return False
        _write(handle, None)
        return True


def look(folder: str) -> Optional[Holder]:
    """Who is named in the lock, running or not; leaves nothing behind. Raises LockError if it cannot be read."""
    if not os.path.exists(os.path.join(folder, FILE)):
        return None
    with _opened(folder, write=False) as handle:
        return _content(handle)


def at_end(me: Holder, command: Sequence[str], script: str) -> int:
    """Have ``command`` run once the run ``me`` is over, however it ends, with the file ``script`` as its input; returns
    the process id of who waits. A command that fails is tried again; what it prints is dropped."""
    job = json.dumps({"command": list(command), "script": os.path.abspath(script)}).encode("utf-8")
    # By pipe: a connection's options may name what is shown to nobody, and a process's words are seen by all.
    return _detached(["after", str(me.process), str(me.process_ticks)], job)


def refusal(holder: Holder, state: str, asked: str = "") -> str:
    """Why the site cannot be had, and what to do."""
    remedy = "wait until it has ended"
    if state != HELD:
        remedy = (
            "make sure there that it has ended, " if state == UNSEEN else ""
        ) + f"look at what it left (rollout log, rollout status), then run again with -e break_lock={holder.name}"
    return f"{obstacle(holder, state, asked)} Next: {remedy}"


def obstacle(holder: Holder, state: str, asked: str = "") -> str:
    """Why the site cannot be had: who has it, since when, and whether that still runs."""
    what = f"{holder.purpose} of {holder.operator} has had this site for {age(holder.since)}: {holder.name}"
    wrong = f" (break_lock={asked} names another)" if asked and asked != holder.name else ""
    where = f"process {holder.process} on {holder.place.host or 'an unknown host'}"
    if state == HELD:
        said = " A lock whose holder runs cannot be broken." if asked else ""
        return f"{what}. Its {where} is running; one rollout at a time.{said}"
    if state == UNSEEN:
        return f"{what}{wrong}. Whether its {where} still runs cannot be seen from here."
    return f"{what}{wrong}. It is stale: its {where} has ended without giving it back."


def age(since: str, now: Optional[datetime] = None) -> str:
    """How long ago ``since`` (ISO, aware) was, in words."""
    try:
        moment = now or datetime.now(timezone.utc)
        seconds = max(0, int((moment - datetime.fromisoformat(since)).total_seconds()))
    except (ValueError, TypeError):
        return "an unknown time"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


# --- inside -----------------------------------------------------------------------------------------------------------


def _line(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.readline().strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _runs(process: int, ticks: int) -> bool:
    return ticks > 0 and process_ticks(process) == ticks


@contextlib.contextmanager
def _opened(folder: str, write: bool) -> Iterator[int]:
    """The lock's file under flock: nobody else changes it meanwhile. It is never removed, so all lock the same file."""
    path = os.path.join(folder, FILE)
    try:
        if write:
            os.makedirs(folder, mode=0o700, exist_ok=True)
        handle = os.open(path, (os.O_RDWR | os.O_CREAT if write else os.O_RDONLY) | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LockError(
            f"the lock {path} cannot be used: {error.strerror}; name another folder with rollout_evidence_dir"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if write else fcntl.LOCK_SH)
        yield handle
    finally:
        os.close(handle)


def _content(handle: int) -> Optional[Holder]:
    os.lseek(handle, 0, os.SEEK_SET)
    data = os.read(handle, 65536)
    if not data.strip():
        return None
    try:
        fields: Dict[str, Any] = json.loads(data.decode("ascii"))
        fields["place"] = Place(**fields["place"])
        return Holder(**fields)
    except (ValueError, TypeError, KeyError):
        # A crash may have cut it: somebody had the site, and nobody knows who.
        return Holder(UNREADABLE, "somebody", "something", "", 0, 0, Place("", "", "", ""))


def _write(handle: int, fields: Optional[Mapping[str, Any]]) -> None:
    data = (json.dumps(fields, sort_keys=True) + "\n").encode("ascii") if fields else b""
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, data)
    os.fsync(handle)


def _keeper(folder: str, me: Holder) -> int:
    """Start the keeper; returns its process id."""
    return _detached(["keep", str(me.process), str(me.process_ticks), os.path.abspath(folder), me.name])


def _detached(words: Sequence[str], job: bytes = b"") -> int:
    """This file as a process in a session of its own, with nothing of ours open; returns its process id."""
    agent = os.environ.get("SSH_AUTH_SOCK")
    started = subprocess.Popen(
        [sys.executable, "-I", os.path.abspath(__file__), *words],
        stdin=subprocess.PIPE if job else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={"PATH": os.defpath, **({"SSH_AUTH_SOCK": agent} if job and agent else {})},
        start_new_session=True,
    )
    if started.stdin is not None:
        with started.stdin as pipe:
            pipe.write(job)
    # It outlives the worker that started it, on purpose; Python would warn of that.
    started.returncode = 0
    return started.pid


def _outlive(process: int, ticks: int) -> None:
    """Wait until the process is gone."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.pidfd_open(process)
        try:
            if _runs(process, ticks):
                select.select([handle], [], [])
        finally:
            os.close(handle)
    while _runs(process, ticks):
        time.sleep(POLL_S)


def keep(process: int, ticks: int, folder: str, name: str) -> None:
    """Wait until the process is gone, then free what it held."""
    _outlive(process, ticks)
    with contextlib.suppress(LockError):
        release(folder, name)


def after(process: int, ticks: int, job: Mapping[str, Any]) -> None:
    """Wait until the process is gone, then run the job (see at_end)."""
    _outlive(process, ticks)
    for _ in range(END_TRIES):
        with contextlib.suppress(OSError, subprocess.SubprocessError), open(job["script"], "rb") as script:
            done = subprocess.run(
                job["command"],
                stdin=script,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=END_LIMIT_S,
                check=False,
            )
            if done.returncode == 0:
                return
        time.sleep(END_PAUSE_S)


if __name__ == "__main__":
    if sys.argv[1] == "keep":
        keep(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])
    else:
        after(int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.stdin.buffer.read()))
