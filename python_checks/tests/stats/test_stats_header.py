"""Headers: the test vectors, the fixed unit, and no number out of garbage."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import stats_header
from hypothesis import given, settings
from hypothesis import strategies as st
from stats_fuzz import EXAMPLES

DATA = Path(__file__).resolve().parents[1] / "data"
VECTORS = yaml.safe_load((DATA / "stats" / "headers.yml").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["case"] for vector in VECTORS])
def test_vector(vector: dict[str, Any]) -> None:
    header, reason = stats_header.parse_header(vector["line"].encode())
    if vector["expect"] == {"header": False}:
        assert header is None and reason
        return
    assert header is not None, reason
    found = header.as_dict()
    assert {name: found[name] for name in vector["expect"]} == vector["expect"]
    assert (header.playtime is None) == (header.fields == 8)
    assert (header.playtime_ms is None) == bool(header.playtime_reason)


def test_a_value_out_of_range_is_unknown_and_named() -> None:
    header, _ = stats_header.parse_header(b"Demo\\supply\\\\7\\0\\9\\12:00\\7:22")
    assert header is not None and len(header.doubts) == 3
    assert "round (field 4) is 7, required is one of 1, 2" in header.doubts


@pytest.mark.parametrize(
    ("minutes", "clock", "seconds"),
    [
        ("7.374583", "7:22", 442.474980),
        ("12.000000", "12:00", 720.0),
        ("7.033333", "7:01", 421.99998),  # 422 s, stored with six decimals
        ("0.081667", "0:04", 4.90002),
        ("9.058750", "9:03", 543.525),
        ("0", None, None),
        ("", None, None),
        ("nan", None, None),
        ("-1", None, None),
        ("1e3", None, None),
    ],
)
def test_limit(minutes: str, clock: str | None, seconds: float | None) -> None:
    assert stats_header.limit_clock(minutes) == clock
    assert stats_header.limit_seconds(minutes) == (None if seconds is None else pytest.approx(seconds))


def test_a_header_without_its_newline_is_half_written() -> None:
    whole = b"Demo\\supply\\\\2\\1\\1\\7:22\\7:22\\441250\n"
    assert stats_header.header_of(whole)[0] is not None
    for cut in range(len(whole)):
        header, reason = stats_header.header_of(whole[:cut])
        assert header is None and reason


def test_a_line_without_end_in_sight_is_refused_quickly() -> None:
    assert stats_header.parse_header(b"\\" * 5_000_000)[0] is None


# A piece of a header: the right ones, and what a defect, a cut or a hostile name puts in their place.
PIECES = st.one_of(
    st.sampled_from(
        [b"1", b"2", b"0", b"-1", b"12:00", b"7:22", b"0:00", b"-3:40", b"441250", b"-5123456", b"", b"nan", b"inf"]
    ),
    st.integers(-(10**15), 10**15).map(lambda number: str(number).encode()),
    st.floats().map(lambda number: repr(number).encode()),
    st.text(max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=8),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=14).map(b"\\".join)))
def test_any_bytes_never_raise_and_give_no_number_that_is_not_there(line: bytes) -> None:
    header, reason = stats_header.parse_header(line)
    if header is None:
        assert reason
        return
    assert header.fields in (8, 9) and header.map and header.round in (None, 1, 2)
    if header.playtime_ms is None:
        return
    # The number is in the file as plain digits, in the unit that is claimed, and a half may have lasted that long.
    assert header.playtime is not None and re.fullmatch("[1-9][0-9]*", header.playtime)
    factor = {"ms": 1, "s": 1000}[str(header.playtime_unit)]
    assert header.playtime_ms == int(header.playtime) * factor <= 100_000_000
    assert line.rstrip().endswith(header.playtime.encode())
    if factor == 1000:
        assert header.next_timelimit_s is not None and int(header.playtime) - header.next_timelimit_s in (0, 1)


NAMES = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20)
CLOCKS = st.integers(1, 7200)


@settings(max_examples=EXAMPLES, deadline=None)
@given(NAMES, NAMES, st.integers(1, 2), st.integers(1, 2), st.integers(0, 2), CLOCKS, CLOCKS, st.integers(7300, 10**7))
def test_what_a_writer_prints_is_read_back_whatever_the_server_is_called(
    server: str, config: str, number: int, defender: int, winner: int, limit_s: int, next_s: int, playtime_ms: int
) -> None:
    config = config.replace("\\", "").replace("\r", "")

    def clock(seconds: int) -> str:
        return f"{seconds // 60}:{seconds % 60:02d}"

    for fields, tail in ((8, ""), (9, f"\\{playtime_ms}")):
        line = f"{server}\\supply\\{config}\\{number}\\{defender}\\{winner}\\{clock(limit_s)}\\{clock(next_s)}{tail}"
        header, reason = stats_header.parse_header(line.encode())
        assert header is not None, reason
        assert (header.fields, header.server, header.map, header.config) == (fields, server, "supply", config)
        assert (header.round, header.defender, header.winner) == (number, defender, winner)
        assert (header.timelimit_s, header.next_timelimit_s) == (limit_s, next_s)
        assert header.playtime_ms == (playtime_ms if fields == 9 else None)
