"""Deployment against the engine stand-in as a process: the right and the wrong moment, the load, its proof, the way back."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import moment, quake

FILE = "luascripts/hook.lua"
OLD = b"function et_InitGame() et.RegisterModname('hook') end\n"
NEW = OLD + b"function et_RunFrame() end\n"
BROKEN = b"function et_InitGame( end\n"
PASSWORD = "pass-canary"
HOST = "127.0.0.1"


class Server:
    """A stand-in server of the tests, with one module."""

    def __init__(self, folder: Path, port: int, run_module: Callable[..., dict[str, Any]], root: Path) -> None:
        self.port, self.folder, self.run_module = port, folder, run_module
        for part in ("base/legacy/luascripts", "base/etmain", "home/legacy"):
            (folder / part).mkdir(parents=True)
        self.hook = folder / "base" / "legacy" / FILE
        self.hook.write_bytes(OLD)
        (folder / "base/etmain/vektor.cfg").write_text(
            'set sv_maxclients "16"\nset sv_fps 20\nset g_doWarmup 0\nset lua_modules "luascripts/hook"\n'
        )
        self.password_file = folder / "password"
        self.password_file.write_text(PASSWORD + "\n")
        command = [sys.executable, "-m", "python_checks.engine", "serve", "--config", "vektor.cfg", "--bind", HOST]
        command += ["--basepath", str(folder / "base"), "--homepath", str(folder / "home"), "--port", str(port)]
        command += ["--rcon-password-file", str(self.password_file)]
        self.process = subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL, env={**os.environ, "TZ": "UTC"})
        self.until(lambda: self.ask("standin_idle").startswith("idle"))

    @property
    def console(self) -> Path:
        return self.folder / "home" / "legacy" / "etconsole.log"

    def ask(self, command: str) -> str:
        try:
            return quake.rcon(HOST, self.port, PASSWORD, command, 0.5)
        except quake.NoAnswer:
            return ""

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline and self.process.poll() is None
            time.sleep(0.05)

    def hold(self, point: str, match: str = "completed") -> None:
        self.ask(f"standin_hold {point}")
        self.ask(f"standin_play {match}")
        self.until(lambda: "held" in self.ask("standin_idle"))

    def play(self, match: str = "completed") -> None:
        self.ask(f"standin_play {match}")
        self.go()

    def go(self) -> None:
        self.ask("standin_go")
        self.until(lambda: self.ask("standin_idle").startswith("idle"))

    def observe(self) -> moment.Moment:
        return moment.judge_moment(moment.observe(HOST, self.port, str(self.password_file), 2))

    def deploy(self, content: bytes | None) -> dict[str, Any]:
        wish = {"state": "restored"}
        if content is not None:
            wish = {"state": "deployed", "content_b64": base64.b64encode(content).decode()}
        return self.run_module(
            "lua_release",
            {
                **wish,
                "name": "hook.lua",
                "target": str(self.hook),
                "store_dir": str(self.folder / "store"),
                "console_log": str(self.console),
                "moment": {"port": self.port, "rcon_password_file": str(self.password_file)},
            },
        )

    def load(self, content: bytes, cursor: dict[str, Any]) -> dict[str, Any]:
        options = {
            "file": FILE,
            "sha1": hashlib.sha1(content).hexdigest(),
            "console_log": str(self.console),
            "cursor": cursor,
            "port": self.port,
            "rcon_password_file": str(self.password_file),
        }
        return self.run_module("lua_load_info", options, env={"TZ": "UTC"})


@pytest.fixture
def server(tmp_path: Path, free_port: int, run_module: Callable[..., dict[str, Any]], root: Path) -> Iterator[Server]:
    running = Server(tmp_path, free_port, run_module, root)
    yield running
    running.process.terminate()
    running.process.wait(10)


@pytest.mark.parametrize(("point", "words"), [("r1", "playing, R1"), ("r2", "playing, R2"), ("intermission", "")])
def test_a_match_that_is_on_keeps_the_file_out(server: Server, point: str, words: str) -> None:
    server.hold(point)
    refused = server.deploy(NEW)
    assert refused["failed"] and refused["moment"]["known"] and words in refused["moment"]["reason"]
    assert refused["moment"]["players"] > 0
    assert server.hook.read_bytes() == OLD
    server.go()
    assert server.observe().safe
    assert server.deploy(NEW)["changed"]


def test_deployed_pending_loaded_and_back(server: Server) -> None:
    cursor = server.deploy(NEW)["deployment"]["cursor"]
    assert server.load(NEW, cursor)["state"] == "pending"
    server.play()
    loaded = server.load(NEW, cursor)
    assert (loaded["state"], loaded["source"], loaded["interpreter"]) == ("loaded", "lua_status", "Lua 5.4")
    assert loaded["signature"] == hashlib.sha1(NEW).hexdigest().upper()
    assert abs(loaded["loaded_at_unix"] - time.time()) < 86400 and loaded["utc_offset_s"] == 0
    window = {"path": str(server.console), "cursor": loaded["load_cursor"], "control": "==== ShutdownGame"}
    seen = server.run_module("log_window_info", {**window, "patterns": {"error": "error running lua script"}})
    assert seen["counts"]["error"] == 0 and seen["control_count"] >= 1 and not seen["gap"]
    restored = server.deploy(None)
    assert restored["changed"] and server.hook.read_bytes() == OLD
    server.play()
    assert server.load(OLD, restored["deployment"]["cursor"])["state"] == "loaded"
    assert server.load(NEW, cursor)["state"] == "failed"


def test_a_file_that_the_server_cannot_load_is_a_failed_load(server: Server) -> None:
    cursor = server.deploy(BROKEN)["deployment"]["cursor"]
    server.play()
    found = server.load(BROKEN, cursor)
    assert found["state"] == "failed" and "syntax error" in found["reason"]


def test_a_copy_that_shadows_the_deployed_file_is_found_out(server: Server) -> None:
    cursor = server.deploy(NEW)["deployment"]["cursor"]
    shadow = server.folder / "home" / "legacy" / FILE
    shadow.parent.mkdir(parents=True)
    shadow.write_bytes(OLD)
    server.play()
    found = server.load(NEW, cursor)
    assert found["state"] == "failed" and found["signature"] == hashlib.sha1(OLD).hexdigest().upper()
