"""What is shown against what the database says: right answers pass, each wrong formula is caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_checks.formulas import PlayerRound, session_metrics
from python_checks.shown_values import agrees, compare_graphs, compare_headshots, graphs_text, headshots_text

DAY = "2026-02-20"
ROWS = [
    {"day": DAY, "guid": "AA", "name": "Ana", "round_id": n, "damage_given": 3000, "damage_received": 1500}
    | {"time_played_seconds": 450, "time_dead_minutes": 1.5}
    for n in (1, 2)
] + [
    {"day": DAY, "guid": "BB", "name": "Bor", "round_id": 1, "damage_given": 0, "damage_received": 0}
    | {"time_played_seconds": 400, "time_dead_minutes": 30.5}
]
Formula = Callable[[int, int, float, float], tuple[float, float, float]]


def right(given: int, received: int, played_s: float, dead_min: float) -> tuple[float, float, float]:
    """The reference on one session, dead time capped as a whole (both players have one kind of round)."""
    halves = [PlayerRound(given, received, played_s, dead_min)]
    found = session_metrics(halves)
    return found.frag_potential, found.survival_rate, found.damage_efficiency


def answer(formula: Formula, digits: int = 1) -> dict[str, dict[str, Any]]:
    """The website's answer for ROWS if it computes by ``formula``."""
    shown = []
    for guid, name, numbers in (("AA", "Ana", (6000, 3000, 900, 3.0)), ("BB", "Bor", (0, 0, 400, 30.5))):
        frag, survival, efficiency = (round(value, digits) for value in formula(*numbers))
        metrics = {"frag_potential": frag, "survival_rate": survival, "damage_efficiency": efficiency}
        shown.append({"guid": guid, "name": name, "combat_offense": {"kills": 1}, "advanced_metrics": metrics})
    return {DAY: {"status": 200, "error": "", "body": {"date": DAY, "players": shown}}}


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_the_reference_is_equal(digits: int) -> None:
    sample = compare_graphs(ROWS, answer(right, digits))
    day = sample["days"][0]
    assert (day["status"], day["players"], day["compared"], day["unequal"], day["unmatched"]) == (200, 2, 6, 0, 0)
    assert "0 differ" in graphs_text(sample)


WRONG: dict[str, Formula] = {
    "a percentage": lambda g, r, p, d: (*right(g, r, p, d)[:2], 100 * g / (g + r) if g + r else 50),
    "dead time in seconds": lambda g, r, p, d: right(g, r, p, d / 60),
    "dead time is not capped": lambda g, r, p, d: (right(g, r, p, d)[0], 100 - 6000 * d / p, right(g, r, p, d)[2]),
    "damage per played minute": lambda g, r, p, d: (60 * g / p, *right(g, r, p, d)[1:]),
    "inverted": lambda g, r, p, d: (*right(g, r, p, d)[:2], r / max(1, g)),
    "a fraction": lambda g, r, p, d: (right(g, r, p, d)[0], right(g, r, p, d)[1] / 100, right(g, r, p, d)[2]),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_formula_is_caught(wrong: Formula) -> None:
    sample = compare_graphs(ROWS, answer(wrong))
    assert sample["days"][0]["unequal"] >= 1 and sample["differences"], sample


def test_dead_time_is_capped_in_each_half() -> None:
    rows = [{**ROWS[0], "time_dead_minutes": 30.5}, {**ROWS[1], "time_dead_minutes": 0.0}]
    body = answer(right)
    body[DAY]["body"]["players"][0]["advanced_metrics"] |= {"survival_rate": 50.0, "frag_potential": 800.0}
    assert compare_graphs(rows, body)["days"][0]["unequal"] == 0
    body[DAY]["body"]["players"][0]["advanced_metrics"]["survival_rate"] = 0.0
    assert compare_graphs(rows, body)["days"][0]["unequal"] == 1


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {DAY: {"status": 500, "error": "answered 500", "body": None}},
        {DAY: {"status": 200, "error": "", "body": {"players": []}}},
        {DAY: {"status": 200, "error": "", "body": {"players": [{"guid": "AA", "frag_potential": None}]}}},
        {DAY: {"status": 200, "error": "", "body": "text"}},
    ],
)
def test_what_is_not_shown_is_unmatched_never_equal(broken: dict[str, Any]) -> None:
    day = compare_graphs(ROWS, broken)["days"][0]
    assert day["unmatched"] == 6 and day["compared"] == 0


def test_players_without_a_guid_are_found_by_a_name_of_their_own() -> None:
    body = answer(right)
    for player in body[DAY]["body"]["players"]:
        del player["guid"]
    assert compare_graphs(ROWS, body)["days"][0]["compared"] == 6
    body[DAY]["body"]["players"][1]["name"] = "Ana"
    assert compare_graphs(ROWS, body)["days"][0]["unmatched"] == 6


@given(st.floats(-1e6, 1e6), st.integers(1, 3))
def test_agreement_is_rounding(value: float, digits: int) -> None:
    assert agrees(round(value, digits), value, digits)
    assert not agrees(round(value, digits) + 2.5 * 10**-digits, value, digits) or abs(value) > 1e3


TRUTH = [
    {"guid": "AA", "names": "Ana", "headshot_kills": 30, "kills": 1000, "rounds": 60},
    {"guid": "BB", "names": "Bor\nBor*old", "headshot_kills": 200, "kills": 800, "rounds": 55},
    {"guid": "CC", "names": "Cene", "headshot_kills": 9, "kills": 10, "rounds": 2},
]


def embed(*lines: str, title: str = "Headshot kill rate") -> dict[str, Any]:
    return {"status": 200, "error": "", "body": {"title": title, "description": "\n".join(lines)}}


BOR, ANA = "🥇 **Bor** - 25.0% HS (200 HS / 800 kills)", "2. **Ana** - 3.0% HS (30 HS / 1000 kills)"


def test_the_right_leaderboard() -> None:
    sample = compare_headshots(TRUTH, embed(BOR, ANA))
    assert [sample[key] for key in ("shown", "unequal", "unmatched", "unordered", "missing")] == [2, 0, 0, 0, []]
    assert "0 differ" in headshots_text(sample)
    assert compare_headshots(TRUTH, embed(BOR.replace("Bor", r"Bor\*old"), ANA))["unmatched"] == 0


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ((BOR.replace("25.0", "8.6"), ANA), "unequal"),
        ((BOR.replace("25.0", "50.0"), ANA), "unequal"),
        ((ANA, BOR), "unordered"),
        ((BOR.replace("Bor", "Nobody"), ANA), "unmatched"),
        ((ANA,), "missing"),
    ],
    ids=["kills over hits", "fan-out", "order", "unknown name", "the best is left out"],
)
def test_a_wrong_leaderboard_is_caught(lines: tuple[str, ...], key: str) -> None:
    truth = [{**row, "rounds": 60, "kills": max(row["kills"], 800)} if key == "missing" else row for row in TRUTH]
    if key == "missing":
        truth = [truth[0] | {"kills": 800, "headshot_kills": 24}, truth[1], TRUTH[2]]
    assert compare_headshots(truth, embed(*lines))[key]


@pytest.mark.parametrize(
    "empty", [embed("Nobody has played enough rounds yet."), {"status": None, "error": "no answer", "body": None}]
)
def test_an_empty_leaderboard_shows_nothing(empty: dict[str, Any]) -> None:
    sample = compare_headshots(TRUTH, empty)
    assert (sample["shown"], sample["unequal"]) == (0, 0)


def test_a_name_of_two_players_may_be_either() -> None:
    twins = [*TRUTH, {"guid": "DD", "names": "Ana", "headshot_kills": 50, "kills": 1000, "rounds": 60}]
    assert compare_headshots(twins, embed(BOR, ANA.replace("3.0%", "5.0%"), ANA))["unequal"] == 0
    assert compare_headshots(twins, embed(BOR, ANA.replace("3.0%", "4.0%")))["unequal"] == 1


def test_a_player_who_was_not_summed_proves_nothing_and_breaks_nothing() -> None:
    """Of a large table only some of those shown are summed; the others' sums are None."""
    unknown = {"headshot_kills": None, "kills": None, "rounds": None}
    partly = [{**row, "is_all": False} for row in TRUTH[:2]]
    partly[0] |= unknown
    sample = compare_headshots(partly, embed(BOR, ANA))
    told = ("proven", "unproven", "unequal", "unmatched", "all_players")
    assert [sample[key] for key in told] == [1, 1, 0, 0, False]
    assert sample["names"] == ["Bor", "Ana"] and "1 have more rows" in headshots_text(sample)
    assert compare_headshots(partly, embed(BOR.replace("25.0", "8.6"), ANA))["unequal"] == 1
    sample = compare_headshots([row | unknown for row in partly], embed(BOR, ANA))
    assert (sample["proven"], sample["unproven"], sample["missing"]) == (0, 2, [])


def test_a_namesake_who_was_not_summed_may_be_the_one_shown() -> None:
    twin = {"guid": "DD", "names": "Ana", "headshot_kills": None, "kills": None, "rounds": None}
    assert compare_headshots([*TRUTH, twin], embed(BOR, ANA))["proven"] == 2
    sample = compare_headshots([*TRUTH, twin], embed(BOR, ANA.replace("3.0%", "4.0%")))
    assert (sample["proven"], sample["unproven"], sample["unequal"]) == (1, 1, 0)
