"""A gate that cannot fail is refused; every gate of the plan catches all its mutants."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils.conditions import Missing
from ansible_collections.slomix.timetracking.plugins.module_utils.gate_lint import lint_gate, mutate, run_mutants
from ledger_records import GATE, PAIR, gate

from python_checks.gates import files
from python_checks.gates.evaluate import lint_all

GATES = files.gate_names()


def test_the_example_is_sound() -> None:
    assert lint_gate(GATE) == []
    assert run_mutants(GATE) == []


def test_the_example_in_the_judges_own_description_is_sound() -> None:
    """The schema that gate authors read is itself a gate file."""
    import textwrap

    import yaml
    from ansible_collections.slomix.timetracking.plugins.module_utils import judge

    text = judge.__doc__ or ""
    block = text[text.index("    gate: phase1") : text.index("RECORDS are")]
    described = yaml.safe_load(textwrap.dedent(block))
    del described["checks"][0]["settle"], described["checks"][0]["sample"]["group"]
    assert lint_gate(described) == []
    assert run_mutants(described) == []


@pytest.mark.parametrize("name", GATES)
def test_every_gate_of_the_plan_catches_its_mutants(name: str) -> None:
    loaded = files.load_gate(name)
    assert lint_gate(loaded) == []
    assert run_mutants(loaded) == []
    assert loaded["gate"] == name


def test_the_plan_and_everything_it_names_is_sound() -> None:
    assert lint_all() == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"pass_if": None}, "pass_if is missing"),
        ({"pass_if": {"path": "a", "op": "like", "value": 1}}, "unknown operator"),
        ({"fail_if": {"path": "a", "op": "eq"}}, "exactly one of value and than"),
        ({"mutants": None}, "at least one mutant"),
        ({"mutants": []}, "at least one mutant"),
        ({"mutants": [{"name": "x", "expect": "inconclusive"}]}, "no mutant is expected to fail"),
        ({"mutants": [{"name": "x", "expect": "pass"}]}, "expect is one of"),
        ({"mutants": [{"expect": "fail"}]}, "a mutant has a name"),
        ({"mutants": [{"name": "x", "expect": "fail", "patch": {}}]}, "a mutant has a name"),
        ({"good": None}, "good is missing"),
        ({"no_data": "pass", "no_data_reason": "because"}, "cannot pass on no data"),
        ({"no_data": "fail"}, "needs no_data_reason"),
        ({"no_data": "ignore"}, "no_data is"),
        ({"severity": "minor"}, "severity is"),
        ({"severity": "observe"}, "observe-only"),
        ({"fail_limit": 1}, "needs fail_limit_reason"),
        ({"fail_limit": -1}, "fail_limit is"),
        ({"min_samples": 0}, "min_samples is"),
        ({"min_samples": True}, "min_samples is"),
        ({"distinct": None}, "rows needs distinct"),
        ({"rows": None}, "make sense only with rows"),
        ({"where": [{"path": "a", "op": "eq", "value": 1}]}, "code is missing"),
        ({"evidence_ttl_d": 0}, "evidence_ttl_d"),
        ({"evidence_ttl_d": 365}, "evidence_ttl_d"),
        ({"sample": {"step": 1.7, "leg": "verify"}}, "quoted text"),
        ({"sample": {"step": "1.7", "leg": "check"}}, "sample.leg"),
        ({"sample": None}, "sample names"),
        ({"sample": {"step": "1.7", "leg": "verify", "host": "x"}}, "unknown keys"),
        ({"after": ["1.6"]}, "after takes"),
        ({"settle": 120}, "settle takes"),
        ({"next": None}, "next is missing"),
        ({"asks": ""}, "asks is missing"),
        ({"window_start": "1 day"}, "unknown keys"),
    ],
)
def test_lint_refuses(changes: dict[str, Any], word: str) -> None:
    found = lint_gate(gate(**changes))
    assert any(word in text for text in found), found


@pytest.mark.parametrize("made", [None, [], {}, {"gate": "x"}, {"gate": "x", "checks": ["a"]}])
def test_lint_refuses_what_is_no_gate(made: Any) -> None:
    assert lint_gate(made)


def test_lint_refuses_the_same_id_twice() -> None:
    made = copy.deepcopy(GATE)
    made["checks"].append(made["checks"][0])
    assert any("used twice" in text for text in lint_gate(made))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"pass_if": {"path": "r1_links", "op": "ge", "value": 0}}, "R2 has no Lua row"),
        ({"good": {"loaded_unix": 900, "pairs": []}}, "the good sample gives inconclusive"),
        ({"mutants": [{"name": "typo", "set": {"pears[0].x": 1}, "expect": "fail"}]}, "changes nothing"),
        ({"where": [], "mutants": [{"name": "old", "set": {"loaded_unix": 2000}, "expect": "inconclusive"}]}, "old"),
    ],
)
def test_a_blind_check_is_found_by_its_mutants(changes: dict[str, Any], word: str) -> None:
    found = run_mutants(gate(**changes))
    assert any(word in text for text in found), found


def test_mutate_changes_a_copy() -> None:
    good = {"a": {"b": [1, 2]}, "c": 3}
    assert mutate(good, {"set": {"a.b[1]": 9, "d": 4}, "drop": ["c"]}) == {"a": {"b": [1, 9]}, "d": 4}
    assert good == {"a": {"b": [1, 2]}, "c": 3}
    with pytest.raises(Missing):
        mutate(good, {"drop": ["x"]})
    with pytest.raises(Missing):
        mutate(good, {"set": {"a.b[2]": 1}})


def test_the_example_pair_is_good() -> None:
    """Guards the fixture: a mutant of a bad sample would prove nothing."""
    assert (PAIR["r1_links"], PAIR["r2_links"], PAIR["r2_limit_fractional"]) == (1, 1, True)


def test_gates_and_plan_are_found(root: Path) -> None:
    assert root / "playbooks" / "plan" == files.PLAN_DIR
    assert {"phase0", "phase1"} <= set(GATES)
