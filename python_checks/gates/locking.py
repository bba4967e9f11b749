"""Taking the site's lock for the ansible-playbook that runs, and noting in the ledger whose lock was broken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils import ledger, lock

from python_checks.gates.files import PLAN_DIR
from python_checks.gates.identity import body, operator, run_id, run_process


def take(folder: Path, purpose: str, *, break_lock: str = "", plan_dir: Path = PLAN_DIR) -> dict[str, Any]:
    """Take the site for this run until its ansible-playbook ends; {name, broken (name of a lock pushed aside or "")}.

    Raises lock.LockError when somebody else has it, ledger.LedgerError when a broken lock cannot be noted (the lock is
    ours then, and given back with the run that fails).
    """
    process = run_process()
    me = lock.Holder(
        name=run_id(),
        operator=operator(),
        purpose=purpose,
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        process=process,
        process_ticks=lock.process_ticks(process),
        place=lock.place(),
    )
    broken = lock.acquire(str(folder), me, break_lock=break_lock)
    if broken is not None:
        text = f"the lock {broken.name} ({broken.purpose}, {broken.operator}, since {broken.since}) was broken by name"
        note = {"note": text, "lock": broken.name}
        ledger.append(str(folder), body("note", None, note, plan_dir, host="localhost"))
    return {"name": me.name, "broken": broken.name if broken is not None else ""}


def obstacle(folder: Path) -> str:
    """Why this run could not take the site now; "" when it could. Writes nothing."""
    try:
        holder = lock.look(str(folder))
    except lock.LockError as error:
        return str(error)
    state = lock.state_of(holder, run_id(), lock.place())
    return "" if holder is None or state in (lock.FREE, lock.MINE, lock.ENDED) else lock.refusal(holder, state)


@dataclass(frozen=True)
class Occupied:
    """Who has the site, for people: ``line`` says who and since when, ``next`` what to do; "" when nobody has it.
    ``breaks`` is the name by which a lock that was left over is pushed aside; "" where that is not to be done."""

    line: str = ""
    next: str = ""
    breaks: str = ""


def standing(folder: Path) -> str:
    """One line: who has the site, and since when; "" when nobody does."""
    return occupied(folder).line


def occupied(folder: Path) -> Occupied:
    """Who has the site now. Writes nothing."""
    try:
        holder = lock.look(str(folder))
    except lock.LockError as error:
        return Occupied(f"THE LOCK: {error}", "mend that, then look again: rollout status")
    state = lock.state_of(holder, "", lock.place())
    if holder is None or state in (lock.FREE, lock.ENDED):
        return Occupied()
    if state == lock.HELD:
        since = f"since {holder.since}, {lock.age(holder.since)} ago"
        line = f"running now: {holder.purpose} by {holder.operator} {since} ({holder.name})"
        return Occupied(line, "wait until it has ended, then look again: rollout status")
    first = "make sure there that it has ended, then " if state == lock.UNSEEN else ""
    return Occupied(
        f"LOCKED: {lock.obstacle(holder, state)}",
        f"{first}look at what it left: rollout log; what is to be done below names the lock, which pushes it aside",
        holder.name,
    )
