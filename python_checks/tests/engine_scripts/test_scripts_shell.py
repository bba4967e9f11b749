"""The scripts around the game server, run for real: what Phase 0 finds on the host is what these produce."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

Posts = list[tuple[str, object]]


@pytest.fixture
def sink() -> Iterator[tuple[str, Posts]]:
    """An HTTP server on loopback that keeps (path, parsed body) of every post."""
    posts: Posts = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", posts
    server.shutdown()
    server.server_close()


@contextlib.contextmanager
def running(argv: list[str], **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own; the session is ended at the end, with everything that was started in it."""
    process = subprocess.Popen(
        argv,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def commands_of_group(group: int) -> list[str]:
    """Command lines of the living processes of a process group, from /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(") ")[2].split()
                if int(fields[2]) == group and fields[0] != "Z":
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
    return found


def wait_for(condition: Callable[[], object], timeout_s: float = 10) -> None:
    """Return as soon as ``condition`` holds; fail the test when it does not within ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"condition not met within {timeout_s} s")
        time.sleep(0.02)


def instances(group: int, script: Path) -> int:
    """Processes of the group that run ``script``."""
    return commands_of_group(group).count(f"/bin/bash {script}")


def test_log_monitor_posts_voice_lines(scripts_folder: Path, tmp_path: Path, sink: tuple[str, Posts]) -> None:
    url, posts = sink
    log = tmp_path / "legacy3.log"
    log.write_text("say: early: !voice_teams before the start\n")
    with running(["/bin/bash", str(scripts_folder / "log_monitor.sh")], LOG_DIR=str(tmp_path), BOT_URL=url) as monitor:
        wait_for(lambda: any(command.startswith("tail") for command in commands_of_group(monitor.pid)))
        time.sleep(0.2)  # tail has its file open a moment after its start
        with log.open("a") as lines:
            lines.write('say: ^7a"b\\c: !voice_teams\nKill: 0 1 8: nothing to post\nsay: x: !voice_set_teams A vs B\n')
        wait_for(lambda: len(posts) == 2)
    assert posts == [
        ("/voice_teams", {"line": 'say: ^7a"b\\c: !voice_teams'}),
        ("/voice_set_teams", {"teams": "A vs B"}),
    ]


def test_one_log_monitor_shows_as_two_processes_of_its_name(scripts_folder: Path, tmp_path: Path) -> None:
    """domain.md 10.3: whoever counts names with pgrep counts one instance twice."""
    script = scripts_folder / "log_monitor.sh"
    with running(["/bin/bash", str(script)], LOG_DIR=str(tmp_path), BOT_URL="http://127.0.0.1:9") as monitor:
        wait_for(lambda: instances(monitor.pid, script) == 2)


def test_start_guards_the_daemon_but_not_the_monitor(scripts_folder: Path, tmp_path: Path) -> None:
    """A second start makes a second monitor: a script's process is called bash, so a guard by name never holds."""
    for name in ("log_monitor.sh", "etdaemon.sh"):
        shutil.copy(scripts_folder / name, tmp_path / name)
    monitor, daemon = tmp_path / "log_monitor.sh", tmp_path / "etdaemon.sh"
    environment = {
        "BOOT_DELAY": "0",
        "SCRIPTS": str(tmp_path),
        "LOG_DIR": str(tmp_path),
        "INSTALL_DIR": str(tmp_path),
        "SERVER": f"no-server-{os.getpid()}",
    }
    # The guard looks for a daemon that has had the time to become one; two boots are never closer than that.
    start = f"/bin/bash {scripts_folder}/start.sh; sleep 1; /bin/bash {scripts_folder}/start.sh; exec sleep 60"
    with running(["/bin/bash", "-c", start], **environment) as boot:
        # Both starts are over when the shell has become the sleep; what they put into the background may still be on its way.
        wait_for(lambda: Path(f"/proc/{boot.pid}/cmdline").read_bytes().startswith(b"sleep"))
        wait_for(lambda: instances(boot.pid, monitor) == 4)
        wait_for(lambda: instances(boot.pid, daemon) >= 1)
        assert instances(boot.pid, daemon) == 1


def test_watcher_posts_each_new_file_once_even_over_a_restart(
    scripts_folder: Path, tmp_path: Path, sink: tuple[str, Posts]
) -> None:
    url, posts = sink
    stats, state = tmp_path / "gamestats", tmp_path / "state"
    stats.mkdir()
    (stats / "2026-02-20-210000-supply-round-1.txt").write_text("old\n")
    argv = ["/usr/bin/python3", str(scripts_folder / "stats_webhook_notify.py")]
    environment = {
        "STATS_PATH": str(stats),
        "STATE_DIR": str(state),
        "DISCORD_WEBHOOK_URL": f"{url}/hook",
        "POLL_SECONDS": "0.05",
        "SETTLE_SECONDS": "0.05",
    }
    known = state / "processed_files.json"
    with running(argv, **environment):
        wait_for(known.exists)
        (stats / "2026-02-20-214503-supply-round-2.txt").write_text("new\n")
        wait_for(lambda: posts and len(json.loads(known.read_text())) == 2)
    (stats / "2026-02-20-214510-supply-round-2-endstats.txt").write_text("while it was down\n")
    with running(argv, **environment):
        wait_for(lambda: len(json.loads(known.read_text())) == 3)
    assert posts == [
        ("/hook", {"content": "`2026-02-20-214503-supply-round-2.txt`"}),
        ("/hook", {"content": "`2026-02-20-214510-supply-round-2-endstats.txt`"}),
    ]


def test_server_config_names_the_modules_and_holds_no_password(scripts_folder: Path) -> None:
    config = (scripts_folder / "etmain" / "vektor.cfg").read_text()
    modules = "luascripts/team-lock c0rnp0rn7.lua endstats.lua luascripts/stats_discord_webhook.lua"
    assert f'set lua_modules "{modules}"' in config
    assert "rconpassword" not in config.lower()
    assert "exec rcon.cfg" in config
