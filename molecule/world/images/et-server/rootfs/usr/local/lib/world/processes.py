"""What runs, read from /proc: no shell and no pgrep, which would count themselves."""

from __future__ import annotations

from pathlib import Path

LOG_MONITOR = "/home/et/scripts/log_monitor.sh"


def arguments() -> dict[int, list[str]]:
    """Command lines of all processes by process id; processes that end while one looks are left out."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        except OSError:
            continue
    return found


def parent(pid: int) -> int:
    """The parent's process id, 0 when the process has gone."""
    try:
        return int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def log_monitors() -> list[int]:
    """One process id per running instance: the script's pipeline makes children with the same command line."""
    running = {pid for pid, argv in arguments().items() if LOG_MONITOR in argv[:3]}
    return sorted(pid for pid in running if parent(pid) not in running)
