"""Which phases a rollback leads back, in which order, and whether that is legal. Pure.

``phase`` names one phase; it is led back whatever the ledger says about it (the roles know what is recorded on the
hosts), but not while a phase that requires it stands. ``to`` names the phase after which everything is led back,
newest first: the site is then as if nothing after that phase had been done; ``to=start`` leads back everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]
START = "start"


class WayBackError(ValueError):
    """There is no such way back, or it is not legal now; the message says what to do."""


def way_back(
    plan: Mapping[str, Any], records: Sequence[Record], *, phase: str | None = None, to: str | None = None
) -> list[int]:
    """Numbers of the phases to lead back, in order. ``phase`` is a number (``1``), ``to`` such as ``phase0``."""
    built = {item["phase"]: item for item in plan["phases"] if item["state"] == "built"}
    known = ", ".join(str(number) for number in sorted(built))
    if (phase is None) == (to is None):
        found = "neither" if phase is None else "both"
        raise WayBackError(
            f"found {found} of phase and to, required is one: -e phase=N leads one phase back ({known}), "
            f"-e to=phaseN everything after that phase, -e to={START} everything"
        )
    if phase is not None:
        number = _number(phase, "", built, "phase", known)
        standing = _standing_on(number, built, records)
        if standing and not built[number].get("revert_alone"):
            later = ", ".join(str(one) for one in standing)
            raise WayBackError(
                f"phase {number} cannot be led back alone: phase {later} stands on it. Required is the newest first. "
                f"Next: -e phase={standing[0]}, or all of them by -e to={_before(number, built)}"
            )
        return [number]
    target = -1 if to == START else _number(str(to), "phase", built, "to", known)
    after = [number for number in sorted(built, reverse=True) if number > target]
    unsure = [number for number in after if _interrupted(built[number], records)]
    if unsure:
        raise WayBackError(
            f"phase {unsure[0]} was begun and none of its acts is recorded: a run may have been killed in the middle of"
            f" one. Next: run playbooks/{built[unsure[0]]['playbook']} again, which finishes it, then this again; or"
            f" -e phase={unsure[0]}, which leads back what the hosts have on record"
        )
    return [number for number in after if stands(built[number], records)]


def stands(phase: Mapping[str, Any], records: Sequence[Record]) -> bool:
    """Whether an act of the phase is recorded that no later, successful revert undid on that host."""
    newest: dict[tuple[str, str], Record] = {}
    for record in _acts(phase, records):
        newest[str(record.get("step")), str(record.get("host"))] = record
    return any(record.get("leg") == "action" or _failed(record) for record in newest.values())


def acted(plan: Mapping[str, Any], records: Sequence[Record]) -> dict[str, list[str]]:
    """Step -> hosts on which its newest act on record is an action that succeeded: there, the host must have a recording.

    Elsewhere a host without one is as it was: the step never came to act, or was killed before its first effect.
    """
    newest: dict[tuple[str, str], Record] = {}
    for phase in (item for item in plan["phases"] if item["state"] == "built"):
        for record in _acts(phase, records):
            newest[str(record.get("step")), str(record.get("host"))] = record
    found: dict[str, list[str]] = {}
    for (step, host), record in newest.items():
        if record.get("leg") == "action" and not _failed(record):
            found.setdefault(step, []).append(host)
    return found


def _number(text: str, prefix: str, built: Mapping[int, Any], option: str, known: str) -> int:
    digits = str(text).strip().removeprefix(prefix)
    if not digits.isdecimal() or int(digits) not in built or str(text).strip() != f"{prefix}{int(digits)}":
        example = f"{prefix}{min(built)}" if built else "nothing"
        raise WayBackError(
            f"found {option}={text}, required is a phase that is built ({known}), such as {option}={example}"
        )
    return int(digits)


def _standing_on(number: int, built: Mapping[int, Mapping[str, Any]], records: Sequence[Record]) -> list[int]:
    """Phases that require ``number``, themselves or through others, and stand; newest first."""
    found = {number}
    for later in sorted(built):
        if found & set(built[later].get("requires") or []):
            found.add(later)
    return [one for one in sorted(found - {number}, reverse=True) if stands(built[one], records)]


def _before(number: int, built: Mapping[int, Any]) -> str:
    earlier = [one for one in built if one < number]
    return f"phase{max(earlier)}" if earlier else START


def _acts(phase: Mapping[str, Any], records: Sequence[Record]) -> list[Record]:
    """Recorded actions and reverts of the steps that have a way back; what has none leaves nothing behind.

    A named record is a sample that was taken beside the act (what another host said before it), not an act itself.
    """
    steps = {str(step["id"]) for step in phase["steps"] if "none" not in (step.get("revert") or {"none": ""})}
    return [
        record
        for record in records
        if record.get("kind") == "step"
        and not record.get("check")
        and record.get("leg") in ("action", "revert")
        and not record.get("name")
        and str(record.get("step")) in steps
    ]


def _interrupted(phase: Mapping[str, Any], records: Sequence[Record]) -> bool:
    """Whether the phase's newest run recorded something, no act, and no failure that would have stopped it before one."""
    acts = _acts(phase, records)
    since = int(acts[-1].get("seq") or 0) if acts else 0
    own = {str(step["id"]) for step in phase["steps"]}
    later = [
        record
        for record in records
        if record.get("kind") == "step"
        and not record.get("check")
        and str(record.get("step")) in own
        and record.get("leg") == "action"
        and int(record.get("seq") or 0) > since
    ]
    has_way_back = any("none" not in (step.get("revert") or {"none": ""}) for step in phase["steps"])
    ended = [record for record in records if str(record.get("step")) in own]
    return has_way_back and bool(later) and not stands(phase, records) and not _failed(ended[-1])


def _failed(record: Record) -> bool:
    result = record.get("result")
    return not isinstance(result, Mapping) or bool(result.get("failed") or result.get("unreachable"))
