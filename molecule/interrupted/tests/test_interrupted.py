"""The run is killed at moments drawn from a seed, in phases 0 to 4, their rollbacks and their gates; the next run finishes or rolls back.

ROLLOUT_KILLS is the number of kills (10), ROLLOUT_KILL_SEED the seed (a new one each time; it is printed and replays the same draws).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

sys.path.insert(0, str(Path(__file__).parent))
from killing import Folder, ended, kill_tree, signal_group, wait_until
from points import PHASES, Point, points
from scene import TARGETS, WRITES, Scene

KILLS = int(os.environ.get("ROLLOUT_KILLS", "10"))
SEED = int(os.environ.get("ROLLOUT_KILL_SEED") or random.randrange(10**6))
POINTS = points(SEED, KILLS)
STARTING_S = 0.7  # before that ansible-playbook reads its own code
ATTEMPTS = 6
FEW = 15
RESTART_S = 3.0
SECONDS = {"phase": 6.0, "rollback": 3.0, "gate": 3.0}
HOST_EVENTS = {0: 8, 1: 24, 2: 0, 3: 24, 4: 24}
LEDGER_EVENTS = 50
HOST_OF = {0: "et-server", 1: "et-server", 2: "et-server", 3: "slomix-vm", 4: "et-server"}
# Pairs that a phase's gate asks for, on maps of their own, so that no gate lives on another's.
PLAYED = {0: (), 1: ("supply",), 2: (), 3: ("radar",), 4: ("supply", "radar")}


class Rollout:
    """One site on its way from phase to phase, with every kill on it."""

    def __init__(
        self, root: Path, inventory: Path, scene: Scene, playbook: Callable[..., Any], say: Callable[[str], None]
    ):
        self.root, self.inventory, self.scene, self.playbook, self.say = root, inventory, scene, playbook, say
        self.variables = {
            "lua_release_build_dir": str(scene.build / "lua"),
            "stats_writer_build_dir": str(scene.build / "lua"),
        }
        self.variables["source_release_build_dir"] = str(scene.build / "source")
        self.done: dict[int, bool] = dict.fromkeys(PHASES, False)
        # How long a run takes, and how many file events it makes; a guess until it was seen.
        self.seconds: dict[tuple[str, int], float] = {}
        self.events: dict[tuple[str, str, int], int] = {}
        self.whole: dict[int, set[str]] = {}
        self.before = scene.picture()
        self.last = ""
        self.kills: Counter[str] = Counter()

    def name_of(self, run: str, phase: int) -> tuple[str, dict[str, Any]]:
        """Playbook and extra variables."""
        if run == "phase":
            return f"phase{phase}", self.variables
        return run, {**self.variables, "phase": phase}

    def finish(self, run: str, phase: int) -> Any:
        """A run that nobody interrupts; it must succeed."""
        name, variables = self.name_of(run, phase)
        begun = time.monotonic()
        outcome = self.playbook(name, extravars=variables)
        assert outcome.rc == 0, f"{run} {phase}, not interrupted:\n{outcome.output}"
        self.seconds[run, phase] = time.monotonic() - begun
        self.last = run
        self.done[phase] = run == "phase" or (run == "gate" and self.done[phase])
        return outcome

    def learn(self, phase: int) -> None:
        """The digests that the phase's target may have: before it, and after it."""
        if phase in TARGETS:
            self.whole[phase] = {self.scene.digest(phase)}

    def point(self, point: Point) -> None:
        """One kill, and the run after it."""
        phase, draw = point.phase, point.draw
        for _ in range(ATTEMPTS):
            if point.run != "gate" and self.done[phase] == (point.run == "phase"):
                self.finish("rollback" if self.done[phase] else "phase", phase)
                self.check(phase, "made ready")
            killed = self.kill(point, draw)
            if killed:
                break
            self.done[phase] = point.run == "phase" or (point.run == "gate" and self.done[phase])
            draw *= 0.8  # the run was over before; strike earlier
        assert killed, f"{point} could not be carried out in {ATTEMPTS} attempts"
        self.kills[f"phase {phase}: {point.run} {point.way}"] += 1
        where = f"{point}, killed {killed}"
        self.say(where)
        self.check_interrupted(phase, where)
        if not point.hurry:
            assert wait_until(lambda: not self.scene.busy(), 90), f"{where}: a module is still at work after 90 s"
        if point.run == "gate":
            self.finish("gate", phase)
        else:
            forward = (point.run == "phase") == (point.then == "again")
            self.finish("phase" if forward else "rollback", phase)
        self.check(phase, where)

    def kill(self, point: Point, draw: float) -> str:
        """Start the run and kill it; how that happened, or "" when it was over before."""
        name, variables = self.name_of(point.run, point.phase)
        words = ["ansible-playbook", "-i", str(self.inventory), f"playbooks/{name}.yml"]
        words += [word for key, value in variables.items() for word in ("-e", f"{key}={value}")]
        agent = self.scene.agent(HOST_OF[point.phase], self.order(point, draw))
        folder = Folder(self.scene.evidence) if self.scene.evidence.is_dir() else None
        screen = (self.scene.build / "screen.log").open("w")
        process = subprocess.Popen(
            words, cwd=self.root, stdout=screen, stderr=screen, text=True, start_new_session=True
        )
        begun = time.monotonic()
        try:
            how = self.strike(point, draw, process, agent, folder)
            if how and not ended(process, 90):
                how += ", and it did not end by itself"
                kill_tree(process)
                raise AssertionError(f"{point}: {how}")
            after_s = time.monotonic() - begun
            process.wait(timeout=120)
        finally:
            if process.poll() is None:
                kill_tree(process)
            found = agent.end()
            screen.close()
            if folder is not None:
                folder.close()
        for target, digests in found["seen"].items():
            odd = set(digests) - self.whole.get(point.phase, set())
            assert len(odd) <= 1 and all(len(one) == 64 for one in odd), f"{point}: {target} was seen as {digests}"
            self.whole[point.phase] |= odd
            assert len(self.whole[point.phase]) <= 2, (
                f"{point}: {target} was seen as {digests}, whole are {self.whole[point.phase]}"
            )
        if not how:
            output = (self.scene.build / "screen.log").read_text()
            assert process.returncode == 0, f"{point} was over before the kill and failed:\n{output}"
            self.say(f"{point}: over after {after_s:.1f} s, with {found['events']} file events")
            self.events["host", point.run, point.phase] = max(3, found["events"])
            self.seconds[point.run, point.phase] = after_s
            return ""
        return f"{how} at {after_s:.1f} s"

    def order(self, point: Point, draw: float) -> dict[str, Any]:
        """What the agent is to do."""
        kill: dict[str, Any] = {"at": "", "n": 0, "delay_s": 0.0, "what": "module"}
        if point.way in ("module", "both") and point.run != "gate" and WRITES[point.phase]:
            kill.update(
                at="event",
                n=1 + int(draw * self.events.get(("host", point.run, point.phase), HOST_EVENTS[point.phase])),
            )
        elif point.way in ("module", "both", "session"):
            kill.update(
                at="module",
                n=1 + int(draw * (2 if point.run == "gate" else 3)),
                delay_s=0.4 * draw,
                what="session" if point.way == "session" else "module",
            )
        elif point.way == "restart":
            kill.update(at="switch", delay_s=RESTART_S * draw)
        target = TARGETS.get(point.phase)
        return {"folders": WRITES[point.phase], "targets": [target[1]] if target else [], "kill": kill}

    def strike(self, point: Point, draw: float, process: Any, agent: Any, folder: Folder | None) -> str:
        """Wait for the moment and kill; "" when the run was over before."""
        if point.way in ("module", "both", "session", "restart"):
            while process.poll() is None:
                killed = agent.killed()
                if killed:
                    if point.way in ("both", "restart"):
                        kill_tree(process)
                    return "; ".join(killed)
            return "; ".join(agent.killed(0.2))
        if point.way == "ledger":
            if folder is None:
                return ""
            number = 1 + int(draw * self.events.get(("ledger", point.run, point.phase), LEDGER_EVENTS))
            if not folder.wait(number, lambda: process.poll() is None):
                self.events["ledger", point.run, point.phase] = max(3, folder.events)
                return ""
            kill_tree(process)
            return f"at event {number} of the evidence folder"
        moment = STARTING_S + draw * max(
            1.0, self.seconds.get((point.run, point.phase), SECONDS[point.run]) - STARTING_S
        )
        if ended(process, moment):
            return ""
        if point.way == "tree":
            kill_tree(process)
        else:
            signal_group(process, {"group": signal.SIGKILL, "INT": signal.SIGINT, "TERM": signal.SIGTERM}[point.way])
        return f"with {point.way}"

    def check_interrupted(self, phase: int, where: str) -> None:
        """What must hold the moment after a kill, and ever after."""
        assert self.scene.ledger_fault() == "", f"{where}: {self.scene.ledger_fault()}"
        assert wait_until(lambda: self.scene.lock_holder() is None, 10), (
            f"{where}: the lock stayed: {self.scene.lock_holder()}"
        )
        if phase in TARGETS:
            self.whole[phase].add(self.scene.digest(phase))
            assert len(self.whole[phase]) <= 2, f"{where}: the target is neither the old nor the new file"

    def check(self, phase: int, where: str) -> None:
        """What must hold after the next run."""
        self.check_interrupted(phase, where)
        assert wait_until(lambda: not self.scene.marked(), 20), f"{where}: a host is still marked as held"
        assert self.scene.half_built() == [], where
        assert wait_until(lambda: not self.scene.busy(), 30), f"{where}: a module is still at work"
        assert self.scene.litter(scratch=self.last == "phase") == [], where
        assert wait_until(lambda: not self.scene.ill(), 20), f"{where}: {self.scene.ill()}"
        now = self.scene.picture()
        for host, files in now.files.items():
            was = self.before.files[host]
            assert files == was, f"{where}: {host}: {sorted(set(files.items()) ^ set(was.items()))}"
        assert now.rows == self.before.rows, f"{where}: rows changed"


@pytest.fixture(scope="module")
def rollout(
    root: Path,
    et: Host,
    vm: Host,
    inventory: Path,
    evidence: Path,
    playbook: Callable[..., Any],
    world: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
) -> Iterator[Rollout]:
    """The site, with a build folder of its own; at the end it says what was done."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n  {text}", end="", flush=True)

    say(f"ROLLOUT_KILL_SEED={SEED} ROLLOUT_KILLS={KILLS}")
    begun = time.monotonic()
    scene = Scene(
        os.environ.get("ROLLOUT_WORLD", "demo"),
        {"et-server": et, "slomix-vm": vm},
        evidence,
        tmp_path_factory.mktemp("build"),
    )
    world("play", "completed", "--map", "goldrush")  # rows that no phase may touch
    if KILLS <= FEW and (root / "build/lua/rehearsals").is_dir():
        # What was rehearsed before is not played anew: a short run has no time for it, a long one begins with nothing.
        shutil.copytree(root / "build/lua/rehearsals", scene.build / "lua/rehearsals")
    one = Rollout(root, inventory, scene, playbook, say)
    yield one
    for line, number in sorted(one.kills.items()):
        say(f"{number:3} {line}")
    say(f"{sum(one.kills.values())} kills in {time.monotonic() - begun:.0f} s\n")


@pytest.mark.parametrize("phase", PHASES)
def test_killed_anywhere_the_next_run_finishes_or_rolls_back(
    phase: int, rollout: Rollout, world: Callable[..., str]
) -> None:
    mine = POINTS[phase]
    rollout.learn(phase)
    for point in mine:
        if point.run != "gate":
            rollout.point(point)
    if not rollout.done[phase]:
        rollout.finish("phase", phase)
    for map_name in PLAYED[phase]:
        world("play", "completed", "--map", map_name)
    rollout.before = rollout.scene.picture()
    for point in mine:
        if point.run == "gate":
            rollout.point(point)
    if not any(point.run == "gate" for point in mine):
        rollout.finish("gate", phase)


def test_the_command_finds_the_ledger_intact(rollout: Rollout, root: Path) -> None:
    done = subprocess.run(
        ["rollout", "evidence", "verify", "--evidence", str(rollout.scene.evidence)],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(rollout.kills.values()) == KILLS
