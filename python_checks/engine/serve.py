"""The stand-in as a server process: frames in real time while idle, matches on request, UDP answers all the time.

    python3 -m python_checks.engine serve --basepath DIR --homepath DIR --config etmain/vektor.cfg --map supply

rcon knows what a real server knows (``lua_status``, ``status``, cvars by name, ``set``, ``map``, ``map_restart``, ``lua_restart``, …) and

* ``standin_play <name|path> [speed]``: queue a match and return at once; ``speed`` is a multiple of real time, none means at full speed;
* ``standin_idle``: ``idle`` or ``playing <name> <warmup|r1|r2|intermission>[ held]``, then a line on the last match;
* ``standin_hold <r1|r2|intermission>``: stop the play at its next arrival there (the server goes on answering),
  ``standin_go [r1|r2|intermission]`` goes on, to that point.
"""

from __future__ import annotations

import hmac
import select
import signal
import socket
import time
from collections import deque
from pathlib import Path

from .config import read_config
from .match import Match, MatchError, load_match
from .rules import GS_INTERMISSION, GS_PLAYING
from .server import Server
from .text import tokenize

OOB = b"\xff\xff\xff\xff"
IDLE_FRAME_S = 0.25
POLL_S = 0.005
MAX_ANSWER_BYTES = 1000
PING = 0
POINTS = ("r1", "r2", "intermission")
#: rcon commands whose output goes to the caller and not to the log; the rest is queued for the next frame.
_ANSWERED = ("lua_status", "status", "set", "seta", "sets", "setl", "echo")


class Stopped(BaseException):
    """SIGTERM or SIGINT: leave whatever is being played and shut down."""


class Process:
    """A running server process; :meth:`run` returns after SIGTERM."""

    def __init__(self, server: Server, bind: str, port: int, password: str) -> None:
        self.server = server
        self.password = password
        self.queue: deque[tuple[Match, float]] = deque()
        self.playing: Match | None = None
        self.last = "none"
        self.hold = ""
        self.held = False
        self._where = ""
        self._speed = 0.0
        self._began = (0.0, 0)
        self._polled = 0.0
        self._stop = False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((bind, port))
        self.socket.setblocking(False)

    # -- loop ------------------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to stop; the shutdown reaches the modules and the console."""

        def stop(_number: int, _frame: object) -> None:
            self._stop = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        try:
            while True:
                if self.queue:
                    self._play(*self.queue.popleft())
                else:
                    self._idle()
        except Stopped:
            pass
        finally:
            self.server.quit()
            self.socket.close()

    def _idle(self) -> None:
        self._answer(IDLE_FRAME_S)
        server = self.server
        server.rules.idle = True
        server.run_pending()
        if server.clock.ahead_s() == 0:  # it stands still until real time has caught up
            server.clock.sync()
            server.frame()

    def _play(self, match: Match, speed: float) -> None:
        self.playing, self._speed = match, speed
        self._began = (time.monotonic(), self.server.clock.now_ms)
        try:
            self.server.play(match, self._on_frame)
            self.last = f"{match.name} ok"
        except (RuntimeError, ValueError) as problem:
            self.last = f"{match.name} failed: {problem}"
            self.server.log.write(f"standin: {self.last}\n")
        finally:
            self.playing, self.held = None, False

    def _on_frame(self, server: Server) -> None:
        now = time.monotonic()
        if now - self._polled >= POLL_S:
            self._polled = now
            self._answer(0)
        if self.hold and self._arrives():
            self.hold, self.held = "", True
            since = time.monotonic()
            while self.held:
                self._answer(IDLE_FRAME_S)
            began, virtual_ms = self._began
            self._began = (began + time.monotonic() - since, virtual_ms)
        if self._speed > 0:
            began, virtual_ms = self._began
            due = began + (server.clock.now_ms - virtual_ms) / 1000 / self._speed
            while (wait := due - time.monotonic()) > 0:
                self._answer(wait)

    def _arrives(self) -> bool:
        """Whether this frame is the first one at the point to hold at."""
        before, self._where = self._where, self.position()
        return before != self._where == self.hold

    def position(self) -> str:
        """Where the play is: warmup, r1, r2 or intermission."""
        state = self.server.gamestate
        if state == GS_PLAYING:
            return "r2" if self.server.cvars.integer("g_currentRound") else "r1"
        return "intermission" if state == GS_INTERMISSION else "warmup"

    # -- network ---------------------------------------------------------------------------------------------------------------

    def _answer(self, wait_s: float) -> None:
        """Answer what has arrived, waiting up to ``wait_s`` for the first packet."""
        ready, _, _ = select.select([self.socket], [], [], max(0.0, wait_s))
        if self._stop:
            raise Stopped  # a signal interrupts nothing else: Lua and the match are never left in the middle of a call
        while ready:
            try:
                packet, address = self.socket.recvfrom(4096)
            except OSError:
                return
            for answer in self._reply(packet, address):
                try:
                    self.socket.sendto(OOB + answer, address)
                except OSError:
                    return
            if self._stop:
                raise Stopped

    def _reply(self, packet: bytes, address: tuple[str, int]) -> list[bytes]:
        if not packet.startswith(OOB):
            return []
        text = packet[4:].decode("latin-1").rstrip("\0\n")
        words = tokenize(text)
        if not words:
            return []
        command = words[0].lower()
        challenge = f"\\challenge\\{words[1]}" if len(words) > 1 and "\\" not in words[1] else ""
        if command == "getstatus":
            return [
                ("statusResponse\n" + self._status_info() + challenge + "\n" + self._player_lines()).encode("latin-1")
            ]
        if command == "getinfo":
            return [("infoResponse\n" + challenge + self._info()).encode("latin-1")]
        if command == "rcon":
            out = self._rcon(words, text, address).encode("latin-1")
            pieces = [out[i : i + MAX_ANSWER_BYTES] for i in range(0, len(out), MAX_ANSWER_BYTES)] or [b""]
            return [b"print\n" + piece for piece in pieces]
        return []

    def _status_info(self) -> str:
        from .cvars import SERVERINFO

        teams = "".join(str(c.team or 3) if c.connected else "-" for c in self.server.roster.clients)
        return f"\\P\\{teams}" + self.server.cvars.infostring(SERVERINFO)

    def _player_lines(self) -> str:
        return "".join(f'{c.fields["ps.persistant"][0]} {PING} "{c.name}"\n' for c in self.server.roster.connected())

    def _info(self) -> str:
        cvars = self.server.cvars
        pairs = (
            ("version", cvars.full("version")),
            ("protocol", cvars.full("protocol")),
            ("hostname", cvars.full("sv_hostname")),
            ("mapname", cvars.full("mapname")),
            ("clients", str(len(self.server.roster.connected()))),
            ("sv_maxclients", cvars.full("sv_maxclients")),
            ("gametype", cvars.full("g_gametype")),
            ("game", cvars.full("fs_game")),
        )
        return "".join(f"\\{key}\\{value}" for key, value in pairs)

    # -- rcon ------------------------------------------------------------------------------------------------------------------

    def _rcon(self, words: list[str], text: str, address: tuple[str, int]) -> str:
        log = self.server.log
        if not self.password:
            return "No rconpassword set on the server.\n"
        if len(words) < 2 or not hmac.compare_digest(words[1].encode("latin-1"), self.password.encode("latin-1")):
            log.write(f"Bad rcon from {address[0]}:{address[1]}\n")
            return "Bad rconpassword.\n"
        quoted = text.split(None, 1)[1].startswith('"')
        parts = text.split('"', 2)[2].strip() if quoted else [*text.split(None, 2), ""][2]
        command = tokenize(parts)
        if not command:
            return ""
        name = command[0].lower()
        if name.startswith("standin_"):
            return self._standin(name, command) + "\n"
        log.write(f"Rcon from {address[0]}:{address[1]}: {parts}\n")
        if name == "status":
            return self._status()
        if name == "quit":
            self._stop = True
            return ""
        if name in _ANSWERED or (self.server.cvars.find(name) and name not in self.server.commands):
            return log.capture(lambda: self.server.execute_now(parts))
        self.server.pending.append(parts)
        return ""

    def _status(self) -> str:
        lines = [f"hostname: {self.server.cvars.full('sv_hostname')}", f"map: {self.server.cvars.full('mapname')}"]
        lines.append("num score ping name            lastmsg address               qport rate")
        lines.append("--- ----- ---- --------------- ------- --------------------- ----- -----")
        for c in self.server.roster.connected():
            lines.append(
                f"{c.slot:3d} {c.fields['ps.persistant'][0]:5d} {PING:4d} {c.name:<15} {0:7d} {c.ip:<21} {0:5d} 45000"
            )
        return "".join(f"{line}\n" for line in lines) + "\n"

    def _standin(self, name: str, words: list[str]) -> str:
        if name == "standin_idle":
            held = " held" if self.held else ""
            busy = f"playing {self.playing.name} {self.position()}{held}" if self.playing else ""
            if not busy and self.queue:
                busy = f"playing {self.queue[0][0].name} warmup"
            return f"{busy or 'idle'}\nlast: {self.last}"
        if name in ("standin_go", "standin_hold"):
            point = "".join(words[1:2])
            if len(words) > 2 or ((point or name == "standin_hold") and point not in POINTS):
                return f"error: {name} takes one of {', '.join(POINTS)}"
            self.hold, self._where = point, self.position() if self.playing else ""
            if name == "standin_hold":
                return f"will hold at {point}"
            self.held = False
            return f"going, will hold at {point}" if point else "going"
        if name == "standin_play":
            try:
                match = load_match(words[1])
                speed = float(words[2]) if len(words) > 2 else 0.0
            except (MatchError, IndexError, ValueError) as problem:
                return f"error: standin_play <name|path> [speed]: {problem}"
            self.queue.append((match, speed))
            return f"queued {match.name}"
        return f"error: unknown {name}; known are standin_play, standin_idle, standin_hold, standin_go"


def serve(
    *,
    basepath: Path,
    homepath: Path,
    mod: str,
    interpreter: str,
    config: Path | None,
    map_name: str,
    bind: str,
    port: int,
    password_file: Path | None,
    nominal_basepath: str | None,
) -> None:
    """Boot a server from its configuration and serve until SIGTERM. ``config`` is a path, absolute or relative to ``etmain``."""
    folders = [homepath / "etmain", basepath / "etmain"]
    values: dict[str, str] = {}
    if config is not None:
        found = next((path for path in (config, *(folder / config for folder in folders)) if path.is_file()), config)
        values = read_config(found, folders)
    password = password_file.read_text(encoding="utf-8").strip() if password_file else values.get("rconpassword", "")
    values.pop("rconpassword", None)  # a secret that no module needs to read
    modules = values.pop("lua_modules", "")
    limit = values.get("timelimit", "10")
    server = Server(
        basepath,
        homepath,
        interpreter=interpreter,
        lua_modules=modules,
        cvars=values,
        shell="run",
        nominal_basepath=nominal_basepath,
        mod=mod,
    )
    process = Process(server, bind, port, password)
    server.boot(map_name, limit)
    process.run()
