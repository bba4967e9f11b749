"""Parsers before and after, run on composed files: milliseconds, the unknown, the fallback, own time, the log line."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import stats_header
from hypothesis import given
from hypothesis import strategies as hs

from python_checks.source import field9, probe
from python_checks.source.players import generated_players
from python_checks.source.recipe import fix
from python_checks.tests.source.files import DATA, PARSERS, SITE, name

PARSER = SITE / "bot/community_stats_parser.py"


@pytest.mark.parametrize("path", PARSERS, ids=name)
def test_unpatched_fails_and_patched_is_right(path: Path) -> None:
    source = path.read_bytes()
    old = probe.run(source)
    assert not old.error and old.cases["ms"] == 441250 and probe.wrong(old, old)
    result = fix(source, ["parser-field9"])
    new = probe.run(result.output)
    assert probe.wrong(old, new) == []
    # Two of the composed parsers do not show how a player's own minutes are reached; they keep the round's duration and say so.
    own = 441 if name(path) in ("handed_on", "properties") else 300
    assert new.cases["ms"] in (441, 441.25) and new.cases["ms with own time"] == own
    assert any("keep the round's duration" in action for action in result.actions) == (own == 441)
    assert all(new.cases[f"unknown {text[:20]!r}"] == 442 for text in probe.UNKNOWN_TEXTS)
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


def test_a_parser_that_cannot_be_run_is_said_so() -> None:
    source = b"raise RuntimeError('needs a database')\n" + PARSER.read_bytes()
    result = fix(source, ["parser-field9"])
    assert result.changed and any("not proven by a run" in action for action in result.actions)


def test_the_probe_opens_no_network_and_touches_nothing(tmp_path: Path) -> None:
    source = (
        b"import socket\nclass P:\n    def parse_stats_file(self, path):\n"
        b"        socket.create_connection(('127.0.0.1', 9))\n        return {'players': []}\n"
    )
    assert set(probe.run(source).cases.values()) == {None}
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
