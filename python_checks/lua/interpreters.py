"""The two real interpreters (PUC Lua 5.4 and LuaJIT 2.1, through lupa): their own verdict on whether a file loads."""

from __future__ import annotations

from typing import Any

import lupa.lua54
import lupa.luajit21

INTERPRETERS = ("lua54", "luajit")
_MODULES: dict[str, Any] = {"lua54": lupa.lua54, "luajit": lupa.luajit21}


def compile_error(source: bytes, interpreter: str) -> str:
    """What the interpreter says when it compiles the file; empty when it compiles. Nothing is run."""
    module = _MODULES[interpreter]
    runtime = module.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    load = runtime.eval(b"function(text, name) local f, m = (loadstring or load)(text, name) return f ~= nil, m end")
    ok, message = load(source, b"=file")
    return "" if ok else (message or b"does not compile").decode("utf-8", "replace")


def compile_errors(source: bytes) -> dict[str, str]:
    """``compile_error`` for both interpreters, by name."""
    return {name: compile_error(source, name) for name in INTERPRETERS}
