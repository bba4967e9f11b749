"""A small game server on a real UDP socket, for tests of what asks one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

OUT_OF_BAND = b"\xff\xff\xff\xff"


class Game:
    """Answers getstatus and rcon the way the engine does; attributes may be changed while it runs."""

    def __init__(self, folder: Path) -> None:
        self.password = "pass-canary"
        self.password_file = folder / "rcon_password"
        self.password_file.write_text(self.password + "\n")
        self.info = {"mapname": "supply", "g_gametype": "3"}
        self.players: list[tuple[str, bool]] = []
        self.cvars: dict[str, str] = {}
        self.lua_status = "Lua 5.4 API: ^$no scripts loaded.\n"
        self.echo_challenge = True
        self.drop = 0
        self.rcon_answers = True
        self.chunk = 1000
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port: int = self.sock.getsockname()[1]
        self.requests: list[bytes] = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def match(self, players: int, gamestate: int, current_round: int, bots: int = 0) -> None:
        """Put so many people and bots into a state of a match."""
        self.players = [(f"^1p{i}", False) for i in range(players)] + [(f"[BOT]b{i}", True) for i in range(bots)]
        self.cvars = {"gamestate": str(gamestate), "g_currentRound": str(current_round)}

    def close(self) -> None:
        """Stop the thread and free the port."""
        self.sock.sendto(b"stop", ("127.0.0.1", self.port))
        self.thread.join(5)
        self.sock.close()

    def _serve(self) -> None:
        while True:
            packet, sender = self.sock.recvfrom(65535)
            if packet == b"stop":
                return
            self.requests.append(packet)
            if self.drop > 0:
                self.drop -= 1
                continue
            words = packet[4:].decode().split()
            if words[0] == "getstatus":
                self._send(sender, "statusResponse", self._status(words[1:]), 65000)
            elif words[0] == "rcon" and self.rcon_answers:
                text = self._command(words[2:]) if words[1] == self.password else "Bad rconpassword.\n"
                self._send(sender, "print", text, self.chunk)

    def _send(self, sender: tuple[str, int], kind: str, text: str, size: int) -> None:
        data = text.encode()
        for start in range(0, max(1, len(data)), size):
            self.sock.sendto(OUT_OF_BAND + kind.encode() + b"\n" + data[start : start + size], sender)

    def _status(self, challenge: list[str]) -> str:
        info = dict(self.info)
        if challenge and self.echo_challenge:
            info["challenge"] = challenge[0]
        head = "".join(f"\\{key}\\{value}" for key, value in info.items())
        return head + "\n" + "".join(f'{i} {0 if bot else 48} "{name}"\n' for i, (name, bot) in enumerate(self.players))

    def _command(self, words: list[str]) -> str:
        if words == ["lua_status"]:
            return self.lua_status
        if words == ["status"]:
            head = "map: supply\nnum score ping name            lastmsg address               qport rate\n--- -----\n"
            rows = ((i, name, "bot" if bot else f"10.0.0.1:2796{i}") for i, (name, bot) in enumerate(self.players))
            return head + "".join(
                f"{i:3d} {0:5d} {48:4d} {name:15s} {50:7d} {at:21s} 1 25000\n" for i, name, at in rows
            )
        value = self.cvars.get(words[0])
        return f'"{words[0]}" is:"{value}^7" default:"0^7"\n' if value is not None else f"unknown cmd {words[0]}\n"


@pytest.fixture
def game(tmp_path: Path) -> Iterator[Game]:
    server = Game(tmp_path)
    yield server
    server.close()


@pytest.fixture
def free_port() -> int:
    """A UDP port on which nothing listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port
