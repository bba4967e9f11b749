"""Looking at a world from outside: its command as a user runs it, its hosts over ssh as an operator sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[3]
# pytest-xdist 3.8 does not group under pytest 9.2, so each worker has a world of its own.
NAME = "-".join(["test", *filter(None, [os.environ.get("PYTEST_XDIST_WORKER")])])
WORLD_PY = ROOT / "molecule" / "world" / "world.py"


def world_py(*argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the world's command as a user does."""
    done = subprocess.run([sys.executable, str(WORLD_PY), *argv], capture_output=True, text=True, cwd=ROOT, timeout=600)
    if check and done.returncode:
        pytest.fail(f"world.py {' '.join(argv)} ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def ssh_host(name: str, host: str) -> Host:
    """A testinfra host over ssh; the host key must be the one in the world's known_hosts."""
    folder = ROOT / ".world" / name
    known = json.loads((folder / "world.json").read_text())
    user, port = {"et-server": ("et", known["game_port"]), "slomix-vm": ("slomix", known["stats_port"])}[host]
    # A socket's path may have 108 bytes and ssh adds 58 of its own, so a deep checkout does without a shared connection.
    shared = (
        f"-o ControlMaster=auto -o ControlPersist=30s -o ControlPath={folder}/ssh-%C" if len(str(folder)) < 45 else ""
    )
    options = f'-F none -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile="{folder}/known_hosts"'
    return testinfra.get_host(
        f"ssh://{user}@127.0.0.1:{port}",
        ssh_identity_file=str(folder / "id_ed25519"),
        ssh_extra_args=f"{options} {shared}",
    )
