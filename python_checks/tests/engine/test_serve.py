"""The server process over UDP: queries, rcon, matches on request, holds, a clean end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from python_checks.engine.__main__ import HELD, NoAnswer, ask

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "not a secret"
MODULE = "function et_InitGame() et.RegisterModname('quiet') end function et_ShutdownGame(r) et.G_Print('SHUTDOWN ' .. r .. '\\n') end"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A server process of the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        for part in ("base/legacy/luascripts", "base/etmain", "home/legacy"):
            (folder / part).mkdir(parents=True)
        (folder / "base/legacy/luascripts/quiet.lua").write_text(MODULE)
        (folder / "base/etmain/vektor.cfg").write_text(
            'set sv_hostname "^4Demo ^7Server"\nset sv_maxclients "16"\nset sv_fps 20\n'
            'set g_doWarmup 0\nset g_customConfig legacy3\nset lua_modules "luascripts/quiet"\n'
        )
        (folder / "password").write_text(PASSWORD + "\n")
        argv = [
            sys.executable,
            "-m",
            "python_checks.engine",
            "serve",
            "--basepath",
            str(folder / "base"),
            "--homepath",
            str(folder / "home"),
        ]
        argv += [
            "--config",
            "vektor.cfg",
            "--rcon-password-file",
            str(folder / "password"),
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        self.process = subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        self.until(lambda: bool(self.try_ask("standin_idle")), "an answer")

    def try_ask(self, command: str) -> str:
        try:
            return ask("127.0.0.1", self.port, PASSWORD, command, 0.3)
        except NoAnswer:
            return ""

    def ask(self, command: str) -> str:
        return ask("127.0.0.1", self.port, PASSWORD, command)

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"no {what} within {seconds} s"
            assert self.process.poll() is None, self.process.stderr.read() if self.process.stderr else ""
            time.sleep(0.05)

    def query(self, text: str) -> list[str]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.settimeout(3)
            link.connect(("127.0.0.1", self.port))
            link.send(b"\xff\xff\xff\xff" + text.encode())
            return link.recv(8192)[4:].decode("latin-1").split("\n")

    def console(self) -> str:
        return (self.folder / "home/legacy/etconsole.log").read_text(encoding="latin-1")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        if self.process.stderr:
            self.process.stderr.close()
        return code


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    server = Running(tmp_path)
    yield server
    if server.process.poll() is None:
        server.stop()


def test_queries_and_rcon(running: Running) -> None:
    """getstatus, getinfo, passwords, cvars, lua_status, status."""
    head, info, *players = running.query("getstatus")
    assert head == "statusResponse" and "\\mapname\\supply" in info and "\\sv_hostname\\^4Demo ^7Server" in info
    assert [line for line in players if line] == []
    assert "\\challenge\\xyz" in running.query("getinfo xyz")[1]
    assert ask("127.0.0.1", running.port, "wrong", "status") == "Bad rconpassword.\n"
    assert running.ask("g_currentRound") == '"g_currentRound" is:"0^7" default:"0^7"\n'
    assert running.ask("g_customConfig") == '"g_customConfig" is:"legacy3^7" default:"^7"\n'
    running.ask('set note "two words"')
    assert running.ask("note").startswith('"note" is:"two words^7"')
    status = running.ask("lua_status").splitlines()
    assert (
        "( 1 module loaded )" in status[0]
        and "quiet" in status[2]
        and status[2].rstrip().endswith("luascripts/quiet.lua")
    )
    assert "lua information" not in running.console()  # rcon answers do not go to the log
    assert "map: supply" in running.ask("status")
    assert PASSWORD not in running.console() and "wrong" not in running.console()
    assert running.ask("standin_play nothing").startswith("error:")
    assert running.ask("standin_hold noon").startswith("error:")
    assert running.query("rcon")[1] == "Bad rconpassword."


def test_match_with_a_hold(running: Running) -> None:
    """A match is queued, stopped in R2, seen from outside with its players, and let go; afterwards nobody is left."""
    running.ask("standin_hold r2")
    assert running.ask("standin_play completed") == "queued completed\n"
    running.until(lambda: "r2 held" in running.ask("standin_idle"), "hold in R2")
    assert running.ask("g_currentRound").startswith('"g_currentRound" is:"1^7"')
    assert running.ask("timelimit").startswith('"timelimit" is:"7.374167^7"')
    players = [line for line in running.query("getstatus")[2:] if line]
    assert len(players) == 4 and players[0].endswith('"alice"')
    assert "alice" in running.ask("status")
    running.ask("standin_go")
    running.until(lambda: running.ask("standin_idle").startswith("idle"), "end")
    assert running.ask("standin_idle") == "idle\nlast: completed ok\n"
    assert [line for line in running.query("getstatus")[2:] if line] == []


def test_pace(running: Running) -> None:
    """At a speed the play takes its share of real time while the server answers."""
    began = time.monotonic()
    running.ask("standin_play completed 600")
    running.until(lambda: " r1" in running.ask("standin_idle"), "R1")
    running.until(lambda: " r2" in running.ask("standin_idle"), "R2")
    running.until(lambda: running.ask("standin_idle").startswith("idle"), "end")
    assert 1.2 < time.monotonic() - began < 8


def test_map_and_end(running: Running) -> None:
    """rcon map loads and reloads the modules; SIGTERM reaches the modules and the console; the exit code is 0."""
    loads = running.console().count("loaded into Lua VM")
    running.ask("map radar")
    running.until(lambda: running.console().count("loaded into Lua VM") == loads + 1, "load")
    running.ask("map_restart 0")
    running.until(lambda: running.console().count("loaded into Lua VM") == loads + 2, "reload")
    assert running.ask("mapname").startswith('"mapname" is:"radar^7"')
    assert "SHUTDOWN 0" in running.console() and "SHUTDOWN 1" in running.console()
    before = running.console().count("SHUTDOWN 0")
    assert running.stop() == 0
    assert running.console().count("SHUTDOWN 0") == before + 1
    assert running.console().rstrip().splitlines()[-1].startswith("gametime: ")


def test_quit(running: Running) -> None:
    """The console's quit ends the process cleanly too."""
    running.try_ask("quit")
    assert running.process.wait(10) == 0
    assert "Server Shutdown" in running.console()


def test_end_during_a_match(running: Running) -> None:
    """SIGTERM in the middle of a match ends the process cleanly too."""
    running.ask("standin_play completed 60")
    running.until(lambda: " r1" in running.ask("standin_idle"), "R1")
    assert running.stop() == 0
    assert "Server Shutdown" in running.console()


def test_client_commands(running: Running) -> None:
    """The command line: rcon and play --wait, password from a file, exit codes."""

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "python_checks.engine",
            argv[0],
            "--password-file",
            str(running.folder / "password"),
            "--port",
            str(running.port),
        ]
        return subprocess.run(
            [*command, *argv[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ}
        )

    assert "queued full_hold" in run("play", "full_hold", "--wait").stdout
    assert run("rcon", "standin_idle").stdout == "idle\nlast: full_hold ok\n"
    # Held at each second half of two pairs; the point it never reaches is not left for the next play.
    pairs = running.folder / "pairs.yml"
    half = "  - {end: {objective_s: 60}}\n"
    pairs.write_text("about: two pairs\nmap: supply\ntimelimit_min: 6\nhalves:\n" + 4 * half)
    codes = [run("play", str(pairs), "--hold", "r2"), run("go", "--hold", "r2"), run("go", "--hold", "r2")]
    assert [code.returncode for code in codes] == [HELD, HELD, 0] and codes[-1].stdout == "last: pairs ok\n"
    assert run("play", "completed", "--wait").returncode == 0
    assert run("play", "completed", "--hold", "r2").returncode == HELD
    assert "playing completed r2 held" in run("rcon", "standin_idle").stdout
    assert run("play", "completed", "--hold", "noon").returncode == 1
    assert run("go").returncode == 0
    assert run("play", "nothing").returncode == 1
    running.stop()
    gone = run("rcon", "status")
    assert gone.returncode == 1 and "is the server running?" in gone.stderr


def test_loads_are_never_before_real_time(running: Running) -> None:
    """The load time on the console is at or after the real moment of the request (deployed, then loaded)."""
    moment = int(time.time())
    loads = running.console().count("loaded into Lua VM")
    running.ask("map supply")
    running.until(lambda: running.console().count("loaded into Lua VM") == loads + 1, "load")
    stamps = [line for line in running.console().splitlines() if line.startswith("gametime: ")]
    assert time.mktime(time.strptime(stamps[-1][10:], "%a %b %d %H:%M:%S %Y")) >= moment
