"""Places and helpers for the tests of the game host's scripts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from python_checks.engine import MatchResult, Server, ShellCall, VirtualClock, parse_match

ET_SERVER = Path(__file__).resolve().parents[3] / "molecule" / "world" / "et_server"
INSTALL_DIR = "/home/et/etlegacy-v2.83.1-x86_64"
HOME_DIR = "/home/et/.etlegacy"
EPOCH_S = 1771600000
WEBHOOK = "luascripts/stats_discord_webhook.lua"

#: The two players of the recorded consoles: their guids differ only after the eighth character.
FAKE_PLAYERS = (
    {"name": "fake1", "guid": "0000000000000000000000ABCDEF0001", "team": "axis"},
    {"name": "fake2", "guid": "0000000000000000000000ABCDEF0002", "team": "allies"},
)


@dataclass(frozen=True)
class Played:
    """What a match left behind. ``home``: the mod's folder below the homepath."""

    result: MatchResult
    console: list[str]
    shell_calls: list[ShellCall]
    home: Path

    @property
    def posts(self) -> list[bytes]:
        """The bodies of the posts, in order."""
        return [body for call in self.shell_calls for body in call.payloads.values() if body is not None]

    def errors(self) -> list[str]:
        """Console lines in which a Lua module fails."""
        return [line for line in self.console if re.search(r"Lua \d\.\d API: .*(error|failed|can not)", line)]

    def files(self, pattern: str) -> list[Path]:
        """Files below the mod's folder, sorted by name."""
        return sorted(self.home.glob(pattern))


Play = Callable[..., Played]


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


@pytest.fixture(scope="session")
def play(lua_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Play a match (a mapping as in a match file) with the given modules; curl is captured, nothing gets out."""

    def run(
        match: dict[str, Any],
        *,
        modules: str = f"c0rnp0rn7.lua {WEBHOOK}",
        interpreter: str = "lua54",
        on_shell: Callable[[ShellCall], int] | None = None,
        on_frame: Callable[[Server], None] | None = None,
    ) -> Played:
        folder = tmp_path_factory.mktemp("game")
        base, home = folder / "base", folder / "home"
        shutil.copytree(lua_folder, base / "legacy")
        wanted = parse_match({"about": "a test", "players": FAKE_PLAYERS, **match}, "test")
        server = Server(
            base,
            home,
            interpreter=interpreter,
            lua_modules=modules,
            shell="capture",
            clock=VirtualClock(epoch_s=EPOCH_S),
            nominal_basepath=INSTALL_DIR,
            nominal_homepath=HOME_DIR,
            on_shell=on_shell,
        )
        result = server.play(wanted, on_frame)
        server.quit()
        return Played(result, server.console, server.shell_calls, home / "legacy")

    return run
