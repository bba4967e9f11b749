"""One playbook through ansible-runner: what it inherits, what is shown, what is kept.

Runner's own artifacts hold the whole environment, every option and every result, so they lie in a folder of mode 0700
that is removed when the run ends (or by the next run, if this one is killed). What is kept is the log of what was
shown, which is free of secrets: ``build/runs/<start>-<playbook>.log``.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from ansible_collections.slomix.timetracking.plugins.module_utils.judge import EXIT_CODES, OPENS
from ansible_collections.slomix.timetracking.plugins.module_utils.leftovers import own_folder

from python_checks.gates.files import ROOT
from python_checks.run.environment import only, scrubbed
from python_checks.run.progress import Progress
from python_checks.run.site import Site

DONE, FAILED, ERROR, BLOCKED, INTERRUPTED = 0, EXIT_CODES["fail"], EXIT_CODES["error"], EXIT_CODES["broken"], 130
LOGS = ROOT / "build" / "runs"
_KEPT_LOGS = 30


@dataclass(frozen=True)
class Outcome:
    """How a run ended: ``code`` is the command's exit code, ``found`` one sentence, ``progress`` what was seen."""

    code: int
    found: str
    progress: Progress
    log: Path


def run(
    playbook: Path,
    site: Site,
    *,
    inventory: Sequence[str] = (),
    check: bool = False,
    diff: bool = False,
    variables: Mapping[str, Any] | None = None,
    out: TextIO | None = None,
    quiet: bool = False,
    root: Path = ROOT,
    logs: Path = LOGS,
) -> Outcome:
    """Run ``playbook`` and show its steps on ``out`` (stdout). Variables travel by file, not by command line."""
    import ansible_runner

    progress = Progress(out or sys.stdout, hidden=site.hidden, diff=diff, quiet=quiet)
    words = [word for path in inventory for word in ("-i", str(Path(path).absolute()))]
    words += ["--check"] if check else []
    words += ["--diff"] if diff else []
    with _private_folder(root) as folder, _interruptible() as interrupted, only(scrubbed(os.environ, root)):
        ran = ansible_runner.run(
            private_data_dir=str(folder),
            project_dir=str(root),
            playbook=str(playbook),
            cmdline=shlex.join(words),
            extravars={**(variables or {}), "rollout_evidence_dir": str(site.evidence)},
            event_handler=progress.handle,
            cancel_callback=lambda: bool(interrupted),
            quiet=True,
        )
        progress.end()
        code, found = _judge(ran.rc, ran.status, progress, bool(interrupted))
        if code == ERROR and not progress.stopped:
            # No event told why: Ansible refused the playbook, an option or the inventory.
            with contextlib.suppress(OSError, ValueError):
                found = f"{found}: {progress.safe(ran.stdout.read()).strip()[-2000:]}"
    return Outcome(code, found, progress, _keep(playbook.stem, progress.log, logs))


def _judge(rc: int | None, status: str, progress: Progress, interrupted: bool) -> tuple[int, str]:
    if interrupted:
        return INTERRUPTED, "interrupted; what was begun is in the ledger, and the same command goes on from there"
    if progress.unreachable:
        return ERROR, progress.stopped[-1]
    if progress.refused:
        return BLOCKED, progress.stopped[-1]
    if progress.verdict and progress.verdict not in OPENS and progress.stopped:
        return int(progress.verdict_code or ERROR), f"the gate is {progress.verdict}"
    if progress.stopped and rc:
        return FAILED, progress.stopped[-1]
    if rc == 0 and status == "successful":
        return DONE, ""
    return ERROR, f"ansible-playbook ended with {rc} ({status})"


@contextlib.contextmanager
def _interruptible() -> Iterator[list[int]]:
    """A list that Ctrl-C or SIGTERM makes true; ansible-runner then ends the playbook."""
    seen: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda caught, _: seen.append(caught))
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _private_folder(root: Path) -> Iterator[Path]:
    """A folder for runner's artifacts, gone afterwards; those of killed runs are removed first."""
    parent = root / "build" / "run"
    parent.mkdir(parents=True, exist_ok=True)
    with own_folder(str(parent), "by-") as folder:
        yield Path(folder)


def _keep(name: str, lines: Sequence[str], folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}-{name}.log"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o600)
    for old in sorted(folder.glob("*.log"))[:-_KEPT_LOGS]:
        old.unlink(missing_ok=True)
    return path
