#!/usr/bin/python3
"""The incident of 2026-02-18: besides the log_monitor.sh that start.sh started, a second one runs."""

from __future__ import annotations

import subprocess
import sys
import time

from processes import LOG_MONITOR, log_monitors

WAIT_S = 60.0


def main() -> int:
    """Wait for the first instance (start.sh sleeps before it starts one), then start the second, detached."""
    deadline = time.monotonic() + WAIT_S
    while not log_monitors():
        if time.monotonic() > deadline:
            print(f"no {LOG_MONITOR} within {WAIT_S:.0f} s; see /home/et/start.sh and et's crontab", file=sys.stderr)
            return 1
        time.sleep(0.2)
    subprocess.Popen(
        ["/bin/bash", LOG_MONITOR],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/home/et",
        start_new_session=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
