"""The plan's lint: random sound plans pass, and every kind of damage to one is found."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils.plan import lint_plan, phases, required_gates
from hypothesis import given
from hypothesis import strategies as st

from python_checks.gates import files


def a_phase(number: int, requires: list[int], state: str = "built", steps: int = 2) -> dict[str, Any]:
    made: dict[str, Any] = {"phase": number, "title": f"phase {number}", "state": state, "requires": requires}
    legs = {leg: {"role": "a", "tasks": leg} for leg in ("action", "verify", "revert")}
    made["steps"] = [
        {"id": f"{number}.{one}", "slug": "a", "title": "b", **({"hosts": "all", **legs} if state == "built" else {})}
        for one in range(1, steps + 1)
    ]
    if state == "built":
        made |= {"gate": f"phase{number}", "playbook": f"phase{number}.yml"}
    return copy.deepcopy(made)


def a_plan() -> dict[str, Any]:
    return {"phases": [a_phase(0, []), a_phase(1, [0]), a_phase(2, [1], "planned"), a_phase(3, [])]}


def test_order_of_the_real_plan() -> None:
    """Phase 6 depends on nothing; 3 before 4; 1 before 2's deployment, which is phase 4."""
    real = phases(files.load_plan())
    assert sorted(real) == [0, 1, 2, 3, 4, 5, 6]
    assert real[6]["requires"] == []
    assert 3 in real[4]["requires"] and 2 in real[4]["requires"]
    assert 1 in real[2]["requires"]
    assert required_gates(files.load_plan(), 1) == ["phase0"]


@pytest.mark.parametrize("number", [2, 7, -1])
def test_a_phase_that_is_not_built_has_no_way_in(number: int) -> None:
    plan = files.load_plan()
    phases(plan)[2]["state"] = "planned"  # type: ignore[index]
    with pytest.raises(KeyError, match="not built"):
        required_gates(plan, number)


@given(st.data())
def test_random_plans_lint_exactly_if_their_requirements_have_no_circle(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 6))
    needs = [data.draw(st.lists(st.integers(0, count - 1), unique=True, max_size=3)) for _ in range(count)]
    made = {"phases": [a_phase(number, needs[number]) for number in range(count)]}

    def reaches(start: int, goal: int, seen: frozenset[int] = frozenset()) -> bool:
        return any(one == goal or (one not in seen and reaches(one, goal, seen | {one})) for one in needs[start])

    circle = any(reaches(number, number) for number in range(count))
    assert bool(lint_plan(made)) == circle


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (("phases", 1, "phase"), 5, "numbered"),
        (("phases", 1, "title"), "", "title"),
        (("phases", 1, "state"), "done", "state is"),
        (("phases", 1, "requires"), [9], "not in the plan"),
        (("phases", 1, "requires"), [1], "circle"),
        (("phases", 0, "requires"), [1], "circle"),
        (("phases", 1, "gate"), None, "gate is missing"),
        (("phases", 1, "playbook"), None, "playbook is missing"),
        (("phases", 2, "gate"), "phase2", "only planned"),
        (("phases", 1, "steps"), [], "steps are missing"),
        (("phases", 1, "steps", 0, "id"), 1.1, "step ids"),
        (("phases", 1, "steps", 0, "verify"), None, "verify is missing"),
        (("phases", 1, "steps", 0, "verify"), {"none": "it is fine"}, "verify cannot be none"),
        (("phases", 1, "steps", 0, "revert"), None, "revert is missing"),
        (("phases", 1, "steps", 0, "revert"), {"none": " "}, "needs a reason"),
        (("phases", 1, "steps", 0, "action"), {"role": "a"}, "names role and tasks"),
        (("phases", 1, "steps", 0, "title"), "", "title is missing"),
        (("phases", 1, "steps", 0, "survival"), None, "unknown key"),
        (("phases", 1, "gates"), "x", "unknown key"),
    ],
)
def test_damage_is_found(path: tuple[Any, ...], value: Any, word: str) -> None:
    made = a_plan()
    assert lint_plan(made) == []
    holder: Any = made
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    assert any(word in text for text in lint_plan(made)), lint_plan(made)


def test_files_that_are_missing_or_orphaned_are_found() -> None:
    gates, playbooks = {"phase0", "phase1", "phase3"}, {"phase0.yml", "phase1.yml", "phase3.yml", "gate.yml"}
    tasks = {f"roles/a/tasks/{leg}.yml" for leg in ("action", "verify", "revert")}
    assert lint_plan(a_plan(), gates=gates, playbooks=playbooks, task_files=tasks) == []
    assert any("phase1" in text for text in lint_plan(a_plan(), gates=gates - {"phase1"}))
    assert any("phase9" in text for text in lint_plan(a_plan(), gates=gates | {"phase9"}))
    assert any("phase2.yml" in text for text in lint_plan(a_plan(), playbooks=playbooks | {"phase2.yml"}))
    assert any("phase3.yml" in text for text in lint_plan(a_plan(), playbooks=playbooks - {"phase3.yml"}))
    assert any("revert.yml" in text for text in lint_plan(a_plan(), task_files=tasks - {"roles/a/tasks/revert.yml"}))


@pytest.mark.parametrize("made", [None, {}, {"phases": []}, {"phases": ["a"]}])
def test_what_is_no_plan_is_refused(made: Any) -> None:
    assert lint_plan(made)
