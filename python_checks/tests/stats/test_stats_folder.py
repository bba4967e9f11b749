"""The newest complete round file, and the ways in which ``ls -t | head -1`` is wrong; the module does the same."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import stats_folder

from python_checks.stats.compose import Line, Round

R1 = Round(playtime="441250")
R2 = Round(round=2, defender=1, winner=2, limit="7:22", following="5:00", playtime="300020")
R2_NAME = "2026-02-20-214503-supply-round-2.txt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pair and its siblings, the siblings newest on disk."""
    R1.write(tmp_path, "2026-02-20-213000")
    R2.write(tmp_path, "2026-02-20-214503")
    for at, end in enumerate(("-endstats.txt", "_ws.txt"), start=1):
        path = tmp_path / R2_NAME.replace(".txt", end)
        path.write_text("Most damage given\tAna\t4300\n")
        os.utime(path, (time.time() + at, time.time() + at))
    return tmp_path


def newest(folder: Path) -> stats_folder.Newest:
    return stats_folder.newest_round(str(folder), 0)


def test_siblings_are_no_candidates(folder: Path) -> None:
    found = newest(folder)
    assert found.found is not None and found.found.name == R2_NAME and not found.skipped and not found.doubts
    assert found.counts == {"round": 2, "endstats": 1, "weapon_stats": 1}
    assert found.stats is not None and found.stats.header is not None and found.stats.header.playtime_ms == 300020


def test_an_old_file_with_a_fresh_date_is_not_the_newest_but_is_told(folder: Path) -> None:
    old = R1.write(folder, "2026-02-01-200000")
    os.utime(old, (time.time() + 100, time.time() + 100))
    found = newest(folder)
    assert found.found is not None and found.found.name == R2_NAME
    assert len(found.doubts) == 1 and old.name in found.doubts[0]


@pytest.mark.parametrize("cut", [0, 10, 60, -1])
def test_a_truncated_newest_file_is_passed_over_with_its_reason(folder: Path, cut: int) -> None:
    late = folder / "2026-02-20-220000-supply-round-1.txt"
    late.write_bytes(R1.data()[:cut])
    found = newest(folder)
    assert found.found is not None and found.found.name == R2_NAME
    assert [name for name, _ in found.skipped] == [late.name] and found.skipped[0][1]


def test_a_file_that_grows_is_passed_over(folder: Path) -> None:
    late = folder / "2026-02-20-220000-supply-round-1.txt"
    late.write_bytes(R1.data())

    def write_more(_: float) -> None:
        if late.stat().st_size == len(R1.data()):
            late.write_bytes(R1.data() + Line("11223344").text().encode())

    found = stats_folder.newest_round(str(folder), 0, write_more)
    assert found.found is not None and found.found.name == R2_NAME and "still being written" in found.skipped[0][1]
    assert newest(folder).found is not None and newest(folder).found != found.found


def test_a_real_writer_is_waited_out(folder: Path) -> None:
    """The file appears line by line in another thread; every look finds a whole file or an older one."""
    late = folder / "2026-02-20-220000-supply-round-1.txt"
    whole = Round(players=tuple(Line(f"{at:08d}") for at in range(8))).data()

    def write() -> None:
        with late.open("wb", buffering=0) as handle:
            for part in whole.splitlines(keepends=True):
                handle.write(part)
                time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while writer.is_alive():
        found = stats_folder.newest_round(str(folder), 0.05)
        assert found.found is not None
        seen.add((found.found.name, found.read.data == whole))
    writer.join()
    assert (late.name, False) not in seen and (R2_NAME, False) in seen
    assert newest(folder).read.data == whole


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert newest(tmp_path).found is None
    assert newest(tmp_path).as_dict()["name"] is None


# ---------------------------------------------------------------------------------------------------- the module

Run = Callable[..., dict[str, Any]]


def test_module_reports_and_checks(folder: Path, run_module: Run) -> None:
    for check in (True, False):
        result = run_module("stats_header_info", {"path": str(folder), "settle_s": 0}, check=check)
        assert (result["found"], result["name"], result["changed"]) == (True, R2_NAME, False)
        assert (result["verdict"], result["violations"], result["players"]) == ("violations", result["violations"], 1)
        # The composed R2 repeats R1's counters, so nobody played in R2: the module must see that.
        assert [one["rule"] for one in result["violations"]] == ["not_positive", "dead_over_played"]
        assert result["first_half"] == {"name": "2026-02-20-213000-supply-round-1.txt", "fields": 9}
        assert result["header"]["playtime_ms"] == 300020 and result["stamp"] == "2026-02-20-214503"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"playtime": "441"}, "playtime_unit"),
        ({"playtime": "442"}, "playtime_seconds"),
        ({"playtime": "-5123456"}, "playtime_unknown"),
        ({"playtime": "441250000"}, "playtime_unknown"),
        ({"playtime": "473000"}, "playtime_not_field8"),
    ],
)
def test_module_names_what_a_bad_writer_does(
    tmp_path: Path, run_module: Run, change: dict[str, str], rule: str
) -> None:
    good = Round(playtime="441250").write(tmp_path, "2026-02-20-213000")
    assert run_module("stats_header_info", {"path": str(tmp_path), "settle_s": 0})["verdict"] == "clean"
    Round(**change).write(tmp_path, "2026-02-20-220000")  # type: ignore[arg-type]
    result = run_module("stats_header_info", {"path": str(tmp_path), "settle_s": 0})
    assert result["verdict"] == "violations" and rule in [one["rule"] for one in result["violations"]]
    assert result["name"] != good.name


def test_module_tells_a_pair_of_two_writers_and_a_backslash(tmp_path: Path, run_module: Run) -> None:
    Round(server="A\\B", players=()).write(tmp_path, "2026-02-20-213000")
    Round(server="A\\B", round=2, limit="7:22", playtime="441250", players=()).write(tmp_path, "2026-02-20-214503")
    result = run_module("stats_header_info", {"path": str(tmp_path), "settle_s": 0})
    assert result["first_half"]["fields"] == 8 and result["header"]["fields"] == 9
    assert result["verdict"] == "clean" and "the writer changed between the halves" in " ".join(result["notes"])
    assert result["header"]["server"] == "A\\B"
    (tmp_path / result["name"]).unlink()
    eight = run_module("stats_header_info", {"path": str(tmp_path), "settle_s": 0})["header"]
    assert (eight["fields"], eight["playtime_ms"], eight["server"]) == (8, None, "A\\B")


def test_module_compares_with_the_gametime_of_the_round(tmp_path: Path, run_module: Run) -> None:
    stats, gametimes = tmp_path / "gamestats", tmp_path / "gametimes"
    stats.mkdir()
    gametimes.mkdir()
    R1.write(stats, "2026-02-20-213003")
    end = 1771619400  # 2026-02-20 20:30:00 UTC
    argument = {"path": str(stats), "settle_s": 0, "gametimes": str(gametimes)}
    zone = {"TZ": "Europe/Ljubljana"}
    result = run_module("stats_header_info", argument, env=zone)
    assert result["verdict"] == "unjudged" and "no gametime of supply R1" in result["unjudged"][0]
    for pauses, verdict in ((0, "clean"), (30, "violations")):
        meta = (
            f'{{"map": "supply", "round": 1, "round_start_unix": {end - 441}, "round_end_unix": {end},'
            f' "pause_seconds": {pauses}, "actual_duration_seconds": {441 - pauses}}}'
        )
        (gametimes / f"gametime-supply-R1-{end}.json").write_text(f'{{"meta": {meta}}}')
        result = run_module("stats_header_info", argument, env=zone)
        assert result["verdict"] == verdict, result
    numbers = result["violations"][0]["numbers"]
    assert result["violations"][0]["rule"] == "playtime_not_gametime"
    assert (numbers["measured_s"], numbers["value_s"], numbers["pauses_s"]) == (411, 441.25, 30)
    # In another zone that gametime is an hour away from the file.
    assert run_module("stats_header_info", argument, env={"TZ": "UTC"})["verdict"] == "unjudged"


def test_module_without_a_folder_says_what_to_do(tmp_path: Path, run_module: Run) -> None:
    result = run_module("stats_header_info", {"path": str(tmp_path / "none")})
    assert result["failed"] and "cannot be listed" in result["msg"] and "gamestats" in result["msg"]
    empty = run_module("stats_header_info", {"path": str(tmp_path), "settle_s": 0})
    assert (empty["found"], empty["verdict"], empty["header"]) == (False, "unjudged", None)
