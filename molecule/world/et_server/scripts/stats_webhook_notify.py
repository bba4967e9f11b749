#!/usr/bin/env python3
"""Post the name of every new stats file to a Discord webhook (deprecated: the Lua webhook does this from the game).

Environment: ``STATS_PATH`` (folder to watch), ``DISCORD_WEBHOOK_URL`` (where to post; without it nothing is posted and
the program says so), ``STATE_DIR`` (folder that keeps the names already posted, so that a restart posts nothing twice),
``POLL_SECONDS`` and ``SETTLE_SECONDS`` (1 and 3 unless set).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

LOG = logging.getLogger("stats_webhook_notify")
STATE_FILE = "processed_files.json"
POST_TIMEOUT_S = 10


def stats_files(folder: Path) -> set[str]:
    """Names of the round files in ``folder``; empty while the folder does not exist."""
    try:
        return {entry.name for entry in os.scandir(folder) if entry.name.endswith(".txt") and entry.is_file()}
    except FileNotFoundError:
        return set()


def load_state(path: Path) -> set[str] | None:
    """Names already posted, or None on the very first start."""
    try:
        return set(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except ValueError:
        LOG.warning("%s is damaged, starting from what is in the folder now", path)
        return None


def save_state(path: Path, names: set[str]) -> None:
    """Replace the state file by rename, so that a crash never leaves half of it."""
    staged = path.with_suffix(".tmp")
    staged.write_text(json.dumps(sorted(names)), encoding="utf-8")
    staged.replace(path)


def post(url: str, name: str) -> bool:
    """Post the file name in backticks; False when the webhook did not take it."""
    body = json.dumps({"content": f"`{name}`"}).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "stats-webhook-notify"}
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=POST_TIMEOUT_S):
            return True
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        LOG.error("posting %s failed: %s", name, error)
        return False


def watch(folder: Path, state_dir: Path, url: str, poll_s: float, settle_s: float) -> None:
    """Look at the folder for ever; post a file ``settle_s`` after it was seen, when the server has finished it."""
    state_dir.mkdir(parents=True, exist_ok=True)
    state_path = state_dir / STATE_FILE
    known = load_state(state_path)
    if known is None:
        known = stats_files(folder)
        save_state(state_path, known)
    LOG.info("watching %s, %d files known", folder, len(known))

    while True:
        for name in sorted(stats_files(folder) - known):
            time.sleep(settle_s)
            if url:
                LOG.info("%s: %s", name, "posted" if post(url, name) else "not posted")
            else:
                LOG.warning("DISCORD_WEBHOOK_URL is not set, %s not posted", name)
            known.add(name)
            save_state(state_path, known)
        time.sleep(poll_s)


def main() -> int:
    """Read the environment and watch until stopped."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    environment = os.environ
    try:
        watch(
            Path(environment.get("STATS_PATH", "/home/et/.etlegacy/legacy/gamestats")),
            Path(environment.get("STATE_DIR", "/home/et/scripts/state")),
            environment.get("DISCORD_WEBHOOK_URL", ""),
            float(environment.get("POLL_SECONDS", "1")),
            float(environment.get("SETTLE_SECONDS", "3")),
        )
    except KeyboardInterrupt:
        LOG.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
