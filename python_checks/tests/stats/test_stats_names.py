"""Names: siblings are told apart, the newest is by the round's time, an R2 finds its R1."""

from __future__ import annotations

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import stats_names
from ansible_collections.slomix.timetracking.plugins.module_utils.stats_names import parse_name
from hypothesis import given, settings
from hypothesis import strategies as st
from stats_fuzz import EXAMPLES

STAMP = "2026-02-20-214503"


@pytest.mark.parametrize(
    ("name", "kind", "map_name", "number"),
    [
        (f"{STAMP}-supply-round-2.txt", "round", "supply", 2),
        (f"{STAMP}-te_escape2-b-round-1.txt", "round", "te_escape2-b", 1),
        (f"{STAMP}-sw.oasis+b3-round-1.txt", "round", "sw.oasis+b3", 1),
        (f"{STAMP}-x-round-1-round-2.txt", "round", "x-round-1", 2),
        (f"{STAMP}-supply-round-2-endstats.txt", "endstats", "supply", 2),
        (f"{STAMP}-supply-round-2_ws.txt", "weapon_stats", "supply", 2),
        (f"{STAMP}-supply-round-2_engagements.txt", "engagements", "supply", 2),
        ("proximity_engagements.txt", "engagements", "", None),
        ("gametime-te_escape2-b-R2-1771620300.json", "gametime", "te_escape2-b", 2),
    ],
)
def test_kinds(name: str, kind: str, map_name: str, number: int | None) -> None:
    found = parse_name(name)
    assert (found.kind, found.map, found.round, found.reason) == (kind, map_name, number, "")


@pytest.mark.parametrize(
    "name",
    [
        f"{STAMP}-supply-round-3.txt",
        f"{STAMP}-supply-round-0.txt",
        f"{STAMP}-supply-round-.txt",
        f"{STAMP}-supply-round-1.txt.part",
        f".{STAMP}-supply-round-1.txt",
        f"{STAMP}-supply-round-1.txt\n",
        f"{STAMP}--round-1.txt".replace("--", "-"),
        f"{STAMP}-{'m' * 51}-round-1.txt",
        f"{STAMP}-sup ply-round-1.txt",
        "2026-02-30-214503-supply-round-1.txt",
        "2026-02-20-246060-supply-round-1.txt",
        "2019-12-31-214503-supply-round-1.txt",
        "2036-01-01-000000-supply-round-1.txt",
        "٢٠٢٦-02-20-214503-supply-round-1.txt",
        "*.txt",
        "",
    ],
)
def test_what_is_no_round_says_why(name: str) -> None:
    found = parse_name(name)
    assert found.kind == "other" and found.reason


def test_newest_is_by_the_time_in_the_name() -> None:
    names = [
        "2026-02-20-214503-supply-round-1.txt",
        "2026-02-20-215503-supply-round-2.txt",
        "2026-02-20-215504-supply-round-2-endstats.txt",
        "2026-02-20-235959-supply-round-2_ws.txt",
        "2026-02-19-235959-zzz-round-2.txt",
    ]
    assert [one.name for one in stats_names.newest_first(names)] == [names[1], names[0], names[4]]


def first_of(second: str, *names: str) -> str | None:
    found = stats_names.first_half_of(parse_name(second), map(parse_name, names))
    return found.name if found else None


R2 = "2026-02-20-214503-supply-round-2.txt"


@pytest.mark.parametrize(
    ("stamp", "fits"),
    [
        ("2026-02-20-214502", True),
        ("2026-02-20-214503", False),
        ("2026-02-20-214504", False),
        ("2026-02-20-210003", True),
        ("2026-02-20-210002", False),
        ("2026-02-19-214403", False),
    ],
)
def test_window_of_an_r1(stamp: str, fits: bool) -> None:
    assert (first_of(R2, f"{stamp}-supply-round-1.txt") is not None) == fits


def test_the_nearest_r1_of_the_same_map_and_day_is_taken() -> None:
    near, far = "2026-02-20-213003-supply-round-1.txt", "2026-02-20-210503-supply-round-1.txt"
    assert (
        first_of(R2, far, near, "2026-02-20-214000-oasis-round-1.txt", "2026-02-20-214000-supply-round-2.txt") == near
    )
    after_midnight, before, same_day = (
        "2026-02-21-001000-supply-round-2.txt",
        "2026-02-20-235900-supply-round-1.txt",
        "2026-02-21-000001-supply-round-1.txt",
    )
    assert first_of(after_midnight, before) == before
    assert first_of(after_midnight, before, same_day) == same_day
    assert first_of(near, far) is None


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.one_of(st.text(max_size=60), st.from_regex(r"20\d\d-\d\d-\d\d-\d{6}-.{1,9}-round-\d(_ws|-endstats)?\.txt")))
def test_any_name_never_raises(name: str) -> None:
    found = parse_name(name)
    assert (found.kind == "other") == bool(found.reason)
    found.as_dict()
