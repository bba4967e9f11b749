"""Data that looks right and is not, one line of gates.md 4 each; where the guard is one function, without it the data would pass."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils.webhook_version import has_one_clock
from hypothesis import given, settings
from hypothesis import strategies as hs

from python_checks.shadow import decision as d
from python_checks.shadow import independence as ind
from python_checks.shadow import looks, pairs
from python_checks.shadow import statistics as st
from python_checks.shadow.pairs import sample
from python_checks.tests.shadow.helpers import rows

Rows = list[dict[str, Any]]
UNMARKED = ("lua_rows", "fallback_reason")


def judge(data: Rows) -> d.Report:
    return d.decide(sample(data))


def copied(data: Rows, when: Callable[[int, dict[str, Any]], bool], shift_s: int = 0) -> Rows:
    """NEW := OLD (+ shift) where ``when`` says so, without any note of it."""
    told = [{key: value for key, value in row.items() if key not in UNMARKED} for row in data]
    for number, row in enumerate(told):
        row["lua_version"] = "1.7.0"
        if when(number, row):
            row["new_dead_s"] = row["old_dead_s"] + shift_s
    return told


def believe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the guard: whatever NEW holds was measured."""
    monkeypatch.setattr(pairs, "is_copied_round", lambda values: False)
    for module in (d, looks):
        monkeypatch.setattr(module, "origin", lambda values: ind.INDEPENDENT)


COPIES: dict[str, Rows] = {
    "every second player": copied(rows(24), lambda i, row: i % 2 == 0),
    "every third player": copied(rows(24), lambda i, row: i % 3 == 0),
    "the first twelve rounds of many": copied(rows(120), lambda i, row: row["round_id"] <= 12 and i % 2 == 0),
    "the later rounds": copied(rows(120), lambda i, row: row["round_id"] > 24 and i % 2 == 0),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_for_single_players_are_no_agreement(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    report = judge(COPIES[name])
    assert report.verdict == st.INCONCLUSIVE and report.decision == d.KEEP_DUAL
    assert "find out where it is copied" in report.codes["NOT_INDEPENDENT"]
    believe(monkeypatch)
    assert judge(COPIES[name]).verdict == st.EQUIVALENT


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("players", [4, 10])
@pytest.mark.parametrize("every", [1, 3])
def test_copied_rounds_are_not_covered(every: int, players: int, shift: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = copied(rows(24, players=players), lambda i, row: row["round_id"] % every == 0, shift)
    report = judge(data)
    assert report.coverage != "pass" and report.verdict == st.INCONCLUSIVE and report.exit_code != 0
    assert report.counts["COPIED"] >= 24 // every * players and "copied" in report.codes["NOT_INDEPENDENT"]
    believe(monkeypatch)
    assert judge(data).verdict == st.EQUIVALENT


@settings(max_examples=60, deadline=None)
@given(hs.integers(0, 10_000), hs.integers(2, 7), hs.sampled_from((0.0, 4.0, 8.0)), hs.sampled_from((16, 24, 40)))
def test_low_coverage_with_copies_is_never_equivalent(seed: int, covered: int, bias: float, count: int) -> None:
    """Copied where Lua data is missing, marked as the bot's files mark it or not at all."""
    data = rows(count, covered=covered / 10, copy=True, bias_s=bias, seed=seed)
    lost = [row["lua_rows"] == 0 for row in data]
    for report in (judge(data), judge(copied(data, lambda i, row: lost[i]))):
        assert report.verdict != st.EQUIVALENT and report.exit_code != 0


def test_measurements_are_not_taken_for_copies() -> None:
    """With all noise there is: none, so that OLD is NEW rounded to its step, as well as much."""
    for players, sd in itertools.product((4, 10), (0.0, 1.0, 4.0)):
        for seed in range(20):
            found = sample(rows(24, players=players, sd_s=sd, seed=seed))
            assert ind.origin(pair.both_s for pair in found.pairs) == ind.INDEPENDENT
            assert found.codes["COPIED"] <= players
    draw = random.Random(5)
    wrong = 0
    for _ in range(2000):
        true = [draw.randint(10, 200) for _ in range(40)]
        values = [(6 * round(value / 6), value) for value in true]
        assert ind.origin(values) != ind.COPIED
        wrong += ind.is_copied_round(values[:4])
    assert wrong <= 20, "one in two hundred by chance"


def test_nobody_dead_proves_nothing() -> None:
    report = judge(rows(24, old_dead_s=0, new_dead_s=0))
    assert report.verdict == st.INCONCLUSIVE and "tell NEW from a copy" in report.codes["NOT_INDEPENDENT"]
    assert ind.origin([]) == ind.UNKNOWN


@pytest.mark.parametrize("factor", [60, 1 / 60, 1000, 1 / 1000, 60000])
def test_a_wrong_unit_of_old_is_one_too(factor: float) -> None:
    report = judge([dict(row, old_dead_s=row["new_dead_s"] / factor) for row in rows(24)])
    assert "UNIT_SUSPECT" in report.codes and report.decision == d.ROLL_BACK


@pytest.mark.parametrize("ratio", [1.1, 50, 1 / 50, 1 / 900])
def test_a_bias_is_no_unit(ratio: float) -> None:
    report = judge([dict(row, new_dead_s=row["old_dead_s"] * ratio, played_s=10**6) for row in rows(24)])
    assert "UNIT_SUSPECT" not in report.codes and report.verdict != st.EQUIVALENT


def test_old_cut_down_to_the_played_time_is_not_compared() -> None:
    data = rows(24)
    for row in data[:10]:
        row["old_dead_s"], row["new_dead_s"] = row["played_s"], row["played_s"] - 4
    report = judge(data)
    assert report.counts["OLD_CLAMPED"] == 10 and report.numbers["rounds_usable"] == 23
    assert report.numbers["rounds_covered"] == 24, "NEW is there all the same"


@pytest.mark.parametrize(("over", "validity"), [(0, "ok"), (6, "ok"), (7, "bad")])
def test_dead_longer_than_played_by_a_step_of_old(over: int, validity: str) -> None:
    """The played time comes in OLD's steps of 6 s, so that much is no proof."""
    data = rows(24)
    for played, duration in ((900, 900), (811, 900), (60, "")):
        data[0].update(played_s=played, duration_s=duration, new_dead_s=played + over)
        assert judge(data).validity == validity, "he was there all the time, or nobody knows"


def came_back(data: Rows, many: int, *, per_round: int = 1, **columns: Any) -> Rows:
    """So many players have come back to R2 for its last minute: raw counters of 60 s, and 95 s dead in the whole round."""
    at = [i for i, row in enumerate(data) if row["round_number"] == 2 and i % 10 < per_round]
    for i in at[:many]:
        data[i].update({"played_s": 60, "old_dead_s": 60, "new_dead_s": 95, **columns})
    return data


def test_who_came_back_is_not_compared_and_stops_nothing() -> None:
    plain, report = judge(rows(24)), judge(came_back(rows(24), 1))
    assert (report.validity, report.violations, report.counts) == ("ok", [], {"CAME_BACK": 1})
    assert (report.decision, report.verdict) == (plain.decision, st.EQUIVALENT)
    assert report.numbers["rounds_covered"] == 24 and report.numbers["pairs"] == plain.numbers["pairs"] - 1


@pytest.mark.parametrize(("new", "validity"), [(906, "ok"), (907, "bad"), (95 * 60, "bad"), (95_000, "bad")])
def test_nobody_is_dead_for_longer_than_the_round(new: int, validity: str) -> None:
    report = judge(came_back(rows(24), 1, new_dead_s=new))
    assert (report.validity, report.counts) == (validity, {"CAME_BACK" if validity == "ok" else "NEW_IMPOSSIBLE": 1})


@pytest.mark.parametrize(("rounds", "many", "validity"), [(24, 4, "ok"), (24, 5, "bad"), (8, 2, "ok"), (8, 3, "bad")])
@pytest.mark.parametrize("per_round", [1, 2])
def test_a_webhook_that_counts_on_for_who_leaves_is_not_taken_for_people_who_come_back(
    rounds: int, many: int, validity: str, per_round: int
) -> None:
    report = judge(came_back(rows(rounds), many, per_round=per_round, new_dead_s=700))
    assert report.counts["CAME_BACK"] == many and report.validity == validity
    assert ("CAME_BACK_OFTEN" in report.codes, report.decision == d.ROLL_BACK) == (validity == "bad",) * 2


@pytest.mark.parametrize("leave_early", [0, 1, 3])
def test_two_clocks_do_not_pass(leave_early: int) -> None:
    """NEW is the time from the last death to the round's end (webhooks up to 1.6.2), whoever is there at the end."""
    draw = random.Random(7)
    data = rows(24)
    for i, row in enumerate(data):
        row["played_s"] = draw.randint(240, 500) if i % 10 < leave_early else 895
        row["old_dead_s"] = 6 * draw.randint(5, 20)
        row["new_dead_s"] = 900 - round(draw.uniform(0.3, 0.95) * row["played_s"])
    report = judge(data)
    assert report.verdict != st.EQUIVALENT and report.exit_code != 0
    assert report.validity == ("bad" if leave_early else "ok"), "without a leaver the differences tell it"


def test_milliseconds_of_new_and_duration_are_no_comeback() -> None:
    """Measured against a duration in the same wrong unit, nobody was there for the whole round."""
    data = rows(24, duration_s=900_000, span_s="")
    report = judge([dict(row, new_dead_s=row["new_dead_s"] * 1000) for row in data])
    assert report.counts["CAME_BACK"] > 200 and report.validity == "bad"
    assert {"CAME_BACK_OFTEN", "UNIT_SUSPECT"} <= set(report.codes)


def test_a_duration_counts_without_spawn_rows_too() -> None:
    data = [dict(row, new_dead_s="", lua_rows=0) if row["round_id"] == 3 else row for row in rows(24)]
    assert judge(data).validity == "ok"
    for row in data:
        if row["round_id"] == 3:
            row["duration_s"] = 700
    report = judge(data)
    assert report.validity == "bad" and "CLOCK_SKEW" in report.codes and "round 3" in report.violations[0]


def skewed(count: int) -> Rows:
    """Seven of the first 24 rounds, spread over evenings and maps, are 9 s off and the others -2 s: the interval holds, mean and
    median lie apart. Even rounds after them."""
    data = rows(count, sd_s=0.1, seed=3, players=40)
    for row in data:
        row["new_dead_s"] += 9 if row["round_id"] in (1, 6, 9, 12, 15, 20, 22) else -2
        row["played_s"] += 60
    return data


@pytest.mark.parametrize("count", [24, 100])
def test_skewed_first_rounds_stay_undecided(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    report = judge(skewed(count))
    assert report.verdict == st.INCONCLUSIVE and "half of the margin apart" in report.codes["WIDE_CI"]
    monkeypatch.setattr(st, "is_skewed", lambda values, margin: False)
    assert judge(skewed(count)).verdict == st.EQUIVALENT


def test_skewed_later_rounds_count_too() -> None:
    data = rows(100)
    assert judge(data).verdict == st.EQUIVALENT
    for row in data:
        if row["round_id"] > 24:
            row["new_dead_s"] += 12 if row["round_id"] % 3 == 0 else -2
            row["played_s"] += 60
    report = judge(data)
    assert report.verdict == st.INCONCLUSIVE and list(report.codes) == ["WIDE_CI"]


def test_a_window_that_was_cut_is_undecided() -> None:
    """Other rounds would be the first ones tomorrow."""
    data = rows(24)
    data[7]["is_cut"] = "t"
    report = judge(data)
    assert report.verdict == st.INCONCLUSIVE and list(report.codes) == ["WINDOW_CUT"]


def test_copies_are_no_difference_either() -> None:
    report = judge(copied(rows(24, bias_s=20), lambda i, row: i % 2 == 0, 21))
    assert report.looks[-1]["interval_verdict"] == st.DIFFERENT
    assert (report.verdict, report.decision) == (st.INCONCLUSIVE, d.KEEP_DUAL)


def test_a_value_without_a_lua_row_is_not_from_lua() -> None:
    report = judge(rows(24, lua_rows=0))
    assert report.counts == {"FALLBACK": 240} and report.coverage == "fail"


def test_a_duration_of_nothing_is_impossible_without_a_span_too() -> None:
    assert judge(rows(24, span_s="")).validity == "ok"
    assert judge(rows(24, span_s="", duration_s=0)).validity == "bad"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("R2", {"round_number": 2}),
        ("map oasis", {"map": "oasis"}),
        ("end surrender", {"end_reason": "surrender"}),
        ("paused", {"pause_s": 20, "span_s": 620}),
        ("late or back", {"reconnected": "true"}),
        ("late or back", {"played_s": 539}),
    ],
)
@pytest.mark.parametrize("many", [3, 4])
def test_each_stratum_of_four_rounds_blocks(name: str, change: dict[str, Any], many: int) -> None:
    off = (2, 9, 16, 23)[:many]
    data = rows(24, played_s=600, duration_s=600, span_s=600)
    for row in data:
        if name == "R2":
            row["round_number"] = 1 if row["round_id"] % 5 else 2
            if many == 3 and row["round_id"] == 20:
                row["round_number"] = 1
        if row["round_id"] in off if name != "R2" else row["round_number"] == 2:
            row.update(change)
            row["new_dead_s"] += 9
    report = judge(data)
    part = next(part for part in report.strata if part["stratum"] == name)
    assert (part["rounds"], part["blocks"]) == (many, many == 4)
    assert (name in report.codes.get("STRATUM_OUTSIDE", "")) == (many == 4)
    if many == 4:
        assert report.verdict == st.INCONCLUSIVE


@pytest.mark.parametrize("shift", [9, -9])
@pytest.mark.parametrize("count", [24, 60])
def test_later_rounds_do_not_mend_a_stratum(count: int, shift: int) -> None:
    """The look holds its own rounds' strata against the margin, on both sides."""
    data = rows(count)
    for row in data:
        if row["round_id"] in (2, 9, 16, 23) or row["round_id"] > 24:
            row["end_reason"] = "surrender"
        if row["round_id"] in (2, 9, 16, 23):
            row["new_dead_s"] += shift
            row["played_s"] += 60
    report = judge(data)
    assert report.verdict == st.INCONCLUSIVE and "end surrender" in report.looks[-1]["blocked_by"]
    assert ("STRATUM_OUTSIDE" in report.codes) == (count == 24)


def test_rounds_with_clamped_rows_are_a_stratum() -> None:
    data = rows(24)
    for row in data:
        if row["round_id"] in (2, 9, 16, 23):
            row["new_dead_s"] += 9
            row["played_s"] += 60
            if int(row["player_guid"], 16) % 100 == 0:
                row["old_dead_s"] = row["played_s"]
    assert "OLD clamped" in judge(data).codes["STRATUM_OUTSIDE"]


@pytest.mark.parametrize(("lost", "usable"), [(2, 24), (3, 23)])
def test_a_round_stands_for_four_fifths_of_its_players(lost: int, usable: int) -> None:
    data = rows(24)
    for row in data[:lost]:
        row["new_dead_s"] = ""
    report = judge(data)
    assert report.numbers["rounds_usable"] == report.numbers["rounds_covered"] == usable


@pytest.mark.parametrize(
    ("far", "played", "seconds", "bad"),
    [(2, 600, 400, 0), (3, 600, 400, 1), (3, 600, 60, 0), (3, 600, 61, 1), (3, 100, 16, 1), (3, 100, 15, 0)],
)
def test_tails_by_the_letter(far: int, played: int, seconds: float, bad: int) -> None:
    """More than a fifth of the pairs, each further off than 15 s or a tenth of the played time."""
    data = rows(24)
    for number, row in enumerate(data[:10]):
        row.update(played_s=played, old_dead_s=12, new_dead_s=12 + (seconds if number < far else number % 6))
    assert len(judge(data).numbers["bad_rounds"]) == bad


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        ({"map": ""}, "STRATUM_GAP", "2 maps"),
        ({"session": ""}, "TOO_FEW_SESSIONS", "name the session of every round"),
    ],
)
def test_what_is_not_known_does_not_count_as_one_more(change: dict[str, Any], code: str, told: str) -> None:
    data = rows(24, per_session=8)
    for row in data:
        row["map"] = ("supply", "radar", "goldrush")[row["round_id"] % 3]
    assert judge(data).verdict == st.EQUIVALENT
    for row in data:
        if row["map"] == "goldrush" if "map" in change else row["session"] == "evening 2":
            row.update(change)
    report = judge(data)
    assert report.verdict == st.INCONCLUSIVE and told in report.codes[code]


def test_midnight_does_not_end_an_evening() -> None:
    """Where a site knows no gaming session, the day stands for it; 00:30 belongs to the evening before."""
    data = rows(24, per_session=8)
    for row in data:
        day, number = 10 + (row["round_id"] - 1) // 8, (row["round_id"] - 1) % 8
        late = number >= 4
        row["session"] = f"2026-03-{day + late}"
        row["played_at"] = f"2026-03-{day + late}-{'00' if late else '22'}{number:02d}00"
    assert {one.session for one in sample(data).rounds} == {"2026-03-10", "2026-03-11", "2026-03-12"}
    for row in data:
        row["session"] = (
            row["session"]
            if row["played_at"].startswith(row["session"] + "-2")
            else f"2026-03-{9 + (row['round_id'] + 7) // 8}"
        )
    assert {one.session for one in sample(data).rounds} == {"2026-03-10", "2026-03-11", "2026-03-12"}, "known already"
    for row in data:
        row["session"] = "7"
    assert {one.session for one in sample(data).rounds} == {"7"}


@pytest.mark.parametrize(
    ("version", "trusted"),
    [
        ("1.6.3", True),
        ("v1.7", True),
        ("2.0.0-rc1", True),
        ("1.6.3.1", True),
        ("1.6.0.1", True),
        ("1.6.0.2", False),
        ("1.6.2.9", False),
        ("1.6", False),
        ("Lua 5.4, webhook 1.6.0", False),
        ("Lua 5.4, webhook 1.7.0", False),
        ("17", False),
        ("", False),
    ],
)
def test_a_version_is_one_number(version: str, trusted: bool) -> None:
    assert has_one_clock(version) is trusted


def test_the_last_look_ends_it_whatever_was_missing() -> None:
    data = rows(24, map="supply")
    assert "begin a new experiment" in judge(data).codes["LOOKS_SPENT"]
    more = judge(data + [dict(row, round_id=row["round_id"] + 24, played_at=24) for row in rows(8)])
    assert more.verdict == st.INCONCLUSIVE, "other maps come too late for the planned rounds"


def test_two_long_evenings_decide_nothing() -> None:
    report = judge(rows(20, per_session=10))
    assert report.looks[-1]["evenings"] == 2 and report.looks[-1]["high_s"] is None
    assert report.verdict == st.INCONCLUSIVE and "play on 1 more" in report.codes["TOO_FEW_SESSIONS"]
    assert "WIDE_CI" not in report.codes, "more rounds on the same evenings would not settle it"


def test_evenings_apart_ask_for_evenings() -> None:
    data = rows(16, sd_s=0.3)
    for row in data:
        row["new_dead_s"] += (-3, 3, -3, 3)[(row["round_id"] - 1) // 4]
        row["played_s"] += 60
    assert "play them on new evenings" in judge(data).codes["WIDE_CI"]


@pytest.mark.parametrize(
    ("validity", "coverage", "bias", "upper"),
    list(
        itertools.product(
            (d.OK, d.BAD),
            (d.PASS, d.FAIL, d.UNSURE),
            (st.EQUIVALENT, st.DIFFERENT, st.INCONCLUSIVE),
            (0.05, 0.10, 0.15, 0.20, 0.21),
        )
    ),
)
def test_decision_table(validity: str, coverage: str, bias: str, upper: float) -> None:
    """Every combination; the first line of the table that fits, read from the last column's strictest bound on."""
    if validity == d.BAD:
        wanted = d.ROLL_BACK
    elif coverage != d.PASS:
        wanted = d.INVESTIGATE if coverage == d.FAIL else d.KEEP_DUAL
    else:
        equivalent = d.MAY_DELETE if upper <= 0.1 else d.MAY_SWITCH if upper <= 0.2 else d.KEEP_DUAL
        wanted = {st.EQUIVALENT: equivalent, st.DIFFERENT: d.EXPLAIN, st.INCONCLUSIVE: d.KEEP_DUAL}[bias]
    assert d._decision(validity, coverage, bias, upper) == wanted


BAD_ROUNDS: dict[str, dict[str, Any]] = {
    "no Lua data": {"new_dead_s": "", "lua_rows": 0, "lua_version": ""},
    "NEW := OLD, marked": {"fallback_reason": "lua_missing_for_round"},
    "an old webhook": {"lua_version": "1.6.2"},
    "linked twice": {"lua_rows": 2},
    "impossible": {"new_dead_s": 99_999},
    "clamped": {"fallback_reason": "lua_dead_capped_to_plausible_limit"},
    "no played time": {"played_s": 0},
    "cut": {"is_cut": True, "class": "cancelled"},
}
PERMITS = {d.ROLL_BACK: 0, d.MAY_SWITCH: 2, d.MAY_DELETE: 3}
"""What a decision permits; all that keep dual permit the same."""


@settings(max_examples=80, deadline=None)
@given(
    hs.integers(0, 10_000),
    hs.lists(hs.tuples(hs.sampled_from(sorted(BAD_ROUNDS)), hs.floats(-1, 40)), min_size=1, max_size=4),
    hs.sampled_from((8, 13, 16, 24, 32)),
    hs.sampled_from((0.0, 3.0, 4.0, 12.0)),
    hs.sampled_from((1.5, 4.0)),
)
def test_a_bad_round_never_improves_the_decision(
    seed: int, bad: list[tuple[str, float]], count: int, bias: float, sd: float
) -> None:
    data = rows(count, seed=seed, bias_s=bias, sd_s=sd)
    before = judge(data)
    for number, (name, when) in enumerate(bad):
        one = rows(1, seed=seed + number + 1)
        data += [{**row, "round_id": 1000 + number, "played_at": when, **BAD_ROUNDS[name]} for row in one]
    after = judge(data)
    assert PERMITS.get(after.decision, 1) <= PERMITS.get(before.decision, 1)
    assert before.verdict == st.EQUIVALENT or after.verdict != st.EQUIVALENT
    if any(name in ("impossible", "clamped") for name, _ in bad):
        assert after.decision == d.ROLL_BACK or before.numbers["rounds"] == 0


def test_matches_are_told_beside_the_rounds() -> None:
    """R1 and R2 that are off against each other cancel out in a match; a round without data breaks its match only."""
    data = rows(24, sd_s=0)
    for row in data:
        row["new_dead_s"] += 4 if row["round_number"] == 1 else -4
        row["played_s"] += 60
    numbers = judge(data).numbers
    assert numbers["matches"] == 12 and abs(numbers["match_estimate_s"]) < 1.5
    assert numbers["match_low_s"] < numbers["match_estimate_s"] < numbers["match_high_s"]
    for row in data[:10]:
        row["new_dead_s"] = ""
    assert judge(data).numbers["matches"] == 11
    assert judge(rows(24, map="supply")).numbers["matches"] == 12, "R2 and the next R1 are no match"
    few = judge(rows(4)).numbers
    assert few["matches"] == 2 and few["match_low_s"] is None
