"""The language of conditions: three values, strict types, and lint for all that would be decided wrongly."""

from __future__ import annotations

import math
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils.conditions import (
    OPERATORS,
    Missing,
    ProbeError,
    compare,
    evaluate,
    every,
    problems,
    resolve,
    some,
)
from hypothesis import given
from hypothesis import strategies as st

DATA = {
    "unit": {"active": "inactive", "enabled": "disabled", "pid": 0},
    "rows": [{"id": 1, "links": 1}, {"id": 2, "links": 2}],
    "files": {"a.lua": {"loaded": True}, "b.lua": {"loaded": False}},
    "none": None,
    "empty": [],
    "nan": math.nan,
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("unit.active", ["inactive"]),
        ("rows[*].links", [1, 2]),
        ("rows[1].id", [2]),
        ("files[*].loaded", [True, False]),
        ("empty[*].x", []),
        ("$.unit.pid", [0]),
        (".", [DATA]),
        ("$", [DATA]),
    ],
)
def test_paths(path: str, values: list[Any]) -> None:
    assert resolve(path, DATA, DATA) == values


@pytest.mark.parametrize("path", ["unit.gone", "rows[2].id", "rows.id", "unit[*].x.y", "none.x", "unit.active[*]"])
def test_a_path_that_leads_nowhere_is_missing(path: str) -> None:
    with pytest.raises(Missing):
        resolve(path, DATA, DATA)


@pytest.mark.parametrize("path", ["a[", "a[b]", "[", "a]b", "a[-1]"])
def test_a_path_that_is_none_is_an_error(path: str) -> None:
    with pytest.raises(ProbeError):
        resolve(path, DATA, DATA)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"path": "unit.active", "op": "eq", "value": "inactive"}, True),
        ({"path": "unit.active", "op": "ne", "value": "inactive"}, False),
        ({"path": "unit.active", "op": "in", "value": ["inactive", "dead"]}, True),
        ({"path": "unit.active", "op": "not_in", "value": ["failed", "active"]}, True),
        ({"path": "unit.pid", "op": "between", "value": [0, 0]}, True),
        ({"path": "unit.pid", "op": "gt", "value": 0}, False),
        ({"path": "unit.pid", "op": "ge", "value": 0}, True),
        ({"path": "unit.active", "op": "contains", "value": "act"}, True),
        ({"path": "unit.active", "op": "lacks", "value": "act"}, False),
        ({"path": "none", "op": "is_null", "value": True}, True),
        ({"path": "unit", "op": "is_null", "value": False}, True),
        ({"path": "unit.gone", "op": "is_null", "value": True}, None),
        ({"path": "nan", "op": "is_null", "value": False}, None),
        ({"path": "none", "op": "eq", "value": "x"}, None),
        ({"path": "nan", "op": "lt", "value": 1}, None),
        ({"path": "nan", "op": "ge", "value": 1}, None),
        ({"path": "rows[*].links", "op": "eq", "value": 1}, False),
        ({"path": "rows[*].links", "op": "eq", "value": 1, "each": "any"}, True),
        ({"path": "empty[*].links", "op": "eq", "value": 1}, None),
        ({"path": "empty[*].links", "op": "eq", "value": 1, "each": "any"}, None),
        ({"count": "rows", "op": "eq", "value": 2}, True),
        ({"count": "rows[*].id", "op": "eq", "value": 2}, True),
        ({"count": "empty", "op": "eq", "value": 0}, True),
        ({"count": "none", "op": "eq", "value": 0}, None),
        ({"count": "gone", "op": "eq", "value": 0}, None),
        ({"path": "rows[0].links", "op": "lt", "than": "rows[1].links"}, True),
        ({"path": "rows[0].links", "op": "lt", "than": "$.none"}, None),
        ({"path": "rows[0].links", "op": "eq", "value": 1, "unit": "count"}, True),
        ({"all": [{"path": "unit.pid", "op": "eq", "value": 1}, {"path": "none", "op": "eq", "value": 1}]}, False),
        ({"all": [{"path": "unit.pid", "op": "eq", "value": 0}, {"path": "none", "op": "eq", "value": 1}]}, None),
        ({"any": [{"path": "unit.pid", "op": "eq", "value": 0}, {"path": "none", "op": "eq", "value": 1}]}, True),
        ({"any": [{"path": "unit.pid", "op": "eq", "value": 1}, {"path": "none", "op": "eq", "value": 1}]}, None),
    ],
)
def test_conditions(condition: dict[str, Any], holds: bool | None) -> None:
    assert problems(condition, "here") == []
    assert evaluate(condition, DATA, DATA).holds is holds


@pytest.mark.parametrize("count", [-1, 0.5, math.inf, math.nan])
def test_an_impossible_count_is_no_data(count: float) -> None:
    condition = {"path": "n", "op": "lt", "value": 5, "unit": "count"}
    assert evaluate(condition, {"n": count}, {}).holds is None


@pytest.mark.parametrize(
    ("op", "found", "wanted"),
    [
        ("eq", 1, "1"),
        ("eq", True, 1),
        ("eq", 0, False),
        ("lt", "9", 10),
        ("lt", True, 2),
        ("ge", [1], 1),
        ("between", "5", [1, 9]),
        ("between", 5, [1]),
        ("in", 1, ["1", "2"]),
        ("in", 1, []),
        ("in", 1, 1),
        ("contains", 5, 1),
        ("contains", "5", 5),
        ("like", "a", "a"),
    ],
)
def test_the_wrong_type_is_an_error_and_not_an_answer(op: str, found: Any, wanted: Any) -> None:
    with pytest.raises(ProbeError):
        compare(op, found, wanted)


@pytest.mark.parametrize("op", [op for op in OPERATORS if op != "is_null"])
@pytest.mark.parametrize("nothing", [None, math.nan, math.inf, -math.inf])
def test_nothing_is_no_data_for_every_operator(op: str, nothing: Any) -> None:
    assert compare(op, nothing, [1, 2] if op in ("in", "not_in", "between") else 1) is None


@pytest.mark.parametrize(
    "condition",
    [
        "state == 'inactive'",
        {},
        {"path": "a", "op": "like", "value": 1},
        {"path": "a", "op": "eq"},
        {"path": "a", "op": "eq", "value": 1, "than": "b"},
        {"path": "a", "count": "a", "op": "eq", "value": 1},
        {"op": "eq", "value": 1},
        {"path": "a", "op": "eq", "value": None},
        {"path": "a", "op": "lt", "value": "5"},
        {"path": "a", "op": "lt", "value": math.nan},
        {"path": "a", "op": "between", "value": [9, 1]},
        {"path": "a", "op": "between", "value": [1]},
        {"path": "a", "op": "in", "value": []},
        {"path": "a", "op": "in", "value": "abc"},
        {"path": "a", "op": "is_null", "value": 1},
        {"path": "a", "op": "eq", "value": 1, "each": "most"},
        {"path": "a", "op": "eq", "value": 1, "tolerance": 1},
        {"path": "a[", "op": "eq", "value": 1},
        {"all": []},
        {"all": [{"path": "a", "op": "like", "value": 1}]},
        {"any": {"path": "a"}},
        {"all": [{"path": "a", "op": "eq", "value": 1}], "any": []},
    ],
)
def test_lint_refuses(condition: Any) -> None:
    assert problems(condition, "here")


def test_the_sentences_name_what_broke() -> None:
    outcome = evaluate({"path": "rows[*].links", "op": "eq", "value": 1}, DATA, DATA)
    assert (outcome.found, outcome.required) == ("rows[*].links = 2", "rows[*].links is 1")
    outcome = evaluate({"path": "rows[0].id", "op": "gt", "than": "rows[1].id"}, DATA, DATA)
    assert outcome.found == "rows[0].id = 1 against rows[1].id = 2"
    assert evaluate({"path": "a", "op": "eq", "value": 1, "say": "one a"}, {}, {}).required == "one a"


TRI = st.lists(st.sampled_from([True, False, None]), max_size=6)


@given(TRI)
def test_kleene(values: list[bool | None]) -> None:
    inverse = [None if value is None else not value for value in values]
    joined = some(inverse)
    assert every(values) == (None if joined is None else not joined)
    assert every(values) is every(list(reversed(values)))


@given(TRI, st.sampled_from([True, False, None]))
def test_one_more_part_never_makes_all_truer(values: list[bool | None], more: bool | None) -> None:
    rank = {False: 0, None: 1, True: 2}
    assert rank[every([*values, more])] <= rank[every(values)]
