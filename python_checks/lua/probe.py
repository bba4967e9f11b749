"""Lua lines that let a script show its own state during a rehearsal: busy flag, score, last signature."""

from __future__ import annotations

from importlib import resources

from python_checks.lua.recipe import Refusal
from python_checks.lua.tree import LuaTree
from python_checks.lua.webhook_targets import watched_state


def probe_for(source: bytes) -> bytes:
    """Lua text to stand behind the script's last statement; empty when its state cannot be told for sure."""
    try:
        busy, marks = watched_state(LuaTree(source))
    except Refusal:
        return b""
    shown = [b'"busy=<" .. tostring(' + (b" or ".join(busy) or b"false") + b') .. ">"']
    shown += [b'" ' + mark + b'=<" .. show(' + mark + b') .. ">"' for mark in marks]
    lua = resources.files("python_checks.lua").joinpath("probe.lua").read_bytes()
    return lua.replace(b"@STATE@", b" .. ".join(shown))
