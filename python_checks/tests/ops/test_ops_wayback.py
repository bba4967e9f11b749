"""Rollback: an explicit target, the right order, and a refusal where something else stands on it or nobody knows."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from python_checks.gates import files, wayback
from python_checks.gates.wayback import WayBackError, stands, way_back
from python_checks.tests.ops.conftest import OpsSite, plan_of

# 0 stands alone, 1 on 0, 2 and 3 on 1, 4 on both, 5 on 4, 6 on nothing: the real plan's shape.
PLAN = plan_of([], [0], [1], [1], [2, 3], [4], [])
DONE: dict[str, Any] = {"changed": True}


def record(seq: int, step: str, leg: str, result: Any = None, host: str = "one", **more: Any) -> dict[str, Any]:
    return {
        "kind": "step",
        "check": False,
        "seq": seq,
        "step": step,
        "leg": leg,
        "host": host,
        "result": DONE if result is None else result,
        **more,
    }


def acted(*phases: int) -> list[dict[str, Any]]:
    return [record(seq, f"{number}.1", "action") for seq, number in enumerate(phases, start=1)]


def refused(records: list[dict[str, Any]], plan: dict[str, Any] = PLAN, **options: Any) -> str:
    with pytest.raises(WayBackError) as caught:
        way_back(plan, records, **options)
    return str(caught.value)


def test_there_is_no_default_target() -> None:
    assert "found neither" in refused([])
    assert "found both" in refused([], phase="1", to="phase0")


@pytest.mark.parametrize("phase", ["", "7", "-1", "1.0", "phase1", "1; 2", "01", "¹", "None"])
def test_an_odd_phase_is_refused(phase: str) -> None:
    assert "required is a phase that is built" in refused(acted(0, 1), phase=phase)


@pytest.mark.parametrize("to", ["", "0", "phase", "phase7", "phase-1", "Phase0", "phase00", "begin"])
def test_an_odd_target_is_refused(to: str) -> None:
    assert "required is a phase that is built" in refused(acted(0, 1), to=to)


def test_everything_after_the_target_newest_first() -> None:
    records = acted(0, 1, 2, 3, 6)
    assert way_back(PLAN, records, to="phase0") == [6, 3, 2, 1]
    assert way_back(PLAN, records, to="phase2") == [6, 3]
    assert way_back(PLAN, records, to="start") == [6, 3, 2, 1, 0]
    assert way_back(PLAN, records, to="phase6") == []
    assert way_back(PLAN, [], to="start") == []


def test_a_phase_that_others_stand_on_is_not_led_back_alone() -> None:
    text = refused(acted(0, 1, 2, 4), phase="1")
    assert "phase 4, 2 stands on it" in text and "-e phase=4" in text and "-e to=phase0" in text
    assert "-e to=start" in refused(acted(0, 1), phase="0")
    assert way_back(PLAN, acted(0, 1, 2, 4, 6), phase="4") == [4]
    assert way_back(PLAN, acted(0, 1, 6), phase="1") == [1], "6 stands on nothing"


def test_a_host_must_have_a_recording_only_where_the_newest_act_is_an_action_that_succeeded() -> None:
    records = [
        *acted(0, 1, 2),
        record(4, "1.1", "revert"),
        record(5, "2.1", "action", {"failed": True}),
        record(6, "0.1", "action", host="two"),
        record(7, "3.1", "action", name="sample"),
        record(8, "3.1", "verify"),
    ]
    assert wayback.acted(PLAN, records) == {"0.1": ["one", "two"]}
    assert wayback.acted(PLAN, []) == {}


def test_what_was_led_back_does_not_stand() -> None:
    records = [*acted(0, 1), record(3, "1.1", "revert")]
    assert way_back(PLAN, records, phase="0") == [0]
    assert way_back(PLAN, records, to="start") == [0]
    again = [*records, record(4, "1.1", "action", {"changed": False})]
    assert way_back(PLAN, again, to="phase0") == [1], "an act that changed nothing found its work done"


@pytest.mark.parametrize("result", [{"failed": True}, {"unreachable": True}, "text", {"changed": True, "failed": True}])
def test_a_revert_that_failed_undid_nothing(result: Any) -> None:
    records = [*acted(0, 1), record(3, "1.1", "revert", result)]
    assert way_back(PLAN, records, to="phase0") == [1]
    assert "stands on it" in refused(records, phase="0")


def test_every_host_must_be_back() -> None:
    records = [record(1, "1.1", "action"), record(2, "1.1", "action", host="two"), record(3, "1.1", "revert")]
    assert way_back(PLAN, records, to="phase0") == [1]


def test_a_failed_act_may_have_done_half() -> None:
    assert way_back(PLAN, [record(1, "1.1", "action", {"failed": True})], to="phase0") == [1]


def test_a_sample_taken_beside_the_act_on_another_host_is_no_act() -> None:
    """Phase 4 notes what the parser's host said before the writer's host is touched; only the latter is led back."""
    sample = record(1, "4.1", "action", host="database", name="parser")
    acts = [record(2, "4.1", "action"), record(3, "4.1", "revert")]
    assert not stands(PLAN["phases"][4], [sample, *acts])
    assert stands(PLAN["phases"][4], [{**sample, "name": None}, *acts])


def test_a_prediction_is_no_act() -> None:
    assert way_back(PLAN, [record(1, "1.1", "action", check=True)], to="phase0") == []


def two_steps() -> dict[str, Any]:
    """Phase 1 builds in 1.1, which leaves nothing on a host, and deploys in 1.2."""
    plan = copy.deepcopy(PLAN)
    build = plan["phases"][1]["steps"][0]
    build["revert"] = {"none": "nothing is on the host yet"}
    plan["phases"][1]["steps"].append({**build, "id": "1.2", "revert": {"role": "a", "tasks": "revert"}})
    return plan


def test_a_run_that_may_have_been_killed_in_its_act_is_not_guessed_about() -> None:
    plan = two_steps()
    begun = [record(1, "1.1", "action", {"changed": False}), record(2, "1.1", "verify")]
    text = refused(begun, plan, to="phase0")
    assert "may have been killed" in text and "playbooks/phase1.yml" in text and "-e phase=1" in text
    assert way_back(plan, begun, phase="1") == [1], "named outright, the hosts' own record decides"
    stopped = [*begun[:1], record(2, "1.1", "verify", {"failed": True})]
    assert way_back(plan, stopped, to="phase0") == [], "it stopped by itself before any act"
    acted_too = [*begun, record(3, "1.2", "action")]
    assert way_back(plan, acted_too, to="phase0") == [1]
    back = [*acted_too, record(4, "1.2", "revert")]
    assert way_back(plan, back, to="phase0") == []
    again = [*back, record(5, "1.1", "action", {"changed": False})]
    assert "may have been killed" in refused(again, plan, to="phase0")


def test_the_real_plan_lets_phase_0_go_back_alone() -> None:
    plan = files.load_plan()
    step = next(step for step in plan["phases"][1]["steps"] if "none" not in step["revert"])
    records = [record(1, "0.1", "action"), record(2, str(step["id"]), "action")]
    assert stands(plan["phases"][1], records)
    assert way_back(plan, records, phase="0") == [0]


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["action", "revert"]), st.booleans()), max_size=30))
def test_a_way_back_is_the_order_of_requirements_and_leaves_nothing_standing(acts: list[tuple[int, str, bool]]) -> None:
    records = [
        record(seq, f"{number}.1", leg, {"changed": True, "failed": failed})
        for seq, (number, leg, failed) in enumerate(acts, start=1)
    ]
    for target in range(7):
        found = way_back(PLAN, records, to=f"phase{target}")
        assert found == sorted(found, reverse=True) and all(number > target for number in found)
        after = [*records, *(record(100 + n, f"{number}.1", "revert") for n, number in enumerate(found))]
        assert way_back(PLAN, after, to=f"phase{target}") == []


def test_every_revert_that_there_is_can_be_reached(root: Path) -> None:
    """The playbook names phases one by one; a revert that it forgets would never run."""
    text = (root / "playbooks" / "rollback.yml").read_text()
    named = [int(number) for number in re.findall(r"^  when: (\d) in rollout_way_back.phases$", text, re.MULTILINE)]
    assert named == sorted(named, reverse=True), "newest first"
    assert named == sorted((item["phase"] for item in files.load_plan()["phases"]), reverse=True)
    there = {int(path.stem.removeprefix("phase")) for path in (root / "playbooks" / "revert").glob("phase*.yml")}
    assert there <= set(named)


def lay_out(site: OpsSite, root: Path) -> Path:
    """The real rollback.yml beside reverts that only say their number."""
    folder = site.folder / "playbooks"
    for name in ("rollback.yml", "revert/nothing.yml", "guard/hosts.yml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text((root / "playbooks" / name).read_text())
    for number in range(3):
        task = {"name": "Say", "ansible.builtin.debug": {"msg": f"led back {number}"}}
        play = {"name": f"{number}.1 revert | x", "hosts": "site", "gather_facts": False, "tasks": [task]}
        (folder / "revert" / f"phase{number}.yml").write_text(yaml.safe_dump([play]))
    return folder / "rollback.yml"


def test_the_playbook_follows(site: OpsSite, root: Path) -> None:
    playbook = lay_out(site, root)
    code, out = site.play(playbook)
    assert code != 0 and "found neither of phase and to" in out and "led back" not in out.replace("be led back", "")
    site.record("0.1", "action", DONE)
    site.record("1.1", "action", DONE)
    site.record("2.1", "action", DONE)
    code, out = site.play(playbook, "-e", "phase=1")
    assert code != 0 and "phase 2 stands on it" in out and "msg: led back" not in out
    code, out = site.play(playbook, "-e", "to=phase0")
    assert code == 0, out
    assert re.findall(r"msg: led back (\d)", out) == ["2", "1"]
    code, out = site.play(playbook, "-e", "phase=2", "--check")
    assert code == 0 and re.findall(r"msg: led back (\d)", out) == ["2"]
    site.record("2.1", "revert", DONE)
    code, out = site.play(playbook, "-e", "to=phase0")
    assert code == 0 and re.findall(r"msg: led back (\d)", out) == ["1"]
    code, out = site.play(playbook, "-e", "to=phase2")
    assert code == 0 and "msg: led back" not in out
