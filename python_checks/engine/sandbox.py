"""What scripts do outside their VM: files and shell commands, really done (``run``) or only recorded (``capture``)."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .text import from_engine

_PAYLOAD = re.compile(r"@(\"[^\"]+\"|'[^']+'|[^\s'\";|&<>]+)")
KEPT_IN_RUN_MODE = 1000
"""Records kept by a server process, which runs for weeks; in capture all are kept."""
_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "PATH", "TZ", "USER")


@dataclass(frozen=True)
class ShellCall:
    """One shell command of a script.

    ``payloads``: path as written in the command after ``@`` -> the file's bytes at call time (None if it did not exist).
    """

    command: str
    via: str  # os.execute or io.popen
    module: str
    unix_ms: int
    level_time_ms: int
    payloads: dict[str, bytes | None] = field(default_factory=dict)


@dataclass(frozen=True)
class FileTouch:
    """One file that a script opened for writing, renamed or removed; ``real`` is None when that was refused."""

    path: str
    mode: str
    module: str
    unix_ms: int
    real: Path | None


class Sandbox:
    """Translates the paths of scripts and keeps the record of what they did.

    In ``capture`` nothing is executed and only three trees exist: the two nominal game folders, mapped on the given directories,
    and ``/tmp``, mapped on a directory of this sandbox. Anything else is refused with "Permission denied" and recorded.
    """

    def __init__(
        self,
        shell: str,
        roots: dict[str, Path],
        stamp: Callable[[], tuple[str, int, int]],
        on_shell: Callable[[ShellCall], int] | None = None,
    ) -> None:
        """``roots``: nominal folder -> real folder; ``stamp()``: (module, unix ms, level ms) of now;
        ``on_shell``: decides the exit code of a captured command.
        """
        if shell not in ("run", "capture"):
            raise ValueError(f"shell is {shell!r}; it must be 'run' or 'capture'")
        self.shell = shell
        self.calls: list[ShellCall] = []
        self.touches: list[FileTouch] = []
        self._stamp = stamp
        self._on_shell = on_shell
        self._temp = Path(tempfile.mkdtemp(prefix="standin-"))
        self._cleanup = weakref.finalize(self, shutil.rmtree, self._temp, ignore_errors=True)
        self._roots = {nominal.rstrip("/"): real.resolve() for nominal, real in roots.items()}
        self._roots.setdefault("/tmp", self._temp)
        self._serial = 0

    def close(self) -> None:
        """Remove the sandbox's own temporary directory; at the latest the interpreter's end does it."""
        self._cleanup()

    # -- files -----------------------------------------------------------------------------------------------------------------

    def real(self, path: str) -> Path | None:
        """The real path behind a script's path, or None when it is outside (capture only)."""
        shown = from_engine(path)
        if "\0" in shown or shown == "":
            return None
        if self.shell == "run":
            return Path(shown)
        plain = os.path.normpath(shown)
        if not plain.startswith("/"):
            # A relative path is relative to the server's working directory, its install folder.
            plain = f"{next(iter(self._roots))}/{plain}"
        for nominal, root in sorted(self._roots.items(), key=lambda item: -len(item[0])):
            if plain == nominal or plain.startswith(f"{nominal}/"):
                real = Path(os.path.realpath(root / plain[len(nominal) + 1 :]))
                return real if real == root or root in real.parents else None
        return None

    def path(self, path: str, mode: str) -> tuple[str | None, str | None, int | None]:
        """Lua's door: (real path, None, None), or (None, message, errno) when refused. Writes are recorded."""
        real = self.real(path)
        if any(mark in mode for mark in "wa+") or mode == "remove":
            module, unix_ms, _ = self._stamp()
            self.touches.append(FileTouch(from_engine(path), mode, module, unix_ms, real))
        if real is None:
            return None, f"{path}: Permission denied", 13
        return os.fsencode(real).decode("latin-1"), None, None

    def tmpname(self) -> str:
        """``os.tmpname``: a fresh, existing, empty file."""
        if self.shell == "run":
            handle, name = tempfile.mkstemp(prefix="lua_")
            os.close(handle)
            return name
        self._serial += 1
        (self._temp / f"lua_{self._serial:06d}").touch()
        return f"/tmp/lua_{self._serial:06d}"

    def getenv(self, name: str) -> str | None:
        """``os.getenv``; in capture only a few harmless names exist."""
        if self.shell == "capture" and name not in _ENVIRONMENT:
            return None
        value = os.environ.get(from_engine(name))
        return None if value is None else os.fsencode(value).decode("latin-1")

    # -- shell -----------------------------------------------------------------------------------------------------------------

    def _record(self, command: str, via: str) -> ShellCall:
        payloads: dict[str, bytes | None] = {}
        shown = from_engine(command)
        for match in _PAYLOAD.finditer(shown):
            name = match.group(1).strip("\"'")
            real = self.real(command[match.start(1) : match.end(1)].strip("\"'")) if name else None
            payloads[name] = real.read_bytes() if real is not None and real.is_file() else None
        module, unix_ms, level_ms = self._stamp()
        call = ShellCall(shown, via, module, unix_ms, level_ms, payloads)
        self.calls.append(call)
        if self.shell == "run":
            del self.calls[:-KEPT_IN_RUN_MODE], self.touches[:-KEPT_IN_RUN_MODE]
        return call

    def _captured(self, call: ShellCall) -> int:
        self._mkdir(call.command)
        return self._on_shell(call) if self._on_shell else 0

    def _mkdir(self, command: str) -> None:
        """The one effect that capture imitates: ``mkdir -p`` inside the sandbox, since later writes rely on it."""
        try:
            words = shlex.split(command)
        except ValueError:
            return
        if not words or words[0] != "mkdir":
            return
        for word in words[1:]:
            if word in (";", "&&", "||", "|", "&") or ">" in word:
                return
            real = None if word.startswith("-") else self.real(os.fsencode(word).decode("latin-1"))
            if real is not None:
                real.mkdir(parents=True, exist_ok=True)

    def execute(self, command: str) -> int:
        """``os.execute``: the exit code."""
        call = self._record(command, "os.execute")
        if self.shell == "capture":
            return self._captured(call)
        done = subprocess.run(
            ["/bin/sh", "-c", call.command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode if done.returncode >= 0 else 128 - done.returncode

    def popen(self, command: str, mode: str) -> tuple[str, str]:
        """``io.popen``: (file that stands for the pipe, mode to open it with).

        The Lua builds in use have no ``io.popen`` of their own. Reading waits for the command's end;
        writing goes through a named pipe.
        """
        call = self._record(command, "io.popen")
        self._serial += 1
        pipe = self._temp / f"pipe_{self._serial:06d}"
        writing = "w" in mode
        if self.shell == "capture":
            self._captured(call)
            pipe.touch()
        elif writing:
            os.mkfifo(pipe, 0o600)
            subprocess.Popen(
                ["/bin/sh", "-c", 'exec <"$0"; eval "$1"', str(pipe), call.command], stdout=subprocess.DEVNULL
            )
        else:
            with pipe.open("wb") as output:
                subprocess.run(["/bin/sh", "-c", call.command], stdin=subprocess.DEVNULL, stdout=output, check=False)
        return str(pipe), "w" if writing else "r"
