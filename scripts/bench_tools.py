"""How long the command line's tools take, as a user calls them, beside the limits that the issues name.

Figures for people, never an assertion: they depend on the machine and on what else it does. The exit code of each call is
shown, since a call that could not judge is fast for no good reason.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WRITER = ROOT / "roles" / "lua_release" / "files" / "c0rnp0rn3.lua"
PARSER = ROOT / "molecule" / "world" / "slomix_vm" / "opt_slomix" / "bot" / "community_stats_parser.py"
SCRIPTS, LINES, STATS_FILES = 100, 1000, 2000
_CLI = "import sys; from python_checks.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Figure:
    """One tool: ``prepare`` fills an empty folder and returns the arguments of ``rollout``; ``limit_s`` is the issue's."""

    what: str
    limit_s: float
    issue: int
    prepare: Callable[[Path], list[str]]


def script(number: int) -> str:
    """A script of exactly LINES lines that loads: the reference writer, and as many of its first statements once more as fit.

    The second part lacks what would give its variables values, so the scan finds something in each script (exit code 1).
    """
    source = WRITER.read_text(encoding="utf-8")
    lines = [f"-- script {number}", *source.splitlines(), "do"]
    for statement in re.split(r"\n\n(?=\S)", source):
        block = statement.splitlines()
        if len(lines) + len(block) + 1 > LINES:
            break
        lines += block
    lines.append("end")
    return "\n".join([*lines, *["--"] * (LINES - len(lines))]) + "\n"


def _scripts(folder: Path) -> list[str]:
    for number in range(SCRIPTS):
        (folder / f"script{number:03d}.lua").write_text(script(number), encoding="utf-8")
    return ["lua", "scan", str(folder)]


def _writer(_: Path) -> list[str]:
    return ["lua", "rehearse", str(WRITER)]


def _stats(folder: Path) -> list[str]:
    from python_checks.stats.compose import Round

    for pair in range(STATS_FILES // 2):
        minutes = f"2026-02-{1 + pair // 50:02d}-{pair % 50 // 3:02d}{pair % 3 * 20:02d}"
        Round(playtime="441250").write(folder, f"{minutes}00")
        Round(round=2, limit="7:22", playtime="441250").write(folder, f"{minutes}59")
    return ["stats", "replay", "--before", str(PARSER), "--after", str(PARSER), str(folder)]


FIGURES = (
    Figure(f"lua scan, {SCRIPTS} files of {LINES} lines", 10, 3, _scripts),
    Figure("lua rehearse, one writer, both interpreters", 60, 3, _writer),
    Figure(f"stats replay, {STATS_FILES} files", 30, 4, _stats),
)


def measure(figure: Figure) -> tuple[float, int]:
    """(seconds of one run as a process, start of the interpreter included; its exit code)."""
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        arguments = figure.prepare(Path(made))
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", _CLI, *arguments], cwd=ROOT, capture_output=True, check=False)
        return time.perf_counter() - started, done.returncode


def show() -> None:
    """Measure and print all of them."""
    print(f"{'tool':<48}{'time':>10}{'limit':>10}{'exit':>6}")
    for figure in FIGURES:
        seconds, code = measure(figure)
        limit = f"{figure.limit_s:g} s"
        print(f"{figure.what:<48}{seconds:>8.1f} s{limit:>10}{code:>6}  (issue {figure.issue})", flush=True)
    print()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / ".collections"))
    show()
