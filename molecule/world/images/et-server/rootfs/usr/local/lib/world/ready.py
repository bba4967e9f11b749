#!/usr/bin/python3
"""ready.py SECONDS: waits until this game server is what the world promises; else says what is missing and exits 1."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

from processes import log_monitors

GAME = ("127.0.0.1", 27960)
WATCHER = "et-stats-webhook.service"


def game_answers() -> bool:
    """Whether the game answers a getstatus query."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        query.settimeout(0.5)
        try:
            query.connect(GAME)
            query.send(b"\xff\xff\xff\xffgetstatus\n")
            return query.recv(4096).startswith(b"\xff\xff\xff\xffstatusResponse")
        except OSError:
            return False


def missing() -> list[str]:
    """What is not yet as promised, as sentences; empty when ready."""
    found = []
    if subprocess.run(["systemctl", "is-active", "--quiet", WATCHER]).returncode:
        found.append(f"{WATCHER} is not active")
    if (count := len(log_monitors())) != 2:
        found.append(f"{count} log_monitor.sh running, 2 expected")
    if not game_answers():
        found.append(f"the game does not answer getstatus on UDP {GAME[1]}")
    return found


def main() -> int:
    """Wait, then report; prints nothing when ready."""
    deadline = time.monotonic() + float(sys.argv[1])
    while what := missing():
        if time.monotonic() > deadline:
            print("; ".join(what))
            return 1
        time.sleep(0.2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
