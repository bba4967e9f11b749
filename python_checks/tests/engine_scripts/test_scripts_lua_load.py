"""Which interpreter takes which file: the premise of every later step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lupa.lua54 import LuaRuntime as Lua54
from lupa.luajit21 import LuaRuntime as LuaJIT

BOTH = ("luascripts/stats_discord_webhook.lua", "luascripts/team-lock.lua", "c0rnp0rn7.lua", "endstats.lua")
TIME_TRACKING = "c0rnp0rn-testluawithtimetracking.lua"


def compile_error(runtime: type, source: str) -> str | None:
    """Compile without running; the interpreter's message, or None when it takes the text."""
    check: Any = runtime().eval("function(text) local ok, problem = (loadstring or load)(text) return problem end")
    return None if (problem := check(source)) is None else str(problem)


@pytest.mark.parametrize("runtime", [Lua54, LuaJIT], ids=["lua54", "luajit"])
@pytest.mark.parametrize("name", BOTH)
def test_deployed_files_load_on_both_interpreters(lua_folder: Path, name: str, runtime: type) -> None:
    assert compile_error(runtime, (lua_folder / name).read_text()) is None


def test_a_bit_operator_in_a_deployed_file_would_be_noticed(lua_folder: Path) -> None:
    mutant = (lua_folder / "c0rnp0rn7.lua").read_text().replace("bit.band(toggles, PAUSE_BIT)", "(toggles & PAUSE_BIT)")
    assert compile_error(Lua54, mutant) is None
    assert compile_error(LuaJIT, mutant) is not None


def test_the_time_tracking_variant_loads_on_lua54_only(lua_folder: Path) -> None:
    """domain.md 3.2: it uses operators of Lua 5.3; LuaJIT refuses the whole file."""
    source = (lua_folder / TIME_TRACKING).read_text()
    assert compile_error(Lua54, source) is None
    assert "unexpected symbol" in str(compile_error(LuaJIT, source))
