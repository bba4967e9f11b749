"""What a report draws of a sample: rounds in time order, Bland-Altman points, coverage by evening. Plain data, decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from python_checks.shadow import statistics as st
from python_checks.shadow.pairs import Round, Sample


def of(data: Sample, bad: Collection[str]) -> dict[str, Any]:
    """``rounds`` (all of the window, in time order), ``bland_altman`` (one point for each comparable pair of usable rounds) and
    ``coverage`` (evenings in time order). Times in seconds; ``bad`` holds the ids of rounds with a bad tail."""
    evenings: dict[str, list[Round]] = {}
    for one in data.rounds:
        evenings.setdefault(one.session, []).append(one)
    return {
        "rounds": [_round(one, one.round_id in bad) for one in data.rounds],
        "bland_altman": [
            {
                "round_id": pair.round_id,
                "mean_s": round(((pair.old_s or 0) + (pair.new_s or 0)) / 2, 3),
                "difference_s": round(pair.difference_s, 3),
            }
            for pair in data.pairs
        ],
        "coverage": [_evening(session, rounds) for session, rounds in evenings.items()],
    }


def _round(one: Round, bad: bool) -> dict[str, Any]:
    """A round that does not stand as one number has no difference; ``not_compared`` counts why, by row."""
    return {
        "round_id": one.round_id,
        "session": one.session,
        "played_at": one.played_at,
        "map": one.map,
        "round": one.number,
        "rows": len(one.rows),
        "pairs": len(one.pairs),
        "not_compared": dict(Counter(row.code for row in one.rows if row.code)),
        "difference_s": round(one.difference_s, 3) if one.usable else None,
        "bad": bad,
    }


def _evening(session: str, rounds: list[Round]) -> dict[str, Any]:
    covered = sum(one.is_covered for one in rounds)
    return {
        "session": session,
        "played_at": rounds[0].played_at,
        "covered": covered,
        "rounds": len(rounds),
        "lower": round(st.lower_bound(covered, len(rounds)), 4),
    }
