"""What is shown against what the database says: right answers pass, each wrong formula is caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_checks.formulas import PlayerRound, session_metrics
from python_checks.shown_values import (
    READINGS,
    STATUSES,
    agrees,
    compare_graphs,
    compare_headshots,
    graphs_text,
    headshots_text,
)

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


def half(guid: str, number: int, status: str | None, **more: Any) -> dict[str, Any]:
    """A half of one player, with what the site's right and wrong formulas need."""
    seed = number * 7 + ord(guid[0])
    row = {"day": DAY, "guid": guid, "name": guid, "round_id": number, "round_status": status, "is_bot": guid == "OMNI"}
    row |= {"damage_given": 900 + 31 * seed, "damage_received": 700 + 17 * seed, "time_played_seconds": 300 + 3 * seed}
    row |= {
        "time_dead_minutes": 0.5 + seed / 100,
        "kills": 9 + seed % 5,
        "deaths": 4 + seed % 3,
        "headshot_kills": 2 + seed % 4,
    }
    return row | {"weapons": 1 + seed % 4, "hits": 60 + seed, "headshots": 11 + seed % 9} | more


# Each status, a half with more dead than played time in one that everybody counts, a bot, and somebody who played a cancelled half only.
HALVES = [
    *(half(guid, n, status) for guid in ("Ana", "Bor") for n, status in enumerate(("completed", "cancelled", "substitution", None))),
    half("Ana", 8, "completed", time_dead_minutes=30.5),
    half("Cene", 1, "cancelled"),
    half("OMNI", 9, "completed"),
]  # fmt: skip
Halves = list[dict[str, Any]]


def counted(reading: str, rows: Halves = HALVES) -> Halves:
    status, people = READINGS[reading]
    kept = STATUSES[status]
    return [row for row in rows if (kept is None or row["round_status"] in kept) and not (people and row["is_bot"])]


def right_metrics(rows: Halves) -> tuple[float, float, float]:
    keys = ("damage_given", "damage_received", "time_played_seconds", "time_dead_minutes")
    found = session_metrics(PlayerRound(*(row[key] for key in keys)) for row in rows)
    return found.frag_potential, found.survival_rate, found.damage_efficiency


def total(rows: Halves, key: str) -> float:
    return float(sum(row[key] for row in rows))


def unpatched(rows: Halves) -> tuple[float, float, float]:
    given, received, played_s = (total(rows, key) for key in ("damage_given", "damage_received", "time_played_seconds"))
    survival = min(100.0, played_s / (total(rows, "deaths") + 1) / 60 * 10)
    return total(rows, "kills") / (played_s / 60) * 10, survival, given / (given + received) * 100


def uncapped(rows: Halves) -> tuple[float, float, float]:
    frag, _, efficiency = right_metrics(rows)
    return frag, 100 - 6000 * total(rows, "time_dead_minutes") / total(rows, "time_played_seconds"), efficiency


WRONG_ON_HALVES: dict[str, Callable[[Halves], tuple[float, float, float]]] = {
    "the unpatched formulas": unpatched,
    "only damage efficiency is unpatched": lambda rows: (*right_metrics(rows)[:2], unpatched(rows)[2]),
    "dead minutes taken for seconds": lambda rows: right_metrics(
        [{**row, "time_dead_minutes": row["time_dead_minutes"] / 60} for row in rows]
    ),
    "dead time is not capped": uncapped,
    "fan-out over the weapons": lambda rows: right_metrics([row for row in rows for _ in range(row["weapons"])]),
}


def graphs_of(reading: str, formula: Callable[[Halves], tuple[float, float, float]]) -> dict[str, Any]:
    """The website's answer if it counts the halves of ``reading``."""
    rows, metrics = counted(reading), ("frag_potential", "survival_rate", "damage_efficiency")
    guids = sorted({row["guid"] for row in rows})
    shown = {guid: formula([row for row in rows if row["guid"] == guid]) for guid in guids}
    players = [
        {"guid": guid, "advanced_metrics": {k: round(v, 2) for k, v in zip(metrics, shown[guid], strict=True)}}
        for guid in guids
    ]
    return {DAY: {"status": 200, "error": "", "body": {"players": players}}}


@pytest.mark.parametrize("reading", READINGS)
def test_a_site_may_leave_halves_or_bots_out_of_its_graphs(reading: str) -> None:
    sample = compare_graphs(HALVES, graphs_of(reading, right_metrics))
    day = sample["days"][0]
    assert (sample["reading"], day["unequal"], day["unmatched"]) == (reading, 0, 0) and reading in graphs_text(sample)
    assert day["players"] == len({row["guid"] for row in counted(reading)})


@pytest.mark.parametrize("wrong", WRONG_ON_HALVES)
@pytest.mark.parametrize("reading", READINGS)
def test_no_choice_of_halves_hides_a_wrong_formula(reading: str, wrong: str) -> None:
    sample = compare_graphs(HALVES, graphs_of(reading, WRONG_ON_HALVES[wrong]))
    assert sample["days"][0]["unequal"] >= 1, sample


def test_one_reading_is_taken_for_the_whole_answer() -> None:
    """Ana without her cancelled half and Bor with it fit only by another reading for each."""
    body = graphs_of("all halves", right_metrics)
    players = body[DAY]["body"]["players"]
    players[0] = graphs_of("played halves", right_metrics)[DAY]["body"]["players"][0]
    assert compare_graphs(HALVES, body)["days"][0]["unequal"] >= 2
    # On two days likewise.
    rows = HALVES + [{**row, "day": "2026-02-21"} for row in HALVES]
    other = graphs_of("played halves", right_metrics)[DAY]
    both = {**graphs_of("all halves", right_metrics), "2026-02-21": other}
    assert sum(day["unequal"] for day in compare_graphs(rows, both)["days"]) >= 2


def test_a_player_of_cancelled_halves_only_is_not_hidden_when_shown() -> None:
    body = graphs_of("played halves", right_metrics)
    body[DAY]["body"]["players"].append(
        {"guid": "Cene", "frag_potential": 1.5, "survival_rate": 2.5, "damage_efficiency": 3.5}
    )
    assert compare_graphs(HALVES, body)["days"][0]["unequal"] >= 3


def test_a_day_of_which_nothing_counts_is_none_but_an_error_is_told() -> None:
    rows = HALVES + [{**row, "day": "2026-02-21", "round_status": "cancelled"} for row in HALVES]
    shown = graphs_of("played halves", right_metrics)
    empty = {"status": 200, "error": "", "body": {"players": []}}
    assert [day["day"] for day in compare_graphs(rows, {**shown, "2026-02-21": empty})["days"]] == [DAY]
    down = {"status": 500, "error": "answered 500", "body": None}
    assert [day["status"] for day in compare_graphs(rows, {**shown, "2026-02-21": down})["days"]] == [200, 500]


def board_rows() -> list[dict[str, Any]]:
    """HALVES as headshot_kills.sql gives them."""
    told = []
    for guid in sorted({row["guid"] for row in HALVES}):
        one = {"guid": guid, "names": guid, "is_bot": guid == "OMNI", "is_all": True}
        for status in STATUSES:
            rows = [row for row in counted(f"{status} halves") if row["guid"] == guid]
            prefix = "" if status == "all" else f"{status}_"
            one |= {f"{prefix}{key}": int(total(rows, key)) for key in ("headshot_kills", "kills")}
            one |= {f"{prefix}rounds": len(rows)}
        told.append(one)
    return told


def board_of(reading: str, rate: Callable[[Halves], float]) -> dict[str, Any]:
    rows = counted(reading)
    rates = {guid: rate([row for row in rows if row["guid"] == guid]) for guid in {row["guid"] for row in rows}}
    ordered = sorted(rates.items(), key=lambda one: -one[1])
    return embed(*(f"{place}. **{name}** - {value:.2f}% HS" for place, (name, value) in enumerate(ordered, start=1)))


WRONG_RATES: dict[str, Callable[[Halves], float]] = {
    "kills over hits": lambda rows: 100 * total(rows, "headshot_kills") / total(rows, "hits"),
    "fan-out over the weapons": lambda rows: (
        100 * sum(row["headshot_kills"] * row["weapons"] for row in rows) / total(rows, "kills")
    ),
    "all repeated by the weapons": lambda rows: (
        100 * sum(r["headshot_kills"] * r["weapons"] for r in rows) / sum(r["kills"] * r["weapons"] for r in rows)
    ),
    "head hits": lambda rows: 100 * total(rows, "headshots") / total(rows, "kills"),
    "a fraction": lambda rows: total(rows, "headshot_kills") / total(rows, "kills"),
}


@pytest.mark.parametrize("reading", READINGS)
def test_a_site_may_leave_halves_or_bots_out_of_its_board(reading: str) -> None:
    board = board_of(reading, lambda rows: 100 * total(rows, "headshot_kills") / total(rows, "kills"))
    sample = compare_headshots(board_rows(), board)
    # The bot is no better than the others, so that it is left out need not be assumed.
    assert reading.startswith(sample["reading"]) and sample["reading"] in headshots_text(sample), sample
    assert (sample["unequal"], sample["unmatched"], sample["missing"]) == (0, 0, [])


@pytest.mark.parametrize("wrong", WRONG_RATES)
@pytest.mark.parametrize("reading", READINGS)
def test_no_choice_of_halves_hides_a_wrong_board(reading: str, wrong: str) -> None:
    sample = compare_headshots(board_rows(), board_of(reading, WRONG_RATES[wrong]))
    assert sample["unequal"] >= 1, sample


def test_one_reading_is_taken_for_the_whole_board() -> None:
    rows = [
        {"guid": guid, "names": guid, "headshot_kills": 30, "kills": 100, "rounds": 60, "is_bot": False}
        | {"played_headshot_kills": 20, "played_kills": 90, "played_rounds": 59}
        | {"completed_headshot_kills": 10, "completed_kills": 80, "completed_rounds": 58}
        for guid in ("Ana", "Bor", "Cene")
    ]
    for shown, unequal in (("30.0", 0), ("22.2", 0), ("12.5", 0)):
        assert (
            compare_headshots(rows, embed(*(f"**{name}** {shown}%" for name in ("Ana", "Bor", "Cene"))))["unequal"]
            == unequal
        )
    assert compare_headshots(rows, embed("**Ana** 30.0%", "**Bor** 22.2%", "**Cene** 12.5%"))["unequal"] == 2
    unread = dict.fromkeys(key for key in rows[0] if key.startswith(("played", "completed")))
    large = [{**row, **unread, "is_all": False} for row in rows]
    told = compare_headshots(large, embed("**Ana** 22.2%"))
    assert told["unequal"] == 1 and "leaderboard_source_max_player_rows" in headshots_text(told)
    assert "max_player_rows" not in headshots_text(compare_headshots(large, embed("**Ana** 30.0%")))


def test_a_bot_is_missed_on_no_board_but_a_better_player_is() -> None:
    def rows(is_bot: bool) -> list[dict[str, Any]]:
        best = {
            "guid": "OMNI",
            "names": "[BOT]Ketchup",
            "headshot_kills": 900,
            "kills": 3000,
            "rounds": 400,
            "is_bot": is_bot,
        }
        return [{**row, "is_bot": False} for row in TRUTH[:2]] + [best]

    told = compare_headshots(rows(True), embed(BOR, ANA))
    assert (told["missing"], told["reading"], told["unequal"]) == ([], "all halves of people", 0)
    assert compare_headshots(rows(False), embed(BOR, ANA))["missing"] == ["[BOT]Ketchup"]
