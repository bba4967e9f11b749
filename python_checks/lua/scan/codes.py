"""The stable list of findings. A code never changes its meaning; a new defect gets a new code.

LJIT002 and LJIT003 mean what the community's LuaJIT checker means by them; the other letters are this project's own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """``level`` is SARIF's (``error``: raises or does not load, ``warning``: wrong result). ``raises``: Lua stops with an error there."""

    code: str
    title: str
    level: str
    raises: bool
    fix: str


_ROWS = (
    Code("LOAD001", "the interpreter does not compile the file", "error", False, "correct the syntax at the place named"),
    Code("LOAD002", "the file is larger than the engine loads (1 MB)", "error", False, "split the file"),
    Code(
        "LJIT002", "shift operator, absent in LuaJIT", "error", False,
        "shift with math.floor(x / 2 ^ n) or x * 2 ^ n (math.floor around 2 ^ n), or with a fallback beside the bit library",
    ),
    Code(
        "LJIT003", "bitwise operator, absent in LuaJIT", "error", False,
        "test a bit with et.isBitSet(mask, value) or math.floor(value / mask) % 2, or use a fallback beside the bit library",
    ),
    Code("LJIT101", "floor division operator, absent in LuaJIT", "error", False, "write math.floor(a / b)"),
    Code("LJIT102", "attribute of a local, absent in LuaJIT", "error", False, "drop <const>; close by hand instead of <close>"),
    Code("LIB001", "library or function that the interpreter does not have, used unguarded", "error", True, ""),
    Code(
        "LIB002", "require of a module that the interpreter does not have", "error", True,
        "ask with pcall(require, NAME) and bring a fallback",
    ),
    Code(
        "LIB003", "name that no interpreter has in that library", "error", True,
        "correct the name, or define the function in this file",
    ),
    Code(
        "FMT001", "a value that may be fractional in an integer conversion", "error", True,
        "put math.floor(…) around the value; keep the exact number where it is compared",
    ),
    Code(
        "FMT002", "a value that may be NaN or infinite in an integer conversion", "error", True,
        "exclude a divisor of zero before the division",
    ),
    Code("FMT003", "nil or a boolean in an integer conversion", "error", True, "give a default: value or 0"),
    Code(
        "FMT004", "a text in an integer conversion", "error", True,
        "make it a whole number first: math.floor(tonumber(text) or 0)",
    ),
    Code("FMT005", "a format with more conversions than values", "error", True, "give each conversion its value"),
    Code("MASK001", "a bit mask compared with a value that it cannot have", "warning", False, "compare with 0: masked ~= 0"),
    Code("MASK002", "a bit mask used as a condition: 0 is true in Lua", "warning", False, "compare with 0: masked ~= 0"),
    Code(
        "RET001", "et_Obituary returns a value, so the engine does not call the modules behind it", "error", False,
        "return nothing from et_Obituary",
    ),
    Code(
        "ENG001", "name that the engine does not have", "error", True,
        "use a name of the engine's list, or give a default: et.NAME or VALUE",
    ),
    Code("ENG002", "callback that the engine never calls", "warning", False, "correct the spelling"),
    Code("ENG003", "entity field that the engine does not have", "error", True, "use a field of the engine's list"),
    Code(
        "SLOT001", "client field of slots that may have no client", "error", True,
        "loop from 0 to sv_maxclients - 1, read from the cvar",
    ),
    Code(
        "SLOT002", "slot count that is read in et_InitGame only", "warning", True,
        "read sv_maxclients when it is first needed: lua_restart loads a script without et_InitGame",
    ),
    Code(
        "SLOT003", "client field of an entity that may be no client", "error", True,
        "test the number first: slot >= 0 and slot < sv_maxclients (the world is 1022)",
    ),
    Code("CLOCK001", "clocks of different origin subtracted or compared", "warning", False, "take both times from one clock"),
    Code(
        "FILE001", "the result of opening a file is not checked", "error", True,
        "test the handle before it is used, and tell what failed",
    ),
    Code(
        "FILE002", "the result of et.trap_FS_FOpenFile is not checked", "warning", False,
        "take both results (handle, length) and stop when the length is negative or the handle is 0",
    ),
    Code("RAISE001", "arithmetic or comparison with a value that may be nil", "error", True, "give a default: (value or 0)"),
    Code(
        "FRAME001", "et_RunFrame can raise, and the engine calls it again in the next frame", "error", False,
        "remove the causes named; until then pcall around the part, with the error logged",
    ),
)  # fmt: skip

CODES: dict[str, Code] = {row.code: row for row in _ROWS}
