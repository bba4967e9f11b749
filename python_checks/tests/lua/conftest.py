"""Helpers for the tests of the Lua workshop: the fixtures, their fixed versions, one quick play."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from python_checks.lua.finding import Finding
from python_checks.lua.fix import fix
from python_checks.lua.judge import judge, kind_of
from python_checks.lua.probe import probe_for
from python_checks.lua.stage import Job, Performance, play

FIXTURES = Path(__file__).resolve().parent / "fixtures"
WEBHOOKS = sorted(path.stem for path in FIXTURES.glob("*.lua"))
MODULE = "luascripts/hook.lua"


@cache
def original(name: str) -> bytes:
    """A fixture as it is."""
    return (FIXTURES / f"{name}.lua").read_bytes()


@cache
def fixed(name: str) -> bytes:
    """A fixture after the recipe."""
    result = fix(original(name), ["webhook"])
    assert not result.refused_reason, result.refused_reason
    return result.output


def perform(source: bytes, match: str = "completed", interpreter: str = "lua54", fault: str = "") -> Performance:
    """Play one match in this process."""
    probe = probe_for(source) if fault else b""
    performance = play(Job(MODULE, source, interpreter, (match,), (fault,), probe), match, fault)
    assert not performance.problem, performance.problem
    return performance


@pytest.fixture(scope="session")
def findings() -> Callable[..., list[Finding]]:
    """``findings(source, match, interpreter, fault)``: what the judge says about one play."""

    def run(source: bytes, match: str = "completed", interpreter: str = "lua54", fault: str = "") -> list[Finding]:
        performance = perform(source, match, interpreter, fault)
        return judge(MODULE, MODULE, kind_of(source, [performance]), performance)

    return run
