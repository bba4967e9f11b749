"""The host side of the global table ``et``: constants from the recorded table, functions on the server's state.

Functions here are called by Lua and must return only texts, numbers, None or tuples of these. What is listed in the recorded table but
not here exists in Lua too and raises "… is not in the stand-in".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .text import clean, info_remove, info_set, info_value

if TYPE_CHECKING:
    from .server import Server

PRINT_LIMIT_BYTES = 1023
CONFIGSTRING_LIMIT_BYTES = 1023
EXEC_NOW = 0

#: Lua-side argument checks: i integer, t text, o and u optional ones.
SIGNATURES: dict[str, str] = {
    "ClientNumberFromString": "t",
    "ClientUserinfoChanged": "i",
    "ConcatArgs": "i",
    "FindMod": "i",
    "FindSelf": "",
    "G_LogPrint": "t",
    "G_Print": "t",
    "G_Say": "iit",
    "GetCurrentWeapon": "i",
    "IPCSend": "it",
    "Info_RemoveKey": "tt",
    "Info_SetValueForKey": "ttt",
    "Info_ValueForKey": "tt",
    "MutePlayer": "iou",
    "Q_CleanStr": "t",
    "RegisterModname": "t",
    "UnmutePlayer": "i",
    "isBitSet": "ii",
    "trap_Argc": "",
    "trap_Argv": "i",
    "trap_Cvar_Get": "t",
    "trap_Cvar_Set": "tt",
    "trap_DropClient": "iuo",
    "trap_FS_FCloseFile": "i",
    "trap_FS_FOpenFile": "ti",
    "trap_FS_Read": "ii",
    "trap_FS_Rename": "tt",
    "trap_FS_Write": "tii",
    "trap_GetConfigstring": "i",
    "trap_GetUserinfo": "i",
    "trap_Milliseconds": "",
    "trap_SendConsoleCommand": "it",
    "trap_SendServerCommand": "it",
    "trap_SetConfigstring": "it",
    "trap_SetUserinfo": "it",
}
_BUILT_IN_LUA = {"gentity_get", "gentity_set", "trap_FS_GetFileList"}


@cache
def recorded() -> dict[str, tuple[str, str]]:
    """The recorded table: name -> (type, value)."""
    rows = (Path(__file__).resolve().parent / "et_api.tsv").read_text(encoding="utf-8").splitlines()
    return {name: (kind, value) for name, kind, value in (row.split("\t") for row in rows)}


@cache
def constants() -> dict[str, int | str]:
    """Constants of ``et`` with their recorded types."""
    return {n: int(v) if kind == "number" else v for n, (kind, v) in recorded().items() if kind != "function"}


def signatures() -> dict[str, str]:
    """Argument checks of the functions below."""
    return SIGNATURES


@cache
def missing_functions() -> list[str]:
    """Recorded functions that the stand-in does not play."""
    return [
        n
        for n, (kind, _) in recorded().items()
        if kind == "function" and n not in SIGNATURES and n not in _BUILT_IN_LUA
    ]


def raw_functions(server: Server, filename: str, number: int) -> dict[str, Callable[..., Any]]:
    """The host functions for one VM (``filename``, VM ``number``)."""
    cvars, strings, files, sandbox, roster = (
        server.cvars,
        server.configstrings,
        server.files,
        server.sandbox,
        server.roster,
    )

    def own_vm() -> Any:
        vms = server.lua.vms
        return vms[number] if number < len(vms) and vms[number].filename == filename else None

    def register(name: str) -> None:
        vm = own_vm()
        if vm is not None:  # during the chunk the VM has no number yet: nothing happens, as measured
            vm.modname = name[:24]

    def find_self() -> int | None:
        return number if own_vm() is not None else None

    def find_mod(index: int) -> tuple[str, str] | None:
        vms = server.lua.vms
        return (vms[index].modname, vms[index].signature) if 0 <= index < len(vms) else None

    def ipc_send(index: int, message: str) -> int:
        vms = server.lua.vms
        if not 0 <= index < len(vms):
            return 0
        done = server.lua.call_vm(index, "et_IPCReceive", number, message)
        return 1 if done else 0

    def argv(index: int) -> str:
        return server.argv[index] if 0 <= index < len(server.argv) else ""

    def concat_args(start: int) -> str:
        return " ".join(server.argv[max(0, start) :])

    def set_configstring(index: int, value: str) -> None:
        strings[index] = value[:CONFIGSTRING_LIMIT_BYTES]

    def userinfo(slot: int) -> str:
        return roster.clients[slot].userinfo if 0 <= slot < len(roster.clients) else ""

    def set_userinfo(slot: int, value: str) -> None:
        if 0 <= slot < len(roster.clients):
            roster.clients[slot].userinfo = value[:CONFIGSTRING_LIMIT_BYTES]

    def userinfo_changed(slot: int) -> None:
        if 0 <= slot < len(roster.clients):
            roster.publish(roster.clients[slot])

    def console_command(when: int, command: str) -> None:
        if when == EXEC_NOW and command.lower().startswith(("set ", "seta ", "sets ", "setl ")):
            server.execute_now(command)  # anything else waits for the frame's end: it could take this VM away
        else:
            server.pending.append(command)

    def client_by_text(text: str) -> int:
        if text.isdigit():
            return int(text) if int(text) < len(roster.clients) and roster.clients[int(text)].connected else -1
        wanted = clean(text).lower()
        matches = [c.slot for c in roster.connected() if wanted and wanted in clean(c.name).lower()]
        return matches[0] if len(matches) == 1 else -1

    def mute(slot: int, seconds: int | None, _reason: str | None) -> None:
        if 0 <= slot < len(roster.clients):
            roster.clients[slot].fields["sess.muted"] = 1 if seconds is None or seconds >= 0 else 0

    def unmute(slot: int) -> None:
        if 0 <= slot < len(roster.clients):
            roster.clients[slot].fields["sess.muted"] = 0

    def drop(slot: int, reason: str | None, _ban_s: int | None) -> None:
        server.pending.append(f'clientkick {slot} "{reason or ""}"')

    return {
        "ClientNumberFromString": client_by_text,
        "ClientUserinfoChanged": userinfo_changed,
        "ConcatArgs": concat_args,
        "FindMod": find_mod,
        "FindSelf": find_self,
        "G_LogPrint": lambda text: server.log_print(text[:PRINT_LIMIT_BYTES]),
        "G_Print": lambda text: server.log.write(text[:PRINT_LIMIT_BYTES]),
        "G_Say": lambda slot, _mode, text: roster.chat(slot, text, team=False),
        "GetCurrentWeapon": lambda slot: roster.field(slot, "ps.weapon"),
        "IPCSend": ipc_send,
        "Info_RemoveKey": info_remove,
        "Info_SetValueForKey": info_set,
        "Info_ValueForKey": info_value,
        "MutePlayer": mute,
        "Q_CleanStr": clean,
        "RegisterModname": register,
        "UnmutePlayer": unmute,
        "clock_s": lambda: server.clock.uptime_ms() / 1000,
        "execute": sandbox.execute,
        "file_list": lambda folder, extension: "\n".join(files.listing(folder, extension)),
        "gentity_get": roster.gentity_get,
        "gentity_set": roster.gentity_set,
        "getenv": sandbox.getenv,
        "isBitSet": lambda bit, value: bool(bit & value),
        "now_s": lambda: math.floor(server.clock.now_ms / 1000),
        "path": sandbox.path,
        "popen": sandbox.popen,
        "stdout": server.stdout.append,
        "tmpname": sandbox.tmpname,
        "trap_Argc": lambda: len(server.argv),
        "trap_Argv": argv,
        "trap_Cvar_Get": cvars.get,
        "trap_Cvar_Set": server.set_cvar,
        "trap_DropClient": drop,
        "trap_FS_FCloseFile": files.close,
        "trap_FS_FOpenFile": files.open,
        "trap_FS_Read": files.read,
        "trap_FS_Rename": files.rename,
        "trap_FS_Write": files.write,
        "trap_GetConfigstring": lambda index: strings.get(index, "")[:CONFIGSTRING_LIMIT_BYTES],
        "trap_GetUserinfo": userinfo,
        "trap_Milliseconds": server.milliseconds,
        "trap_SendConsoleCommand": console_command,
        "trap_SendServerCommand": server.server_command,
        "trap_SetConfigstring": set_configstring,
        "trap_SetUserinfo": set_userinfo,
    }
