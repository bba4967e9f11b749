"""``rollout stats …`` as a user runs it: exit codes, JSON, and text that no host name can break. The filters too."""

from __future__ import annotations

import doctest
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.filter import stats as stats_filter

from python_checks import cli
from python_checks.stats.compose import Line, Round

DATA = Path(__file__).resolve().parents[1] / "data"
RECORDED = DATA / "engine_scripts"


def rollout(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str]:
    code = cli.main(["stats", *map(str, argv)])
    return code, capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, Any]:
    code, out = rollout(capsys, *argv, "--format", "json")
    return code, json.loads(out)


def test_header_of_a_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Round(server="A\\B", config="", playtime="441250").write(tmp_path, "2026-02-20-213000")
    code, body = as_json(capsys, "header", path)
    wanted = {
        "fields": 9,
        "server": "A\\B",
        "map": "supply",
        "config": "",
        "round": 1,
        "defender": 2,
        "winner": 1,
        "timelimit_s": 720,
        "next_timelimit_s": 442,
        "playtime_ms": 441250,
    }
    assert code == 0 and {name: body[name] for name in wanted} == wanted
    path = Round(playtime="-5").write(tmp_path, "2026-02-20-213000")
    assert as_json(capsys, "header", path)[1]["playtime_ms"] is None
    code, text = rollout(capsys, "header", path)
    assert code == 0 and "playtime_ms         unknown" in text


@pytest.mark.parametrize("data", [b"", b"awards\tAna\t5\n", b"\xff\xfe\x00", Round().data()[:40], b"\\" * 5000])
def test_header_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(data)
    code, body = as_json(capsys, "header", path)
    assert code == 1 and body["header"] is False and body["reason"]
    assert rollout(capsys, "parse", path)[0] == 1


@pytest.mark.parametrize("action", ["header", "parse", "check", "newest"])
def test_what_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str) -> None:
    assert rollout(capsys, action, tmp_path / "missing")[0] == 2
    if action in ("header", "parse"):
        assert rollout(capsys, action, tmp_path)[0] == 2
    (tmp_path / "file").write_bytes(Round().data())
    if action == "newest":
        assert rollout(capsys, action, tmp_path / "file")[0] == 2


def test_header_text_shows_no_control_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Round(server="\x1b[31mred\x07\u202e").write(tmp_path, "2026-02-20-213000")
    _, text = rollout(capsys, "header", path)
    assert "\x1b" not in text and "\\x1b[31mred\\x07\\u202e" in text


def test_parse_shows_r2_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = Round().write(tmp_path, "2026-02-20-213000")
    later = Line(fields={"damage_given": 4000, "time_played_minutes": 14.8})
    second = Round(round=2, players=(later,)).write(tmp_path, "2026-02-20-214503")
    code, body = as_json(capsys, "parse", second, "--first", first)
    half = body["second_half"][0]
    assert code == 0 and (half["how"], half["time_played_s"], half["fields"]["damage_given"]) == (
        "difference",
        444,
        1000,
    )
    code, text = rollout(capsys, "parse", second, "--first", first)
    assert code == 0 and "R2 alone: difference" in text and "denied_playtime         0 s (half)" in text
    assert rollout(capsys, "parse", first, "--first", second)[0] == 2


def test_check_of_recorded_folders(capsys: pytest.CaptureFixture[str]) -> None:
    assert rollout(capsys, "check", RECORDED / "gamestats-9-field")[0] == 0
    # The real writer of the 8-field files counts a running death several times: 0.8 min dead of 0.5 min played.
    code, body = as_json(capsys, "check", RECORDED / "gamestats-8-field")
    found = [(one["name"], rule["rule"]) for one in body["files"] for rule in one["violations"]]
    assert code == 1 and found == [("2026-11-22-063250-testmap-round-1.txt", "dead_over_played")]
    assert body["files"][2]["violations"][0]["numbers"] == {
        "line": 3,
        "guid": "00000000",
        "played_min": 0.5,
        "dead_min": 0.8,
    }


def test_folders_below_are_read_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, body = as_json(capsys, "check", RECORDED)
    assert code == 1 and len(body["files"]) == 6 and body["unjudged"] == []
    first, second = Round(playtime="441250"), Round(round=2, playtime="440000")
    for folder, one, stamp in (("a/b", first, "213000"), ("c", second, "214503")):
        (tmp_path / folder).mkdir(parents=True)
        one.write(tmp_path / folder, f"2026-02-20-{stamp}")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    code, body = as_json(capsys, "check", tmp_path, tmp_path / "c")
    assert code == 0 and [one["name"][-5:] for one in body["files"]] == ["1.txt", "2.txt"]
    # Halves of two folders are no pair: they may come from two servers.
    assert any("R1" in note for note in body["files"][1]["notes"] + body["files"][1]["unjudged"]), body["files"][1]


def test_check_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rollout(capsys, "check", tmp_path)[0] == 2  # nothing checked is not clean
    good = Round(playtime="441250").write(tmp_path, "2026-02-20-213000")
    (tmp_path / "2026-02-20-213001-supply-round-1-endstats.txt").write_text("awards\n")
    code, text = rollout(capsys, "check", tmp_path)
    assert code == 0 and "clean: 1 files" in text and "1 endstats passed over" in text
    assert rollout(capsys, "check", tmp_path / "2026-02-20-213001-supply-round-1-endstats.txt")[0] == 2
    cut = tmp_path / "2026-02-20-220000-supply-round-1.txt"
    cut.write_bytes(Round().data()[:-3])
    assert rollout(capsys, "check", tmp_path)[0] == 2
    assert rollout(capsys, "check", good)[0] == 0
    Round(playtime="0").write(tmp_path, "2026-02-20-223000")
    code, body = as_json(capsys, "check", tmp_path)
    assert code == 1 and body["verdict"] == "violations" and body["skipped"] == {"endstats": 1}
    assert rollout(capsys, "check", good, "--timezone", "Nowhere/Land")[0] == 2
    assert rollout(capsys, "check", good, "--gametimes", tmp_path / "none")[0] == 2


def test_check_of_one_r2_finds_its_r1_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = Round(round=2, players=(Line(),)).write(tmp_path, "2026-02-20-214503")
    assert rollout(capsys, "check", second)[0] == 0
    Round().write(tmp_path, "2026-02-20-213000")
    code, body = as_json(capsys, "check", second)
    assert code == 1 and [one["rule"] for one in body["files"][0]["violations"]] == ["not_positive", "dead_over_played"]
    assert len(body["files"]) == 1


def test_check_against_gametimes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Round(playtime="441250").write(tmp_path, "2026-02-20-213003")
    meta = {"map": "supply", "round": 1, "round_start_unix": 1771618958, "round_end_unix": 1771619400}
    gametimes = tmp_path / "gametimes"
    gametimes.mkdir()
    target = gametimes / "gametime-supply-R1-1771619400.json"
    target.write_text(json.dumps({"meta": {**meta, "pause_seconds": 0}}))
    assert rollout(capsys, "check", path, "--gametimes", gametimes, "--timezone", "Europe/Ljubljana")[0] == 0
    assert rollout(capsys, "check", path, "--gametimes", gametimes, "--timezone", "UTC")[0] == 2
    target.write_text(json.dumps({"meta": {**meta, "pause_seconds": 60}}))
    code, text = rollout(capsys, "check", path, "--gametimes", gametimes)
    assert code == 1 and "1771619400 - 1771618958 - 60 = 382 s: 59.25 s apart" in text
    target.write_text("{half")
    assert rollout(capsys, "check", path, "--gametimes", gametimes)[0] == 2


def test_newest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rollout(capsys, "newest", tmp_path, "--settle", 0)[0] == 1
    path = Round().write(tmp_path, "2026-02-20-213000")
    cut = tmp_path / "2026-02-20-220000-supply-round-1.txt"
    cut.write_bytes(b"Demo\\supply")
    code, text = rollout(capsys, "newest", tmp_path, "--settle", 0)
    assert code == 0 and text.splitlines()[-1] == str(path) and f"passed over {cut.name}" in text
    assert as_json(capsys, "newest", tmp_path, "--settle", 0)[1]["name"] == path.name


def test_filters_do_what_their_examples_say() -> None:
    assert doctest.testmod(stats_filter).failed == 0
    assert set(stats_filter.FilterModule().filters()) == {"stats_header", "stats_name", "stats_newest", "stats_check"}
    assert stats_filter.check(Round().data().decode(), "2026-02-20-213000-oasis-round-1.txt")["verdict"] == "violations"


def test_filters_are_found_by_ansible(root: Path) -> None:
    expression = "{{ ['2026-02-20-213000-a-round-1.txt', 'x'] | slomix.timetracking.stats_newest }}"
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "adhoc", "localhost", "-m", "debug", "-a", f"msg={expression}"],
        cwd=root,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and "2026-02-20-213000-a-round-1.txt" in done.stdout, done.stdout + done.stderr
