"""A running bot on a fresh database: the VM's own program as a process, fed from a folder in place of SSH."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

ROOT = Path(__file__).resolve().parents[3]
SLOMIX_VM = ROOT / "molecule" / "world" / "slomix_vm"
OPT_SLOMIX = SLOMIX_VM / "opt_slomix"
PACKAGES = Path(__file__).resolve().parent / "packages"
WEBHOOK_ID = "100000000000000077"
TOKEN = "token-for-tests"


class Database:
    """One fresh statistics database."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.name = cluster.database()
        with self.connect() as connection:
            connection.execute((SLOMIX_VM / "schema.sql").read_text())

    def connect(self) -> psycopg.Connection[dict[str, Any]]:
        """A new autocommit connection that returns dictionaries."""
        return psycopg.connect(self.cluster.dsn(self.name), autocommit=True, row_factory=dict_row)

    def rows(self, query: str, *params: Any) -> list[dict[str, Any]]:
        """All rows of one query."""
        with self.connect() as connection:
            return connection.execute(query, params or None).fetchall()

    def environment(self) -> dict[str, str]:
        """The .env keys that lead the bot and the website to this database."""
        return {
            "POSTGRES_HOST": str(self.cluster.folder),
            "POSTGRES_PORT": str(self.cluster.port),
            "POSTGRES_DATABASE": self.name,
            "POSTGRES_USER": "postgres",
        }


class Bot:
    """Handle on a bot process."""

    def __init__(self, database: Database, folder: Path, settings: dict[str, str]) -> None:
        self.database = database
        self.folder = folder
        self.gamestats = folder / "gamestats"
        self.gametimes = folder / "gametimes"
        self.gamestats.mkdir(exist_ok=True)
        self.gametimes.mkdir(exist_ok=True)
        self.environment = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONPATH": os.pathsep.join([str(OPT_SLOMIX), str(PACKAGES)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SSH_ENABLED": "true",
            "STATS_SOURCE": "directory",
            "REMOTE_STATS_PATH": str(self.gamestats),
            "LOCAL_STATS_PATH": str(folder / "local_stats"),
            "REMOTE_GAMETIMES_PATH": str(self.gametimes),
            "LOCAL_GAMETIMES_PATH": str(folder / "local_gametimes"),
            "SSH_CHECK_INTERVAL": "0.1",
            "POLL_QUIET_HOURS": "",
            "POLL_IDLE_EVERY": "1",
            "STARTUP_LOOKBACK_HOURS": "0",
            "GAMETIMES_STARTUP_LOOKBACK_HOURS": "0",
            "STATS_SEARCH_DELAY_SECONDS": "0.3",
            "WEBHOOK_LISTEN_HOST": "127.0.0.1",
            "WEBHOOK_LISTEN_PORT": "0",
            "WEBHOOK_TRIGGER_WHITELIST": WEBHOOK_ID,
            "WEBHOOK_TOKEN": TOKEN,
            "LOG_DIR": str(folder / "logs"),
            **database.environment(),
            **settings,
        }
        already_logged = len(self.log("bot"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bot.ultimate_bot"],
            cwd=folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.port = self._wait_for_port(already_logged)

    def _wait_for_port(self, already_logged: int) -> int:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                assert self.process.stderr is not None
                pytest.fail(f"the bot ended with {self.process.returncode}:\n{self.process.stderr.read()}")
            found = re.search(r"Trigger channel listens on \S+:(\d+)", self.log("bot")[already_logged:])
            if found:
                return int(found[1])
            time.sleep(0.05)
        pytest.fail(f"the bot did not open its port:\n{self.log('bot')}")

    def log(self, name: str) -> str:
        """The text of one log file so far."""
        path = self.folder / "logs" / f"{name}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def request(self, path: str, body: bytes | None = None) -> tuple[int, Any, dict[str, str]]:
        """One HTTP request: (status, JSON or None, headers)."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=body, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                raw, status, headers = answer.read(), answer.status, dict(answer.headers)
        except urllib.error.HTTPError as refused:
            raw, status, headers = refused.read(), refused.code, dict(refused.headers)
        return status, json.loads(raw) if raw else None, headers

    def post(self, payload: Any, webhook_id: str = WEBHOOK_ID, token: str = TOKEN) -> tuple[int, Any, dict[str, str]]:
        """Post a webhook message; bytes go out as they are."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self.request(f"/api/webhooks/{webhook_id}/{token}", body)

    def health(self) -> dict[str, Any]:
        """The bot's own report."""
        status, report, _ = self.request("/health")
        assert status == 200
        return report

    def wait_idle(self, timeout_s: float = 15) -> dict[str, Any]:
        """Wait until the bot is at rest and has polled everything that lay there when this was called."""
        called_unix = time.time() + 0.001
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            report = self.health()
            if report["idle"] and report["last_poll_started_unix"] > called_unix:
                return report
            time.sleep(0.03)
        pytest.fail(f"the bot is not idle after {timeout_s} s: {self.health()}\n{self.log('bot')}")

    def put(self, name: str, text: str) -> None:
        """Place a finished file in the server's gamestats folder, whole at once."""
        partial = self.folder / f"{name}.tmp"
        partial.write_text(text, encoding="utf-8")
        partial.replace(self.gamestats / name)

    def stop(self) -> int:
        """End the process the way systemd does and return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout=15)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code
