"""The comparison in plain words, for terminal and page alike: what was asked, found and required, and the figures beside it.

``found`` is ``asdict(decision.Report)`` or what the ledger holds of one. A figure that is missing or no number reads "unknown";
nothing here raises, because a record of another version must not break a report.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from python_checks.shadow import decision as d
from python_checks.shadow import statistics as st
from python_checks.shadow.pairs import MIN_SHARE

UNKNOWN = "unknown"
LISTED = 10
DECISIONS = {
    d.MAY_SWITCH: "the new timing may be shown alone",
    d.MAY_DELETE: "the new timing may be shown alone, and the old one could be deleted",
    d.EXPLAIN: "old and new differ: no cutover as it stands",
    d.KEEP_DUAL: "keep showing both",
    d.INVESTIGATE: "keep showing both, and find out why Lua data is missing",
    d.ROLL_BACK: "stop, the new timing is wrong",
}
"""What each decision means."""
CONDITIONS = {
    ("A", d.OK): "no value of NEW is impossible",
    ("A", d.BAD): "a value of NEW is impossible",
    ("B", d.PASS): f"coverage is proven to be above {st.COVERAGE:.0%}",
    ("B", d.UNSURE): "coverage is not decided yet",
    ("B", d.FAIL): f"coverage is proven to be below {st.COVERAGE:.0%}",
    ("B", "any"): "",
    ("C", st.EQUIVALENT): "the differences are inside of the margin",
    ("C", st.DIFFERENT): "the differences are outside of the margin",
    ("C", st.INCONCLUSIVE): "the differences are not decided yet",
    ("C", "any"): "",
    ("D", f"upper <= {d.SWITCH_TAIL:.0%}"): f"at most {d.SWITCH_TAIL:.0%} of the rounds can be bad",
    ("D", f"upper <= {d.DELETE_TAIL:.0%}"): f"at most {d.DELETE_TAIL:.0%} of the rounds can be bad",
    ("D", f"or > {d.SWITCH_TAIL:.0%}"): f"or more than {d.SWITCH_TAIL:.0%} of the rounds can be bad",
    ("D", "any"): "",
}
"""What each cell of the decision table means; "" where the column does not matter."""
NOT_COMPARED = {
    "FALLBACK": "rows without a Lua value of their own; the bot shows OLD's there",
    "COPIED": "rows of rounds in which NEW repeats OLD, or always differs by the same",
    "LINK_AMBIGUOUS": "rows linked to more than one Lua row",
    "DOUBTFUL_VERSION": "rows of a webhook whose spawn data is doubtful or not known",
    "NOT_PLAYED": "rows without played time",
    "NEW_IMPOSSIBLE": "rows with NEW below 0, above the time that the player can have been there, or clamped to it",
    "CAME_BACK": "rows of players who came back: the played time begins there, NEW is of the whole round",
    "OLD_CLAMPED": "rows with OLD missing, below 0 or not below the played time",
    "REPEATED_ROW": "rows of a player who is in the round twice",
    "SUMMARY": "rows of match summaries (round 0)",
    "BOT": "rows of bot rounds",
    "CANCELLED": "rows of cancelled rounds",
    "OTHER_STATUS": "rows of rounds that are not completed",
    "BEFORE_TRUSTED_VERSION": "rounds before the first webhook whose spawn data can be believed",
}
"""Why rows and rounds take no part."""


@dataclass(frozen=True)
class Answer:
    """One question of the comparison: its letter in the decision table ("" for none), verdict, and sentences on what was found."""

    letter: str
    asks: str
    verdict: str
    told: tuple[str, ...]


def number(values: Any, name: str) -> float | None:
    """A finite number of a mapping, or None."""
    value = values.get(name) if isinstance(values, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def seconds(value: float | None) -> str:
    """A difference with its sign."""
    return UNKNOWN if value is None else f"{value:+.1f} s"


def share(value: float | None) -> str:
    """A part of a whole."""
    return UNKNOWN if value is None else f"{value:.1%}"


def rows_of(value: Any) -> list[Mapping[str, Any]]:
    """The mappings of a list; of anything else none."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def answers(found: Mapping[str, Any]) -> list[Answer]:
    """The five questions in the order of the decision table, then the strata."""
    numbers = found.get("numbers")
    bad, upper = _texts(_in(numbers, "bad_rounds")), number(numbers, "bad_upper")
    strata = rows_of(found.get("strata"))
    return [
        Answer("A", "Is every value of NEW possible?", _verdict(found, "validity"), tuple(_violations(found))),
        Answer("B", "Is there Lua data for enough rounds?", _verdict(found, "coverage"), tuple(_coverage(numbers))),
        Answer("C", "Are the differences inside of the margin?", _verdict(found, "bias"), tuple(_bias(found, numbers))),
        Answer(
            "D",
            "Are bad rounds rare?",
            _verdict(found, "tails"),
            (
                f"bad rounds: {_listed(bad) or 'none'}; upper bound of their share {share(upper)}, required"
                f" at most {d.SWITCH_TAIL:.0%}",
                *_players(numbers),
            ),
        ),
        Answer("E", "Is each stratum inside of the margin?", _strata_verdict(strata), tuple(_strata(strata))),
    ]


def figures(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The plain figures that the plan asks for, which decide nothing: name and value."""
    numbers = found.get("numbers")
    any_lua, total = number(numbers, "rounds_with_any_lua"), number(numbers, "rounds")
    told = [
        (
            "rounds with Lua data",
            f"{_of(any_lua, total)} ({share(any_lua / total) if any_lua is not None and total else 'no rounds'});"
            f" the plan's target is more than {st.COVERAGE:.0%}",
        )
    ]
    if number(numbers, "mean_s") is not None:
        mean, median, trimmed = (number(numbers, f"{name}_s") for name in ("mean", "median", "trimmed_mean"))
        told += [
            ("NEW − OLD, rounds", f"mean {seconds(mean)}, median {seconds(median)}, trimmed mean {seconds(trimmed)}"),
            (
                "NEW − OLD, players",
                f"mean {seconds(number(numbers, 'row_mean_s'))}, median {seconds(number(numbers, 'row_median_s'))}",
            ),
            (
                "NEW − OLD, matches",
                f"{seconds(number(numbers, 'match_estimate_s'))} in {_count(numbers, 'matches')} matches (R1 and R2 together)",
            ),
            ("Bland-Altman limits", f"{limits(numbers)} rounds, {limits(numbers, 'row_')} players (description only)"),
            ("spread", f"{_count(numbers, 'sessions')} evenings, {_count(numbers, 'maps')} maps"),
        ]
    return told


def limits(numbers: Any, kind: str = "") -> str:
    """The Bland-Altman limits of rounds, or with ``kind`` "row_" of the single pairs."""
    low, high = (number(numbers, f"{kind}limits_{end}_s") for end in ("low", "high"))
    return f"{seconds(low)} to {seconds(high)}"


def not_compared(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What takes no part, largest first: reason, how many, meaning ("" for a reason that is not known here)."""
    counts = found.get("counts")
    told = []
    for name in counts if isinstance(counts, Mapping) else ():
        reason = str(name).removeprefix("left out: ")
        told.append((-(number(counts, name) or 0), reason, _count(counts, name), NOT_COMPARED.get(reason, "")))
    return [(reason, many, meaning) for _, reason, many, meaning in sorted(told)]


def settles(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each code with what would settle it."""
    codes = found.get("codes")
    return [(str(code), str(text)) for code, text in codes.items()] if isinstance(codes, Mapping) else []


def outcome(row: Mapping[str, str]) -> str:
    """What a row of ``decision.table`` decides."""
    return f"{DECISIONS.get(row['decision'], row['decision'])} ({row['remark']})"


def condition(row: Mapping[str, str]) -> str:
    """A row of ``decision.table`` as the condition under which it applies."""
    parts = [CONDITIONS.get((column, row[column]), row[column]) for column in "ABCD"]
    return ", ".join(part for part in parts if part).replace(", or ", " or ")


def _verdict(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) and value else UNKNOWN


def _in(values: Any, name: str) -> Any:
    return values.get(name) if isinstance(values, Mapping) else None


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - LISTED} more" if len(texts) > LISTED else ""
    return ", ".join(texts[:LISTED]) + more


def _count(values: Any, name: str) -> str:
    value = number(values, name)
    return UNKNOWN if value is None else f"{value:.0f}"


def _of(part: float | None, whole: float | None) -> str:
    return " of ".join(UNKNOWN if value is None else f"{value:.0f}" for value in (part, whole))


def _violations(found: Mapping[str, Any]) -> Iterable[str]:
    told = _texts(found.get("violations"))
    # A record holds the first ones only, and how many there were.
    many = int(number(found, "violation_count") or len(told))
    yield from told[:LISTED]
    if many > min(len(told), LISTED):
        yield f"and {many - min(len(told), LISTED)} more"
    if not told:
        yield "no impossible value" if _verdict(found, "validity") == d.OK else "what is impossible is not recorded"


def _coverage(numbers: Any) -> Iterable[str]:
    covered, total = number(numbers, "rounds_covered"), number(numbers, "rounds")
    plain = number(numbers, "coverage_plain")
    yield (
        f"{_of(covered, total)} rounds ({share(plain) if total else 'no rounds'}) have it for {MIN_SHARE:.0%} of their players;"
        f" lower bound {share(number(numbers, 'coverage_lower'))}, required more than {st.COVERAGE:.0%}"
    )
    yield f"{_of(number(numbers, 'rows_covered'), number(numbers, 'rows'))} rows (players in rounds) have it"


def _bias(found: Mapping[str, Any], numbers: Any) -> Iterable[str]:
    margin = number(numbers, "margin_s")
    yield (
        f"{_count(numbers, 'rounds_usable')} usable rounds, {_count(numbers, 'pairs')} pairs;"
        f" margin {'unknown' if margin is None else f'±{margin:g} s'}"
    )
    for look in rows_of(found.get("looks")):
        low, high = (number(look, name) for name in ("low_s", "high_s"))
        factor = number(look, "factor")
        yield (
            f"look at {_count(look, 'rounds')} rounds: {seconds(number(look, 'estimate_s'))} [{_end(low)}, {_end(high)}],"
            f" {_count(look, 'evenings')} evenings (×{UNKNOWN if factor is None else f'{factor:.2f}'}): {look.get('verdict')}"
        )


def _end(value: float | None) -> str:
    """A bound in seconds; an interval of few rounds has none."""
    return "unbounded" if value is None else f"{value:+.1f}"


def _players(numbers: Any) -> Iterable[str]:
    by_player = _in(numbers, "largest_by_player_s")
    if isinstance(by_player, Mapping) and by_player:
        worst = sorted(((number(by_player, name) or 0.0, str(name)) for name in by_player), reverse=True)
        yield "largest difference of a player: " + ", ".join(f"{name} {value:.0f} s" for value, name in worst[:5])


def _strata_verdict(strata: Sequence[Mapping[str, Any]]) -> str:
    if not strata:
        return UNKNOWN
    return d.FAIL if any(part.get("blocks") for part in strata) else d.PASS


def _strata(strata: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    outside = [part for part in strata if part.get("blocks")]
    for part in outside[:LISTED] or strata[:1]:
        word = "outside of the margin" if outside else "the widest"
        yield f"{word}: {part.get('stratum')}, {seconds(number(part, 'median_s'))} in {_count(part, 'rounds')} rounds"
    if not strata:
        yield "no usable round"
