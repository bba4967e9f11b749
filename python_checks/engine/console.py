"""The server console: a list in memory and ``etconsole.log`` on disk, written line by line as a real server does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

KEPT_LINES = 400_000


class Console:
    """Collects printed text into lines; a line is complete at its newline and reaches the file at once.

    Text is engine text (latin-1 ``str``); the file holds its bytes.
    """

    def __init__(self, path: Path | None) -> None:
        self.lines: list[str] = []
        self._partial = ""
        self._redirected: list[str] | None = None
        self._path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, text: str) -> None:
        """Print ``text``; what follows its last newline waits for the next print."""
        if self._redirected is not None:
            self._redirected.append(text)
            return
        whole = self._partial + text
        *done, self._partial = whole.split("\n")
        if not done:
            return
        self.lines.extend(done)
        if len(self.lines) > KEPT_LINES:
            del self.lines[: KEPT_LINES // 2]  # a server process runs for weeks; the file has everything
        if self._path is not None:
            # Opened for each write: an operator may rotate or truncate the log while the server runs.
            with self._path.open("ab") as log:
                log.write("".join(f"{line}\n" for line in done).encode("latin-1"))

    def capture(self, action: Callable[[], None]) -> str:
        """What ``action`` prints, kept away from the log: the way a real server answers rcon."""
        self._redirected = []
        try:
            action()
            return "".join(self._redirected)
        finally:
            self._redirected = None
