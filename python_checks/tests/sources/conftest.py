"""A small service on this machine: a Python program behind a systemctl of its own, so that the module restarts for real."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SERVICE = """import http.server, json, sys
WORD = "old"

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        idle = not __import__("os").path.exists(sys.argv[2])
        data = json.dumps({"status": "ok", "idle": idle, "word": WORD}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

SYSTEMCTL = """#!/bin/sh
# show and restart of one service, whose facts lie in {folder}
echo "$@" >> {folder}/calls
case $1 in
show)
    pid=$(cat {folder}/pid 2>/dev/null)
    if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then active=active sub=running; else active=failed sub=failed pid=0; fi
    printf 'LoadState=loaded\\nActiveState=%s\\nSubState=%s\\nMainPID=%s\\nNRestarts=0\\n' $active $sub $pid
    printf 'ExecMainStartTimestampMonotonic=%s\\n' "$(cat {folder}/started)"
    printf 'InvocationID=%s\\n' "$(cat {folder}/started)"
    printf 'ExecStart={{ path={python} ; argv[]=python x ; }}\\n' ;;
restart)
    pid=$(cat {folder}/pid 2>/dev/null)
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null
        while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
    fi
    {python} -c 'import time; print(int(time.monotonic() * 1e6))' > {folder}/started
    {python} {target} {port} {folder}/busy </dev/null >> {folder}/journal 2>&1 &
    echo $! > {folder}/pid ;;
esac
"""


class Service:
    """The program at ``target``, its address, and what was asked of systemctl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "service"
        self.bin = folder / "bin"
        self.target = folder / "tree" / "app.py"
        self.store = folder / "store"
        for path in (self.folder, self.bin, self.target.parent):
            path.mkdir()
        self.target.write_text(SERVICE)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/health"
        self._script("systemctl", SYSTEMCTL)
        self._script("journalctl", "#!/bin/sh\ncat {folder}/journal\n")
        (self.folder / "journal").touch()
        (self.folder / "started").write_text("0")
        self.systemctl("restart")
        self.wait()

    def _script(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text.format(folder=self.folder, python=sys.executable, target=self.target, port=self.port))
        path.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """PATH with this service's systemctl first."""
        return {"PATH": f"{self.bin}:{os.environ['PATH']}"}

    def systemctl(self, *words: str) -> None:
        """Call it as the module does."""
        subprocess.run([self.bin / "systemctl", *words], check=True, stdout=subprocess.DEVNULL)

    def wait(self) -> None:
        """Until it answers."""
        for _ in range(100):
            with contextlib.suppress(OSError):
                self.word()
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "journal").read_text())

    def word(self) -> str:
        """What the running process says: the proof of which file it has loaded."""
        with urllib.request.urlopen(self.url, timeout=2) as answer:
            word: str = json.loads(answer.read())["word"]
            return word

    def restarts(self) -> int:
        """How often systemctl restarted it."""
        return sum(line.startswith("restart") for line in (self.folder / "calls").read_text().splitlines())

    def args(self, content: bytes | None = None, **more: Any) -> dict[str, Any]:
        """Options of the module."""
        state = {"state": "restored"}
        if content is not None:
            state = {"state": "deployed", "content_b64": base64.b64encode(content).decode()}
        return {
            "name": "app.py",
            "target": str(self.target),
            "store_dir": str(self.store),
            "unit": "app.service",
            **state,
            "health": {"url": self.url, "timeout_s": 4, "settle_s": 0.6, "answer_timeout_s": 1},
            "idle": {"url": self.url, "wait_s": 0.2, "match": {"safe": True, "known": True, "reason": "nobody is on"}},
            **more,
        }

    def close(self) -> None:
        """End the process that was started here, and wait until it is gone."""
        pid = int((self.folder / "pid").read_text())
        with contextlib.suppress(ProcessLookupError):
            for _ in range(100):
                os.kill(pid, signal.SIGKILL)
                time.sleep(0.05)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A running service with its program."""
    running = Service(tmp_path)
    yield running
    running.close()
