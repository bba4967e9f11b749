"""The server's Lua modules: loading order, dispatch, chain stops, and the console lines of a real server."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from .api import constants, missing_functions, raw_functions, signatures
from .vm import LUA_VERSION, LuaVM

if TYPE_CHECKING:
    from .server import Server

MAX_VMS = 64
MAX_SCRIPT_BYTES = 1024 * 1024
MAX_PRINT_DEPTH = 16
MAX_NESTING = 32
_STOP_ON_ONE = {"et_Damage", "et_ClientCommand", "et_ConsoleCommand", "et_WeaponFire"}


class ServerCrash(RuntimeError):
    """What kills a real server too: an et_Print handler that fails on its own error line, for ever."""


def split_modules(value: str) -> list[str]:
    """Split ``lua_modules``: each blank, comma or semicolon ends a name, so two in a row make an empty name (engine.md)."""
    names = re.split(r"[ ,;]", value)
    while names and names[-1] == "":
        names.pop()
    return names


class LuaHost:
    """All VMs of the server, in the order of ``lua_modules``."""

    def __init__(self, server: Server, interpreter: str, instruction_limit: int) -> None:
        self.server = server
        self.interpreter = interpreter
        self.prefix = f"{LUA_VERSION[interpreter]} API: ^$"
        self.vms: list[LuaVM] = []
        self.running: list[str] = []
        self._failed: set[int] = set()
        self._instruction_limit = instruction_limit
        self._print_depth = 0

    # -- printing --------------------------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Print a line of the Lua API itself."""
        self.server.gprint(f"{self.prefix}{text}\n")

    def hook_print(self, text: str) -> None:
        """et_Print for a line that the game printed."""
        if not self.vms:
            return
        if self._print_depth >= MAX_PRINT_DEPTH:
            raise ServerCrash(
                "et_Print failed on the line that reports its own failure; a real server overflows its stack here"
            )
        self._print_depth += 1
        try:
            self.call("et_Print", text)
        finally:
            self._print_depth -= 1

    # -- life cycle ------------------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The scripts to load: the file named by ``g_luaModuleList`` wins over ``lua_modules``."""
        cvars = self.server.cvars
        listing = cvars.full("g_luaModuleList")
        if listing:
            found = self.server.files.search(listing)
            if found is not None:
                return split_modules(" ".join(found.read_bytes().decode("latin-1").split()))
        return split_modules(cvars.full("lua_modules"))

    def start(self) -> None:
        """Load every module from disk, each into a new VM."""
        allowed = self.server.cvars.full("lua_allowedModules").upper()
        for name in self.names()[:MAX_VMS]:
            self._start_one(name if name.endswith(".lua") else f"{name}.lua", allowed)

    def _start_one(self, filename: str, allowed: str) -> None:
        path = self.server.files.search(filename)
        if path is None:
            self.say(f"can not open file '{filename}'")
            return
        source = path.read_bytes()
        if len(source) > MAX_SCRIPT_BYTES:
            self.say(f"file '{filename}' is too large ({len(source)} bytes, the limit is {MAX_SCRIPT_BYTES})")
            return
        signature = hashlib.sha1(source).hexdigest().upper()
        if allowed and signature not in allowed:
            self.say(f"Lua module [{filename}] [{signature}] disallowed by ACL")
            return
        number = len(self.vms)
        vm = LuaVM(
            interpreter=self.interpreter,
            filename=filename,
            source=source,
            raw=raw_functions(self.server, filename, number),
            constants=constants(),
            signatures=signatures(),
            missing=missing_functions(),
            search=self.server.files.lua_search(),
            instruction_limit=self._instruction_limit,
        )
        self.running.append(filename)
        state, problem = vm.load()
        self.running.pop()
        if state == "syntax":
            self.say(f"syntax error during pre-compilation: {problem}")
        elif state == "error":
            self.say(f"G_LuaStartVM error running lua script: '{problem}'")
            self.say(f"Lua VM start failed ( {filename} )")
        else:
            self.say(
                f"file '{filename}' loaded into Lua VM"
            )  # before it has a number: its own et_Print does not see this line
            self.vms.append(vm)

    def stop(self) -> None:
        """et_Quit and the unload line for each VM; a VM that has failed goes without a line, as measured."""
        vms, self.vms = self.vms, []
        failed, self._failed = self._failed, set()
        for number, vm in enumerate(vms):
            self._call_one(number, vm, "et_Quit", ())
            if number not in failed and number not in self._failed:
                self.say(f"Lua module [{vm.filename}] [{vm.signature}] unloaded.")
        self._failed = set()

    def restart(self) -> None:
        """The console's lua_restart: new VMs without et_InitGame."""
        self.stop()
        self.start()

    # -- dispatch --------------------------------------------------------------------------------------------------------------

    def _run(self, number: int, vm: LuaVM, name: str, args: tuple[object, ...]) -> Any:
        """The VM's own answer: None without such a function, True or (True, results…) when done; an error is printed and gives False."""
        self.running.append(vm.filename)
        try:
            result = vm.call(name, *args)
        finally:
            self.running.pop()
        if isinstance(result, tuple) and not result[0]:
            self._failed.add(number)
            self.say(f"{name} error running lua script: '{result[1]}'")
            return False
        return result

    def _call_one(self, number: int, vm: LuaVM, name: str, args: tuple[object, ...]) -> Any:
        """The first value that the callback returned, else None."""
        result = self._run(number, vm, name, args)
        return result[1] if isinstance(result, tuple) else None

    def call(self, name: str, *args: object) -> Any:
        """Call one callback in every module; return the value that stopped the chain, else None."""
        for number, vm in enumerate(self.vms):
            value = self._call_one(number, vm, name, args)
            if value is None:
                continue
            kind = type(value)
            if name in _STOP_ON_ONE:
                if kind in (int, float) and value == 1:
                    return 1
            elif (name == "et_Obituary" and kind in (int, float, str)) or (name == "et_ClientConnect" and kind is str):
                return value
        return None

    def call_vm(self, number: int, name: str, *args: object) -> bool:
        """Call one callback in one VM (et_IPCReceive); whether it ran without an error. Two VMs cannot send to each other for ever."""
        if len(self.running) >= MAX_NESTING:
            return False
        return bool(self._run(number, self.vms[number], name, args))

    # -- status ----------------------------------------------------------------------------------------------------------------

    def status(self) -> list[str]:
        """The lines of ``lua_status``."""
        if not self.vms:
            return [f"{self.prefix}no scripts loaded."]
        many = "module" if len(self.vms) == 1 else "modules"
        lines = [f"{self.prefix}showing lua information ( {len(self.vms)} {many} loaded )"]
        lines.append(f"{'VM':<2} {'Modname':<24} {'Signature':<40} {'Filename':<24}")
        lines += [f"{n:2d} {vm.modname:<24} {vm.signature:<40} {vm.filename:<24}" for n, vm in enumerate(self.vms)]
        return lines
