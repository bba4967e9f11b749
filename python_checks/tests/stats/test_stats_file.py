"""Whole files: recorded and golden ones are read completely, cut and hostile ones are told, R2 alone is computed."""

from __future__ import annotations

import dataclasses
import random
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import stats_file
from hypothesis import given, settings
from hypothesis import strategies as st
from stats_fuzz import EXAMPLES

from python_checks.stats.compose import Line, Round

DATA = Path(__file__).resolve().parents[1] / "data"
RECORDED = sorted((DATA / "engine_scripts").glob("gamestats-*-field/*.txt"))
GOLDEN = yaml.safe_load((DATA / "stats" / "golden.yml").read_text())


@pytest.mark.parametrize("path", RECORDED, ids=[f"{path.parent.name}/{path.name}" for path in RECORDED])
def test_recorded_files_are_read_completely(path: Path) -> None:
    stats = stats_file.parse_stats(path.read_bytes())
    assert stats.complete and not stats.problems and stats.header is not None
    assert (stats.header.server, stats.header.map, stats.header.config) == ("ETLHost", "testmap", "")
    assert stats.header.fields == (9 if "9-field" in str(path) else 8)
    assert len(stats.players) == path.read_bytes().count(b"\n") - 1
    for player in stats.players:
        assert None not in player.values
        assert player.totals.attempts == player.fields["bullets_fired"]


def test_there_are_six_recorded_files() -> None:
    assert len(RECORDED) == 6


@pytest.mark.parametrize("golden", GOLDEN, ids=[golden["case"] for golden in GOLDEN])
def test_golden_payload(golden: dict[str, Any]) -> None:
    stats = stats_file.parse_stats(golden["text"].encode())
    assert stats.complete and not stats.problems and stats.header is not None
    header = stats.header.as_dict()
    assert {name: header[name] for name in golden["header"]} == golden["header"]
    assert len(stats.players) == len(golden["players"])
    for player, expected in zip(stats.players, golden["players"], strict=True):
        found = player.as_dict()
        weapons = {name: list(weapon) for name, weapon in player.weapons.items()}
        assert {name: found["fields"][name] for name in expected["fields"]} == expected["fields"]
        assert weapons == expected["weapons"]
        for name in expected.keys() - {"fields", "weapons"}:
            assert found[name] == expected[name]


def test_fields_and_weapons_are_all_there_with_units() -> None:
    assert len(stats_file.FIELDS) == 38 and len(set(stats_file.FIELD_NAMES)) == 38
    assert len(set(stats_file.WEAPONS)) == 28
    assert all(one.unit and one.span in ("cumulative", "half", "ratio") for one in stats_file.FIELDS)
    index = {name: at for at, name in enumerate(stats_file.FIELD_NAMES)}
    assert (index["time_played_minutes"], index["time_dead_minutes"], index["denied_playtime"]) == (22, 25, 28)
    assert stats_file.FIELDS[28].unit == "s" and stats_file.FIELDS[25].unit == "min"
    assert {index[name] for name in stats_file.CUMULATIVE_FIELDS} == {*range(8), 20, 22}


def test_no_prefix_of_a_file_passes_as_the_whole_one() -> None:
    whole = Round(playtime="441250", players=(Line(), Line("11223344", "Bor", team=2))).data()
    stats = stats_file.parse_stats(whole)
    ends = [at + 1 for at, byte in enumerate(whole) if byte == 10]
    for cut in range(len(whole)):
        part = stats_file.parse_stats(whole[:cut])
        if cut in ends:
            continue  # a cut between two lines cannot be seen in the bytes
        assert not part.complete and part.why_incomplete
        # What is read all the same is what the whole file says.
        assert part.header in (None, stats.header) and part.players == stats.players[: len(part.players)]


def test_a_line_that_is_cut_and_closed_is_malformed() -> None:
    whole = Round(players=(Line(), Line("11223344"))).data()
    stats = stats_file.parse_stats(whole[:-20] + b"\n")
    assert not stats.complete and "tab fields, required are 38" in stats.why_incomplete


@pytest.mark.parametrize(
    "name", ["", "\\", "a\\b", "x\\1\\2\\3", "\\1\\1\\16 1 1 1 1 1", "^1^^7a\x1b", '"', "a\tb", "é\udcff"]
)
def test_any_name_is_read_back(name: str) -> None:
    stats = stats_file.parse_stats(Round(players=(Line(name=name),)).data())
    assert stats.complete and [player.name for player in stats.players] == [name.replace("\udcff", "�")]
    assert stats.players[0].fields["damage_given"] == 3000


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"\\16 40 120 6 3 9", b"\\16 40 120 6 3", "4 weapon numbers, the mask 16 requires 5"),
        (b"\\16 40 120 6 3 9", b"\\16 40 120 6 3 9 1", "6 weapon numbers, the mask 16 requires 5"),
        (b"\\16 40 120 6 3 9", b"\\24 40 120 6 3 9", "5 weapon numbers, the mask 24 requires 10"),
        (b"\\16 40", b"\\0 40", "the weapon mask 0 is not of 1 to 28 weapons"),
        (b"\\16 40", b"\\268435456 40", "not of 1 to 28"),
        (b"\\16 40", b"\\16 x", "not all whole numbers"),
        (b"\\1\\1\\16", b"\\1\\7\\16", "required are a number and 1, 2 or 3"),
        (b"AABBCCDD", b"AABBCCDDE", "the guid"),
        (b"\t3000\t", b"\t3000", "37 tab fields, required are 38"),
    ],
)
def test_a_line_of_another_shape_is_named(old: bytes, new: bytes, says: str) -> None:
    data = Round().data()
    assert old in data
    stats = stats_file.parse_stats(data.replace(old, new))
    assert not stats.complete and says in stats.why_incomplete


@pytest.mark.parametrize("value", ["nan", "-nan", "inf", "1e5", "", "0x1", "1_0", "٣", "12.5x"])
def test_a_value_that_is_no_number_is_unknown_and_named(value: str) -> None:
    line = Line(fields={"time_played_minutes": value, "damage_given": value})
    stats = stats_file.parse_stats(Round(players=(line,)).data())
    fields = stats.players[0].fields
    assert fields["time_played_minutes"] is None and fields["damage_given"] is None
    assert [one.text.split(" is ")[0] for one in stats.problems] == ["damage_given", "time_played_minutes"]


def test_more_fields_than_known_are_told_but_no_cut() -> None:
    data = Round().data()
    stats = stats_file.parse_stats(data[:-1] + b"\t5\n")
    assert stats.complete and stats.players[0].extra == 1 and "39 tab fields" in stats.problems[0].text


# ---------------------------------------------------------------------------------------------------- R2 alone


def half(first: Line | None, second: Line, **options: int) -> stats_file.HalfPlayer:
    r1 = stats_file.parse_stats(Round(players=() if first is None else (first,)).data())
    r2 = stats_file.parse_stats(Round(round=2, players=(second,)).data())
    return stats_file.second_half(r1, r2, **options)[0]


def line(minutes: float, damage: int = 3000, **more: Any) -> Line:
    return Line(
        fields={"time_played_minutes": minutes, "damage_given": damage, "xp": 7, **more.pop("fields", {})}, **more
    )


@pytest.mark.parametrize(("before", "after", "seconds", "minutes"), [(7.4, 14.8, 444, 7.4), (7.3, 14.7, 443, 7.4)])
def test_time_of_r2_in_the_sites_own_arithmetic(before: float, after: float, seconds: int, minutes: float) -> None:
    done = half(line(before), line(after))
    assert (done.how, done.time_played_s, done.fields["time_played_minutes"]) == ("difference", seconds, minutes)


def test_cumulative_fields_are_subtracted_and_others_taken() -> None:
    first = line(7.0, 1000, weapons={"WS_MP40": (10, 50, 2, 3, 1), "WS_COLT": (1, 5, 0, 0, 0)})
    second = line(
        14.0,
        3800,
        weapons={"WS_MP40": (30, 90, 5, 4, 1), "WS_COLT": (1, 5, 0, 0, 0), "WS_GRENADE": (0, 1, 0, 0, 0)},
        fields={"time_dead_minutes": 0.7},
    )
    done = half(first, second)
    assert done.fields["damage_given"] == 2800 and done.fields["xp"] == 7
    assert done.weapons == {"WS_MP40": (20, 40, 3, 1, 0), "WS_GRENADE": (0, 1, 0, 0, 0)}
    assert done.fields["dpm"] == pytest.approx(2800 * 60 / 420) and done.fields["kd_ratio"] == 3.0
    assert done.fields["time_dead_ratio"] == pytest.approx(10.0)


def test_a_reconnected_players_values_are_his_own() -> None:
    done = half(line(7.4, 3000), line(3.1, 900))
    assert (done.how, done.time_played_s, done.fields["damage_given"]) == ("restarted", 186, 900)
    assert done.dropped == ("damage_given", "time_played_minutes")
    one = half(line(7.4, 3000), line(8.0, 2900))
    assert one.how == "restarted" and one.dropped == ("damage_given",)
    assert half(line(7.4, 3000), line(8.0, 2900), restart_drops=2).how == "difference"
    fewer_shots = line(8.0, 3000, weapons={"WS_MP40": (40, 119, 6, 3, 9)})
    assert half(line(7.4, 3000), fewer_shots).dropped == ("WS_MP40",)


def test_a_player_of_r2_only_is_taken_as_is() -> None:
    done = half(None, line(7.4))
    assert (done.how, done.fields["damage_given"], done.time_played_s) == ("new", 3000, 444)


def test_a_shared_guid_is_told_apart_by_name_or_left_unknown() -> None:
    bots = [line(1.0, 100, guid="OMNIBOT0", name="a"), line(1.0, 500, guid="OMNIBOT0", name="b")]
    later = [line(2.0, 700, guid="OMNIBOT0", name="b"), line(2.0, 300, guid="OMNIBOT0", name="a")]
    r1, r2 = (stats_file.parse_stats(Round(players=tuple(players)).data()) for players in (bots, later))
    assert [done.fields["damage_given"] for done in stats_file.second_half(r1, r2)] == [200, 200]
    same = [dataclasses.replace(bot, name="a") for bot in later]
    unclear = stats_file.second_half(r1, stats_file.parse_stats(Round(players=tuple(same)).data()))
    assert [(done.how, done.fields["damage_given"], done.time_played_s, done.fields["xp"]) for done in unclear] == [
        ("ambiguous", None, None, 7)
    ] * 2


def test_a_shared_guid_that_r1_does_not_know_is_new() -> None:
    r1 = stats_file.parse_stats(Round(players=(line(1.0, guid="AAAAAAAA"),)).data())
    r2 = stats_file.parse_stats(Round(round=2, players=(line(2.0), line(2.0))).data())
    assert [done.how for done in stats_file.second_half(r1, r2)] == ["new", "new"]


def test_what_is_unknown_in_one_file_is_unknown_in_the_difference() -> None:
    done = half(Line(fields={"time_played_minutes": "nan"}), line(7.4))
    assert done.time_played_s is None and done.fields["dpm"] is None and done.fields["time_dead_ratio"] is None


# ---------------------------------------------------------------------------------------------------- fuzz

WHOLE = Round(playtime="441250", players=(Line(), Line("11223344", "B\\or", team=2))).data()


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_mutations_never_raise_and_give_numbers_only_from_the_text(data: st.DataObject) -> None:
    """Bytes are replaced, dropped, doubled; then whatever is read must stand in the file, and R2 alone must compute."""
    parts = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(parts) - 1))
        size = data.draw(st.integers(0, 12))
        parts[at : at + size] = data.draw(
            st.one_of(
                st.binary(max_size=6), st.sampled_from([b"\\", b"\t", b"\n", b" ", b"\r\n", b"nan", b"-", b"1e309"])
            )
        )
        if not parts:
            return
    mutant = bytes(parts)
    stats = stats_file.parse_stats(mutant)
    stats.as_dict()
    lines = mutant.split(b"\n")
    for player in stats.players:
        texts = lines[player.line - 1].rstrip(b"\r").rsplit(b"\\", 1)[1].split(b"\t")[1:]
        for value, text in zip(player.values, texts, strict=False):
            assert value is None or float(text) == value
    stats_file.second_half(stats_file.parse_stats(WHOLE), stats)
    stats_file.second_half(stats, stats_file.parse_stats(WHOLE))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_never_raise(data: bytes) -> None:
    stats = stats_file.parse_stats(data)
    assert stats.complete or stats.why_incomplete
    stats_file.parse_player(data)


def test_two_thousand_files_in_less_than_five_seconds() -> None:
    rng = random.Random(7)
    players = tuple(
        Line(
            f"{rng.randrange(16**8):08X}",
            f"^1player{at}",
            weapons=dict.fromkeys(stats_file.WEAPONS[:6], (1, 2, 3, 4, 5)),
        )
        for at in range(12)
    )
    data = Round(playtime="441250", players=players).data()
    started = time.process_time()
    for _ in range(2000):
        assert len(stats_file.parse_stats(data).players) == 12
    assert time.process_time() - started < 5
