"""Who and which run: what every record of the ledger carries beside its content."""

from __future__ import annotations

import functools
import getpass
import hashlib
import multiprocessing
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from python_checks.gates.files import PLAN_DIR, PlanError, git_state, phase_digest

# Results keep what a gate may judge; Ansible's own book-keeping is no evidence and `invocation` holds the options,
# secrets included.
_NOT_EVIDENCE = frozenset(
    {"invocation", "ansible_facts", "deprecations", "warnings", "exception", "stdout_lines", "stderr_lines"}
)


def run_process() -> int:
    """Process id of ansible-playbook, also as seen from its forked workers."""
    parent = multiprocessing.parent_process()
    return parent.pid if parent is not None and parent.pid is not None else os.getpid()


def run_id() -> str:
    """One id per ansible-playbook process, the same in all its forked workers: its start (UTC) and a short digest.

    From /proc (Linux): boot id, process id and start time, so that a process id used again is another run.
    """
    return _run_id(run_process())


@functools.lru_cache(maxsize=4)
def _run_id(process_id: int) -> str:
    stat = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii", errors="replace")
    # The command's name may hold blanks; the fields after its closing bracket do not. Start time is field 22, in clock
    # ticks since boot.
    ticks = int(stat.rpartition(")")[2].split()[19])
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    booted_unix = next(
        int(line.split()[1])
        for line in Path("/proc/stat").read_text(encoding="ascii").splitlines()
        if line.startswith("btime ")
    )
    started = datetime.fromtimestamp(booted_unix + ticks / os.sysconf("SC_CLK_TCK"), UTC)
    short = hashlib.sha256(f"{boot}:{process_id}:{ticks}".encode()).hexdigest()[:8]
    return f"{started:%Y%m%dT%H%M%SZ}-{short}"


def operator() -> str:
    """user@host of whoever runs the rollout."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def body(kind: str, phase: int | None, result: Any, plan_dir: Path = PLAN_DIR, **more: Any) -> dict[str, Any]:
    """A record's content for ledger.append: ``result`` without Ansible's own keys, and who, which run, which plan,
    which checkout."""
    try:
        plan_sha256 = phase_digest(phase, plan_dir) if phase is not None else None
    except PlanError:
        # The evidence is worth keeping even if the plan's file is not readable now; the gate refuses on that by itself.
        plan_sha256 = None
    return {
        "kind": kind,
        "check": False,
        "run": run_id(),
        "operator": operator(),
        "git": git_state(),
        "plan_sha256": plan_sha256,
        "phase": phase,
        "result": evidence(result),
        **more,
    }


def evidence(result: Any) -> Any:
    """A registered result without what Ansible added to it."""
    if not isinstance(result, dict):
        return result
    return {
        key: value for key, value in result.items() if key not in _NOT_EVIDENCE and not str(key).startswith("_ansible")
    }
