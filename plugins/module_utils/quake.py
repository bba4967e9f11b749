"""Ask a game server over UDP: connectionless ``getstatus`` and ``rcon``, and read what it answers.

A datagram starts with four 0xff bytes. ``getstatus <challenge>`` is answered by ``statusResponse``: one line of
``\\key\\value`` pairs (the challenge among them), then one line ``score ping "name"`` per player. ``rcon <password>
<command>`` is answered by one or more ``print`` datagrams without an end mark, so the end of an answer is a short
silence. UDP loses datagrams: ``getstatus`` is repeated, ``rcon`` is not, since a command could act twice.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import socket
import time
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Optional, Tuple

OUT_OF_BAND = b"\xff\xff\xff\xff"
DATAGRAM_LIMIT = 65535
REPLY_SILENCE_S = 0.15
ATTEMPTS = 3

_COLOUR = re.compile(r"\^[^\^]")
_PLAYER = re.compile(r'^(-?\d+) (-?\d+) "(.*)"\s*$')
_MODULE_ROW = re.compile(r"^\s*(\d+) (.*?)\s*\b([0-9A-Fa-f]{40}) +(\S.*?)\s*$")
_MODULE_COUNT = re.compile(r"showing lua information \( (\d+) modules? loaded \)")
_CVAR = re.compile(r'^"([^"]+)" is:"(.*?)(?:\^7)?"(?:\s*,| default:|\s*$)')
_CLIENT_ROW = re.compile(r"^\s*(\d+)\s+(-?\d+)\s+(\d+|CNCT|ZMBI|CNN)\s+(\S.*)$")
_PASSWORD_REFUSED = re.compile(r"bad rconpassword|no rconpassword set|invalid rcon password", re.IGNORECASE)


class QuakeError(Exception):
    """The server could not be asked, or its answer cannot be understood."""


class NoAnswer(QuakeError):
    """Nothing came back in time, or the port is closed."""


class RconRefused(QuakeError):
    """The server answered that the rcon password is wrong or that none is set."""


@dataclass(frozen=True)
class Player:
    """One line of a ``getstatus`` answer; ``name`` keeps its colour codes."""

    score: int
    ping_ms: int
    name: str


@dataclass(frozen=True)
class Status:
    """A ``getstatus`` answer: server info (key to value, as sent) and the connected players."""

    info: Dict[str, str]
    players: List[Player] = field(default_factory=list)


@dataclass(frozen=True)
class LuaModule:
    """One row of ``lua_status``: ``signature`` is the upper-case SHA-1 of the file that the VM was made from."""

    vm: int
    modname: str
    signature: str
    filename: str


@dataclass(frozen=True)
class Client:
    """One row of the console command ``status``; ``bot`` when the address column says so."""

    slot: int
    name: str
    bot: bool


def strip_colours(text: str) -> str:
    """Drop colour codes: a caret and the character after it (a doubled caret stays)."""
    return _COLOUR.sub("", text)


def getstatus(host: str, port: int, timeout_s: float = 2.0) -> Status:
    """Ask for the status; raises NoAnswer when the server is silent for ``timeout_s``."""
    challenge = secrets.token_hex(6)
    request = OUT_OF_BAND + b"getstatus " + challenge.encode() + b"\n"
    share_s = timeout_s / ATTEMPTS
    with _asking(host, port) as sock:
        for _ in range(ATTEMPTS):
            _send(sock, request)
            for body in _bodies(sock, b"statusResponse", share_s, None):
                status = parse_status_response(body.decode("utf-8", "replace"))
                if status.info.get("challenge", challenge) == challenge:
                    return status
    raise NoAnswer(f"no getstatus answer from {host}:{port} within {timeout_s:g} s")


def rcon(host: str, port: int, password: str, command: str, timeout_s: float = 2.0) -> str:
    """Run one console command and return what it printed (colour codes kept).

    The command is sent once only. Raises NoAnswer, RconRefused, or QuakeError for a password that the protocol cannot
    carry (blank, quote, semicolon); messages never hold the password.
    """
    if not password or re.search(r'[\s";]', password) or not password.isprintable():
        raise QuakeError(
            "the rcon password is empty or holds a blank, quote, semicolon or control character, which rcon cannot carry"
        )
    if "\n" in command or "\r" in command:
        raise QuakeError("an rcon command must be a single line")
    try:
        with _asking(host, port) as sock:
            _send(sock, OUT_OF_BAND + f"rcon {password} {command}\n".encode())
            parts = list(_bodies(sock, b"print", timeout_s, REPLY_SILENCE_S))
    except QuakeError:
        raise
    except Exception as error:
        # Its text may quote the datagram, so only its kind is told.
        raise QuakeError(f"rcon to {host}:{port} ended with {type(error).__name__}") from None
    if not parts:
        raise NoAnswer(f"no rcon answer from {host}:{port} within {timeout_s:g} s")
    # A server that repeats what it was sent repeats the password; elsewhere the same letters may be a map's or a file's name.
    text = b"".join(parts).decode("utf-8", "replace").replace(f"{password} {command}", f"<password> {command}")
    if _PASSWORD_REFUSED.search(text):
        said = strip_colours(text).replace(password, "<password>").strip()
        raise RconRefused(f"{host}:{port} refused the rcon password: {said}")
    return text


def read_password(path: str) -> str:
    """The first line of a password file; raises QuakeError naming the path when it cannot be read or is empty."""
    try:
        with open(path, encoding="utf-8") as handle:
            password = handle.readline().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise QuakeError(f"the rcon password file {path} cannot be read: {error.__class__.__name__}") from None
    if not password:
        raise QuakeError(f"the rcon password file {path} is empty")
    return password


def parse_status_response(text: str) -> Status:
    """Parse the body after ``statusResponse``; raises QuakeError when there is no info line."""
    lines = text.lstrip("\n").split("\n")
    if not lines[0].startswith("\\"):
        raise QuakeError("a statusResponse without an info line")
    players = []
    for line in lines[1:]:
        match = _PLAYER.match(line)
        if match:
            players.append(Player(int(match.group(1)), int(match.group(2)), match.group(3)))
    return Status(parse_infostring(lines[0]), players)


def parse_infostring(text: str) -> Dict[str, str]:
    """``\\key\\value\\key\\value`` to a dict; an odd last key is dropped."""
    parts = text.split("\\")[1:]
    return {parts[i]: parts[i + 1] for i in range(0, len(parts) - 1, 2)}


def parse_lua_status(text: str) -> List[LuaModule]:
    """The rows of ``lua_status``.

    Raises QuakeError when the text is no ``lua_status`` answer, or holds fewer rows than it announces (a datagram was
    lost): an incomplete table must not look like a module that is not loaded.
    """
    plain = strip_colours(text)
    if "no scripts loaded" in plain:
        return []
    announced = _MODULE_COUNT.search(plain)
    if announced is None:
        raise QuakeError(f"not an answer to lua_status: {plain.strip()[:120]!r}")
    rows = [
        LuaModule(int(m.group(1)), m.group(2).strip(), m.group(3).upper(), m.group(4))
        for m in map(_MODULE_ROW.match, plain.splitlines())
        if m
    ]
    if len(rows) != int(announced.group(1)):
        raise QuakeError(f"lua_status announced {announced.group(1)} modules but {len(rows)} rows arrived; ask again")
    return rows


def parse_cvar(text: str, name: str) -> Optional[str]:
    """The value in an answer such as ``"gamestate" is:"0^7" default:"0^7"``; None when it does not show that cvar."""
    for line in text.splitlines():
        match = _CVAR.match(line)
        if match and match.group(1).lower() == name.lower():
            return match.group(2)
    return None


def parse_clients(text: str) -> Optional[List[Client]]:
    """The rows of the console command ``status``; None when the text has no table headed by slot, score and ping."""
    lines = strip_colours(text).splitlines()
    start = next((i for i, line in enumerate(lines) if re.match(r"^\s*(num|cl)\s+score\s+ping\b", line)), None)
    if start is None:
        return None
    clients = []
    for line in lines[start + 1 :]:
        match = _CLIENT_ROW.match(line)
        if match:
            name, bot = _name_and_kind(match.group(4))
            clients.append(Client(int(match.group(1)), name, bot))
    return clients


def _name_and_kind(rest: str) -> Tuple[str, bool]:
    """Split ``name lastmsg address qport …``: the name may hold blanks, so look from the right."""
    match = re.match(r"^(.*?)\s+(\d+)\s+(bot|loopback|\S*[.:]\S*)(?:\s+-?\d+)*\s*$", rest)
    if not match:
        return rest.strip(), False
    return match.group(1), match.group(3) == "bot"


@contextlib.contextmanager
def _asking(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        sock = socket.socket(family, kind, proto)
    except OSError as error:
        raise QuakeError(f"cannot reach {host}:{port}: {error}") from None
    with sock:
        try:
            sock.connect(address)
        except OSError as error:
            raise NoAnswer(f"cannot reach {host}:{port}: {error}") from None
        yield sock


def _send(sock: socket.socket, request: bytes) -> None:
    # A closed port's ICMP answer to an earlier datagram surfaces here; the wait for an answer then says so.
    with contextlib.suppress(ConnectionRefusedError):
        sock.send(request)


def _bodies(sock: socket.socket, kind: bytes, first_s: float, silence_s: Optional[float]) -> Iterator[bytes]:
    """Datagrams of one kind: wait ``first_s`` for the first, then (if given) until ``silence_s`` brings no more."""
    deadline = time.monotonic() + first_s
    got_one = False
    while True:
        wait_s = deadline - time.monotonic()
        if got_one and silence_s is not None:
            wait_s = silence_s
        if wait_s <= 0:
            return
        sock.settimeout(wait_s)
        try:
            packet = sock.recv(DATAGRAM_LIMIT)
        except ConnectionRefusedError:
            if got_one:
                return
            # Closed now, but a server may be starting: use the rest of the time, without spinning.
            time.sleep(min(wait_s, 0.05))
            continue
        except socket.timeout:
            return
        header, _, body = packet.partition(b"\n")
        if header == OUT_OF_BAND + kind:
            got_one = True
            yield body
