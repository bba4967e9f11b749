"""Count the running instances of one script by process tree, and end or start one, without trusting names or process
ids.

Facts (domain.md 10.3, gates.md 3.13): a script with a ``tail | while`` pipeline shows two processes for one instance,
and ``pgrep -f`` through a shell counts the calling shell. So a process counts only when it is a shell that *runs* the
script (its script argument resolves to the same file), and an instance is a counted process none of whose ancestors
counts: pipeline and subshells are below it.

The upper half is pure (lists of Process in, census and plan out); the lower half reads ``/proc`` and sends signals.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Set, Tuple

SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"})
# Options of these shells that take the next word as their value.
_WITH_VALUE = frozenset({"-o", "+o", "-O", "+O", "--rcfile", "--init-file"})


@dataclass(frozen=True)
class Process:
    """One line of the process table. ``start_ticks`` (clock ticks since boot) and ``pid`` together name a process for
    good."""

    pid: int
    ppid: int
    start_ticks: int
    uid: int
    argv: Tuple[str, ...]
    cwd: Optional[str] = None
    """Working directory; None when it may not be read (another user's process)."""

    @property
    def key(self) -> Tuple[int, int]:
        """Identity that survives the reuse of a pid."""
        return self.pid, self.start_ticks


@dataclass(frozen=True)
class Instance:
    """One running copy: its topmost process and everything below it (``tree``, the topmost first)."""

    root: Process
    tree: Tuple[Process, ...]


@dataclass(frozen=True)
class Census:
    """``own``: instances of the wanted user, oldest first. ``foreign``: those of other users. ``unsure``: processes
    that may be one."""

    own: Tuple[Instance, ...] = ()
    foreign: Tuple[Instance, ...] = ()
    unsure: Tuple[Process, ...] = ()


@dataclass(frozen=True)
class Action:
    """``verb`` is ``end`` (of ``instance``) or ``start``."""

    verb: str
    instance: Optional[Instance] = None


def script_argument(argv: Sequence[str]) -> Optional[str]:
    """The file that a shell with this command line runs as its script; None for anything else.

    ``bash -c 'log_monitor.sh; ...'`` runs a text and no file, an editor or ``tail`` is no shell: neither is an
    instance.
    """
    if not argv or os.path.basename(argv[0]).lstrip("-") not in SHELLS:
        return None
    words = iter(argv[1:])
    for word in words:
        if word == "--":
            return next(words, None)
        if word in _WITH_VALUE:
            next(words, None)
        elif word.startswith("--"):
            continue
        elif word[:1] in "-+" and len(word) > 1:
            # -c: a text; -s: standard input; -n: only a syntax check.
            if word[0] == "-" and set(word[1:]) & set("csn"):
                return None
        else:
            return word or None
    return None


def runs_script(process: Process, script: str, resolve: Callable[[str], str] = os.path.realpath) -> Optional[bool]:
    """Whether the process runs ``script`` (an absolute, resolved path); None when it may (relative path from an unknown
    place)."""
    word = script_argument(process.argv)
    if word is None:
        return False
    if os.path.isabs(word):
        return resolve(word) == script
    if process.cwd is not None and resolve(os.path.join(process.cwd, word)) == script:
        return True
    # A bare name may have been found through PATH; a relative one needs the working directory of that time.
    unknown = process.cwd is None or "/" not in word
    return None if unknown and os.path.basename(word) == os.path.basename(script) else False


def take_census(
    processes: Iterable[Process],
    script: str,
    uid: int,
    ignore: Iterable[int] = (),
    resolve: Callable[[str], str] = os.path.realpath,
) -> Census:
    """Group the process table into instances of ``script``; ``ignore`` are pids that never count (the observer and its
    ancestors)."""
    table = {process.pid: process for process in processes}
    skipped = set(ignore)
    verdict = {
        pid: runs_script(process, script, resolve) if pid not in skipped else False for pid, process in table.items()
    }
    children: Dict[int, List[Process]] = {}
    for process in table.values():
        children.setdefault(process.ppid, []).append(process)

    def below_a_match(process: Process) -> bool:
        seen: Set[int] = {process.pid}
        parent = table.get(process.ppid)
        while parent is not None and parent.pid not in seen:
            if verdict[parent.pid]:
                return True
            seen.add(parent.pid)
            parent = table.get(parent.ppid)
        return False

    matches = sorted((table[pid] for pid, hit in verdict.items() if hit), key=lambda p: (p.start_ticks, p.pid))
    instances = [Instance(p, tuple(_tree(p, children))) for p in matches if not below_a_match(p)]
    unsure = [table[pid] for pid in sorted(table) if verdict[pid] is None and not below_a_match(table[pid])]
    return Census(
        own=tuple(i for i in instances if i.root.uid == uid),
        foreign=tuple(i for i in instances if i.root.uid != uid),
        unsure=tuple(unsure),
    )


def _tree(root: Process, children: Dict[int, List[Process]]) -> List[Process]:
    found: List[Process] = []
    waiting = [root]
    while waiting:
        process = waiting.pop(0)
        if process in found:
            continue
        found.append(process)
        waiting.extend(sorted(children.get(process.pid, []), key=lambda p: p.pid))
    return found


def plan(census: Census) -> List[Action]:
    """What leads to exactly one instance: end all but the oldest, or start one. Nothing while others' instances are in
    the way."""
    if census.foreign or census.unsure:
        return []
    if not census.own:
        return [Action("start")]
    return [Action("end", instance) for instance in census.own[1:]]


def apply(own: Sequence[Instance], actions: Iterable[Action], started: Instance) -> List[Instance]:
    """The model of the plan's effect: ``own`` after ``actions``, where a start adds ``started``."""
    left = list(own)
    for action in actions:
        if action.verb == "start":
            left.append(started)
        else:
            left = [instance for instance in left if instance is not action.instance]
    return left


def satisfied(census: Census) -> bool:
    """Exactly one instance, the user's own, and nothing that may be a second one."""
    return len(census.own) == 1 and not census.foreign and not census.unsure


# ---- the rim: /proc, signals, a new process ----


@dataclass
class Outcome:
    """What ending some instances came to: pids that needed SIGKILL, and pids that live on."""

    killed: List[int] = field(default_factory=list)
    alive: List[int] = field(default_factory=list)


def snapshot(proc: str = "/proc") -> List[Process]:
    """The process table. A process that ends while being read is left out."""
    found = []
    for name in os.listdir(proc):
        if name.isdigit():
            process = read_process(int(name), proc)
            if process is not None:
                found.append(process)
    return found


def read_process(pid: int, proc: str = "/proc") -> Optional[Process]:
    """One process, or None when it does not exist (any more). A zombie has an empty ``argv``."""
    folder = f"{proc}/{pid}"
    try:
        with open(f"{folder}/stat", "rb") as handle:
            # The name in brackets may hold blanks and brackets itself: the fields start after the last one.
            fields = handle.read().rpartition(b")")[2].split()
        uid = os.stat(folder).st_uid
        with open(f"{folder}/cmdline", "rb") as handle:
            argv = tuple(os.fsdecode(part) for part in handle.read().rstrip(b"\0").split(b"\0") if part)
    except (OSError, IndexError):
        return None
    cwd = None
    with contextlib.suppress(OSError):
        cwd = os.readlink(f"{folder}/cwd")
    # proc(5): field 3 is the state, 4 the parent, 22 the start time.
    state, ppid, start = fields[0], int(fields[1]), int(fields[19])
    return Process(pid, ppid, start, uid, () if state in (b"Z", b"X") else argv, cwd)


def own_line(proc: str = "/proc") -> List[int]:
    """The pids of this process and all its ancestors."""
    line: List[int] = []
    process = read_process(os.getpid(), proc)
    while process is not None and process.pid not in line:
        line.append(process.pid)
        process = read_process(process.ppid, proc)
    return line


def others_hidden(proc: str = "/proc") -> bool:
    """Whether /proc is mounted so that other users' processes cannot be seen (hidepid)."""
    return not os.path.exists(f"{proc}/1/stat")


def started_unix(process: Process, proc: str = "/proc") -> float:
    """When the process started, unix seconds (whole seconds of the boot time plus ticks: exact to about 1 s)."""
    with open(f"{proc}/stat", encoding="ascii") as handle:
        boot = next(int(line.split()[1]) for line in handle if line.startswith("btime "))
    return boot + process.start_ticks / os.sysconf("SC_CLK_TCK")


def boot_id(proc: str = "/proc") -> str:
    """The kernel's name for this boot; a pid and its ticks mean nothing in another one."""
    with open(f"{proc}/sys/kernel/random/boot_id", encoding="ascii") as handle:
        return handle.read().strip()


def user_name(uid: int) -> str:
    """The user's name, or the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def describe(instance: Instance) -> Dict[str, Any]:
    """An instance as evidence: pid, start time (unix s and ticks), command line, user, and the pids of its tree."""
    root = instance.root
    return {
        "pid": root.pid,
        "started_unix": round(started_unix(root), 2),
        "start_ticks": root.start_ticks,
        "cmdline": " ".join(root.argv),
        "user": user_name(root.uid),
        "tree": [process.pid for process in instance.tree],
    }


def is_alive(process: Process) -> bool:
    """Whether this very process (same start time) still runs; a zombie does not."""
    now = read_process(process.pid)
    return now is not None and now.start_ticks == process.start_ticks and bool(now.argv)


def send(process: Process, number: int) -> bool:
    """Signal exactly this process. False when it is gone (then nobody is signalled, also when the pid was reused)."""
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        if not is_alive(process):
            return False
        os.kill(process.pid, number)
        return True
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    except OSError:
        # A kernel before 5.3: compare, then signal by number.
        if not is_alive(process):
            return False
        os.kill(process.pid, number)
        return True
    try:
        # The handle keeps the process; compared after it was opened, the start time cannot belong to a successor.
        if not is_alive(process):
            return False
        signal.pidfd_send_signal(fd, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)


def end_instances(instances: Iterable[Instance], wait_s: float, poll_s: float = 0.05) -> Outcome:
    """TERM to every process of the trees, wait up to ``wait_s``, then KILL; the tree is read again first, so late
    children are in."""
    known: Dict[Tuple[int, int], Process] = {p.key: p for instance in instances for p in instance.tree}
    outcome = Outcome()
    _grow(known)
    for process in list(known.values()):
        send(process, signal.SIGTERM)
    deadline = time.monotonic() + wait_s
    while _living(known) and time.monotonic() < deadline:
        _grow(known)
        time.sleep(poll_s)
    _grow(known)
    for process in _living(known):
        if send(process, signal.SIGKILL):
            outcome.killed.append(process.pid)
    deadline = time.monotonic() + wait_s
    while _living(known) and time.monotonic() < deadline:
        time.sleep(poll_s)
    outcome.alive = [process.pid for process in _living(known)]
    return outcome


def _living(known: Dict[Tuple[int, int], Process]) -> List[Process]:
    return [process for process in known.values() if is_alive(process)]


def _grow(known: Dict[Tuple[int, int], Process]) -> None:
    """Add what the known processes have forked meanwhile."""
    children: Dict[int, List[Process]] = {}
    table = snapshot()
    for process in table:
        children.setdefault(process.ppid, []).append(process)
    for process in table:
        if process.key in known:
            for found in _tree(process, children):
                known.setdefault(found.key, found)


def start_detached(command: Sequence[str], log: str, cwd: str, uid: int, environment: Dict[str, str]) -> int:
    """Start ``command`` in a session of its own, input from nowhere, output appended to ``log``; returns its pid.

    As root the process becomes the user ``uid`` first. Raises OSError when the log or the program cannot be opened.
    """

    def become() -> None:
        if os.geteuid() == 0 and uid != 0:
            entry = pwd.getpwuid(uid)
            os.initgroups(entry.pw_name, entry.pw_gid)
            os.setgid(entry.pw_gid)
            os.setuid(uid)

    os.makedirs(os.path.dirname(log) or ".", exist_ok=True)
    with open(log, "ab") as out:
        if os.geteuid() == 0 and uid != 0:
            os.fchown(out.fileno(), uid, pwd.getpwuid(uid).pw_gid)
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=cwd,
            env=environment,
            start_new_session=True,
            close_fds=True,
            preexec_fn=become,
        )
    return child.pid
