"""Gate 0 on hosts as they are found: what `is-active` and `pgrep -fc` would take for the wished state.

Table: (what is found, verdict of the gate's check, what the real reader is given).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import processes, units
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import CheckVerdict, judge
from ansible_collections.slomix.timetracking.plugins.module_utils.processes import Process
from ansible_collections.slomix.timetracking.plugins.modules import process_singleton, service_state

NOW = datetime(2026, 2, 21, 20, 0, tzinfo=UTC)
UNIT, SCRIPT, ME = "et-stats-webhook.service", "/home/et/scripts/log_monitor.sh", os.geteuid()


@pytest.fixture(scope="module")
def gate(root: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((root / "playbooks/plan/gates/phase0.yml").read_text()))


def check_of(gate: dict[str, Any], step: str, result: Any) -> CheckVerdict:
    record = {
        "kind": "step", "check": False, "phase": 0, "step": step, "leg": "verify", "host": "h", "seq": 1,
        "at": (NOW - timedelta(minutes=1)).isoformat(), "result": json.loads(json.dumps(result)),
    }  # fmt: skip
    return next(one for one in judge(gate, [record], now=NOW).checks if one.id == step)


UNITS: list[tuple[str, str, tuple[str, str, str, str]]] = [
    ("disabled and inactive", "pass", ("loaded", "disabled", "inactive", "dead")),
    ("stopped, the next boot starts it", "fail", ("loaded", "enabled", "inactive", "dead")),
    ("disabled, still running", "fail", ("loaded", "disabled", "active", "running")),
    ("waiting for its own restart", "fail", ("loaded", "disabled", "activating", "auto-restart")),
    ("enabled until the next boot", "fail", ("loaded", "enabled-runtime", "inactive", "dead")),
    ("no such unit: is-active says inactive too", "fail", ("not-found", "", "inactive", "dead")),
    ("masked, which nobody decided", "fail", ("masked", "masked", "inactive", "dead")),
    ("failed, with the state of a crash", "fail", ("loaded", "disabled", "failed", "failed")),
    ("static: it cannot be disabled", "fail", ("loaded", "static", "inactive", "dead")),
    ("the unit file is broken", "fail", ("bad-setting", "disabled", "inactive", "dead")),
]


@pytest.mark.parametrize(("verdict", "shown"), [row[1:] for row in UNITS], ids=[row[0] for row in UNITS])
def test_a_unit_has_its_verdict(gate: dict[str, Any], verdict: str, shown: Sequence[str]) -> None:
    facts = units.parse_show("".join(f"{key}={value}\n" for key, value in zip(units.PROPERTIES, shown, strict=True)))
    result = {**service_state.finish(UNIT, (units.classify(facts), facts, None), []), "predicted": False}
    assert check_of(gate, "0.1", result).verdict == verdict


@pytest.mark.parametrize("state", [units.NO_SYSTEMD, units.UNREADABLE])
def test_a_unit_that_cannot_be_asked_does_not_pass(gate: dict[str, Any], state: str) -> None:
    result = {**service_state.finish(UNIT, (state, None, None), []), "predicted": False}
    assert check_of(gate, "0.1", result).verdict == "fail"


def proc(pid: int, parent: int, *argv: str, uid: int = ME) -> Process:
    return Process(pid, parent, pid, uid, argv, "/home/et")


def instance(pid: int, uid: int = ME) -> list[Process]:
    """`tail | while` in a script: pgrep -fc counts two."""
    return [
        proc(pid, 1, "/bin/bash", SCRIPT, uid=uid),
        proc(pid + 1, pid, "tail", "-F", "legacy3.log", uid=uid),
        proc(pid + 2, pid, "/bin/bash", SCRIPT, uid=uid),
    ]


PROCESSES: list[tuple[str, str, list[Process]]] = [
    ("one instance, which is two processes", "pass", instance(10)),
    ("none runs, and pgrep would count the asker's shell", "fail", [proc(10, 1, "sh", "-c", f"pgrep -fc {SCRIPT}")]),
    ("nothing at all", "fail", []),
    ("two instances", "fail", instance(10) + instance(20)),
    ("one instance and an editor", "pass", [*instance(10), proc(30, 1, "vim", SCRIPT)]),
    ("one instance and a tail of the script", "pass", [*instance(10), proc(30, 1, "tail", "-f", SCRIPT)]),
    ("one of another user beside it", "fail", instance(10) + instance(20, uid=ME + 1)),
    ("only another user's", "fail", instance(20, uid=ME + 1)),
    ("another folder's script of that name", "fail", [proc(10, 1, "/bin/bash", "/home/other/log_monitor.sh")]),
]


@pytest.mark.parametrize(("verdict", "table"), [row[1:] for row in PROCESSES], ids=[row[0] for row in PROCESSES])
def test_a_process_table_has_its_verdict(gate: dict[str, Any], verdict: str, table: list[Process]) -> None:
    seen = process_singleton.view(processes.take_census(table, SCRIPT, ME, (), resolve=os.path.normpath))
    result = {"after": seen, "satisfied": process_singleton.holds(seen), "predicted": False}
    assert check_of(gate, "0.2", result).verdict == verdict
