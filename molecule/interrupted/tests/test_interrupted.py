"""A controller that dies in the middle of phase 1: SIGKILL at every task, then the same command again.

The process is killed when its screen shows that the task has begun, so the module on the host may be anywhere in its work, or done.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testinfra.host import Host

LUA = "/home/et/etlegacy-v2.83.1-x86_64/legacy/luascripts/stats_discord_webhook.lua"


def run_until(command: list[str], root: Path, task: int) -> bool:
    """Start ``command`` and kill its whole group at its ``task``-th task (1-based); False when it ended before."""
    process = subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert process.stdout is not None
    seen = 0
    for line in process.stdout:
        seen += line.startswith("TASK [")
        if seen == task:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
    assert process.wait() == 0, "the run that is not interrupted must pass"
    return False


def quiet(et: Host) -> None:
    """Wait until no module of the killed run is at work on the host any more."""
    for _ in range(100):
        if et.run("pgrep -u et -f '[A]nsiballZ|[a]nsible_module|python3.*[a]nsible'").rc != 0:
            return
        time.sleep(0.1)
    raise AssertionError("a module of the killed run is still at work after 10 s")


def test_killed_at_every_task_the_next_run_ends_in_the_same_state(
    root: Path, et: Host, inventory: Path, playbook: Callable[..., Any]
) -> None:
    command = ["ansible-playbook", "-i", str(inventory), "playbooks/phase1.yml"]
    original = et.file(LUA).sha256sum
    first = playbook("phase1")
    assert first.rc == 0, first.output
    deployed = et.file(LUA).sha256sum
    assert deployed != original
    task, at_the_end = 0, False
    while not at_the_end:
        assert playbook("rollback", extravars={"phase": 1}).rc == 0
        assert et.file(LUA).sha256sum == original
        task += 1
        at_the_end = not run_until(command, root, task)
        quiet(et)
        found = et.file(LUA).sha256sum
        assert found in (original, deployed), f"killed at task {task}: the file is neither the old nor the new one"
        again = playbook("phase1")
        assert again.rc == 0, f"killed at task {task}, the next run failed:\n{again.output}"
        assert et.file(LUA).sha256sum == deployed
        beside = sorted(et.file(str(Path(LUA).parent)).listdir())
        assert beside == ["stats_discord_webhook.lua", "team-lock.lua"], (
            f"killed at task {task}: litter beside the target"
        )
    assert task > 10, "the run must have been killed at all of its tasks, not at a few"
    verify = subprocess.run(
        ["rollout", "evidence", "verify", "--evidence", str(root / "evidence" / inventory.parent.name)],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert verify.returncode == 0, verify.stdout + verify.stderr
