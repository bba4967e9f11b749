"""What a person reads of the comparison: every decision, cell and code has its words, 80 columns, and nothing breaks them."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from python_checks.cli import main
from python_checks.shadow import decision as d
from python_checks.shadow import pairs, words
from python_checks.tests.shadow.helpers import rows

SAMPLES: dict[str, list[dict[str, Any]]] = {
    d.MAY_SWITCH: rows(16),
    d.MAY_DELETE: rows(32),
    d.EXPLAIN: rows(16, bias_s=12),
    d.KEEP_DUAL: rows(6),
    d.INVESTIGATE: rows(40, covered=0.5),
    d.ROLL_BACK: [dict(row, new_dead_s=row["old_dead_s"] * 60) for row in rows(24)],
    "nothing": [],
}


def shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], data: list[dict[str, Any]]) -> str:
    path = tmp_path / "shadow.json"
    path.write_text(json.dumps(data))
    main(["shadow", "--json", str(path)])
    return capsys.readouterr().out


def test_every_cell_of_the_table_has_its_words() -> None:
    for row in d.table(d.KEEP_DUAL, d.UNSURE):
        assert all((column, row[column]) in words.CONDITIONS for column in "ABCD"), row
        assert words.DECISIONS[row["decision"]] and words.condition(row)
    assert {row[4] for row in d.DECISIONS} == set(words.DECISIONS)
    assert words.condition(d.table("", "")[3]) == (
        "no value of NEW is impossible, coverage is proven to be above 80%, the differences are not decided yet"
        " or more than 20% of the rounds can be bad"
    )


@pytest.mark.parametrize(
    ("decision", "coverage", "marked"), [("keep_dual", "pass", 3), ("keep_dual", "inconclusive", 4)]
)
def test_one_row_applies(decision: str, coverage: str, marked: int) -> None:
    assert [bool(row[""]) for row in d.table(decision, coverage)].index(True) == marked
    for outcome in words.DECISIONS:
        assert sum(bool(row[""]) for row in d.table(outcome, coverage)) == 1


@pytest.mark.parametrize("name", SAMPLES)
def test_80_columns_say_what_would_settle_it(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(tmp_path, capsys, SAMPLES[name])
    report = d.decide(pairs.sample(SAMPLES[name]))
    assert max(len(line) for line in text.splitlines()) <= 80
    flat = " ".join(text.split())
    assert f"decision {report.decision}: {words.DECISIONS[report.decision]}" in flat
    for code, way in report.codes.items():
        assert f"{code} {' '.join(way.split())}" in flat
    assert next(line for line in text.splitlines() if line.startswith(">")).endswith(report.decision)
    for one in words.answers(asdict(report)):
        assert f"{one.letter} {one.asks} {one.verdict}" in flat


def test_every_reason_that_a_sample_gives_is_explained() -> None:
    data = rows(24)
    for at, change in enumerate(
        (
            {"new_dead_s": ""},
            {"lua_rows": 2},
            {"lua_version": "1.6.2"},
            {"played_s": 0},
            {"new_dead_s": -1},
            {"played_s": 60, "new_dead_s": 95},
            {"old_dead_s": ""},
            {"round_number": 0},
            *({"class": kind} for kind in ("bot", "cancelled", "other_status")),
        )
    ):
        data[at].update(change)
    data[19]["player_guid"] = data[18]["player_guid"]
    for row in data[200:210]:
        row["new_dead_s"] = row["old_dead_s"]
    old = [dict(row, lua_version="1.6.0", round_id=900, played_at=-1) for row in rows(1)]
    told = words.not_compared(asdict(d.decide(pairs.sample(old + data))))
    assert {reason for reason, _, _ in told} == set(words.NOT_COMPARED)
    more = {"LINK_AMBIGUOUS": "2", "COPIED": "10"}  # a player twice is ambiguous too, and a copied round has ten
    assert all(meaning and many == more.get(reason, "1") for reason, many, meaning in told)


def test_a_terminal_obeys_no_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(tmp_path, capsys, rows(24, map="\x1b[2J\x1b]0;owned\x07", bias_s=12))
    assert "\x1b" not in text and "\x07" not in text and "\\x1b[2J" in text


ANYTHING = hs.recursive(
    hs.none() | hs.booleans() | hs.integers() | hs.floats() | hs.text(max_size=5),
    lambda inner: hs.lists(inner, max_size=3) | hs.dictionaries(hs.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(hs.data())
def test_a_damaged_record_reads_unknown(data: hs.DataObject) -> None:
    found = asdict(d.decide(pairs.sample(rows(9, players=4))))
    for part in (found, found["numbers"], *found["looks"], *found["strata"][:1]):
        for name in data.draw(hs.sets(hs.sampled_from(sorted(part)), max_size=4)):
            part[name] = data.draw(ANYTHING)
    told = [*words.answers(found), *words.figures(found), *words.not_compared(found), *words.settles(found)]
    assert "nan" not in str(told).split() and "inf" not in str(told).split()


@pytest.mark.parametrize("value", [None, "7", True, math.nan, math.inf, 10**400, [], {}])
def test_no_number_is_unknown(value: Any) -> None:
    assert words.number({"a": value}, "a") is None
    assert words.share(None) == words.seconds(None) == words.UNKNOWN
    assert "unknown of unknown" in dict(words.figures({}))["rounds with Lua data"]
