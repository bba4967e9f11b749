"""The means of the kills themselves: what is drawn, what the agent sees, what is spared."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from killing import Folder, kill_tree, tree
from points import PHASES, WAYS, points

AGENT = Path(__file__).with_name("host_agent.py")


def test_a_seed_replays_and_a_long_run_has_every_way() -> None:
    assert points(7, 45) == points(7, 45) != points(8, 45)
    drawn = points(7, 45)
    assert sum(len(one) for one in drawn.values()) == 45 and all(len(drawn[phase]) == 9 for phase in PHASES)
    ways = {(point.run, point.way) for one in drawn.values() for point in one}
    assert {way for _, way in ways} == {way for ways in WAYS.values() for _, way in ways}
    assert {run for run, _ in ways} == {"phase", "rollback", "gate"}
    assert {point.then for one in drawn.values() for point in one} == {"again", "back"}


@pytest.mark.parametrize("count", [10, 45, 100])
def test_the_next_run_leads_to_where_the_next_point_starts(count: int) -> None:
    for phase, mine in points(3, count).items():
        runs = [point for point in mine if point.run != "gate"]
        for point, following in zip(runs, [*runs[1:], None], strict=True):
            done = (point.run == "phase") == (point.then == "again")
            assert done == (following is None or following.run == "rollback") or phase == 2


def watched(folder: Path, target: Path, write: str) -> dict[str, int]:
    """SHA-256 -> how often the agent saw it, while a process of its own writes the target."""
    options = {"folders": [str(folder)], "targets": [str(target)], "kill": {"at": "", "n": 0, "delay_s": 0, "what": ""}}
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT.read_text(), json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert agent.stdout is not None and "ready" in agent.stdout.readline()
    subprocess.run([sys.executable, "-c", write, str(target)], check=True)
    time.sleep(0.1)
    found: dict[str, int] = json.loads(agent.communicate(timeout=10)[0].splitlines()[-1])["seen"][str(target)]
    return found


def test_the_agent_tells_a_switch_from_a_file_that_is_written_in_place(tmp_path: Path) -> None:
    """The mutant of the whole scenario: a deployment that copies over the target."""
    target = tmp_path / "hook.lua"
    whole = {hashlib.sha256(text).hexdigest() for text in (b"old", b"new" * 9000)}
    switch = "import os, sys; p = sys.argv[1]; open(p + '.n', 'wb').write(b'new' * 9000); os.rename(p + '.n', p)"
    in_place = (
        "import sys, time; f = open(sys.argv[1], 'wb', 0)\nfor _ in range(9): f.write(b'new' * 1000); time.sleep(0.02)"
    )
    for write, sound in ((switch, True), (in_place, False)):
        target.write_bytes(b"old")
        assert (set(watched(tmp_path, target, write)) == whole) is sound


def test_a_tree_is_killed_but_for_the_keeper_of_the_lock() -> None:
    code = (
        "import subprocess, sys, time\n"
        "for mark in ('worker', 'module_utils/' + 'lock.py'):\n"
        "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)', mark], start_new_session=True)\n"
        "print('up', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline()
    children = tree(process.pid)[1:]
    assert len(children) == 2
    kill_tree(process)
    process.wait()
    time.sleep(0.1)
    left = [one for one in children if "R" in state(one) or "S" in state(one)]
    assert len(left) == 1 and "module_utils/lock.py" in Path(f"/proc/{left[0]}/cmdline").read_text()
    subprocess.run(["kill", "-9", str(left[0])], check=True)


def state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_events_of_a_folder_are_counted(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "one").write_text("x")
    assert folder.wait(2, lambda: True)
    assert not folder.wait(999, lambda: False)
    folder.close()
