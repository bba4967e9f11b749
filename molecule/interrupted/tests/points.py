"""At which moments a run is killed, drawn from a seed; pure.

Each phase has a list of what is killed and how. A small number of points takes the head of each list, a large one goes
round it.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

PHASES = (0, 1, 2, 3, 4)
# tree: SIGKILL to ansible-playbook and all that it started, at any time. The keeper of the lock, made to outlive it, is spared.
# group: SIGKILL to its process group, at any time; its workers, which have sessions of their own, go on for a while.
# INT, TERM: that signal to its process group, at any time, as a terminal or a service manager sends it.
# ledger: as tree, at one of the file events of the evidence folder.
# module: SIGKILL to the module on the host, at one of the file events of its store, its state and the target's folder.
# both: as module, and the controller's tree with it. session: SIGKILL to the module's sshd, at any time.
# restart: as both, within three seconds after the file was switched, while the bot is restarted and watched.
WAYS: dict[int, tuple[tuple[str, str], ...]] = {
    0: (
        ("phase", "both"), ("rollback", "tree"), ("phase", "tree"), ("phase", "ledger"), ("rollback", "module"),
        ("gate", "tree"), ("phase", "TERM"), ("phase", "session"), ("rollback", "group"), ("rollback", "INT"),
    ),
    1: (
        ("phase", "module"), ("gate", "ledger"), ("phase", "both"), ("rollback", "both"), ("phase", "group"),
        ("phase", "tree"), ("rollback", "ledger"), ("phase", "INT"), ("gate", "tree"), ("rollback", "module"),
        ("phase", "session"),
    ),
    2: (
        ("phase", "tree"), ("gate", "group"), ("phase", "INT"), ("phase", "ledger"), ("gate", "module"), ("phase", "group"),
        ("phase", "TERM"), ("phase", "session"), ("phase", "module"),
    ),
    3: (
        ("phase", "restart"), ("gate", "TERM"), ("phase", "module"), ("rollback", "restart"), ("phase", "group"),
        ("rollback", "both"), ("phase", "tree"), ("phase", "ledger"), ("rollback", "session"), ("phase", "both"),
    ),
    4: (
        ("phase", "ledger"), ("rollback", "module"), ("phase", "both"), ("rollback", "tree"), ("phase", "module"),
        ("gate", "ledger"), ("phase", "TERM"), ("rollback", "both"), ("phase", "group"), ("gate", "session"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One kill: ``run`` is phase, rollback or gate; ``draw`` (0 to 1) says where in the run; ``then`` is the next run,
    again (the same) or back (the other way); ``hurry``: it does not wait until what was killed has come to rest."""

    phase: int
    run: str
    way: str
    draw: float
    then: str
    hurry: bool

    def __str__(self) -> str:
        return f"{self.run} {self.phase}, {self.way}, then {self.then}{' at once' if self.hurry else ''}"


def points(seed: int, count: int) -> dict[int, list[Point]]:
    """Phase -> its points in the order in which they are carried out (gates last), ``count`` in all."""
    rng = random.Random(seed)
    share = {phase: count // len(PHASES) + (place < count % len(PHASES)) for place, phase in enumerate(PHASES)}
    found = {}
    for phase in PHASES:
        ways = list(itertools.islice(itertools.cycle(WAYS[phase]), share[phase]))
        acts, gates = [way for way in ways if way[0] != "gate"], [way for way in ways if way[0] == "gate"]
        # The next run leads to where the next point starts from; the last one to a phase that is done.
        starts = [run == "rollback" for run, _ in acts[1:]] + [True]
        then = [
            "again" if phase == 2 or (run == "phase") == done else "back"
            for (run, _), done in zip(acts, starts, strict=True)
        ]
        drawn = [*zip(acts, then, strict=True), *((gate, "again") for gate in gates)]
        found[phase] = [Point(phase, *act, rng.random(), next_run, rng.random() < 0.5) for act, next_run in drawn]
    return found
