"""Canaries: one secret of each kind, in the files and answers that the modules really read, and the search for them.

What a key's path is concerned: ssh needs it on its command line, and says it itself when it cannot use the key. So there it
is required that no other process carries it, and that nothing that is kept or shown by ``rollout`` does.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from python_checks.tests.conftest import Cluster

CANARIES = {
    "database password": "canarydb7f3a91x",
    "webhook url": "canaryhook7f3a91x",
    "rcon password": "canaryrcon7f3a91x",
    "bot token": "canarytoken7f3a91x",
    "environment": "canaryenv7f3a91x",
    "key path": "canarykey7f3a91x",
}
HOOK = f"http://slomix-vm.example.invalid:8080/api/webhooks/77/{CANARIES['webhook url']}"
LUA = f'local configuration = {{\n  discord_webhook_url = "{HOOK}",\n}}\nfunction et_InitGame()\nend\n'
OUT_OF_BAND = b"\xff\xff\xff\xff"

Answer = Callable[[bytes], bytes | None]
ANSWERS: dict[str, Answer] = {
    "wrong": lambda packet: b"Bad rconpassword.\n",
    "echo": lambda packet: b"unknown command: " + packet,
    "echoed refusal": lambda packet: b"Bad rconpassword: " + packet.split()[1] + b" is not it\n",
    "silent": lambda packet: None,
}
LOADS = ("echoed refusal", "silent")
# Faults of the interpreter that the modules run on: what is raised quotes what the code held.
SABOTAGE = """
import difflib, socket
real = socket.socket.send
def send(self, data, *more):
    if b"rcon" in data:
        raise ValueError("cannot send %r" % (data,))
    return real(self, data, *more)
def diff(*texts, **more):
    raise RuntimeError("no difference")
socket.socket.send, difflib.unified_diff = send, diff
"""
DRIVER = """
class Error(Exception):
    pass
def connect(**options):
    raise ValueError("cannot understand %r" % open(options["passfile"]).read())
"""


class RconServer:
    """A game server as far as rcon goes: somebody is connected, so that the password is needed; what was sent is kept."""

    def __init__(self, answer: Answer) -> None:
        self.heard: list[bytes] = []
        self._answer = answer
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            packet, sender = self._socket.recvfrom(65535)
            if packet == b"end":
                return
            self.heard.append(packet)
            words = packet.removeprefix(OUT_OF_BAND).split()
            if words[0] == b"getstatus":
                body = b"\\challenge\\" + words[1] + b'\\mapname\\supply\n1 20 "ana"\n'
                self._socket.sendto(OUT_OF_BAND + b"statusResponse\n" + body, sender)
                continue
            said = self._answer(packet.removeprefix(OUT_OF_BAND))
            if said is not None:
                self._socket.sendto(OUT_OF_BAND + b"print\n" + said, sender)

    def close(self) -> None:
        """End the thread and free the port."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


@contextmanager
def rcon_servers() -> Iterator[dict[str, RconServer]]:
    """One server for each kind of answer."""
    servers = {name: RconServer(answer) for name, answer in ANSWERS.items()}
    try:
        yield servers
    finally:
        for server in servers.values():
            server.close()


@contextmanager
def slow_door(open_s: float = 0.5) -> Iterator[int]:
    """The port of a server that lets ssh in, says nothing and hangs up, so that ssh lives long enough to be seen."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    caller, _ = door.accept()
                    time.sleep(open_s)
                    caller.close()

        threading.Thread(target=hang_up, daemon=True).start()
        yield int(door.getsockname()[1])
        door.shutdown(socket.SHUT_RDWR)


def secret(path: Path, content: str) -> str:
    """A file that only its owner reads; its path."""
    path.write_text(content)
    path.chmod(0o600)
    return str(path)


def failing(name: str, module: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A step that fails and is recorded, the way the roles do it; the play goes on to the next."""
    record = {"phase": 0, "step": "0.1", "leg": "verify", "name": name, "result": "{{ seen }}"}
    return {
        "name": name,
        "block": [{"name": f"Try {name}", **module, "register": "seen", **more}],
        "rescue": [
            {"name": f"Record {name}", "slomix.timetracking.rollout_record": record},
            {"name": f"Tell {name}", "ansible.builtin.debug": {"var": "seen"}},
        ],
    }


class Steps:
    """The modules with their canaries, each forced through a failure, or shown what it would change."""

    def __init__(self, folder: Path, pg: Cluster, servers: dict[str, RconServer]) -> None:
        database, token = CANARIES["database password"], CANARIES["bot token"]
        self.folder, self.servers = folder, servers
        self.password = secret(folder / "rcon_password", CANARIES["rcon password"] + "\n")
        self.lua = secret(folder / "stats_discord_webhook.lua", LUA)
        self.dotenv = secret(
            folder / "env",
            f"DISCORD_TOKEN={token}\nWEBHOOK_URL={HOOK}\nSHOW=a\nDATABASE_URL=postgresql://u:{database}@h/d\nTWICE=a\nTWICE=b\n",
        )
        login = {"dbname": "postgres", "user": "postgres", "host": "127.0.0.1", "port": pg.port}
        self.ask = {
            "sql": "SELECT no_such_column",
            **login,
            "passfile": secret(folder / "pgpass", f"*:*:*:*:{database}\n"),
        }
        self.open_passfile = secret(folder / "pgpass_open", f"*:*:*:*:{database}\n")
        Path(self.open_passfile).chmod(0o644)
        self.sabotage = folder / "sabotage"
        self.sabotage.mkdir()
        (self.sabotage / "sitecustomize.py").write_text(SABOTAGE)
        (self.sabotage / "psycopg.py").write_text(DRIVER)

    def rcon(self, answer: str) -> dict[str, Any]:
        """The options that every module with a password takes, for one of the servers."""
        return {"rcon_password_file": self.password, "port": self.servers[answer].port, "timeout_s": 0.3}

    def database(self) -> list[dict[str, Any]]:
        ask = "slomix.timetracking.pg_read_info"
        return [
            failing("database", {ask: self.ask}),
            failing("no database", {ask: {**self.ask, "port": 1}}),
            failing("no role", {ask: {**self.ask, "user": "nobody2"}}),
            failing("open passfile", {ask: {**self.ask, "passfile": self.open_passfile}}),
        ]

    def game(self) -> list[dict[str, Any]]:
        load = {"file": "a.lua", "sha1": "a" * 40, "console_log": self.lua, "host": "127.0.0.1"}
        info, loaded = "slomix.timetracking.game_server_info", "slomix.timetracking.lua_load_info"
        return [
            *(failing(f"rcon {one}", {info: self.rcon(one)}, failed_when=True) for one in ("wrong", "echo")),
            *(failing(f"load {one}", {loaded: {**load, **self.rcon(one)}}, failed_when=True) for one in LOADS),
        ]

    def files(self) -> list[dict[str, Any]]:
        build = {
            "file": "luascripts/x.lua",
            "running": self.lua,
            "recipes": ["webhook"],
            "build_dir": str(self.folder / "made"),
        }
        flag, read_flag = "slomix.timetracking.env_flag", "slomix.timetracking.env_flag_info"
        edit = {"path": self.dotenv, "key": "SHOW", "value": "b", "state_dir": str(self.folder / "state")}
        return [
            failing("webhook", {"slomix.timetracking.lua_candidate": build}),
            failing("deploy", {"slomix.timetracking.lua_release": self.deploy("live", "silent")}, failed_when=True),
            failing("flag", {read_flag: {"path": self.dotenv, "key": "TWICE"}}, failed_when=True),
            failing("edit", {flag: edit}, failed_when=True),
            failing("refused edit", {flag: {**edit, "key": "TWICE", "state": "restored"}}),
        ]

    def deploy(self, name: str, answer: str) -> dict[str, Any]:
        """lua_release with a candidate whose diff has the webhook's line in its hunk; the moment asks over rcon."""
        return {
            "name": name,
            "target": secret(self.folder / f"{name}.lua", LUA),
            "store_dir": str(self.folder / "store"),
            "state": "deployed",
            "content_path": secret(self.folder / "candidate.lua", LUA.replace("et_InitGame", "et_RunFrame")),
            "console_log": str(self.folder / "console.log"),
            "moment": {"host": "127.0.0.1", **self.rcon(answer), "forced": True},
        }

    def crashes(self) -> list[dict[str, Any]]:
        """The same code on an interpreter that breaks in its middle."""
        broken = {"environment": {"PYTHONPATH": str(self.sabotage)}}
        return [
            failing("crash in the driver", {"slomix.timetracking.pg_read_info": self.ask}, **broken),
            failing(
                "crash in rcon",
                {"slomix.timetracking.game_server_info": self.rcon("silent")},
                failed_when=True,
                **broken,
            ),
            failing("crash in deploy", {"slomix.timetracking.lua_release": self.deploy("broken", "silent")}, **broken),
        ]


@contextmanager
def watched_processes() -> Iterator[dict[str, set[bytes]]]:
    """While the body runs: ``cmdline`` of every process, ``environ`` of every process that was started meanwhile.

    Looked at every 20 ms: a process that lives shorter may be missed. The test's own process and its siblings are older.
    """
    seen: dict[str, set[bytes]] = {"cmdline": set(), "environ": set()}
    done = threading.Event()
    old = {entry.name for entry in Path("/proc").iterdir()}

    def watch() -> None:
        while not done.is_set():
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    for name in ("cmdline", "environ")[: 1 if entry.name in old else 2]:
                        try:
                            seen[name].add((entry / name).read_bytes())
                        except OSError:
                            continue
            done.wait(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def everything(*folders: Path) -> bytes:
    """The bytes of every file below the folders."""
    return b"".join(path.read_bytes() for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())


def found_in(data: bytes, *but: str) -> list[str]:
    """The kinds of canaries in ``data``, without those that are named."""
    return [kind for kind, canary in CANARIES.items() if canary.encode() in data and kind not in but]
