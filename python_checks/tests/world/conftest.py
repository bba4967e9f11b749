"""A world for this folder's tests: brought up once a worker, looked at over ssh, taken down at the end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from testinfra.host import Host

from python_checks.tests.world.outside import NAME, WORLD_PY, ssh_host, world_py

# The world's own modules: a folder beside the collection, not a package of it.
sys.path.insert(0, str(WORLD_PY.parent))


@pytest.fixture(scope="session")
def world() -> Iterator[str]:
    """The name of a fresh world, `test` or, in one of several workers, `test-gw0`."""
    try:
        world_py("up", "--name", NAME)
        yield NAME
    finally:
        world_py("down", "--name", NAME)


@pytest.fixture(scope="session")
def game(world: str) -> Host:
    """et-server, seen by et."""
    return ssh_host(world, "et-server")


@pytest.fixture(scope="session")
def stats(world: str) -> Host:
    """slomix-vm, seen by slomix."""
    return ssh_host(world, "slomix-vm")


@pytest.fixture(scope="session")
def as_root(world: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command on a host as root, past ssh: ``as_root("et-server", "id")``."""

    def run(host: str, *argv: str) -> subprocess.CompletedProcess[str]:
        return world_py("exec", "--name", world, host, "--", *argv, check=False)

    return run
