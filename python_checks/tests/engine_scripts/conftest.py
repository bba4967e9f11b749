"""Places and helpers for the tests of the game host's scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

ET_SERVER = Path(__file__).resolve().parents[3] / "molecule" / "world" / "et_server"


@pytest.fixture(scope="session")
def lua_folder() -> Path:
    """The mod folder of the game host as it is before the rollout."""
    return ET_SERVER / "lua"


@pytest.fixture(scope="session")
def scripts_folder() -> Path:
    """The boot, monitor and watcher scripts of the game host."""
    return ET_SERVER / "scripts"


@pytest.fixture(scope="session")
def recorded(data: Path) -> Path:
    """Console lines and stats files recorded on a real server."""
    return data / "engine_scripts"
