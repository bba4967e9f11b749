"""Parsers before and after, run on composed files: milliseconds, the unknown, the fallback, own time, the log line."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import stats_header
from hypothesis import given
from hypothesis import strategies as hs

from python_checks.cli import main
from python_checks.source import field9, probe
from python_checks.source.players import generated_players
from python_checks.source.recipe import fix
from python_checks.tests.source.files import DATA, PARSERS, SITE, name

PARSER = SITE / "bot/community_stats_parser.py"


OWN = {guid: seconds for guid, (_, _, seconds) in probe.PLAYERS.items()}


def everybody(seconds: float) -> dict[str, float]:
    """Each of the probe's players with the same seconds."""
    return dict.fromkeys(probe.PLAYERS, seconds)


@pytest.mark.parametrize("path", PARSERS, ids=name)
def test_unpatched_fails_and_patched_is_right(path: Path) -> None:
    source = path.read_bytes()
    old = probe.run(source)
    assert not old.error and old.cases["ms"] == everybody(441250) and probe.wrong(old, old)
    result = fix(source, ["parser-field9"])
    new = probe.run(result.output)
    # Two of the composed parsers do not show how a player's own minutes are reached; they keep the round's duration and say so.
    has_own = name(path) not in ("handed_on", "properties")
    assert probe.wrong(old, new, own=has_own) == []
    assert new.cases["ms"] in (everybody(441), everybody(441.25))
    assert any("keep the round's duration" in action for action in result.actions) != has_own
    assert any("about double dpm" in action for action in result.actions) != has_own
    assert all(new.cases[f"unknown {text[:20]!r}"] == everybody(442) for text in probe.UNKNOWN_TEXTS)
    assert "Round time source: field9" in new.log and "Round time source: header" in new.log


WRONG = {
    "unit: seconds": (b"played = int(text) / 1000", b"played = int(text)"),
    "unit: tenths": (b"played = int(text) / 1000", b"played = int(text) / 100"),
    "clamp: zero and negative": (
        b"text.isdigit() and len(text) <= 12) or int(text) == 0",
        b"text.lstrip('-').isdigit() and len(text) <= 12)",
    ),
    "clamp: no limit": (b"if played > (limit + 60 if limit > 0 else 86400):", b"if False:"),
    "fan-out: everybody the round's time, also without field 9 his own": (
        b"            if actual_playtime_seconds is not None:\n                own",
        b"            if True:\n                own",
    ),
    "truth: zero is no time": (
        b"_field9_seconds(header_parts)\n            except",
        b"_field9_seconds(header_parts) or 0\n            except",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_patches_are_caught(case: str) -> None:
    source = PARSER.read_bytes()
    right = fix(source, ["parser-field9"]).output
    old, new = WRONG[case]
    assert right.replace(old, new) != right
    assert probe.wrong(probe.run(source), probe.run(right.replace(old, new))), case


LOOPS = PARSER.read_bytes()[
    PARSER.read_bytes().index(b"        players = []\n        for line in lines[1:]:") : PARSER.read_bytes().index(
        b"        limit_seconds ="
    )
]
STORES = """player["time_played_seconds"] = round_time_seconds
if round_time_seconds > 0:
    player["dpm"] = player["damage_given"] * 60 / round_time_seconds
players.append(player)"""
EARLIER = """bots = 0
for line in lines[1:]:
    player = self.parse_player_line(line)
    if player and player["is_bot"]:
        bots += 1
"""


def looped(body: str, before: str = "", head: str = "for line in lines[1:]:") -> bytes:
    """The world's parser with one loop of its own; ``STORES`` stands for the lines that fill the player."""
    lines: list[str] = []
    for line in body.splitlines():
        space = line[: len(line) - len(line.lstrip())]
        lines += [space + one for one in STORES.splitlines()] if line.strip() == "STORES" else [line]
    text = "players = []\n" + before + head + "\n" + textwrap.indent("\n".join(lines), "    ")
    source = PARSER.read_bytes()
    assert source.count(LOOPS) == 1
    return source.replace(LOOPS, textwrap.indent(text, " " * 8).encode() + b"\n\n")


PARSED = """if line.strip():
    player = self.parse_player_line(line)
    if player:
        STORES"""
PLACED = {
    "bound inside of the loop": looped(PARSED),
    "bound by an earlier loop too": looped(PARSED, EARLIER),
    "walrus": looped("if (player := self.parse_player_line(line)) is not None:\n    STORES"),
    "early continue": looped(
        "if not line.strip():\n    continue\nplayer = self.parse_player_line(line)\nif player is None:\n    continue\nSTORES"
    ),
    "the duration is told to the log before": looped('logger.debug("%s", round_time_seconds)\n' + PARSED),
    "dpm first": looped(
        "player = self.parse_player_line(line)\nif player:\n"
        '    player["dpm"] = player["damage_given"] * 60 / round_time_seconds\n    STORES'
    ),
    "players at the end of a list": looped(
        "player = self.parse_player_line(line)\nif player:\n    players.append(player)\n"
        '    players[-1]["time_played_seconds"] = round_time_seconds\n'
        '    player["dpm"] = player["damage_given"] * 60 / round_time_seconds'
    ),
    "in a block of the loop over players": looped(
        'if round_time_seconds > 0:\n    player["time_played_seconds"] = round_time_seconds\n'
        'player["dpm"] = player["damage_given"] * 60 / round_time_seconds\nplayers.append(player)',
        head="for player in filter(None, map(self.parse_player_line, lines[1:])):",
    ),
}
#: Where no line of the loop is certain: the player is not known yet where the duration is used first, or may be None there.
NOT_PLACED = {
    "dpm before the player": looped(
        "rate = 60 / round_time_seconds\nplayer = self.parse_player_line(line)\nif player:\n"
        '    player["time_played_seconds"] = round_time_seconds\n    player["dpm"] = player["damage_given"] * rate\n'
        "    players.append(player)"
    ),
    "a condition on the player": looped(
        "player = self.parse_player_line(line)\nif player:\n"
        '    player["time_played_seconds"] = round_time_seconds\n    players.append(player)\n'
        'if player and round_time_seconds:\n    player["dpm"] = player["damage_given"] * 60 / round_time_seconds'
    ),
    "on the line of its condition": looped(
        "player = self.parse_player_line(line)\nif player: player['time_played_seconds'] = round_time_seconds\n"
        'if player:\n    player["dpm"] = player["damage_given"] * 60 / 442\n    players.append(player)'
    ),
    "dpm before the list ends with the player": looped(
        "player = self.parse_player_line(line)\nif player:\n"
        '    player["dpm"] = player["damage_given"] * 60 / round_time_seconds\n'
        '    players.append(player)\n    players[-1]["time_played_seconds"] = round_time_seconds'
    ),
    "a player that each look takes from the list": looped(
        'rest.pop()["time_played_seconds"] = round_time_seconds',
        "players = [p for p in map(self.parse_player_line, lines[1:]) if p]\nrest = list(players)\n"
        "for one in players:\n    one['dpm'] = 0.0\n",
        "while_ = list(players)\nfor _ in while_:",
    ),
    "the duration changes in the loop": looped("round_time_seconds = max(1, round_time_seconds)\n" + PARSED),
    "dpm in another loop": looped(PARSED).replace(
        b"        limit_seconds =",
        b'        for one in players:\n            one["dpm"] = one["damage_given"] * 60 / round_time_seconds\n        limit_seconds =',
    ),
}


@pytest.mark.parametrize("case", PLACED)
def test_each_player_gets_his_own_time(case: str) -> None:
    source = PLACED[case]
    old, result = probe.run(source), fix(source, ["parser-field9"])
    new = probe.run(result.output)
    assert probe.wrong(old, new, own=True) == [] and not result.refused_reason
    assert {guid: OWN[guid] or 441 for guid in OWN} == new.cases["ms with own time"]


@pytest.mark.parametrize("case", NOT_PLACED)
def test_without_a_certain_place_the_own_time_is_left_out(case: str) -> None:
    source = NOT_PLACED[case]
    old, result = probe.run(source), fix(source, ["parser-field9"])
    assert not old.error and not result.refused_reason
    assert b"_own_seconds" not in result.output and probe.wrong(old, probe.run(result.output), own=False) == []
    assert any("keep the round's duration" in a and "about double dpm" in a for a in result.actions)


def test_players_who_have_their_own_time_keep_it() -> None:
    """A parser that never used the round's duration for them."""
    source = looped(PARSED).replace(
        b'player["time_played_seconds"] = round_time_seconds',
        b'player["time_played_seconds"] = round((player["objective_stats"]["time_played_minutes"] or 0) * 60) or round_time_seconds',
    )
    result = fix(source, ["parser-field9"])
    new = probe.run(result.output)
    assert not result.refused_reason and {guid: OWN[guid] or 441 for guid in OWN} == new.cases["ms with own time"]
    assert "players have their own time already" in result.actions


def test_the_time_of_the_player_before_is_caught() -> None:
    """What this recipe once wrote where an earlier loop had bound the name; one player, or equal minutes, did not show it."""
    source = PLACED["bound by an earlier loop too"]
    right = fix(source, ["parser-field9"]).output.decode()
    start = right.index("                    own_time_seconds = round_time_seconds")
    end = right.index('                    player["time_played_seconds"] = own')
    lines, guard = textwrap.dedent(right[start:end]), "            if line.strip():\n                player = self"
    moved = (right[:start] + right[end:]).replace(guard, textwrap.indent(lines, " " * 12) + guard).encode()
    told = probe.wrong(probe.run(source), probe.run(moved))
    assert any(one.startswith("ms with own time: found 441, 300, 180 s played") for one in told), told
    assert "patched right" in fix(moved, ["parser-field9"]).refused_reason


def test_why_a_patched_parser_reads_nothing_is_said() -> None:
    """Also where the parser itself swallows what was raised."""
    source = PARSER.read_bytes()
    broken = fix(source, ["parser-field9"]).output.replace(b"_own_seconds((", b"_own_seconds(None + (")
    assert any("unsupported operand" in one for one in probe.wrong(probe.run(source), probe.run(broken)))


UNRUNNABLE = {
    "raises at import": b"raise RuntimeError('needs a database')\n" + PARSER.read_bytes(),
    "reads no file": PARSER.read_bytes().replace(
        b"        players = []\n", b"        players = []\n        raise TypeError('needs a database')\n", 1
    ),
}


@pytest.mark.parametrize("case", UNRUNNABLE)
def test_a_parser_that_cannot_be_run_is_said_so(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A role tries the candidate on the site's Python; the command has nothing behind it and writes nothing unasked."""
    source = UNRUNNABLE[case]
    result = fix(source, ["parser-field9"])
    assert result.changed and b"_own_seconds" not in result.output
    assert any("not proven by a run" in a and "needs a database" in a for a in result.actions)
    assert any("about double dpm" in action for action in result.actions)
    path, out = tmp_path / "p.py", tmp_path / "out.py"
    path.write_bytes(source)
    command = ["source", "fix", str(path), "--recipe", "parser-field9", "-o", str(out)]
    assert main(command) == 2 and not out.exists()
    assert "not proven by a run" in capsys.readouterr().err
    assert main([*command, "--unproven"]) == 0 and out.read_bytes() == result.output


def test_a_setting_read_at_import_does_not_hinder_the_proof() -> None:
    source = PARSER.read_bytes().replace(
        b"DEFAULT_ROUND_SECONDS =",
        b"from bot.config import load\nWINDOW = int(load().minutes) * 60\nDEFAULT_ROUND_SECONDS =",
        1,
    )
    assert any("run on" in action for action in fix(source, ["parser-field9"]).actions)


def test_the_duration_may_come_from_another_function() -> None:
    """The header as an object, the duration from a method that reads it, the minutes in a dict that is kept in the player."""
    source = (DATA / "parser" / "objects.py.txt").read_bytes()
    result = fix(source, ["parser-field9"])
    assert probe.wrong(probe.run(source), probe.run(result.output), own=True) == []
    assert b"if head.playtime is not None:" in result.output


def test_the_probe_opens_no_network_and_touches_nothing(tmp_path: Path) -> None:
    source = (
        b"import socket\nclass P:\n    def parse_stats_file(self, path):\n"
        b"        socket.create_connection(('127.0.0.1', 9))\n        return {'players': []}\n"
    )
    found = probe.run(source)
    assert set(found.cases.values()) == {None} and "no network" in found.error
    assert "parse_stats_file" in probe.run(b"x = 1\n").error


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("441250", 441.25),
        ("442", 442.0),
        ("443", 443.0),
        ("444", 0.444),
        ("780000", 780.0),
        ("780001", None),
        *((text, None) for text in probe.UNKNOWN_TEXTS),
        (" 441250 ", 441.25),
        ("441250.0", None),
        ("+441250", None),
        ("٤٤١", None),
        ("²", None),
    ],
)
def test_field9(text: str, expected: float | None) -> None:
    parts = ["Demo", "supply", "legacy3", "1", "2", "1", "12:00", "7:22", text]
    assert field9._field9_seconds(parts) == expected
    assert field9._field9_seconds(parts[:8]) is None
    assert field9._field9_whole_seconds(parts) == (None if expected is None else int(expected))


@given(hs.text(max_size=14), hs.text(max_size=7), hs.text(max_size=7))
def test_helper_never_raises(text: str, limit: str, target: str) -> None:
    found = field9._field9_seconds(["", "", "", "", "", "", limit, target, text])
    assert found is None or found > 0


@given(hs.one_of(hs.integers(-10, 900_000).map(str), hs.text(max_size=8)), hs.integers(0, 800))
def test_helper_and_reference_library_agree(text: str, clock: int) -> None:
    """Within the limit, the copied helper reads what the reference library reads."""
    target = f"{clock // 60}:{clock % 60:02d}"
    ms, _, _ = stats_header.read_playtime(text.strip(), stats_header.clock_seconds(target))
    found = field9._field9_seconds(["", "", "", "", "", "", "0:00", target, text])
    assert (None if ms is None else ms / 1000) == found


@pytest.mark.parametrize(
    ("minutes", "expected"), [(7.4, 444), (7.3, 438), (0, 442), (0.0, 442), (None, 442), (-1, 442), (14.7 - 7.3, 444)]
)
def test_own_seconds(minutes: float | None, expected: int) -> None:
    assert field9._own_seconds(minutes, 442) == expected


def test_eight_field_files_keep_their_rows() -> None:
    """Thousands of lines in files with eight fields: row for row the same, own time or not."""
    source = PARSER.read_bytes()
    old, new = probe.run(source), probe.run(fix(source, ["parser-field9"]).output)
    eight = [case for case in old.cases if case.startswith("8 fields")]
    assert len(eight) == 3 and all(old.cases[c] == new.cases[c] for c in eight)
    assert generated_players(1) and len(list((DATA / "parser").glob("*.txt"))) >= 3


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"float(header_parts[8])", b"float(header_parts[7])", "found none"),
        (b"float(header_parts[8])", b"print(header_parts[8])", "only read in line"),
        (b"float(header_parts[8])", b"float(header_parts[8]) + self.offset(float(header_parts[8]))", "found 2"),
    ],
)
def test_unclear_targets_are_refused(old: bytes, new: bytes, reason: str) -> None:
    source = PARSER.read_bytes().replace(old, new)
    result = fix(source, ["parser-field9"])
    assert reason in result.refused_reason and result.output == source


def test_right_unit_by_hand_is_recognised() -> None:
    """A parser that divides by 1000 already gets the range test, not a second division."""
    source = PARSER.read_bytes().replace(b"float(header_parts[8])", b"float(header_parts[8]) / 1000")
    result = fix(source, ["parser-field9"])
    assert result.changed and b"_field9_seconds(header_parts) / 1000" not in result.output
