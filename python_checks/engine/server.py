"""The server: life cycle, frames, console commands. See the package's documentation for its use."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .clock import VirtualClock
from .console import Console
from .cvars import SERVERINFO, Cvars
from .files import GameFiles
from .lua_host import LuaHost
from .match import Match, MatchResult, load_match
from .roster import ALLIES, AXIS, LOADOUT, Client, Roster
from .rules import GS_COUNTDOWN, GS_INITIALIZE, GS_INTERMISSION, GS_PLAYING, GS_WARMUP, Rules
from .sandbox import FileTouch, Sandbox, ShellCall
from .text import from_engine, to_engine, tokenize

if TYPE_CHECKING:
    from .director import Director

CS_SERVERINFO, CS_WOLFINFO = 0, 21
WOLFINFO = ("g_currentCampaignMap", "g_nextTimeLimit", "g_currentRound", "gamestate")
INIT_FRAMES = 6
FRAME_INIT_MS = 100
BOOT_MS, LOAD_MS, RESTART_MS = 166, 400, 50
VERSIONS = {"lua54": "v2.83.1", "luajit": "v2.85.0"}
DEFAULT_INSTRUCTION_LIMIT = 50_000_000


class Server:
    """An ET:Legacy server as Lua modules see it. See ``python_checks.engine`` for the whole picture."""

    def __init__(
        self,
        basepath: Path,
        homepath: Path,
        *,
        interpreter: str = "lua54",
        lua_modules: str = "",
        cvars: dict[str, str] | None = None,
        shell: str = "capture",
        clock: VirtualClock | None = None,
        nominal_basepath: str | None = None,
        nominal_homepath: str | None = None,
        console: Path | None = None,
        mod: str = "legacy",
        seed: int = 1,
        on_shell: Callable[[ShellCall], int] | None = None,
        instruction_limit: int = DEFAULT_INSTRUCTION_LIMIT,
    ) -> None:
        """See the package's documentation; raises ValueError for an unknown interpreter or shell mode."""
        basepath, homepath = Path(basepath), Path(homepath)
        base_name, home_name = nominal_basepath or str(basepath), nominal_homepath or str(homepath)
        self.clock = clock or VirtualClock()
        self.version = f"ET Legacy {VERSIONS.get(interpreter, interpreter)} linux-x86_64"
        given = {"fs_basepath": base_name, "fs_homepath": home_name, "fs_game": mod, "lua_modules": lua_modules}
        self.cvars = Cvars(
            {**given, "version": self.version, "mod_version": VERSIONS.get(interpreter, ""), **(cvars or {})}
        )
        self.log = Console(console or homepath / mod / "etconsole.log")
        self.console_path = console or homepath / mod / "etconsole.log"
        self.files = GameFiles(basepath, homepath, mod, base_name, home_name)
        self.sandbox = Sandbox(shell, {base_name: basepath, home_name: homepath}, self._stamp, on_shell)
        self.configstrings: dict[int, str] = {}
        self.stdout: list[str] = []
        self.argv: list[str] = []
        self.pending: list[str] = []
        self.server_commands: list[tuple[int, str]] = []
        self.time = 0
        self.booted = False
        self.fresh = False
        self.loads = 0
        self._known: tuple[str, str] = ("", "")
        self._modules_changed = False
        self._after_exit = False
        self.roster = Roster(self, max(1, self.cvars.integer("sv_maxclients")))
        self.rules = Rules(self, seed)
        self.lua = LuaHost(self, interpreter, instruction_limit)
        self.commands: dict[str, Callable[[list[str]], None]] = {
            "clientkick": self._kick,
            "lua_restart": lambda _: self.lua.restart(),
            "lua_status": lambda _: self.log.write("".join(f"{line}\n" for line in self.lua.status())),
            "map": lambda words: self.load_map(words[1]) if len(words) > 1 else None,
            "map_restart": lambda _: self.restart_map(),
            "ref": self._referee,
            "reset_match": lambda _: self.restart_map(reset=True),
            "set": self._set,
            "seta": self._set,
            "sets": self._set,
            "setl": self._set,
        }
        self.director: Director | None = None

    # -- what callers read -----------------------------------------------------------------------------------------------------

    @property
    def console(self) -> list[str]:
        """All console lines so far, as Unicode text (bytes that are not UTF-8 are surrogates)."""
        return [from_engine(line) for line in self.log.lines]

    @property
    def shell_calls(self) -> list[ShellCall]:
        """Shell commands of scripts, in order."""
        return self.sandbox.calls

    @property
    def files_written(self) -> list[FileTouch]:
        """Files that scripts opened for writing, renamed or removed through Lua's own libraries, in order; refused ones included."""
        return self.sandbox.touches

    def lua_status(self) -> list[str]:
        """The lines that ``lua_status`` prints."""
        return self.lua.status()

    # -- small services --------------------------------------------------------------------------------------------------------

    def _stamp(self) -> tuple[str, int, int]:
        return self.lua.running[-1] if self.lua.running else "", self.clock.now_ms, self.time

    def milliseconds(self) -> int:
        """``et.trap_Milliseconds``: since the process began; another origin than levelTime."""
        return self.clock.uptime_ms()

    def gprint(self, text: str) -> None:
        """A print of the game: console, then et_Print."""
        self.log.write(text)
        self.lua.hook_print(text)

    def log_print(self, text: str) -> None:
        """A print that also goes to the game log named by ``g_log``."""
        self.log.write(text)
        name = self.cvars.full("g_log")
        if name:
            elapsed_s = max(0, self.time - self.rules.start_ms) // 1000
            with (self.files.home / name).open("ab") as log:
                log.write(f"{elapsed_s // 60:3d}:{elapsed_s % 60:02d} {text}".encode("latin-1"))

    def broadcast(self, text: str) -> None:
        """A print to all players; the console of a dedicated server shows it, et_Print does not see it."""
        self.log.write(f'broadcast: print "{text}"\n')

    def server_command(self, slot: int, command: str) -> None:
        """``et.trap_SendServerCommand``."""
        self.server_commands.append((slot, from_engine(command)))
        if slot == -1:
            self.log.write("broadcast: " + command.replace("\n", "\\n") + "\n")

    def set_cvar(self, name: str, value: str) -> None:
        """Set a cvar; a change of the module list or its ACL unloads all modules in the next frame and loads none (engine.md)."""
        changed = self.cvars.full(name) != value
        self.cvars.set(name, value)
        if changed and name.lower() in ("lua_modules", "lua_allowedmodules") and self.booted:
            self._modules_changed = True

    @property
    def gamestate(self) -> int:
        """The cvar ``gamestate``."""
        return self.cvars.integer("gamestate")

    @gamestate.setter
    def gamestate(self, value: int) -> None:
        self.cvars.set("gamestate", str(value))

    @property
    def live(self) -> bool:
        """A half is being played (a pause counts as play)."""
        return self.gamestate == GS_PLAYING

    @property
    def frame_ms(self) -> int:
        """Length of a server frame."""
        return 1000 // max(1, self.cvars.integer("sv_fps") or 20)

    # -- life cycle ------------------------------------------------------------------------------------------------------------

    def boot(self, map_name: str, timelimit_min: str = "10") -> None:
        """Start the server with its first map and that map's limit; modules are loaded and the settling frames have run when it returns."""
        self.rules.limits_min.setdefault(map_name, timelimit_min)
        self.cvars.set("timelimit", self.rules.limits_min[map_name])
        self.log.write(f"^2{self.version}\n----- Server Initialization ----\n")
        self.clock.sync()
        self.clock.advance(BOOT_MS)
        self._load(map_name)

    def load_map(self, map_name: str) -> None:
        """The console's ``map``: modules see et_ShutdownGame(0), a new VM and et_InitGame(…, 0); round and limits start over."""
        self._shutdown(0, write_sessions=True)
        self.clock.sync()
        self.clock.advance(LOAD_MS)
        self._load(map_name)

    def _load(self, map_name: str) -> None:
        self.configstrings.clear()
        self.roster.resize(max(1, self.cvars.integer("sv_maxclients")))
        for name, value in (("mapname", map_name), ("g_currentRound", "0"), ("g_nextTimeLimit", "0")):
            self.cvars.set(name, value)
        self.log.write(f"Server: {map_name}\nLoaded entities from maps/{map_name}.bsp\n")
        self.gamestate = GS_WARMUP
        if not self.booted:
            self.configstrings[11] = "0"
        self._init(0)
        self.booted = self.fresh = True

    def restart_map(self, *, reset: bool = False) -> None:
        """The console's ``map_restart 0`` (or ``reset_match``): new VMs, et_InitGame(…, 1), players stay."""
        before = self.gamestate
        after = {GS_COUNTDOWN: GS_PLAYING, GS_INTERMISSION: GS_WARMUP}.get(before, before)
        if reset or self.rules.idle:
            after = GS_WARMUP  # an idle stand-in waits for its next match, where a real server would play to itself
        if reset:
            self.cvars.set("g_currentRound", "0")
            self.cvars.set("g_nextTimeLimit", "0")
        self.gamestate = after
        self._shutdown(1, write_sessions=before != GS_INTERMISSION)
        second = self.cvars.integer("g_currentRound") == 1
        for client in self.roster.connected():
            if before == GS_INTERMISSION and second:
                client.fields["sess.rounds"] += 1
                if client.team in LOADOUT:
                    client.fields["sess.sessionTeam"] = ALLIES if client.team == AXIS else AXIS
            if after == GS_PLAYING and not second:
                client.clear_scores()
        self.clock.sync()
        self.clock.advance(RESTART_MS)
        self._init(1)

    def _shutdown(self, restart: int, *, write_sessions: bool) -> None:
        self.lua.call("et_ShutdownGame", restart)
        self.lua.stop()
        self.files.close_all()
        self.log.write(f"==== ShutdownGame ({restart} - {self.cvars.full('mapname')}) ====\n{self._gametime()}")
        if write_sessions:
            for client in self.roster.connected():
                self.log.write(f"Writing session file session/client{client.slot:02d}.json\n")

    def _gametime(self) -> str:
        return "gametime: " + time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(self.clock.now_ms // 1000)) + "\n"

    def _init(self, restart: int) -> None:
        limit_before = self.cvars.full("timelimit")
        self.loads += 1
        self.pending.clear()
        self._modules_changed = False
        self.argv = []
        for client in self.roster.clients:
            client.restart()
        self.rules.init()
        self._publish_serverinfo()
        self.log.write("------- Game Initialization -------\ngamename: legacy\n")
        self.log.write(f"map: {self.cvars.full('mapname')}\ngametype: Stopwatch\n{self._gametime()}")
        self.lua.start()
        self.gprint("Enable spawning!\n")
        self.lua.call("et_SpawnEntitiesFromString")
        for line in (
            "Disable spawning!",
            "^1ERROR No tracemap found for map",
            "0 teams with 0 entities",
            "-----------------------------------",
            "Setting MOTD...",
            "GeoIP: Error opening database GeoIP.dat",
        ):
            self.gprint(f"{line}\n")
        self.rules.seed_reinforcements()
        self.lua.call("et_InitGame", self.time, self.milliseconds(), restart)
        self.gprint("Game Initialization completed in 0.05 seconds\n")
        if self.cvars.full("timelimit") != limit_before and self.booted:
            self.broadcast(f"Server: timelimit changed to {self.cvars.full('timelimit')}\\n")
        # Six settling frames of 100 ms, then the players come back, then one frame more; no real time passes (engine.md).
        for number in range(INIT_FRAMES):
            self._game_frame(FRAME_INIT_MS, settling=True)
            if number < INIT_FRAMES - 1:
                self.time += FRAME_INIT_MS
        for client in self.roster.clients:
            if client.userinfo and client.guid and client.fields["sess.sessionTeam"]:
                self.roster.reconnect(client)
        self.time += FRAME_INIT_MS
        self._game_frame(FRAME_INIT_MS, settling=True)
        self.time += FRAME_INIT_MS
        self._publish()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.quit()

    def quit(self) -> None:
        """End the process cleanly: et_ShutdownGame(0), et_Quit, console lines; the sandbox's own files go."""
        if self.booted:
            self.log.write("----- Server Shutdown (Server quit) -----\n")
            self._shutdown(0, write_sessions=False)
            self.booted = False
        self.sandbox.close()

    # -- frames ----------------------------------------------------------------------------------------------------------------

    def frame(self) -> None:
        """One server frame: time, published cvars, rules, et_RunFrame, queued console commands."""
        step_ms = self.frame_ms
        self.fresh = False
        self.time += step_ms
        self.clock.advance(step_ms)
        self._publish()
        self._game_frame(step_ms, settling=False)
        self.run_pending()

    def run_pending(self) -> None:
        """Console commands queued until now; what they queue themselves waits for the next frame."""
        queued = list(self.pending)
        self.pending.clear()
        for text in queued:
            self.execute_now(text)

    def _game_frame(self, step_ms: int, *, settling: bool) -> None:
        if self._modules_changed:
            self._modules_changed = False
            self.lua.stop()
        self.rules.frame(step_ms, settling=settling)
        self.lua.call("et_RunFrame", self.time)

    def _publish(self) -> None:
        wolf = self.cvars.infostring(WOLFINFO)
        self.configstrings[CS_WOLFINFO] = wolf
        if self.cvars.full("timelimit") != self._known[0]:
            self._publish_serverinfo()

    def _publish_serverinfo(self) -> None:
        self._known = (self.cvars.full("timelimit"), "")
        self.configstrings[CS_SERVERINFO] = self.cvars.infostring(SERVERINFO)

    # -- commands --------------------------------------------------------------------------------------------------------------

    def execute_now(self, text: str) -> None:
        """Run console text; commands are separated by newlines or semicolons outside quotes."""
        for line in text.replace("\r", "\n").split("\n"):
            words = tokenize(line)
            if words:
                self._execute(words)

    def _execute(self, words: list[str]) -> None:
        name = words[0].lower()
        engine_level = name in ("map", "map_restart", "set", "seta", "sets", "setl", "lua_status", "lua_restart")
        if not engine_level:
            if self.cvars.find(name) and name not in self.commands:
                self._cvar_command(words)
                return
            self.argv = words
            if self.lua.call("et_ConsoleCommand", words[0]) == 1:
                return
        handler = self.commands.get(name)
        if handler is None:
            self.log.write(f"unknown command: {words[0]}\n")
        else:
            handler(words)

    def _cvar_command(self, words: list[str]) -> None:
        cvar = self.cvars.find(words[0])
        assert cvar is not None
        if len(words) > 1:
            self.set_cvar(cvar.name, " ".join(words[1:]))
        else:
            self.log.write(f'"{cvar.name}" is:"{cvar.value}^7" default:"{cvar.default}^7"\n')

    def _set(self, words: list[str]) -> None:
        if len(words) >= 2:
            self.set_cvar(words[1], " ".join(words[2:]))

    def _kick(self, words: list[str]) -> None:
        if len(words) > 1 and words[1].isdigit() and int(words[1]) < len(self.roster.clients):
            client = self.roster.clients[int(words[1])]
            if client.connected:
                self.roster.disconnect(client)

    def _referee(self, words: list[str]) -> None:
        action = words[1].lower() if len(words) > 1 else ""
        if action == "pause" and self.rules.pause():
            self.broadcast("^3ref ^1PAUSED^3 the match^3!\\n")
        elif action == "unpause" and self.rules.unpause():
            self.broadcast("^3ref ^5UNPAUSES^3 the match ... resuming in 10 seconds!\\n")

    def client_command(self, client: Client, text: str) -> bool:
        """A client's command reaches et_ClientCommand; True when a module intercepts it."""
        self.argv = tokenize(text)
        return bool(self.argv) and self.lua.call("et_ClientCommand", client.slot, self.argv[0]) == 1

    # -- matches ---------------------------------------------------------------------------------------------------------------

    def play(self, match: Match | str | Path, on_frame: Callable[[Server], None] | None = None) -> MatchResult:
        """Play a match (an object, the name of one of the set, or a file) to its end; players leave afterwards.

        ``on_frame`` is called after every frame (pace and holds of a server process).
        """
        from .director import Director

        wanted = match if isinstance(match, Match) else load_match(match)
        self.director = Director(self, wanted, on_frame)
        try:
            return self.director.run()
        finally:
            self.director = None
            self.argv = []


def engine_text(text: str) -> str:
    """Unicode to engine text, for callers that pass names or console text."""
    return to_engine(text)


__all__ = ["GS_INITIALIZE", "Server", "engine_text"]
