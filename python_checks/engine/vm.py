"""One Lua VM: a module's file on the interpreter of the server, behind the prelude's gates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

PRELUDE = (Path(__file__).resolve().parent / "prelude.lua").read_text(encoding="utf-8")
LUA_VERSION = {"lua54": "Lua 5.4", "luajit": "Lua 5.1"}
MEMORY_LIMIT_BYTES = 256 * 1024 * 1024
LONGEST_TEXT_BYTES = 32 * 1024 * 1024
INSTRUCTIONS_PER_TICK = 10000
TOO_LONG = "stand-in: the callback ran too long and was stopped"


def _runtime_class(interpreter: str) -> Any:
    # Imported on demand: each binding is a shared library of its own.
    if interpreter == "lua54":
        from lupa.lua54 import LuaRuntime
    elif interpreter == "luajit":
        from lupa.luajit21 import LuaRuntime
    else:
        raise ValueError(f"interpreter is {interpreter!r}; it must be 'lua54' or 'luajit'")
    return LuaRuntime


def _refuse(_object: object, name: object, _setting: bool) -> str:
    raise AttributeError(f"Lua asked a host object for {name!r}")


class LuaVM:
    """A module's VM. ``raw`` holds the host functions by name; they must return only texts, numbers, booleans, None or tuples of these."""

    def __init__(
        self,
        *,
        interpreter: str,
        filename: str,
        source: bytes,
        raw: dict[str, Callable[..., Any]],
        constants: dict[str, Any],
        signatures: dict[str, str],
        missing: list[str],
        search: tuple[str, str],
        instruction_limit: int,
    ) -> None:
        self.filename = filename
        self.signature = hashlib.sha1(source).hexdigest().upper()
        self.modname = ""
        self._source = source.decode("latin-1")
        runtime_class = _runtime_class(interpreter)
        limit = {"max_memory": MEMORY_LIMIT_BYTES} if interpreter == "lua54" else {}
        lua = runtime_class(
            encoding="latin-1",
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=_refuse,
            **limit,
        )
        if interpreter == "luajit":
            lua.execute("jit.off() jit.flush()")  # the count hook fires only in interpreted code
        options = lua.table_from(
            {
                "ticks": max(1, instruction_limit // INSTRUCTIONS_PER_TICK),
                "too_long": TOO_LONG,
                "longest_text": LONGEST_TEXT_BYTES,
                "path": search[0],
                "cpath": search[1],
                "signatures": lua.table_from(signatures),
                "missing": lua.table_from(missing),
            }
        )
        self._lua = lua
        self._load, self._call = lua.execute(PRELUDE, lua.table_from(raw), lua.table_from(constants), options)

    def load(self) -> tuple[str, str]:
        """Run the chunk: ("ok", ""), ("syntax", message) or ("error", message)."""
        try:
            result = self._load(self._source, self.filename)
        except Exception as problem:
            return "error", str(problem)
        if result is True or (isinstance(result, tuple) and result[0] is True):
            return "ok", ""
        return ("syntax" if result[0] == "syntax" else "error"), str(result[1])

    def call(self, name: str, *args: object) -> Any:
        """Call a global function: None if there is none, True or (True, results…) when done, (False, message) on an error."""
        try:
            return self._call(name, *args)
        except Exception as problem:
            # Outside any Lua frame that could catch it: out of memory, C stack overflow.
            return False, str(problem) or type(problem).__name__
