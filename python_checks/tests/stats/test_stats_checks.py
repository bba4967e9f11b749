"""Every rule has a file that breaks it and a neighbour that does not; what cannot be judged is never clean."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import stats_checks, stats_file, stats_names
from hypothesis import given, settings
from hypothesis import strategies as st
from stats_fuzz import EXAMPLES

from python_checks.stats.compose import Line, Round

NAME = "2026-02-20-213003-supply-round-1.txt"


def player(played: object = 7.4, dead: object = 1.2, **more: Any) -> Line:
    return Line(fields={"time_played_minutes": played, "time_dead_minutes": dead}, **more)


def check(one: Round, name: str = NAME, **context: Any) -> stats_checks.Checked:
    return stats_checks.check_stats(name, stats_file.parse_stats(one.data()), **context)


def rules(done: stats_checks.Checked) -> list[str]:
    return [found.rule for found in done.violations]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"playtime": None}, []),
        ({"playtime": "441250"}, []),
        # completed half: 2 s either way
        ({"playtime": "440000"}, []),
        ({"playtime": "439999"}, ["playtime_not_field8"]),
        ({"playtime": "444000"}, []),
        ({"playtime": "444001"}, ["playtime_not_field8"]),
        # defenders won: field 8 is the full limit, after a hold and after a surrender
        ({"playtime": "719980", "winner": 2, "following": "12:00"}, []),
        ({"playtime": "300000", "winner": 2, "following": "12:00"}, []),
        ({"playtime": "722000", "winner": 2, "following": "12:00"}, []),
        ({"playtime": "722001", "winner": 2, "following": "12:00"}, ["playtime_over_limit"]),
        # nobody known to have won, and field 8 an estimate beyond the limit: field 8 proves nothing
        ({"playtime": "300000", "winner": 0}, []),
        ({"playtime": "300000", "following": "88:00"}, []),
        ({"playtime": "300000", "following": "0:00"}, []),
        # units
        ({"playtime": "442"}, ["playtime_seconds"]),
        ({"playtime": "441"}, ["playtime_unit", "playtime_unit"]),
        ({"playtime": "7366"}, ["playtime_unit"]),
        ({"playtime": "26520000"}, ["playtime_unit"]),
        ({"playtime": "441", "winner": 2, "following": "12:00"}, ["playtime_unit"]),
        ({"playtime": "720500", "winner": 2, "following": "0:43", "limit": "0:43"}, ["playtime_over_limit"]),
        # no measurement
        ({"playtime": "0"}, ["playtime_unknown"]),
        ({"playtime": "-5123456"}, ["playtime_unknown"]),
        ({"playtime": ""}, ["playtime_unknown"]),
        ({"playtime": "nan"}, ["playtime_unknown"]),
        ({"playtime": "441250000"}, ["playtime_unknown"]),
        # the name
        ({"map": "oasis"}, ["name_disagrees"]),
        ({"round": 2}, ["name_disagrees"]),
        ({"defender": 0}, ["malformed"]),
    ],
)
def test_playtime_and_name(change: dict[str, Any], expected: list[str]) -> None:
    done = check(Round(players=(player(),), **change))
    assert rules(done) == expected
    assert all(found.text and found.numbers for found in done.violations)
    assert done.verdict == ("violations" if expected else "clean")


def test_the_numbers_of_a_unit_error_name_its_factor() -> None:
    done = check(Round(playtime="441", players=()))
    assert done.violations[0].numbers["factor"] == 1 / 1000 and "0.001 times" in done.violations[0].text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (player(7.4, 7.4), []),
        (player(7.4, 7.5), []),
        (player(7.4, 7.6), ["dead_over_played"]),
        (player(0.1, 0.0), []),
        (player(0.0, 0.0), []),  # came in the last three seconds
        (player(-1.0, 0.0), ["not_positive", "dead_over_played"]),
        (player(0.0, 0.0, team=3), []),
        (player(0.0, 0.3, team=3), ["dead_over_played"]),
        (player("nan", 0.0), ["malformed"]),
        (player(573.0, 573.0), []),
    ],
)
def test_players_of_an_r1(line: Line, expected: list[str]) -> None:
    assert rules(check(Round(players=(player(), line)))) == expected


def test_a_player_without_time_is_a_note_but_not_a_file_without_time() -> None:
    done = check(Round(players=(player(), player(0.0, 0.0))))
    assert done.verdict == "clean" and any("played 0 min, less than the step" in note for note in done.notes)
    assert rules(check(Round(players=(player(0.0, 0.0), player(0.0, 0.0))))) == ["not_positive"] * 2


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (player(12.0, 4.8), []),
        (player(12.0, 4.9), ["dead_over_played"]),
        (player(7.4, 0.0), ["not_positive"]),
        (player(3.0, 3.1), []),  # reconnected: the values are R2's own
        (player(3.0, 3.2), ["dead_over_played"]),
        (player(5.0, 0.0, guid="11223344"), []),
    ],
)
def test_players_of_an_r2_are_judged_on_the_difference(second: Line, expected: list[str]) -> None:
    first = stats_file.parse_stats(Round(players=(player(),)).data())
    r2 = Round(round=2, defender=1, winner=2, limit="7:22", following="4:36", players=(second,))
    name = "2026-02-20-214503-supply-round-2.txt"
    assert rules(check(r2, name, first=first)) == expected
    alone = check(r2, name)
    assert any("no complete R1" in note for note in alone.notes)


def test_a_file_that_cannot_be_judged_is_not_clean() -> None:
    for data in (b"", b"awards\tAna\n", Round().data()[:-1], Round().data()[:30]):
        done = stats_checks.check_stats(NAME, stats_file.parse_stats(data))
        assert done.verdict == "unjudged" and done.unjudged[0] and not done.violations


def test_a_malformed_line_is_a_violation_with_its_number() -> None:
    done = stats_checks.check_stats(NAME, stats_file.parse_stats(Round().data() + b"half a li\n"))
    assert rules(done) == ["malformed"] and done.violations[0].numbers == {"line": 3}


# ---------------------------------------------------------------------------------------------------- gametimes

END = 1771619400  # 2026-02-20 20:30:00 UTC, 21:30:00 in Ljubljana
ZONE = ZoneInfo("Europe/Ljubljana")


def gametime(end: float = END, duration: float = 442, pauses: float = 0, **meta: Any) -> stats_checks.Gametime:
    body = {
        "map": "supply",
        "round": 1,
        "round_start_unix": end - duration - pauses,
        "round_end_unix": end,
        "pause_seconds": pauses,
        "actual_duration_seconds": duration,
        **meta,
    }
    found, why = stats_checks.parse_gametime(f"gametime-supply-R1-{end}.json", json.dumps({"meta": body}).encode())
    assert found is not None, why
    return found


@pytest.mark.parametrize(
    ("one", "playtime", "expected"),
    [
        (gametime(), "441250", []),
        (gametime(pauses=50), "441250", []),
        (gametime(), None, []),
        (gametime(duration=440), "441999", []),
        (gametime(duration=440), "442000", ["playtime_not_gametime"]),
        (gametime(duration=412, pauses=30), "442000", ["playtime_not_gametime"]),
        (gametime(actual_duration_seconds=444), "441250", ["gametime_duration"]),
        (gametime(actual_duration_seconds=None), "441250", []),
        (gametime(duration=-5), None, ["not_positive"]),
    ],
)
def test_field9_against_the_gametime(one: stats_checks.Gametime, playtime: str | None, expected: list[str]) -> None:
    done = check(Round(playtime=playtime, players=()), gametime=one)
    assert rules(done) == expected


def folder_check(*gametimes: stats_checks.Gametime, zone: ZoneInfo | None = None) -> stats_checks.Checked:
    return stats_checks.check_folder({NAME: Round(playtime="441250").data()}, gametimes, zone)[0]


def test_the_gametime_of_a_round_is_found_or_said_to_be_missing() -> None:
    assert folder_check(gametime()).verdict == folder_check(gametime(), zone=ZONE).verdict == "clean"
    assert folder_check().verdict == "unjudged"
    for other in (gametime(map="oasis"), gametime(round=2), gametime(end=END + 200), gametime(end=END - 200)):
        for zone in (None, ZONE):
            assert folder_check(other, zone=zone).verdict == "unjudged"
    # The same map and half again an hour later, to the second: only the zone tells them apart.
    replay = gametime(end=END + 3600, duration=100)
    assert "2 gametimes fit" in folder_check(gametime(), replay).unjudged[0]
    assert folder_check(gametime(), replay, zone=ZONE).verdict == "clean"


def test_a_maps_name_is_compared_as_the_gametime_writes_it() -> None:
    name = stats_names.parse_name("2026-02-20-213003-sw.oasis-round-1.txt")
    header = stats_file.parse_stats(Round(map="sw.oasis").data()).header
    assert header is not None
    assert stats_checks.find_gametime(name, header, [gametime(map="sw_oasis")])[0] is not None


@pytest.mark.parametrize(
    "text",
    [
        "{half",
        "[]",
        "{}",
        '{"meta": 1}',
        '{"meta": {}}',
        '{"meta": {"round_start_unix": "1", "round_end_unix": 2, "pause_seconds": 0}}',
        '{"meta": {"round_start_unix": 1, "round_end_unix": NaN, "pause_seconds": 0}}',
        '{"meta": {"round_start_unix": 1, "round_end_unix": 1e400, "pause_seconds": 0}}',
        '{"meta": {"round_start_unix": 0, "round_end_unix": 2, "pause_seconds": 0}}',
        '{"meta": {"round_start_unix": 1, "round_end_unix": 2, "pause_seconds": true}}',
        "[" * 100_000,
    ],
)
def test_a_broken_gametime_gives_no_numbers(text: str) -> None:
    found, why = stats_checks.parse_gametime("gametime-supply-R1-1.json", text.encode())
    assert found is None and "gametime-supply-R1-1.json" in why


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 200), st.sampled_from([b"\\", b"\t", b"\n", b" "])
)
def test_any_bytes_are_judged_without_raising(raw: bytes, inserted: bytes, at: int, cut: bytes) -> None:
    good = Round(playtime="441250").data()
    mutant = good[:at] + inserted + cut + good[at:]
    done = stats_checks.check_folder(
        {NAME: raw, "2026-02-20-214503-supply-round-2.txt": mutant, "x": mutant}, [gametime()]
    )
    for one in done:
        json.dumps(one.as_dict())
    assert done[0].verdict != "clean"
