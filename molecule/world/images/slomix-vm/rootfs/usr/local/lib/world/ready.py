#!/usr/bin/python3
"""ready.py SECONDS: waits until this VM is what the world promises; else says what is missing and exits 1."""

from __future__ import annotations

import json
import sys
import time
import urllib.request

HEALTH = "http://127.0.0.1:8089/health"
SITE = "http://127.0.0.1:7000/health"


def answers(url: str) -> bool:
    """Whether the address answers 200 with JSON."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status == 200 and isinstance(json.load(response), dict)
    except (OSError, ValueError):
        return False


def missing() -> list[str]:
    """What is not yet as promised, as sentences; empty when ready."""
    units = {"slomix-bot": HEALTH, "slomix-web": SITE}
    return [
        f"{unit} does not answer on {url} (journalctl -u {unit})" for unit, url in units.items() if not answers(url)
    ]


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
