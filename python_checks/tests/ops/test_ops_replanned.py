"""Evidence belongs to the plan it was collected under: a changed phase must be proven again, the others keep theirs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from python_checks.gates import files
from python_checks.gates.evaluate import judge_gate
from python_checks.gates.status import status
from python_checks.tests.ops.conftest import OpsSite


def proven(site: OpsSite, *phases: int, **more: Any) -> None:
    result = more.pop("result", None)
    for number in phases:
        under = {"plan_sha256": files.phase_digest(number, site.plan), **more}
        site.record(f"{number}.1", "verify", result, **under)


def verdict(site: OpsSite, number: int) -> tuple[str, str]:
    found = judge_gate(f"phase{number}", site.records(), now=datetime.now(UTC), folder=site.plan)
    return found.verdict, found.checks[0].code if found.checks else ""


def change_gate(site: OpsSite, number: int) -> None:
    path = site.plan / "gates" / f"phase{number}.yml"
    made = yaml.safe_load(path.read_text())
    made["checks"][0]["next"] = "another advice"
    path.write_text(yaml.safe_dump(made))


def test_only_the_changed_phase_is_to_be_proven_again(site: OpsSite) -> None:
    proven(site, 0, 1)
    assert (verdict(site, 0), verdict(site, 1)) == (("pass", ""), ("pass", ""))
    change_gate(site, 1)
    assert verdict(site, 0) == ("pass", "")
    assert verdict(site, 1) == ("expired", "REPLANNED")
    proven(site, 1)
    assert verdict(site, 1) == ("pass", "")


def test_a_changed_step_counts_like_a_changed_gate(site: OpsSite) -> None:
    proven(site, 0)
    path = site.plan / "plan.yml"
    plan = yaml.safe_load(path.read_text())
    plan["phases"][0]["steps"][0]["action"]["tasks"] = "other"
    path.write_text(yaml.safe_dump(plan))
    assert verdict(site, 0) == ("expired", "REPLANNED")


def test_status_says_the_same(site: OpsSite) -> None:
    proven(site, 0)
    change_gate(site, 0)
    gates = {name: files.load_gate(name, site.plan) for name in files.gate_names(site.plan)}
    rows = status(files.load_plan(site.plan), gates, site.records(), now=datetime.now(UTC))
    assert [row.verdict for row in rows if row.step in ("0.1", "gate 0")] == ["expired", "expired"]


def test_what_failed_stays_failed(site: OpsSite) -> None:
    """A changed plan must not make a failure into something that can be waived."""
    proven(site, 0, result={"links": 0})
    change_gate(site, 0)
    assert verdict(site, 0)[0] == "fail"


@pytest.mark.parametrize("digest", [None, "", "0" * 64, 7])
def test_evidence_of_an_unknown_plan_proves_nothing(site: OpsSite, digest: Any) -> None:
    proven(site, 0, plan_sha256=digest)
    assert verdict(site, 0) == ("expired", "REPLANNED")


def test_a_phase_is_refused_on_evidence_of_an_older_plan(site: OpsSite) -> None:
    record = {"phase": 0, "step": "0.1", "leg": "verify", "result": {"links": 1}}
    judge = {"gate": "phase0", "require": True}
    prove = site.playbook(
        {
            "tasks": [
                {"name": "R", "slomix.timetracking.rollout_record": record},
                {"name": "J", "slomix.timetracking.rollout_gate": judge},
            ]
        }
    )
    need = site.playbook({"tasks": [{"name": "Q", "slomix.timetracking.rollout_require": {"phase": 1}}]}, name="q.yml")
    assert site.play(prove)[0] == 0
    assert site.play(need)[0] == 0
    change_gate(site, 0)
    code, out = site.play(need)
    assert code != 0 and "the plan or gate of phase 0 was" in out
    assert site.play(prove)[0] == 0
    assert site.play(need)[0] == 0
