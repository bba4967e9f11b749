"""The probe and the replay, on the world's February parser and on differently written ones: each verdict is reached,
and none by a parser that reaches out, hangs or ends the interpreter."""

from __future__ import annotations

import json
import socket
import textwrap
import time
from pathlib import Path

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import stats_file

from python_checks import cli
from python_checks.stats.compose import Line, Round
from python_checks.stats.probe import Probe, probe
from python_checks.stats.replay import ParserFailed, Run, compare, replay, run_parser

ROOT = Path(__file__).resolve().parents[3]
FEBRUARY = ROOT / "molecule/world/slomix_vm/opt_slomix/bot/community_stats_parser.py"
RECORDED = sorted((ROOT / "python_checks/tests/data/engine_scripts").glob("gamestats-*-field/*.txt"))

# What all written-down parsers share: the header apart, clocks, and rows with a time.
BASE = """
import math, re

def clock(text):
    m = re.fullmatch(r"(\\d+):(\\d\\d)", text)
    return int(m[1]) * 60 + int(m[2]) if m else 0

def read(path):
    lines = open(path, encoding="utf-8", errors="ignore").read().splitlines()
    return lines[0].split("\\\\"), [line.split("\\\\") for line in lines[1:] if line]

def rows(people, seconds):
    return [{"guid": p[0], "damage_given": int(p[4].split("\\t")[1]), "time_played_seconds": seconds,
             "dpm": int(p[4].split("\\t")[1]) * 60 / seconds if seconds else 0.0} for p in people]
"""

RIGHT = """
def field9(parts):
    if len(parts) < 9 or not re.fullmatch(r"[1-9]\\d*", parts[8]):
        return None
    return int(parts[8]) / 1000

class Reader:
    def parse_stats_file(self, path):
        parts, people = read(path)
        measured = field9(parts)
        seconds = int(clock(parts[7]) if measured is None else measured)
        return {"success": True, "map_name": parts[1], "players": rows(people, seconds)}
"""

PARSERS = {
    "right": ("milliseconds", "", RIGHT),
    "right, asynchronous, derived class, constructor with a default": (
        "milliseconds",
        "",
        RIGHT
        + """
class AsyncReader(Reader):
    def __init__(self, window=45):
        self.window = window
    async def parse_stats_file(self, path):
        import asyncio
        await asyncio.sleep(0)
        return super().parse_stats_file(path)
""",
    ),
    "right, a function, an object as answer, raw milliseconds kept": (
        "milliseconds",
        "",
        RIGHT
        + """
del Reader
class Answer:
    pass

def parse_stats_file(path):
    parts, people = read(path)
    answer = Answer()
    answer.playtime_ms = None if field9(parts) is None else int(parts[8])
    answer.players = {row["guid"]: row for row in rows(people, int(field9(parts) or clock(parts[7])))}
    return answer
""",
    ),
    "right, with the players' own time first": (
        "milliseconds",
        "",
        RIGHT
        + """
class Own(Reader):
    def parse_stats_file(self, path):
        found = super().parse_stats_file(path)
        for row, person in zip(found["players"], read(path)[1]):
            own = float(person[4].split("\\t")[23])
            if own > 0 and len(read(path)[0]) > 8:
                row["time_played_seconds"] = int(own * 60)
                row["dpm"] = row["damage_given"] * 60 / row["time_played_seconds"]
        return found
""",
    ),
    "right, in minutes": (
        "milliseconds",
        "",
        RIGHT
        + """
class Minutes(Reader):
    def parse_stats_file(self, path):
        parts, people = read(path)
        minutes = (field9(parts) or clock(parts[7])) / 60
        return {"players": [{"guid": p[0], "minutes": minutes} for p in people]}
""",
    ),
    "seconds, truncated": (
        "seconds",
        "",
        """
class P:
    def parse_stats_file(self, path):
        parts, people = read(path)
        seconds = clock(parts[7])
        if len(parts) > 8 and re.fullmatch(r"[1-9]\\d*", parts[8]):
            seconds = int(parts[8])
        return {"players": rows(people, seconds)}
""",
    ),
    "seconds where players have no own time": (
        "seconds",
        "",
        """
class P:
    def parse_stats_file(self, path):
        parts, people = read(path)
        good = len(parts) > 8 and re.fullmatch(r"[1-9]\\d*", parts[8])
        fallback = int(parts[8]) if good else clock(parts[7])
        found = rows(people, 0)
        for row, p in zip(found, people):
            row["time_played_seconds"] = int(float(p[4].split("\\t")[23]) * 60) or fallback
        return {"players": found}
""",
    ),
    "ignores": (
        "ignores",
        "",
        """
class P:
    def parse_stats_file(self, path):
        parts, people = read(path)
        return {"players": rows(people, clock(parts[7]))}
""",
    ),
    "rejects": (
        "rejects",
        "",
        """
class P:
    def parse_stats_file(self, path):
        parts, people = read(path)
        if len(parts) != 8:
            return {"success": False, "error": "8 fields wanted"}
        return {"players": rows(people, clock(parts[7]))}
""",
    ),
    "guesses by size": (
        "milliseconds",
        "the unit is guessed by size",
        RIGHT.replace("return int(parts[8]) / 1000", "return int(parts[8]) / (1000 if int(parts[8]) > 10000 else 1)"),
    ),
    "takes a negative for a time": (
        "milliseconds",
        "field 9 '-5123456' is no measurement, yet it is used",
        RIGHT.replace("[1-9]\\d*", "-?[1-9]\\d*"),
    ),
    "takes 0 for a time": (
        "milliseconds",
        "field 9 '0' is no measurement, yet it is used",
        RIGHT.replace("[1-9]\\d*", "\\d+"),
    ),
    "loses a file for nan": (
        "milliseconds",
        "field 9 'nan' loses the file",
        RIGHT.replace("        return None\n", "        return None if parts[8:] != ['nan'] else int(float('nan'))\n"),
    ),
}


def written(folder: Path, code: str, name: str = "some_parser.py") -> Path:
    path = folder / name
    path.write_text(BASE + textwrap.dedent(code))
    return path


@pytest.mark.parametrize("case", PARSERS)
def test_probe(case: str, tmp_path: Path) -> None:
    reads, fault, code = PARSERS[case]
    found = probe(written(tmp_path, code))
    assert found.reads == reads and found.evidence
    assert found.right == (reads == "milliseconds" and not fault), found.faults
    assert fault in " ".join(found.faults) if fault else not found.faults, found.faults


def test_probe_of_the_february_parser_says_that_it_misreads() -> None:
    found: Probe = probe(FEBRUARY)
    assert (found.parser, found.reads, found.right) == ("C0RNP0RN3StatsParser", "seconds", False)
    assert "a factor of 1000" in found.evidence[0] and "83.7 h" in found.evidence[0]
    assert found.stand_ins in ((), ("discord",))
    faults = " ".join(found.faults)
    assert "field 9 '-5123456' is no measurement" in faults and "field 9 'nan' loses the file" in faults


def test_probe_keeps_the_line_on_the_source_of_the_time(tmp_path: Path) -> None:
    code = RIGHT.replace(
        "        return {",
        '        logging.getLogger("bot.parser").info("Round time source: field9")\n        return {',
    )
    assert probe(written(tmp_path, "import logging\n" + code)).log == [["INFO", "Round time source: field9"]]
    quiet = code.replace(".info(", ".debug(")
    assert probe(written(tmp_path, "import logging\n" + quiet)).log == []


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("x = 1", "no class and no function with parse_stats_file"),
        ("class A:\n def parse_stats_file(self, p): pass\nclass B:\n def parse_stats_file(self, p): pass", "several"),
        ("class A:\n def __init__(self, db): pass\n def parse_stats_file(self, p): pass", "__init__"),
        ("def parse_stats_file(p):\n return {'players': []}", "does not read an 8-field file"),
        ("def parse_stats_file(p):\n import os\n os._exit(3)", "exit code 3"),
        ("import sys\nsys.exit(4)", "SystemExit"),
        ("def parse_stats_file(p):\n while True: pass", "took more than"),
        ("def broken(:", "SyntaxError"),
        ("import socket\nsocket.create_connection(('127.0.0.1', PORT))", "socket."),
        ("import subprocess\nsubprocess.run(['true'])", "subprocess.Popen"),
        ("open(HERE + '/left', 'w')", "wanted to write"),
        ("import sqlite3\nsqlite3.connect(HERE + '/left')", "sqlite3.connect"),
        ("import os\nos.mkdir(HERE + '/left')", "os.mkdir"),
        ("import os\nos.environ['HOME_SECRET']", "KeyError"),
    ],
)
def test_a_parser_that_cannot_be_tried_says_why_and_touches_nothing(
    code: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME_SECRET", "x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        code = code.replace("PORT", str(server.getsockname()[1])).replace("HERE", repr(str(tmp_path)))
        with pytest.raises(ParserFailed) as failed:
            probe(written(tmp_path, code), timeout_s=3)
        assert says in str(failed.value)
        with pytest.raises(TimeoutError):
            server.accept()
    assert [path.name for path in tmp_path.iterdir()] == ["some_parser.py"]


def test_stand_ins_only_for_what_is_missing_and_needed(tmp_path: Path) -> None:
    code = """
    import no_such_discord
    from no_such_discord.ext import commands, tasks
    try:
        import no_such_speedup
    except ImportError:
        no_such_speedup = None
    assert no_such_speedup is None

    @tasks.loop(seconds=5)
    async def loop(): pass

    class Cog(commands.Cog):
        pass
    """
    found = probe(written(tmp_path, textwrap.dedent(code) + textwrap.dedent(RIGHT), "a-parser.before.py"))
    assert found.right and found.stand_ins == ("no_such_discord",)


def test_a_parser_in_a_package_imports_its_neighbours(tmp_path: Path) -> None:
    package = tmp_path / "site" / "bot"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "names.py").write_text("SCALE = 1000\n")
    code = "from .names import SCALE\nfrom bot.names import SCALE as again\n" + RIGHT.replace("/ 1000", "/ SCALE")
    path = written(package, code)
    assert probe(path).stand_ins == ()
    # The changed copy lies elsewhere and still finds the site's package.
    copy = written(tmp_path, code.replace("from .names", "from bot.names"), "after.py")
    assert replay(path, copy, RECORDED).refused == []


# ---------------------------------------------------------------------------------------------------- replay

IGNORES = PARSERS["ignores"][2]


def files(folder: Path) -> list[Path]:
    found = [
        Round().write(folder, "2026-02-20-200000"),
        Round(playtime="441250").write(folder, "2026-02-20-210000"),
        Round(playtime="-5123456").write(folder, "2026-02-20-220000"),
        Round(playtime="456", following="7:36").write(folder, "2026-02-20-230000"),
    ]
    odd = folder / "odd.txt"
    odd.write_bytes(b"\xff\x00 no header")
    return [*found, odd]


def test_replay_of_a_parser_against_itself_is_equal() -> None:
    report = replay(FEBRUARY, FEBRUARY, RECORDED)
    assert (report.files, report.equal, report.failed, report.differences) == ({8: 4, 9: 2}, 6, 2, [])


def test_replay_allows_what_follows_from_field9(tmp_path: Path) -> None:
    before, after = written(tmp_path, PARSERS["seconds, truncated"][2], "b.py"), written(tmp_path, RIGHT, "a.py")
    before.write_text(
        before.read_text().replace('"players": rows', '"success": True, "map_name": parts[1], "players": rows')
    )
    report = replay(before, after, files(tmp_path)[:3])
    assert report.files == {8: 1, 9: 2} and report.equal == 2 and not report.refused
    assert {one.path.rsplit(".")[-1] for one in report.differences} == {"dpm", "time_played_seconds"}
    # The legacy writer's whole seconds are right before and wrong after: that is no allowed difference.
    legacy = replay(before, after, files(tmp_path)[3:4])
    assert [one.path for one in legacy.refused] == ["result.players.0.time_played_seconds"]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('"map_name": parts[1]', '"map_name": parts[1].upper()', "result.map_name"),
        ("seconds = int(", "seconds = 1 + int(", "result.players.0"),
        ('"players": rows(people, seconds)', '"players": rows(people, seconds)[:-1]', "result.players"),
        ('"success": True, ', "", "result.success"),
        ('"success": True', '"success": 1', "result.success"),
        ("/ 1000", "/ 100", "result.players.0.time_played_seconds"),
        ("/ 1000", "/ 1000 + 7", "result.players.0.time_played_seconds"),
    ],
)
def test_replay_refuses_everything_else(old: str, new: str, where: str, tmp_path: Path) -> None:
    before, after = written(tmp_path, RIGHT, "b.py"), tmp_path / "a.py"
    assert old in before.read_text()
    after.write_text(before.read_text().replace(old, new))
    report = replay(before, after, files(tmp_path)[:4])
    assert any(one.path.startswith(where) for one in report.refused), report.differences


@pytest.mark.parametrize(
    ("after", "refused"),
    [
        ({}, []),
        ({"dpm": 403.0}, ["dpm"]),
        ({"dpm": "many"}, ["dpm"]),
        ({"time_display": "7:22"}, ["time_display"]),
        ({"time_played_seconds": 439}, ["time_display", "time_played_seconds"]),
        ({"time_played_seconds": True}, ["dpm", "time_display", "time_played_seconds"]),
        ({"time_played_seconds": 442, "dpm": 407.2, "time_display": "7:22"}, []),
        ({"time_played_seconds": 444, "dpm": 405.4, "time_display": "7:24"}, []),
        ({"kills": 7}, ["kills"]),
        ({"round_time_source": 9}, ["round_time_source"]),
    ],
)
def test_rules_for_what_may_differ_in_a_nine_field_file(after: dict[str, object], refused: list[str]) -> None:
    """Field 9 is 441250 ms, the player's own time 7.4 min, his damage 3000."""
    row: dict[str, object] = {"guid": "AABBCCDD", "damage_given": 3000, "kills": 6}
    old = {**row, "time_played_seconds": 441250, "dpm": 0.4, "time_display": "7354:10"}
    new = {**row, "time_played_seconds": 441, "dpm": 408.2, "time_display": "7:21", "round_time_source": "field9"}
    runs = [Run("P", (), (json.dumps({"result": {"players": [one]}}),)) for one in (old, {**new, **after})]
    data = Round(playtime="441250").data()
    report = compare(runs[0], runs[1], ["x"], [stats_file.parse_stats(data)])
    assert sorted(one.path.rsplit(".", 1)[1] for one in report.refused) == refused
    eight = compare(runs[0], runs[1], ["x"], [stats_file.parse_stats(Round().data())])
    assert len(eight.refused) == len(eight.differences) > 3


def test_a_file_that_was_lost_and_is_read_now_is_allowed(tmp_path: Path) -> None:
    nan = Round(playtime="nan").write(tmp_path, "2026-02-20-223000")
    fixed = tmp_path / "after.py"
    fixed.write_text(
        FEBRUARY.read_text().replace(
            "actual_playtime_seconds = float(header_parts[8])",
            "actual_playtime_seconds = int(header_parts[8]) / 1000",
        )
    )
    report = replay(FEBRUARY, fixed, [nan])
    assert [(one.path, one.allowed) for one in report.differences] == [("(file)", True)]
    assert replay(fixed, FEBRUARY, [nan]).refused


MILLISECONDS = (
    "actual_playtime_seconds = float(header_parts[8])",
    'actual_playtime_seconds = int(header_parts[8]) / 1000 if re.fullmatch("[1-9][0-9]*", header_parts[8]) else None',
)


@pytest.mark.parametrize(
    ("edit", "playtime", "following", "refused"),
    [
        (("", ""), "0", "0:00", set()),
        (("", ""), "-5123456", "0:00", set()),
        (("SECONDS = 300", "SECONDS = 600"), "0", "0:00", {"time_played_seconds"}),
        (("SECONDS = 300", "SECONDS = 0"), "-5123456", "0:00", {"time_played_seconds"}),
        (("int(actual_playtime_seconds)", "300"), "441250", "0:00", {"time_played_seconds"}),
        (
            ("round_time_seconds = self.parse_time_to_seconds(actual_time)", "round_time_seconds = 300"),
            "0",
            "7:22",
            {"time_played_seconds"},
        ),
    ],
)
def test_where_no_field_says_a_time_the_old_default_is_right(
    edit: tuple[str, str], playtime: str, following: str, refused: set[str], tmp_path: Path
) -> None:
    """And nowhere else: a measured time, or field 8, is not replaced by it."""
    fixed = tmp_path / "after.py"
    source = FEBRUARY.read_text().replace(*MILLISECONDS)
    assert edit[0] in source
    fixed.write_text(source.replace(*edit) if edit[0] else source)
    report = replay(
        FEBRUARY, fixed, [Round(playtime=playtime, following=following).write(tmp_path, "2026-02-20-223000")]
    )
    assert report.differences
    assert {one.path.rsplit(".")[-1] for one in report.refused} == refused


@pytest.mark.parametrize("second", [None, "400500", "nan"])
@pytest.mark.parametrize(
    ("first", "before", "after", "allowed"),
    [
        ("nan", ("", ""), ("", ""), True),
        ("1e309", ("", ""), ("", ""), True),
        ("nan", ("", ""), ("seconds = int(minutes * 60)", "seconds = int(minutes * 60) + 7"), False),
        ("nan", ("", ""), ("seconds = int(minutes * 60)", "seconds = int(minutes * 60000)"), False),
        ("0", ('if not round_1["success"]', 'if round_1["success"]'), ("", ""), False),
        (None, ('if not round_1["success"]', 'if round_1["success"]'), ("", ""), False),
    ],
)
def test_an_r2_that_was_lost_with_its_r1_and_is_read_now(
    first: str | None,
    before: tuple[str, str],
    after: tuple[str, str],
    allowed: bool,
    second: str | None,
    tmp_path: Path,
) -> None:
    """The R1's field 9 was no number. An R2 lost for anything else, or read with another time, stays refused."""
    old, new = tmp_path / "before.py", tmp_path / "after.py"
    february = FEBRUARY.read_text()
    assert before[0] in february and after[0] in february
    old.write_text(february.replace(*before) if before[0] else february)
    fixed = february.replace(*MILLISECONDS)
    new.write_text(fixed.replace(*after) if after[0] else fixed)
    later = Line(fields={"damage_given": 5000, "time_played_minutes": 14.1})
    pair = [
        Round(playtime=first).write(tmp_path, "2026-02-20-213000"),
        Round(round=2, limit="7:22", playtime=second, players=(later,)).write(tmp_path, "2026-02-20-214503"),
    ]
    report = replay(old, new, pair)
    found = [one for one in report.differences if one.file == pair[1].name]
    # With "nan" in its own header the R2 would have been lost whatever else was wrong.
    assert found and all(one.allowed for one in found) is (allowed or bool(second == "nan" and before[0])), found


def test_replay_finds_the_r1_of_an_r2_among_many(tmp_path: Path) -> None:
    Round().write(tmp_path, "2026-02-19-213000")
    later = Line(fields={"damage_given": 5000, "time_played_minutes": 14.8})
    pair = [
        Round().write(tmp_path, "2026-02-20-213000"),
        Round(round=2, players=(later,)).write(tmp_path, "2026-02-20-214503"),
    ]
    run = run_parser(FEBRUARY, pair)
    assert run.answers()[1]["result"]["r1_filename"] == pair[0].name
    report = replay(FEBRUARY, FEBRUARY, pair)
    assert report.equal == 2 and report.failed == 0


def test_replay_of_two_thousand_files_takes_less_than_thirty_seconds(tmp_path: Path) -> None:
    made = []
    for at in range(1000):
        stamp = f"2026-02-{1 + at // 50:02d}-{at % 50 // 3:02d}{at % 3 * 20:02d}"
        made.append(Round(playtime="441250").write(tmp_path, stamp + "00"))
        made.append(Round(round=2, limit="7:22", playtime="441250").write(tmp_path, stamp + "59"))
    started = time.monotonic()
    report = replay(FEBRUARY, FEBRUARY, made)
    assert time.monotonic() - started < 30
    assert report.equal == 2000 and report.failed == 0


# ---------------------------------------------------------------------------------------------------- the command


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "gamestats"
    folder.mkdir()
    made = files(folder)[:2]
    right, ignores = written(tmp_path, RIGHT, "right.py"), written(tmp_path, IGNORES, "ignores.py")

    def rollout(*argv: object) -> tuple[int, str]:
        code = cli.main(["stats", *map(str, argv)])
        return code, capsys.readouterr().out

    assert rollout("probe", right)[0] == 0
    code, text = rollout("probe", FEBRUARY)
    assert code == 1 and "field 9 is read as: seconds" in text and "a factor of 1000" in text
    code, text = rollout("probe", ignores, "--format", "json")
    assert code == 1 and json.loads(text)["reads"] == "ignores"
    assert rollout("probe", tmp_path / "missing.py")[0] == 2
    assert rollout("probe", right, "--python", tmp_path / "no-python")[0] == 2

    assert rollout("replay", "--before", right, "--after", right, *made)[0] == 0
    code, text = rollout("replay", "--before", ignores, "--after", right, *made)
    assert code == 1 and "differences that no rule allows" in text
    code, text = rollout("replay", "--before", ignores, "--after", right, *made, "--format", "json")
    assert code == 1 and json.loads(text)["refused"] > 0
    assert rollout("replay", "--before", right, "--after", tmp_path / "missing.py", *made)[0] == 2
    (tmp_path / "empty").mkdir()
    assert rollout("replay", "--before", right, "--after", right, tmp_path / "empty")[0] == 2
