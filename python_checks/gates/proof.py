"""The plan's integration proof: its six items answered from gates and records. Pure.

Two of them ask for what the system does not have; they are answered with what stands in its place, and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils.judge import CheckVerdict, GateVerdict
from ansible_collections.slomix.timetracking.plugins.module_utils.samples import Record, newest_per_host

COVERED = 0.8
"""Share of a round's players that must have a spawn row (the plan's 80 %, read per round)."""
GATES = ("phase1", "phase4", "phase5", "phase6")


@dataclass(frozen=True)
class Answer:
    """One item: what the plan asks, the verdict of what was found, and where the plan asks for what is not there, what
    stands in its place."""

    item: int
    asks: str
    verdict: str
    found: str
    next: str
    instead: str = ""


def answers(verdicts: Mapping[str, GateVerdict], records: Sequence[Record]) -> list[Answer]:
    """The six items in the plan's order. ``verdicts`` holds the gates of GATES as they are judged now on ``records``."""
    checks = {check.id: check for verdict in verdicts.values() for check in verdict.checks}
    pair, loaded = checks.get("1.7/pair"), checks.get("4.1/loaded")
    played = _pairs_after_both(records)
    first = _of(
        1,
        "a live pair after all Lua changes were deployed",
        (loaded, pair),
        lambda: (
            ("pass", f"{len(played)} pair(s) since the load of both scripts")
            if played
            else ("inconclusive", "no pair since the load of both scripts")
        ),
        "play both halves of one map, then run ansible-playbook playbooks/integration_proof.yml",
    )
    linked = [one for one in played if one.get("r1_right_links") == one.get("r2_right_links") == 1]
    second = _of(
        2,
        "lua_round_teams has rows of both halves",
        (loaded, pair),
        lambda: (
            ("pass", f"{len(linked)} of {len(played)} pair(s) have one linked row a half")
            if linked
            else ("inconclusive", f"0 of {len(played)} pair(s) have one linked row a half")
        ),
        "run ansible-playbook playbooks/gate.yml -e phase=1, which says what is missing",
    )
    return [first, second, _spawn(records), _embed(checks), _website(checks), _shadow(checks, records)]


def _of(
    item: int,
    asks: str,
    needed: Sequence[CheckVerdict | None],
    decide: Callable[[], tuple[str, str]],
    todo: str,
) -> Answer:
    """The first of ``needed`` that does not pass, else what ``decide`` says."""
    for check in needed:
        if check is None:
            return Answer(item, asks, "inconclusive", "nothing is recorded", todo)
        if check.verdict != "pass":
            return Answer(item, asks, check.verdict, f"{check.id}: {check.found}", check.next)
    verdict, found = decide()
    return Answer(item, asks, verdict, found, "" if verdict == "pass" else todo)


def _newest(records: Sequence[Record], step: str, name: str | None = None) -> list[Mapping[str, Any]]:
    """The newest result of a step's verify, of each host, where it is one."""
    sample = {"step": step, "leg": "verify", "name": name}
    found = [record.get("result") for record in newest_per_host({"sample": sample}, records).values()]
    return [result for result in found if isinstance(result, Mapping) and not result.get("failed")]


def _pairs_after_both(records: Sequence[Record]) -> list[Mapping[str, Any]]:
    """Pairs whose R1 began after the load of the webhook and of the writer (both clocks are the game server's)."""
    writer = [(result.get("load") or {}).get("loaded_at_unix") for result in _newest(records, "4.1")]
    found: list[Mapping[str, Any]] = []
    for result in _newest(records, "1.7", "pairs"):
        loads = [at for at in (result.get("loaded_at_unix"), *writer) if isinstance(at, int)]
        if len(loads) < 1 + max(1, len(writer)):
            continue
        for one in result.get("pairs") or []:
            began = one.get("r1_start_unix")
            if one.get("code") == "" and isinstance(began, int) and began >= max(loads):
                found.append(one)
    return found


def _spawn(records: Sequence[Record]) -> Answer:
    asks = "lua_spawn_stats has a row of each player"
    rows = [row for result in _newest(records, "proof", "spawn") for row in result.get("rows") or []]
    if not rows:
        todo = "play both halves of one map, then run ansible-playbook playbooks/integration_proof.yml"
        return Answer(3, asks, "inconclusive", "no round was asked about", todo)
    covered = [row for row in rows if row["players"] and row["with_spawn_row"] >= COVERED * row["players"]]
    unlinked = sum(row["unlinked"] for row in rows)
    found = f"{len(covered)} of {len(rows)} halves have spawn rows of at least {COVERED:.0%} of their players"
    if len(covered) == len(rows):
        return Answer(3, asks, "pass", found, "")
    found += f"; {unlinked} row(s) came and are not linked" if unlinked else ""
    todo = "read gametimes files on the bot's host: GAMETIMES_ENABLED is off by default and switching it on is the site's decision"
    return Answer(3, asks, "fail", found, todo)


def _embed(checks: Mapping[str, CheckVerdict]) -> Answer:
    asks = '!last_session shows accurate timing, no "NO LUA DATA"'
    instead = "that text belongs to another embed, in a channel for developers; the session's own embed is held against the database"
    check = checks.get("5.3/embed")
    return Answer(
        4, asks, *_taken(check, "run ansible-playbook playbooks/phase5.yml -e decision=keep_dual"), instead=instead
    )


def _website(checks: Mapping[str, CheckVerdict]) -> Answer:
    asks = "/api/sessions returns timing data"
    instead = "that endpoint has no timing; the day's graphs have, and are held against the database"
    return Answer(
        5, asks, *_taken(checks.get("6.1/values"), "run ansible-playbook playbooks/phase6.yml"), instead=instead
    )


def _shadow(checks: Mapping[str, CheckVerdict], records: Sequence[Record]) -> Answer:
    asks = "old and new timing differ little in rounds with Lua data"
    todo = "run ansible-playbook playbooks/phase5.yml -e decision=keep_dual"
    verdict, found, further = _taken(checks.get("5.1/compared"), todo)
    if verdict != "pass":
        return Answer(6, asks, verdict, found, further)
    report = next(iter(_newest(records, "5.1")), {})
    said = f"{report.get('verdict')}: {report.get('decision')}"
    if report.get("verdict") == "EQUIVALENT":
        return Answer(6, asks, "pass", said, "")
    settled = "look at record 5.1: each code says what would settle it"
    return Answer(6, asks, "fail" if report.get("verdict") == "DIFFERENT" else "inconclusive", said, settled)


def _taken(check: CheckVerdict | None, todo: str) -> tuple[str, str, str]:
    """(verdict, found, next) of a gate's check; without evidence, what to run."""
    if check is None or not check.evidence:
        return "inconclusive", "nothing is recorded", todo
    return check.verdict, check.found, check.next
