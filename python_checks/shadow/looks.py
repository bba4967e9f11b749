"""Steps C and E of gates.md 4: the planned looks at the rounds' differences, what each must span, and the strata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from python_checks.shadow import statistics as st
from python_checks.shadow.independence import COPIED, INDEPENDENT, UNKNOWN, origin
from python_checks.shadow.pairs import UNKNOWN_SESSION, Round

STRATUM_ROUNDS = 4
SKEWED = "mean, median and trimmed mean of the rounds lie more than half of the margin apart: find out which rounds are far off"
SPENT = "the last planned look did not decide: keep dual; to go on, begin a new experiment with a later first day"


def at_planned(usable: Sequence[Round], margin_s: float, source: str) -> list[dict[str, Any]]:
    """Step C at the planned numbers of rounds, the first ones in time order, until one of them decides. ``source`` is the
    ``independence.origin`` of all of them."""
    told = []
    differences, evenings = [one.difference_s for one in usable], [one.session for one in usable]
    for planned in st.LOOKS:
        if planned > len(usable):
            break
        first = usable[:planned]
        # Copies among the first rounds must not hide behind later ones, nor later ones behind the first.
        told_source = next(
            (s for s in (COPIED, UNKNOWN) if s in (source, origin(pair.both_s for one in first for pair in one.pairs))),
            INDEPENDENT,
        )
        found = st.look_at(differences, evenings, planned, margin_s, independent=told_source == INDEPENDENT)
        lacking = lacking_in(first)
        if st.is_skewed(differences[:planned], margin_s):
            lacking["WIDE_CI"] = SKEWED
        blocked = [s["stratum"] for s in strata(first, margin_s) if s["blocks"]]
        verdict = found.verdict
        if verdict == st.EQUIVALENT and (lacking or blocked or told_source != INDEPENDENT):
            verdict = st.INCONCLUSIVE
        told.append(
            {
                "rounds": planned,
                "estimate_s": round(found.estimate, 3),
                "low_s": st.finite(found.low),
                "high_s": st.finite(found.high),
                "factor": round(found.factor, 3),
                "alpha": st.ALPHA,
                "evenings": found.evenings,
                "evenings_low_s": st.finite(found.evenings_low),
                "evenings_high_s": st.finite(found.evenings_high),
                "interval_verdict": found.verdict,
                "verdict": verdict,
                "flat": found.flat,
                "source": told_source,
                "lacking": lacking,
                "blocked_by": blocked,
            }
        )
        if verdict != st.INCONCLUSIVE:
            break
    return told


def lacking_in(rounds: Sequence[Round]) -> dict[str, str]:
    """What a sample must span before it can say EQUIVALENT: codes with what would settle them. That no player is in more than 30 % of
    the pairs needs no check: a usable round has four pairs or more, of different players."""
    told: dict[str, str] = {}
    sessions, maps = {one.session for one in rounds}, {one.map for one in rounds if one.map}
    homeless = sum(1 for one in rounds if one.session == UNKNOWN_SESSION)
    if homeless:
        told["TOO_FEW_SESSIONS"] = f"{homeless} rounds of an evening that is not known: name the session of every round"
    elif len(sessions) < st.MIN_EVENINGS:
        told["TOO_FEW_SESSIONS"] = f"{len(sessions)} evenings: play on {st.MIN_EVENINGS - len(sessions)} more"
    gaps = [
        f"R{n}: {sum(1 for r in rounds if r.number == n)} rounds"
        for n in (1, 2)
        if sum(1 for r in rounds if r.number == n) < 3
    ]
    if len(maps) < 3:
        gaps.append(f"{len(maps)} maps")
    if gaps:
        told["STRATUM_GAP"] = f"{'; '.join(gaps)}: required are 3 R1, 3 R2 and 3 maps"
    return told


def ahead(last: dict[str, Any], usable: int, margin_s: float) -> dict[str, str]:
    """Why the last look did not decide by its intervals, and when the next one is."""
    planned = next((n for n in st.LOOKS if n > usable), None)
    told = {} if planned else {"LOOKS_SPENT": SPENT}
    then = f": the next look is at {planned} usable rounds" if planned else ""
    if last["flat"]:
        told["WIDE_CI"] = "the interval has no width, which proves nothing before 14 rounds of independent data" + then
    elif last["evenings"] >= st.MIN_EVENINGS and last["interval_verdict"] == st.INCONCLUSIVE:
        low, high = last["evenings_low_s"], last["evenings_high_s"]
        few = low <= -margin_s or high >= margin_s
        told["WIDE_CI"] = f"the interval is wider than ±{margin_s:g} s{then}" + (
            ", and evenings count more than rounds: play them on new evenings" if few and planned else ""
        )
    return told


def strata(rounds: Sequence[Round], margin_s: float) -> list[dict[str, Any]]:
    """Step E: parts of the sample in which the difference may hide."""
    parts: dict[str, list[Round]] = {}
    for one in rounds:
        names = [f"R{one.number}" if one.number else "round unknown", f"map {one.map or 'unknown'}"]
        names.append(f"end {one.end_reason or 'unknown'}")
        names.append("paused" if one.paused else "not paused")
        names.append("late or back" if one.reconnected else "all from the start")
        names.append("OLD clamped" if any(r.code == "OLD_CLAMPED" for r in one.rows) else "nothing clamped")
        for name in names:
            parts.setdefault(name, []).append(one)
    told = []
    for name, members in parts.items():
        middle = st.median([one.difference_s for one in members])
        blocks = len(members) >= STRATUM_ROUNDS and abs(middle) >= margin_s
        told.append({"stratum": name, "rounds": len(members), "median_s": round(middle, 3), "blocks": blocks})
    return sorted(told, key=lambda part: -abs(part["median_s"]))
