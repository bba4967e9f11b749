"""Where a copy in the homepath shadows the install dir, the copy that runs is fixed and the other one is left alone (and named)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testinfra.host import Host

NAME = "legacy/luascripts/stats_discord_webhook.lua"
RUNS = f"/home/et/.etlegacy/{NAME}"
SHADOWED = f"/home/et/etlegacy-v2.83.1-x86_64/{NAME}"


def test_the_copy_that_runs_is_fixed(et: Host) -> None:
    assert "rollout_guard" in et.file(RUNS).content_string
    assert "rollout_guard" not in et.file(SHADOWED).content_string


def test_gate_1_passes_on_luajit(
    et: Host, world: Callable[..., str], rows: Callable[[str], dict[int, int]], gate: Callable[[int], tuple[int, str]]
) -> None:
    world("play", "completed", "--map", "supply")
    assert "Lua 5.1 API" in et.file("/home/et/.etlegacy/legacy/etconsole.log").content_string
    assert rows("supply") == {1: 1, 2: 1}
    code, output = gate(1)
    assert code == 0, output


def test_the_shadowed_copy_is_named_in_the_inventory(playbook: Callable[..., Any]) -> None:
    shown = playbook("baseline")
    assert shown.rc == 0
    assert "homepath" in shown.output and "basepath" in shown.output
