"""Taking the site's lock for the ansible-playbook that runs, and noting in the ledger whose lock was broken."""

from __future__ import annotations

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


def standing(folder: Path) -> str:
    """One line for the status screen: who has the site; "" when nobody does."""
    try:
        holder = lock.look(str(folder))
    except lock.LockError as error:
        return f"THE LOCK: {error}"
    state = lock.state_of(holder, "", lock.place())
    if holder is None or state in (lock.FREE, lock.ENDED):
        return ""
    if state == lock.HELD:
        return f"running now: {holder.purpose} by {holder.operator} for {lock.age(holder.since)} ({holder.name})"
    return f"LOCKED: {lock.refusal(holder, state)}"
