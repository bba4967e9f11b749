"""The world's command: two worlds at once, variants, and a match that reaches the database."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from testinfra.host import Host

from python_checks.tests.world.outside import NAME, ROOT, ssh_host, world_py

pytestmark = [pytest.mark.world, pytest.mark.slow, pytest.mark.xdist_group("world")]

SECOND = f"{NAME}-second"
INSTALLED = "/home/et/etlegacy-v2.83.1-x86_64/legacy/luascripts/stats_discord_webhook.lua"
SHADOW = "/home/et/.etlegacy/legacy/luascripts/stats_discord_webhook.lua"


@pytest.fixture(scope="module")
def second(world: str) -> Iterator[Host]:
    """The game server of a second world, with the shadowing copy and LuaJIT, beside the first."""
    world_py("up", "--name", SECOND, "--variant", "shadow", "--interpreter", "luajit")
    yield ssh_host(SECOND, "et-server")
    world_py("down", "--name", SECOND)


def test_two_worlds_are_apart(world: str, game: Host, second: Host) -> None:
    """Each has its own keys, passwords and ports; both are up at the same time."""
    password = "cat /home/et/.rollout/rcon_password"
    assert game.check_output(password) != second.check_output(password)
    worlds = [json.loads((ROOT / ".world" / name / "world.json").read_text()) for name in (world, SECOND)]
    ports = [one[key] for one in worlds for key in ("game_port", "stats_port")]
    assert len(set(ports)) == 4
    assert world_py("status").stdout.count("et-server on 127.0.0.1:") >= 2


def test_shadow_variant_runs_the_homepath_copy_on_luajit(second: Host) -> None:
    assert second.file(SHADOW).content == second.file(INSTALLED).content
    assert second.file(SHADOW).user == "et"
    console = second.file("/home/et/.etlegacy/legacy/etconsole.log").content_string
    assert "Lua 5.1 API" in console
    assert "Lua 5.4 API" not in console


def test_down_leaves_nothing() -> None:
    """Runs on a third name, so that the other worlds serve the other tests."""
    name = f"{NAME}-third"
    world_py("up", "--name", name)
    world_py("down", "--name", name)
    assert not (ROOT / ".world" / name).exists()
    assert f"{name}-" not in world_py("status").stdout
    refused = world_py("play", "completed", "--name", name, check=False)
    assert refused.returncode == 1
    assert f"world.py up --name {name}" in refused.stderr


def test_played_match_reaches_gamestats_and_bot(world: str, game: Host, stats: Host) -> None:
    """`play` returns only when the bot is at rest: both halves' files are there and seen."""
    world_py("play", "completed", "--map", "supply", "--name", world)
    names = game.check_output("ls /home/et/.etlegacy/legacy/gamestats").split()
    rounds = [name for name in names if name.endswith(("-supply-round-1.txt", "-supply-round-2.txt"))]
    assert len(rounds) == 2
    health = json.loads(stats.check_output("curl -sS http://127.0.0.1:8089/health"))
    assert health["idle"] is True
    assert health["files_imported"] >= 2
