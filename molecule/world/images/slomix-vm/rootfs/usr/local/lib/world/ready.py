#!/usr/bin/python3
"""ready.py SECONDS: waits until this VM is what the world promises; else says what is missing and exits 1."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from typing import Any

BOT = "http://127.0.0.1:8089/health"
SITE = "http://127.0.0.1:7000/health"


def answer(url: str) -> dict[str, Any] | None:
    """The JSON object behind the address, None when there is none."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            said = json.load(response)
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def missing() -> list[str]:
    """What is not yet as promised, as sentences; empty when ready."""
    bot = answer(BOT)
    found = []
    if bot is None:
        found.append(f"slomix-bot does not answer on {BOT} (journalctl -u slomix-bot)")
    elif not bot["ssh_ok"]:
        found.append("slomix-bot has not reached the game server over ssh (/opt/slomix/logs/errors.log)")
    if answer(SITE) is None:
        found.append(f"slomix-web does not answer on {SITE} (/opt/slomix/logs/web.log)")
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
