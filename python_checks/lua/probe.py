"""Lua lines that let a script show its own state during a rehearsal: busy flag, score, last signature."""

from __future__ import annotations

from python_checks.lua.recipe import Refusal
from python_checks.lua.tree import LuaTree
from python_checks.lua.webhook import watched_state

_SHOW = b"""do local function show(v) if type(v) ~= "table" then return tostring(v) end local k = {} for n, i in pairs(v) do if type(i) ~= "table" and
 type(i) ~= "function" then k[#k + 1] = tostring(n) .. ":" .. tostring(i) end end table.sort(k) return "{" .. table.concat(k, ",") .. "}" end
 local function safe(f) local ok, v = pcall(f) return ok and v or "nil" end local down, run, ran = et_ShutdownGame, et_RunFrame, false local function probe()
 et.G_Print("rollout probe " .. safe(function() return %s end) .. "\\n") end
 function et_ShutdownGame(...) probe() if down then return down(...) end end
 if run then function et_RunFrame(...) if not ran then ran = true probe() end return run(...) end end end"""


def probe_for(source: bytes) -> bytes:
    """Lua text to stand behind the script's last statement; empty when its state cannot be told for sure."""
    try:
        busy, marks = watched_state(LuaTree(source))
    except Refusal:
        return b""
    shown = [b'"busy=<" .. tostring(' + (b" or ".join(busy) or b"false") + b') .. ">"']
    shown += [b'" ' + mark + b'=<" .. show(' + mark + b') .. ">"' for mark in marks]
    return (_SHOW % b" .. ".join(shown)).replace(b"\n", b"")
