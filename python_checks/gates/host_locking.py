"""The controller's side of host_lock.py: the mark of this run, who another mark stands for, and how a host is freed."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils import host_lock, ledger, lock

from python_checks.gates.identity import operator, run_id, run_process
from python_checks.gates.locking import obstacle

DEFAULT_DIR = "~/.rollout/site"
# A run that has just ended on this machine is freed by its keeper in a moment.
SETTLE_TRIES, SETTLE_S = 5, 0.5


def mark(folder: Path, *, checking: bool = False) -> dict[str, Any]:
    """What this run writes on a host: name, operator, purpose, since, process, process_ticks, place, controller,
    evidence (folder), head (of the ledger, "" when it has not begun).

    Raises lock.LockError unless this run holds the site's lock in ``folder``; nobody does under check mode.
    """
    holder = None if checking else lock.look(str(folder))
    if not checking and (holder is None or holder.name != run_id()):
        raise lock.LockError(
            f"this run does not hold the site's lock in {folder}, so it may not take a host; required: the task that "
            "takes it comes first (rollout_require, rollout_way_back or rollout_lock); next: run the playbook whole"
        )
    head, process = ledger.verify(str(folder)).head, run_process()
    return {
        "name": run_id(),
        "operator": operator(),
        "purpose": holder.purpose if holder else "check mode",
        "since": holder.since if holder else "",
        "process": process,
        "process_ticks": lock.process_ticks(process),
        "place": _place(),
        # Our own lock says whether an earlier run of ours has ended; while somebody has it, that is not so.
        "controller": "checking" if checking and obstacle(folder) else controller(folder),
        "evidence": os.path.realpath(folder),
        "head": "" if head == ledger.GENESIS else head,
    }


def controller(folder: Path) -> str:
    """Which evidence folder on which machine, as a digest: equal only for runs that one site's lock keeps apart."""
    here = lock.place()
    try:
        inode = (folder / lock.FILE).stat().st_ino
    except OSError:
        inode = 0
    words = [here.host, here.machine, os.path.realpath(folder), inode]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def holder_of(found: Mapping[str, Any]) -> tuple[lock.Holder, str]:
    """(the holder of a host, held | stale | unseen as seen from here) from the module's result."""
    there, held_s = found["holder"], found["held_s"]
    try:
        place = lock.Place(**there["place"])
        holder = lock.Holder(
            str(there["name"]),
            str(there["operator"]),
            str(there["purpose"]),
            str(there["since"]),
            int(there["process"]),
            int(there["process_ticks"]),
            place,
        )
    except (KeyError, TypeError, ValueError):
        nowhere = lock.Place("", "", "", "")
        return lock.Holder(str(there["name"]), "somebody", "something", "", 0, 0, nowhere), lock.UNSEEN
    if held_s is not None:
        # The host's own clock says how long; ours may differ from the one that wrote `since`.
        since = datetime.now(UTC) - timedelta(seconds=held_s)
        holder = replace(holder, since=since.isoformat(timespec="seconds"))
    return holder, lock.state_of(holder, run_id(), lock.Place(**_place()))


def refusal(found: Mapping[str, Any], asked: str = "") -> str:
    """Why a host cannot be had, and what to do: lock.refusal with the place of the holder's evidence."""
    holder, state = holder_of(found)
    evidence = found["holder"].get("evidence")
    told, following, advice = lock.refusal(holder, state, asked).rpartition(" Next: ")
    return f"{told}{f' It records in {evidence} there.' if evidence else ''}{following}{advice}"


def unknown(previous: Mapping[str, Any] | None, me: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> str:
    """What the run before this one did that ``records`` (this controller's ledger) cannot know of; "" if they know it.

    They do when they hold the ledger head which that run began with or, if it began with an empty ledger, when it was
    this controller's or has left a record here.
    """
    if previous is None:
        return ""
    head, name = str(previous.get("head") or ""), str(previous.get("name"))
    if head:
        known = any(record.get("hash") == head for record in records)
    else:
        known = previous.get("controller") == me["controller"] or any(record.get("run") == name for record in records)
    if known:
        return ""
    about = f"{previous.get('purpose', 'something')} of {previous.get('operator', 'somebody')} ({name})"
    return (
        f"the run before this one was {about}, recorded in {previous.get('evidence', 'an unknown folder')}"
        f"{f' after {head[:12]}' if head else ''}, which the ledger {me['evidence']} does not know; it is not the whole "
        "story of this host, and a way back from it leads to what was found today. Next: go on from that folder if you "
        "can"
    )


def freeing(connection: Any, python: str, folder: str, name: str) -> list[str] | None:
    """The command that frees a host when it is given host_lock.py as its input; None when the connection is of a kind
    that cannot be opened without Ansible (a password, another plugin)."""
    words = [python, "-I", "-", folder, name]
    if connection.transport == "local":
        return words
    if connection.transport != "ssh" or connection.get_option("password"):
        return None
    # The plugin's own options, so that the host is reached in the same way; there is no public name for this.
    built = connection._build_command(
        connection.get_option("ssh_executable"), "ssh", connection.get_option("host"), shlex.join(words)
    )
    ssh, *rest = [os.fsdecode(word) for word in built]
    # ssh takes the first value that it sees of an option.
    return [ssh, "-o", "ControlMaster=no", "-o", "BatchMode=yes", *rest]


def free_at_end(folder: Path, command: Sequence[str]) -> None:
    """Leave it to a process of its own to free a host when this run is over."""
    me = lock.look(str(folder))
    if me is not None and me.name == run_id():
        lock.at_end(me, command, host_lock.__file__)


def _place() -> dict[str, str]:
    """lock.place() as it may be shown to other machines: ids only as digests."""
    here = lock.place()

    def veiled(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()[:32] if text else ""

    return {
        "host": here.host,
        "machine": veiled(here.machine),
        "boot": veiled(here.boot),
        "pid_namespace": here.pid_namespace,
    }
