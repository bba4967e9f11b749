"""The February parser: what it reads right, and the unit it reads wrong."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from bot.community_stats_parser import C0RNP0RN3StatsParser, build_round_embed
from slomix_composed import header, player_line, stats_file

R1_NAME = "2026-02-20-213000-supply-round-1.txt"
R2_NAME = "2026-02-20-214503-supply-round-2.txt"


@pytest.fixture
def parser() -> C0RNP0RN3StatsParser:
    return C0RNP0RN3StatsParser()


def parse(parser: C0RNP0RN3StatsParser, folder: Path, text: str, name: str = R1_NAME) -> dict[str, Any]:
    """Write one file and parse it."""
    (folder / name).write_text(text, encoding="utf-8")
    return parser.parse_stats_file(str(folder / name))


def seconds(result: dict[str, Any]) -> int:
    """The time that every player of a first half gets."""
    assert result["success"], result.get("error")
    return result["players"][0]["time_played_seconds"]


@pytest.mark.parametrize(
    ("clock", "field9", "expected_s"),
    [
        ("7:22", None, 442),
        ("7:22", "441250", 441250),  # the unit defect: milliseconds taken for seconds
        ("7:22", "441250.9", 441250),
        ("7:22", "456", 456),
        ("7:22", "0", 0),
        ("7:22", "-5123456", -5123456),
        ("7:22", "", 442),
        ("7:22", "abc", 442),
        ("0:00", None, 300),
        ("junk", None, 300),
        ("4:75", None, 315),
        ("7.374583", None, 442),
        ("95", None, 95),
    ],
)
def test_round_time(
    parser: C0RNP0RN3StatsParser, tmp_path: Path, clock: str, field9: str | None, expected_s: int
) -> None:
    assert seconds(parse(parser, tmp_path, stats_file(clock=clock, field9=field9))) == expected_s


def test_unit_defect_ruins_damage_per_minute(parser: C0RNP0RN3StatsParser, tmp_path: Path) -> None:
    eight = parse(parser, tmp_path, stats_file())["players"][0]["dpm"]
    nine = parse(parser, tmp_path, stats_file(field9="442000"))["players"][0]["dpm"]
    assert eight == pytest.approx(3000 * 60 / 442)
    assert eight / nine == pytest.approx(1000)


@pytest.mark.parametrize("field9", ["inf", "nan"])
def test_field9_without_an_integer_fails_the_whole_file(
    parser: C0RNP0RN3StatsParser, tmp_path: Path, field9: str
) -> None:
    result = parse(parser, tmp_path, stats_file(field9=field9))
    assert not result["success"] and result["error"].startswith("exception: ")


def test_refusals(parser: C0RNP0RN3StatsParser, tmp_path: Path) -> None:
    assert parse(parser, tmp_path, header() + "\n")["error"] == "insufficient lines"
    assert parse(parser, tmp_path, "a\\b\\c\n" + player_line())["error"] == "invalid header format"
    (tmp_path / R1_NAME).write_text("a\\b\n" + player_line())
    assert parse(parser, tmp_path, stats_file(), R2_NAME)["error"] == "failed to parse round files"
    assert parser.parse_stats_file(str(tmp_path / "missing-round-1.txt"))["error"].startswith("exception: ")


def test_header_values_and_diagnostics(parser: C0RNP0RN3StatsParser, tmp_path: Path) -> None:
    good = parse(parser, tmp_path, stats_file())
    assert (good["map_name"], good["map_time"], good["actual_time"]) == ("supply", "12:00", "7:22")
    assert (good["defender_team"], good["winner_team"], good["round_outcome"]) == (2, 1, "Completed")
    assert (good["side_parse_diagnostics"], good["time_to_beat_seconds"]) == ([], 442)
    assert "actual_playtime_seconds" not in good and "round_time_seconds" not in good

    bad = parse(parser, tmp_path, stats_file(defender="x", winner="7"))
    assert (bad["defender_team"], bad["winner_team"], len(bad["side_parse_diagnostics"])) == (1, 0, 2)
    for clock, outcome in (("11:30", "Fullhold"), ("11:29", "Completed"), ("12:00", "Fullhold")):
        assert parse(parser, tmp_path, stats_file(clock=clock))["round_outcome"] == outcome
    reset = parse(parser, tmp_path, stats_file(round_number=2, clock="0:00"), "2026-02-21-214503-supply-round-2.txt")
    assert reset["round_outcome"] == "Unknown"


def test_player_values(parser: C0RNP0RN3StatsParser, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="bot"):
        result = parse(
            parser, tmp_path, stats_file(player_line(tabs={14: 4, 24: "12.5", 28: 33, 33: 1}), "broken\\line")
        )
    assert result["total_players"] == 1
    player = result["players"][0]
    assert (player["guid"], player["clean_name"], player["kills"], player["deaths"]) == ("AABBCCDD", "Ana", 6, 3)
    assert player["headshots"] == 9 and player["objective_stats"]["headshot_kills"] == 4
    assert player["weapon_stats"]["WS_MP40"]["shots"] == 120
    assert player["accuracy"] == pytest.approx(100 / 3)
    assert player["objective_stats"]["multikill_6x"] == 1
    assert (
        "[TIME DEBUG] Ana RAW from Lua: time_played_min=7.4, time_dead_ratio=12.5, time_dead_min=1.2, "
        "denied_playtime_sec=33" in caplog.text
    )


def second_half(parser: C0RNP0RN3StatsParser, folder: Path, first: str, second: str, **parts: Any) -> dict[str, Any]:
    """Parse a second half after its first half lies beside it."""
    (folder / R1_NAME).write_text(stats_file(first))
    return parse(parser, folder, stats_file(second, round_number=2, limit="7:22", clock="7:22", **parts), R2_NAME)


@pytest.mark.parametrize(("before", "after", "expected_s"), [("7.4", "14.8", 444), ("7.3", "14.7", 443)])
def test_second_half_time_comes_from_the_difference(
    parser: C0RNP0RN3StatsParser, tmp_path: Path, before: str, after: str, expected_s: int
) -> None:
    result = second_half(
        parser,
        tmp_path,
        player_line(tabs={22: before}),
        player_line(mp40=(70, 220, 10, 5, 15), tabs={0: 5000, 1: 2600, 20: 220, 22: after}),
        field9="442000",
    )
    player = result["players"][0]
    assert player["time_played_seconds"] == expected_s  # field 9 has no effect here
    assert (player["damage_given"], player["kills"], player["weapon_stats"]["WS_MP40"]["hits"]) == (2000, 4, 30)
    assert player["dpm"] == pytest.approx(2000 * 60 / expected_s)
    assert (result["differential_calculation"], result["r1_filename"]) == (True, R1_NAME)
    summary = result["match_summary"]
    assert summary["round_num"] == 0 and summary["players"][0]["kills"] == 10
    assert summary["players"][0]["time_played_seconds"] == 442000


def test_reconnected_player_keeps_raw_values(
    parser: C0RNP0RN3StatsParser, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = second_half(
        parser, tmp_path, player_line(), player_line(mp40=(5, 20, 1, 1, 1), tabs={0: 400, 1: 300, 20: 20, 22: "3.0"})
    )
    player = result["players"][0]
    assert (player["damage_given"], player["kills"], player["time_played_seconds"]) == (400, 1, 180)
    assert "[R2 RESET FALLBACK] Ana" in caplog.text


def test_one_dropped_counter_is_not_a_reconnect(parser: C0RNP0RN3StatsParser, tmp_path: Path) -> None:
    result = second_half(parser, tmp_path, player_line(), player_line(tabs={0: 2000, 1: 2000, 20: 150, 22: "9.0"}))
    assert result["players"][0]["damage_given"] == 0


def test_player_of_the_second_half_only_is_taken_raw(parser: C0RNP0RN3StatsParser, tmp_path: Path) -> None:
    result = second_half(parser, tmp_path, player_line(), player_line("11223344", "Bor", 2))
    assert [(p["guid"], p["damage_given"], p["time_played_seconds"]) for p in result["players"]] == [
        ("11223344", 3000, 442)
    ]


def test_orphan_second_half_is_cumulative(parser: C0RNP0RN3StatsParser, tmp_path: Path) -> None:
    result = parse(parser, tmp_path, stats_file(round_number=2, field9="441250"), R2_NAME)
    assert "differential_calculation" not in result and seconds(result) == 441250


def test_pairing_prefers_the_nearest_of_the_same_day(parser: C0RNP0RN3StatsParser, tmp_path: Path) -> None:
    names = {
        "2026-02-19-235900-supply-round-1.txt",
        "2026-02-20-000500-supply-round-1.txt",
        "2026-02-20-000700-goldrush-round-1.txt",
        "2026-02-20-003000-supply-round-1.txt",
        "2026-02-20-000600-supply-round-1-endstats.txt",
    }
    for name in names:
        (tmp_path / name).write_text(stats_file())

    def paired(name: str) -> str | None:
        found = parser.find_corresponding_round_1_file(str(tmp_path / name))
        return found.name if found else None

    assert paired("2026-02-20-001500-supply-round-2.txt") == "2026-02-20-000500-supply-round-1.txt"
    assert paired("2026-02-20-000200-supply-round-2.txt") == "2026-02-19-235900-supply-round-1.txt"
    assert paired("2026-02-20-011501-supply-round-2.txt") is None
    assert paired("2026-02-20-011500-supply-round-2.txt") == "2026-02-20-003000-supply-round-1.txt"


def test_recorded_files(parser: C0RNP0RN3StatsParser, data: Path) -> None:
    folder = data / "bot" / "gamestats"
    result = {p.name[11:17] + p.name[-5]: parser.parse_stats_file(str(p)) for p in sorted(folder.iterdir())}
    assert len(result) == 6
    assert result["0630471"]["error"] == "insufficient lines"  # nobody fired: a header alone
    assert result["0631082"]["error"] == "failed to parse round files"
    assert seconds(result["0632501"]) == 30 and result["0632501"]["round_outcome"] == "Fullhold"
    assert seconds(result["0635021"]) == 29360
    second = result["0633112"]  # both clients have the same guid, so each is compared with the last one of R1
    assert second["r1_filename"] == "2026-11-22-063250-testmap-round-1.txt"
    assert [(p["clean_name"], p["damage_received"], p["kills"]) for p in second["players"]] == [
        ("fake2", 0, 0),
        ("fake1", 0, 1),
    ]


def test_fixture_names_round_trip(parser: C0RNP0RN3StatsParser, tmp_path: Path) -> None:
    result = parse(parser, tmp_path, stats_file(player_line(name='^1a"b^7č')))
    assert result["players"][0]["name"] == '^1a"b^7č' and result["players"][0]["clean_name"] == 'a"bč'


def test_embed_of_a_round(parser: C0RNP0RN3StatsParser, tmp_path: Path) -> None:
    embed = build_round_embed(parse(parser, tmp_path, stats_file()))
    assert embed.title == "supply - Round 1" and "DMG 3000" in embed.fields[0]["value"]
