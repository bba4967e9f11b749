"""The decision on evidence and bot, and what is shown: every refusal has its reason and an offer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils.cutover import decide, shown
from hypothesis import given
from hypothesis import strategies as st

HIDING: dict[str, Any] = {
    "shows_when_false": "old",
    "shows_when_true": "both",
    "new_only": False,
    "way": None,
    "reason": "cogs/a.py:53",
}
DONE = {**HIDING, "new_only": True, "way": {"key": "SHOW_TIMING_NEW_ONLY", "value": "true"}}
PLAIN = {**HIDING, "shows_when_false": "new", "way": {"key": "SHOW_TIMING_DUAL", "value": "false"}}
GOOD = {"verdict": "EQUIVALENT", "decision": "may show NEW only", "exit_code": 0, "codes": {}}
UNSURE = {
    "verdict": "INCONCLUSIVE",
    "decision": "keep dual",
    "exit_code": 3,
    "codes": {"TOO_FEW_ROUNDS": "play 6 more"},
}


def test_the_plans_cutover_is_refused_where_it_hides_the_new_values() -> None:
    found = decide("cutover", HIDING, GOOD)
    assert not found["accepted"] and found["key"] is None
    for text in (
        "SHOW_TIMING_DUAL=false shows the old values only",
        "cogs/a.py:53",
        "decision=keep_dual",
        "cutover_new_only=true",
    ):
        assert text in found["refusal"], text
    assert len(found["offers"]) == 2


@pytest.mark.parametrize(
    ("probe", "more", "key", "value", "codemod"),
    [
        (DONE, {}, "SHOW_TIMING_NEW_ONLY", "true", False),
        (PLAIN, {}, "SHOW_TIMING_DUAL", "false", False),
        (HIDING, {"new_only": True}, "SHOW_TIMING_NEW_ONLY", "true", True),
        (DONE, {"new_only": True}, "SHOW_TIMING_NEW_ONLY", "true", False),
    ],
)
def test_a_cutover_that_shows_the_new_values(
    probe: dict[str, Any], more: dict[str, Any], key: str, value: str, codemod: bool
) -> None:
    found = decide("cutover", probe, GOOD, **more)
    assert found["accepted"] and (found["key"], found["value"], found["codemod"]) == (key, value, codemod)


@pytest.mark.parametrize(
    "shadow",
    [UNSURE, {**GOOD, "exit_code": 1}, {**GOOD, "exit_code": None}, {**GOOD, "exit_code": False}, {}, {"failed": True}],
)
def test_no_evidence_no_cutover(shadow: dict[str, Any]) -> None:
    found = decide("cutover", PLAIN, shadow, new_only=True)
    assert not found["accepted"] and "keep_dual" in found["refusal"]
    assert "TOO_FEW_ROUNDS: play 6 more" in decide("cutover", PLAIN, UNSURE)["refusal"]


def test_what_cannot_be_told_is_refused() -> None:
    assert "cannot be told" in decide("cutover", {**HIDING, "shows_when_false": "unknown"}, GOOD)["refusal"]
    assert "cannot be told" in decide("cutover", {}, GOOD)["refusal"]


@pytest.mark.parametrize("decision", ["", None, "Cutover", "keep", True])
def test_there_is_no_default(decision: Any) -> None:
    assert not decide(decision, DONE, GOOD)["accepted"]


def test_keeping_both_needs_no_evidence_but_a_dual_display() -> None:
    found = decide("keep_dual", HIDING, {})
    assert found["accepted"] and (found["key"], found["value"]) == ("SHOW_TIMING_DUAL", "true")
    assert not decide("keep_dual", {**HIDING, "shows_when_true": "old"}, {})["accepted"]


words = st.sampled_from(["old", "new", "both", "unknown", None])


@given(
    words,
    words,
    st.booleans(),
    st.sampled_from([None, 0, 1, 3]),
    st.sampled_from(["cutover", "keep_dual", ""]),
    st.booleans(),
)
def test_nothing_accepted_hides_the_new_values(
    off: str, on: str, has: bool, code: int | None, decision: str, wish: bool
) -> None:
    way = {"key": "SHOW_TIMING_NEW_ONLY", "value": "true"} if has else PLAIN["way"] if off == "new" else None
    probe = {"shows_when_false": off, "shows_when_true": on, "new_only": has, "way": way}
    found = decide(decision, probe, {"exit_code": code, "verdict": "x"}, wish)
    if not found["accepted"]:
        assert found["refusal"] and found["key"] is None
        return
    after = {**probe, "new_only": has or found["codemod"]}
    new_only = found["key"] == "SHOW_TIMING_NEW_ONLY"
    dual = found["value"] == "true" if not new_only else False
    assert shown(after, dual, new_only) in ("new", "both")


@pytest.mark.parametrize(
    ("probe", "dual", "new_only", "wanted"),
    [
        (HIDING, True, False, "both"), (HIDING, False, False, "old"), (HIDING, False, True, "old"), (HIDING, None, False, "unknown"),
        (DONE, False, True, "new"), (DONE, True, True, "new"), (DONE, True, None, "unknown"), (DONE, False, False, "old"),
        (PLAIN, False, None, "new"), ({}, True, False, "unknown"), ({}, False, False, "unknown"), (HIDING, "true", False, "unknown"),
    ],
)  # fmt: skip
def test_what_is_shown(probe: dict[str, Any], dual: Any, new_only: Any, wanted: str) -> None:
    assert shown(probe, dual, new_only) == wanted


@pytest.mark.parametrize("role", ["timing_cutover", "timing_shadow"])
def test_the_argument_specs_say_what_the_defaults_are(root: Path, role: str) -> None:
    folder = root / "roles" / role
    specs = yaml.safe_load((folder / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    defaults = yaml.safe_load((folder / "defaults" / "main.yml").read_text())
    assert set(specs) == {path.stem for path in (folder / "tasks").glob("*.yml")} - {"release"}
    for entry in specs.values():
        assert {name: option["default"] for name, option in entry["options"].items()} == defaults


def test_the_restart_refuses_an_unknown_unit(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """No systemd or no such unit: said, not taken for a service that is well."""
    found = run_module("service_restart", {"name": "no-such-unit-here.service", "file": str(tmp_path)})
    assert found.get("failed")
