"""podman as this machine can run it: rootless where that works, else rootful; with limits the kernel grants."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from pathlib import Path

RUNTIMES = ("", "crun", "runc")  # "" = podman's own choice
MAX_PROCESSES = 30000
MAX_FILES = 65536


class WorldError(RuntimeError):
    """Something the world needs is not so; the text says what was found, what was required and what to do next."""


def _limits() -> list[str]:
    """--ulimit options the kernel grants without CAP_SYS_RESOURCE; podman's own defaults exceed the hard limits."""
    files = _granted(resource.RLIMIT_NOFILE, MAX_FILES)
    pid_max = int(Path("/proc/sys/kernel/pid_max").read_text())
    processes = min(_granted(resource.RLIMIT_NPROC, MAX_PROCESSES), pid_max)
    return ["--ulimit", f"nofile={files}:{files}", "--ulimit", f"nproc={processes}:{processes}"]


def _granted(which: int, wish: int) -> int:
    hard = resource.getrlimit(which)[1]
    return wish if hard == resource.RLIM_INFINITY else min(wish, hard)


def _rootless_can_run_systemd() -> bool:
    """systemd inside a rootless container needs the unified control groups and a range of user ids."""
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return False
    user = os.environ.get("USER") or str(os.getuid())
    names = {user, str(os.getuid())}
    return all(
        path.exists() and any(line.split(":")[0] in names for line in path.read_text().splitlines())
        for path in (Path("/etc/subuid"), Path("/etc/subgid"))
    )


def _command() -> list[str]:
    if shutil.which("podman") is None:
        raise WorldError("podman is not installed; it is needed for the world. Run `make setup` first.")
    if os.getuid() == 0 or _rootless_can_run_systemd():
        return ["podman"]
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n", "podman"]
    raise WorldError(
        "podman can run systemd here neither rootless (unified control groups and lines in /etc/subuid and /etc/subgid "
        "are needed) nor as root (no sudo without a password). Run the command as root, or `sudo -v` first."
    )


def _shown(command: list[str]) -> str:
    """The beginning of a command line, on one line."""
    text = " ".join(" ".join(command).split())
    return text if len(text) <= 100 else f"{text[:100]} …"


class Podman:
    """The podman command with the options this machine needs; ``cache`` (a folder) keeps the result of the probe."""

    def __init__(self, cache: Path) -> None:
        self._base = _command()
        self._cache = cache / "runtime.json"
        self._runtime: list[str] = []
        self.limits = _limits()

    def call(
        self, *argv: str, check: bool = True, timeout_s: float | None = None, capture: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a podman command; raise WorldError with its own words when it fails and ``check`` is set."""
        command = [*self._base, *self._runtime, *argv]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=capture,
                text=True,
                errors="replace",
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired as slow:
            raise WorldError(f"`{_shown(command)}` did not end within {timeout_s:.0f} s.") from slow
        if check and done.returncode:
            said = "\n".join(((done.stdout or "") + (done.stderr or "")).strip().splitlines()[-25:])
            raise WorldError(f"`{_shown(command)}` ended with exit code {done.returncode}:\n{said}")
        return done

    def exec(
        self, container: str, *argv: str, user: str = "root", check: bool = True, timeout_s: float | None = None
    ) -> str:
        """Run a command inside a container and return what it printed on stdout."""
        return self.call("exec", "--user", user, container, *argv, check=check, timeout_s=timeout_s).stdout

    def replace_process(self, *argv: str) -> None:
        """Become podman: for commands that are handed through to the user's terminal."""
        command = [*self._base, *self._runtime, *argv]
        os.execvp(command[0], command)

    def image_exists(self, tag: str) -> bool:
        """Whether the image is in podman's storage."""
        return self.call("image", "exists", tag, check=False).returncode == 0

    def probe(self, image: str) -> None:
        """Find a runtime that starts containers here (crun refuses hybrid control groups) and remember it."""
        version = self.call("--version").stdout.strip()
        if self._cache.exists():
            known = json.loads(self._cache.read_text())
            if known["version"] == version:
                self._runtime = known["runtime"]
                return
        refusals = []
        for name in RUNTIMES:
            if name and shutil.which(name) is None and not Path("/usr/sbin", name).exists():
                continue
            self._runtime = [f"--runtime={name}"] if name else []
            done = self.call(
                "run", "--rm", "--network=none", *self.limits, image, "/bin/true", check=False, timeout_s=120
            )
            if done.returncode == 0:
                self._cache.parent.mkdir(parents=True, exist_ok=True)
                self._cache.write_text(json.dumps({"version": version, "runtime": self._runtime}))
                return
            refusals.append(f"{name or 'default'}: {done.stderr.strip().splitlines()[-1:]}")
        raise WorldError(
            f"podman starts no container on this machine. Tried {'; '.join(refusals)}. Install runc (`make setup`)."
        )
