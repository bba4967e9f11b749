"""The decision of Phase 5: validity of NEW, coverage, bias, tails and strata, and what they allow together (gates.md 4)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils.webhook_version import has_one_clock

from python_checks.shadow import figures, looks, plots
from python_checks.shadow import statistics as st
from python_checks.shadow.independence import COPIED, UNKNOWN, origin
from python_checks.shadow.pairs import MEASURED, Pair, Round, Sample

MARGIN_S = 5.0
"""Dead time: two values that differ by less may be shown for each other. Not below 3 s, half of OLD's step."""
MIN_MARGIN_S = 3.0
TAIL_S = 15.0
TAIL_SHARE = 0.10
BAD_PAIRS = 0.20
SWITCH_TAIL, DELETE_TAIL = 0.20, 0.10
CAME_BACK_ROWS, CAME_BACK_SHARE = 2, 0.02
"""So many rows, or so many of all with a Lua value, may be people who came back near the end: a reconnect in one row of fifty, and in the
last quarter of the half (so much of it are people dead), are one in two hundred. More is a webhook that counts on for who has left."""
UNIT_FACTORS = (60.0, 1 / 60, 1000.0, 1 / 1000, 60000.0)

OK, BAD = "ok", "bad"
PASS, FAIL, UNSURE = "pass", "fail", "inconclusive"

MAY_SWITCH = "may_show_new_only"
MAY_DELETE = "may_delete_old"
EXPLAIN = "cutover_only_with_shown_causes"
KEEP_DUAL = "keep_dual"
INVESTIGATE = "keep_dual_investigate_coverage"
ROLL_BACK = "stop_and_roll_back"

DECISIONS = (
    (
        "ok",
        "pass",
        st.EQUIVALENT,
        f"upper <= {SWITCH_TAIL:.0%}",
        MAY_SWITCH,
        "reversible; watch one session with OLD computed silently",
    ),
    ("ok", "pass", st.EQUIVALENT, f"upper <= {DELETE_TAIL:.0%}", MAY_DELETE, "irreversible, a phase of its own"),
    (
        "ok",
        "pass",
        st.DIFFERENT,
        "any",
        EXPLAIN,
        "no pass; each stratum's cause shown, the rest equivalent, a named approver",
    ),
    ("ok", "pass", st.INCONCLUSIVE, f"or > {SWITCH_TAIL:.0%}", KEEP_DUAL, "play the rounds that are named"),
    ("ok", "inconclusive", "any", "any", KEEP_DUAL, "play the rounds that are named"),
    ("ok", "fail", "any", "any", INVESTIGATE, "the bias is reported and has no force"),
    ("bad", "any", "any", "any", ROLL_BACK, "NEW itself is impossible: roll the producer back"),
)
"""The decision table: validity (A), coverage (B), bias (C), tails (D), decision, remark."""

_SETTLE = {
    "NO_DATA": (
        "play rounds with a webhook from 1.6.3 on, or with the one that is shipped (roles/lua_release/files/README.md), and let the"
        " gametime files be ingested"
    ),
    COPIED: "NEW repeats OLD's values: find out where it is copied; only raw lua_spawn_stats count",
    UNKNOWN: "too few players with dead time to tell NEW from a copy of OLD: play rounds in which people die",
    "LINK_AMBIGUOUS": "repair Lua rows that are linked to one round more than once",
    "CAME_BACK_OFTEN": (
        "more people are dead for longer than they played than can have come back: find out whether the webhook counts on for who leaves"
        " team or server; once it does not, begin anew with a later first day (timing_shadow_since, --since)"
    ),
    "MIXED_VERSION": "begin the window with the first round of one webhook version",
    "WINDOW_CUT": "more rounds since the first day than are compared: begin anew with a later one (timing_shadow_since, --since)",
    "CLOCK_SKEW": "duration and unix span of a round differ: bring the clocks together, or find what set the server's clock",
}


@dataclass
class Report:
    """Everything that was computed. ``verdict`` is what may be relied on; ``bias`` is the verdict of the differences alone."""

    verdict: str
    decision: str
    validity: str
    coverage: str
    bias: str
    tails: str
    codes: dict[str, str]
    numbers: dict[str, Any]
    violations: list[str] = field(default_factory=list)
    strata: list[dict[str, Any]] = field(default_factory=list)
    looks: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    plots: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 may switch, 1 different, bad or coverage too low, 3 inconclusive."""
        if self.decision in (MAY_SWITCH, MAY_DELETE):
            return 0
        return 1 if self.decision in (ROLL_BACK, EXPLAIN, INVESTIGATE) else 3


def decide(data: Sample, margin_s: float = MARGIN_S) -> Report:
    """Judge a sample. ``margin_s`` is written down before looking; below 3 s it is refused with ValueError."""
    if margin_s < MIN_MARGIN_S:
        raise ValueError(f"a margin of {margin_s:g} s is below {MIN_MARGIN_S:g} s, half of OLD's step of 6 s")
    codes: dict[str, str] = {}
    violations, unit = _validity(data, codes)
    coverage, numbers = _coverage(data, codes)
    if data.codes["COPIED"] and coverage != PASS:
        codes["NOT_INDEPENDENT"] = _SETTLE[COPIED]
    source = origin(pair.both_s for pair in data.pairs)
    looked = looks.at_planned(data.usable, margin_s, source)
    strata = looks.strata(data.usable, margin_s)
    bias = _bias(data, looked, strata, margin_s, codes, source)
    tails, tail_upper = _tails(data, numbers, codes)
    numbers |= figures.of(data)
    if data.is_cut:
        codes["WINDOW_CUT"] = _SETTLE["WINDOW_CUT"]
    if bias == st.EQUIVALENT and ("WIDE_CI" in codes or data.is_cut):
        bias = st.INCONCLUSIVE
    validity = BAD if violations else OK
    decision = _decision(validity, coverage, bias, tail_upper)
    verdict = bias
    if validity == BAD:
        verdict = st.INCONCLUSIVE if bias != st.DIFFERENT else bias
    elif bias == st.EQUIVALENT and decision not in (MAY_SWITCH, MAY_DELETE):
        verdict = st.INCONCLUSIVE
    if unit:
        codes["UNIT_SUSPECT"] = "the ratio of NEW to OLD is a unit's factor: find the wrong unit before anything else"
    return Report(
        verdict,
        decision,
        validity,
        coverage,
        bias,
        tails,
        codes,
        {"margin_s": margin_s, **numbers},
        violations,
        strata,
        looked,
        dict(data.codes + Counter({f"left out: {k}": v for k, v in data.left_out.items()})),
        plots.of(data, numbers["bad_rounds"]),
    )


def _decision(validity: str, coverage: str, bias: str, tail_upper: float) -> str:
    if validity == BAD:
        return ROLL_BACK
    if coverage == FAIL:
        return INVESTIGATE
    if coverage != PASS:
        return KEEP_DUAL
    if bias == st.DIFFERENT:
        return EXPLAIN
    if bias == st.EQUIVALENT and tail_upper <= DELETE_TAIL:
        return MAY_DELETE
    if bias == st.EQUIVALENT and tail_upper <= SWITCH_TAIL:
        return MAY_SWITCH
    return KEEP_DUAL


def _validity(data: Sample, codes: dict[str, str]) -> tuple[list[str], bool]:
    """Step A: NEW by itself. Each violation as a sentence, and whether a unit is suspect."""
    told = []
    for one in data.rounds:
        for row in one.rows:
            if row.code == "NEW_IMPOSSIBLE":
                told.append(
                    f"round {one.round_id}, player {row.player}: {_s(row.new_s)} dead in {_s(row.played_s)} played"
                )
        if one.duration_s is not None and has_one_clock(one.version):
            if one.duration_s <= 0:
                told.append(f"round {one.round_id}: measured duration {one.duration_s:g} s")
            elif one.span_s is not None and abs(one.duration_s - (one.span_s - one.pause_s)) >= 2:
                codes["CLOCK_SKEW"] = _SETTLE["CLOCK_SKEW"]
                told.append(
                    f"round {one.round_id}: measured duration {one.duration_s:g} s against {one.span_s:g} s from start to end less "
                    f"{one.pause_s:g} s paused"
                )
    back, measured = data.codes["CAME_BACK"], sum(one.covered for one in data.rounds)
    if back > max(CAME_BACK_ROWS, CAME_BACK_SHARE * measured):
        codes["CAME_BACK_OFTEN"] = _SETTLE["CAME_BACK_OFTEN"]
        told.append(
            f"{back} of {measured} rows: dead for longer than played, of people who were not there all the time; allowed are"
            f" {CAME_BACK_ROWS}, or {CAME_BACK_SHARE:.0%}"
        )
    ratios = [
        row.new_s / row.old_s
        for one in data.rounds
        for row in one.rows
        if row.old_s and row.new_s and row.code in ("", *MEASURED)
    ]
    unit = False
    if len(ratios) >= 4:
        middle = st.median(ratios)
        factor = next((f for f in UNIT_FACTORS if abs(middle / f - 1) <= 0.05), None)
        if factor is not None:
            unit = True
            told.append(
                f"NEW is {middle:.4g} times OLD in the middle of {len(ratios)} rows, a unit's factor of {factor:g}"
            )
    return told, unit


def _coverage(data: Sample, codes: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Step B: rounds in which at least 80 % of the players have Lua data of their own."""
    n, k = len(data.rounds), sum(1 for one in data.rounds if one.is_covered)
    low, high = st.lower_bound(k, n) if n else 0.0, st.upper_bound(k, n)
    rows = sum(len(one.rows) for one in data.rounds)
    numbers = {
        "rounds": n,
        "rounds_covered": k,
        "coverage_plain": round(k / n, 4) if n else None,
        "coverage_lower": round(low, 4),
        "coverage_upper": round(high, 4),
        "rows": rows,
        "rows_covered": sum(one.covered for one in data.rounds),
        "rounds_with_any_lua": sum(1 for one in data.rounds if one.covered),
        "rounds_usable": len(data.usable),
        "pairs": len(data.pairs),
    }
    if n == 0:
        codes["NO_DATA"] = _SETTLE["NO_DATA"]
        return UNSURE, numbers
    if low > st.COVERAGE:
        return PASS, numbers
    if high < st.COVERAGE:
        codes["COVERAGE_LOW"] = (
            f"{k} of {n} rounds are covered: find out why Lua data is missing, more rounds will not mend it"
        )
        return FAIL, numbers
    more = st.needed_rounds(n - k) - n
    numbers["rounds_needed_for_coverage"] = max(1, more)
    codes["COVERAGE_UNSURE"] = (
        f"{k} of {n} rounds are covered (lower bound {low:.2f}): play {max(1, more)} more rounds, all covered"
    )
    return UNSURE, numbers


def _bias(
    data: Sample,
    looked: list[dict[str, Any]],
    strata: list[dict[str, Any]],
    margin_s: float,
    codes: dict[str, str],
    source: str,
) -> str:
    usable = data.usable
    versions = sorted({one.version for one in usable})
    if data.codes["LINK_AMBIGUOUS"]:
        codes["LINK_AMBIGUOUS"] = f"{data.codes['LINK_AMBIGUOUS']} rows: {_SETTLE['LINK_AMBIGUOUS']}"
    if source == COPIED:
        codes["NOT_INDEPENDENT"] = _SETTLE[COPIED]
    if not looked:
        if data.rounds:
            codes["TOO_FEW_ROUNDS"] = (
                f"{len(usable)} usable rounds: play {st.LOOKS[0] - len(usable)} more with Lua data"
            )
        return st.INCONCLUSIVE
    last = looked[-1]
    verdict: str = last["verdict"]
    if len(versions) > 1:
        codes["MIXED_VERSION"] = f"webhook versions {', '.join(versions)}: {_SETTLE['MIXED_VERSION']}"
        if verdict == st.EQUIVALENT:
            verdict = st.INCONCLUSIVE
    blocked = [s for s in strata if s["blocks"]]
    if blocked:
        names = ", ".join(f"{s['stratum']} ({s['median_s']:+.1f} s in {s['rounds']} rounds)" for s in blocked)
        codes["STRATUM_OUTSIDE"] = f"outside of ±{margin_s:g} s: {names}; find the cause"
        if verdict == st.EQUIVALENT:
            verdict = st.INCONCLUSIVE
    codes |= last["lacking"] if verdict == st.INCONCLUSIVE else {}
    tempting = last["flat"] or last["interval_verdict"] == st.EQUIVALENT
    if last["source"] == COPIED or (last["source"] == UNKNOWN and tempting):
        codes["NOT_INDEPENDENT"] = _SETTLE[last["source"]]
    if last["verdict"] == st.INCONCLUSIVE:
        codes |= looks.ahead(last, len(usable), margin_s)
    if st.is_skewed([one.difference_s for one in usable], margin_s):
        codes["WIDE_CI"] = looks.SKEWED
    return st.INCONCLUSIVE if last["source"] == COPIED else verdict


def _tails(data: Sample, numbers: dict[str, Any], codes: dict[str, str]) -> tuple[str, float]:
    """Step D: rounds with impossible values or many pairs far off, which a median does not see."""
    judged = [one for one in data.rounds if one.usable or any(row.code == "NEW_IMPOSSIBLE" for row in one.rows)]
    bad = [one for one in judged if _is_bad(one)]
    upper = st.upper_bound(len(bad), len(judged))
    per_player: dict[str, float] = {}
    for pair in data.pairs:
        per_player[pair.player] = max(per_player.get(pair.player, 0.0), abs(pair.difference_s))
    numbers |= {
        "bad_rounds": [one.round_id for one in bad],
        "bad_upper": round(upper, 4),
        "largest_by_player_s": dict(sorted(per_player.items(), key=lambda item: -item[1])),
    }
    if upper <= SWITCH_TAIL:
        return PASS, upper
    more = next((n for n in range(len(judged), 1000) if st.upper_bound(len(bad), n) <= SWITCH_TAIL), 1000) - len(judged)
    codes["TAIL_UNSURE"] = (
        f"{len(bad)} of {len(judged)} rounds are bad (upper bound {upper:.0%}): play {more} more rounds without a bad one"
    )
    return UNSURE, upper


def _is_bad(one: Round) -> bool:
    if any(row.code == "NEW_IMPOSSIBLE" for row in one.rows):
        return True
    far = sum(1 for pair in one.pairs if abs(pair.difference_s) > tail_s(pair))
    return far > BAD_PAIRS * len(one.pairs)


def tail_s(pair: Pair) -> float:
    """T: from where on a single pair is far off, in seconds."""
    return max(TAIL_S, TAIL_SHARE * (pair.played_s or 0))


def _s(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g} s"


def table(decision: str, coverage: str) -> list[dict[str, str]]:
    """The decision table with the row that applies marked. ``coverage`` tells the two rows that keep dual apart."""
    rows = []
    for validity, needed, bias, tails, outcome, remark in DECISIONS:
        hit = decision == outcome and (decision != KEEP_DUAL or (needed == UNSURE) == (coverage != PASS))
        rows.append(
            {
                "": ">" if hit else "",
                "A": validity,
                "B": needed,
                "C": bias,
                "D": tails,
                "decision": outcome,
                "remark": remark,
            }
        )
    return rows
