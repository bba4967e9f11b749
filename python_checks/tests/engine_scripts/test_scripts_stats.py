"""The stats writers, the awards and the team lock as they were: shapes of the files and the known defects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import Play, Played
from .matches_of_record import COMPLETED, HELD

TIME_TRACKING = "c0rnp0rn-testluawithtimetracking.lua"
TAB_FIELDS = 38
DEAD_MINUTES, DPM, DENIED_S, USELESS_KILLS = 25, 21, 28, 34


def header(path: Path) -> list[str]:
    """The header's fields."""
    return path.read_text().split("\n", 1)[0].split("\\")


def kind(token: str) -> str:
    """``1`` for an integer, ``1.0`` for a number with one decimal, the text itself for anything else."""
    if re.fullmatch(r"-?\d+", token):
        return "1"
    return "1.0" if re.fullmatch(r"-?\d+\.\d", token) else token


def shape(line: str) -> tuple[int, str, list[str]]:
    """Of a player line: number of backslash parts, the end of the weapon part, and the kinds of the tab fields."""
    weapons, *tabs = line.split("\t")
    return weapons.count("\\"), weapons[-1], [kind(token) for token in tabs]


def player(played: Played, name: str, round_number: int = 1) -> list[str]:
    """The tab fields of one player."""
    (path,) = played.files(f"gamestats/*-round-{round_number}.txt")
    (line,) = [line for line in path.read_text().splitlines()[1:] if line.split("\\")[1] == name]
    return line.split("\t")[1:]


@pytest.fixture(scope="module")
def held(play: Play) -> Played:
    """The recorded match with a kill and two pauses, on the deployed writer."""
    return play(HELD)


@pytest.fixture(scope="module")
def tracked(play: Play) -> Played:
    """The same on the time-tracking variant."""
    return play(HELD, modules=TIME_TRACKING)


@pytest.mark.parametrize(("match", "stamp"), [(COMPLETED, ("063047", "063108")), (HELD, ("063250", "063311"))])
def test_headers_equal_the_recorded_ones(
    play: Play, recorded: Path, match: dict[str, Any], stamp: tuple[str, str]
) -> None:
    written = play(match).files("gamestats/*.txt")
    for number, (path, second) in enumerate(zip(written, stamp, strict=True), 1):
        original = recorded / "gamestats-8-field" / f"2026-11-22-{second}-testmap-round-{number}.txt"
        assert header(path) == header(original)
        assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d-\d{{6}}-testmap-round-{number}\.txt", path.name)


def test_player_lines_have_the_recorded_shape(held: Played, recorded: Path) -> None:
    originals = sorted((recorded / "gamestats-8-field").glob("*-06331*")) + sorted(
        (recorded / "gamestats-8-field").glob("*-063250-*")
    )
    expected = {str(shape(line)) for path in originals for line in path.read_text().splitlines()[1:]}
    assert len(expected) == 1, "the recorded lines agree with each other"
    for path in held.files("gamestats/*.txt"):
        lines = path.read_text().splitlines()[1:]
        assert {line.split("\\")[1] for line in lines} == {"fake1", "fake2"}
        assert {str(shape(line)) for line in lines} == expected
        assert len(lines[0].split("\t")) - 1 == TAB_FIELDS
        assert path.read_text().endswith("\n")


def test_nobody_fired_nobody_is_listed(play: Play) -> None:
    for path in play(COMPLETED).files("gamestats/*.txt"):
        assert len(path.read_text().splitlines()) == 1


def test_dead_time_is_counted_again_every_five_seconds(held: Played) -> None:
    """domain.md 2.3: the recorded victim is dead for 0.8 minutes of a round of half a minute of play."""
    assert float(player(held, "fake2")[DEAD_MINUTES]) > 0.5


def test_dpm_is_always_zero(held: Played) -> None:
    assert {player(held, name, number)[DPM] for name in ("fake1", "fake2") for number in (1, 2)} == {"0.0"}


def test_pause_is_counted_as_denied_playtime(held: Played) -> None:
    """The recorded value is 18 s, of which about 12 s were a pause."""
    assert int(player(held, "fake1")[DENIED_S]) > 12


def test_writer_is_the_same_on_both_interpreters(play: Play, held: Played) -> None:
    """With its own bit functions on 5.4 and the library on LuaJIT; pairs() gives the players in any order."""
    other = play(HELD, interpreter="luajit")
    for one, two in zip(held.files("gamestats/*.txt"), other.files("gamestats/*.txt"), strict=True):
        assert sorted(one.read_text().splitlines()) == sorted(two.read_text().splitlines())
    assert not any("c0rnp0rn7" in line for line in other.errors() + held.errors())


def test_map_change_in_the_middle_is_saved_under_the_wrong_round(play: Play) -> None:
    """domain.md 2.1: before the engine has flipped g_currentRound a first round is labelled 2."""
    half = {"end": {"map_s": 15, "to": "radar"}}
    match = {"map": "supply", "timelimit_min": "1", "halves": [half]}
    (path,) = play(match).files("gamestats/*.txt")
    assert path.name.endswith("-supply-round-2.txt")
    (path,) = play(match, modules=TIME_TRACKING).files("gamestats/*.txt")
    assert int(header(path)[8]) < -10000, "roundEnd is still 0 on this path"


def test_field_nine_is_the_play_time_in_milliseconds(play: Play) -> None:
    played = play(COMPLETED, modules=TIME_TRACKING)
    for path, half in zip(played.files("gamestats/*.txt"), played.result.halves, strict=True):
        assert len(header(path)) == 9
        assert abs(int(header(path)[8]) - half.play_ms) <= 1000


def test_field_nine_includes_pauses_because_of_the_pause_mask(tracked: Played) -> None:
    """domain.md 3.1: a masked value compared with 1 never says paused; the recorded correct writer gives 29360 here."""
    first, second = tracked.files("gamestats/*.txt")
    half = tracked.result.halves[0]
    assert header(first)[:8] == ["ETLHost", "testmap", "", "1", "1", "1", "0:30", "0:30"]
    assert int(header(first)[8]) > half.play_ms + half.pause_ms - 1000
    assert header(second)[7] == "0:05"


def test_both_writers_agree_on_everything_but_field_nine(held: Played, tracked: Played) -> None:
    for one, two in zip(held.files("gamestats/*.txt"), tracked.files("gamestats/*.txt"), strict=True):
        assert header(one) == header(two)[:8]
        assert sorted(one.read_text().splitlines()[1:]) == sorted(two.read_text().splitlines()[1:])


def test_next_limit_of_zero_becomes_a_nonsense_estimate(play: Play) -> None:
    """domain.md 2.2: percent of the time played, times 60, is taken for seconds. A minute at most was played here."""
    half = {"end": {"map_s": 30, "to": "radar"}, "events": [{"at_s": 3, "kill": "fake2", "by": "fake1"}]}
    (path,) = play({"map": "supply", "timelimit_min": "1", "halves": [half]}).files("gamestats/*.txt")
    assert int(header(path)[7].split(":")[0]) > 30
    del half["events"]
    (path,) = play({"map": "supply", "timelimit_min": "1", "halves": [half]}).files("gamestats/*.txt")
    assert header(path)[6:8] == ["1:00", "1:00"], "without players the limit is copied"


def test_awards_are_appended_with_a_clock_of_their_own(play: Play) -> None:
    played = play(HELD, modules="c0rnp0rn7.lua endstats.lua")
    (path,) = played.files("gamestats/*-round-1-endstats.txt")
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    assert ["Most kills", "fake1", "1"] in lines
    assert ["VS", "fake1", "1", "fake2", "0"] in lines
    assert path.name.replace("-endstats", "") not in {file.name for file in played.files("gamestats/*-round-1.txt")}
    assert not played.errors()


@pytest.mark.parametrize("interpreter", ["lua54", "luajit"])
def test_a_locked_team_takes_nobody(play: Play, interpreter: str) -> None:
    """The lock holds for its own team only and until the round is over."""
    third = {"name": "late", "guid": "C" * 32, "team": "spectator"}
    players = [
        {"name": "one", "guid": "A" * 32, "team": "axis"},
        {"name": "two", "guid": "B" * 32, "team": "allies"},
        third,
    ]

    def team_of_late(events: list[dict[str, Any]]) -> int:
        match = {"map": "supply", "timelimit_min": "1", "players": players}
        match["halves"] = [{"end": "time_limit", "events": [*events, {"at_s": 9, "team": "late", "to": "axis"}]}]
        played = play(match, modules="luascripts/team-lock", interpreter=interpreter)
        assert not played.errors()
        return next(int(p["team"]) for p in played.result.halves[0].players if p["name"] == "late")

    assert team_of_late([]) == 1
    assert team_of_late([{"at_s": 5, "command": "two", "text": "lock"}]) == 1
    assert team_of_late([{"at_s": 5, "command": "one", "text": "lock"}]) == 3
    assert (
        team_of_late([{"at_s": 5, "command": "one", "text": "lock"}, {"at_s": 7, "command": "one", "text": "unlock"}])
        == 1
    )
