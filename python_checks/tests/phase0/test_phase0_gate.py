"""Gate 0 on what the modules really print: the shapes must fit, and each module's own bad news must not pass."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import gate_lint, judge

Runner = Callable[..., dict[str, Any]]
NOW = datetime.datetime(2026, 2, 21, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def gate(root: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((root / "playbooks/plan/gates/phase0.yml").read_text()))


def verdict_of(gate: dict[str, Any], step: str, result: dict[str, Any]) -> str:
    record = {
        "kind": "step",
        "phase": 0,
        "step": step,
        "leg": "verify",
        "host": "h",
        "at": NOW.isoformat(),
        "result": result,
        "seq": 1,
    }
    found = judge.judge(gate, [record], now=NOW)
    return next(check.verdict for check in found.checks if check.id == step)


def test_the_gate_is_sound_and_its_mutants_are_caught(gate: dict[str, Any]) -> None:
    assert gate_lint.lint_gate(gate) == []
    assert gate_lint.run_mutants(gate) == []


def test_all_five_steps_are_required(gate: dict[str, Any]) -> None:
    assert [c["id"] for c in gate["checks"]] == ["0.1", "0.2", "0.3", "0.4", "0.5"]
    assert {c.get("severity", "critical") for c in gate["checks"]} == {"critical"}


def test_a_unit_that_cannot_be_judged_does_not_pass(gate: dict[str, Any], run_module: Runner) -> None:
    result = run_module("service_state", {"name": "no-such-unit-here.service"})
    assert verdict_of(gate, "0.1", result) == "fail"


def test_a_predicted_unit_does_not_pass(gate: dict[str, Any], run_module: Runner) -> None:
    after = {"state": "retired", "load": "loaded", "unit_file": "disabled", "active": "inactive", "sub": "dead"}
    result = run_module("service_state", {"name": "x.service", "given": after}, check=True)
    assert result["satisfied"] and verdict_of(gate, "0.1", result) == "inconclusive"


def test_no_instance_does_not_pass(gate: dict[str, Any], run_module: Runner, tmp_path: Path) -> None:
    result = run_module("process_singleton", {"script": str(tmp_path / "log_monitor.sh")})
    assert verdict_of(gate, "0.2", result) == "fail"


def test_an_inventory_without_server_and_console_does_not_pass(
    gate: dict[str, Any], run_module: Runner, tmp_path: Path
) -> None:
    for root in ("home", "install"):
        (tmp_path / root / "legacy").mkdir(parents=True)
    options = {"home_dir": str(tmp_path / "home"), "install_dir": str(tmp_path / "install")}
    assert verdict_of(gate, "0.3", run_module("lua_inventory_info", options)) == "fail"
    (tmp_path / "install" / "legacy" / "a.lua").write_text("-- lua\n")
    assert verdict_of(gate, "0.3", run_module("lua_inventory_info", options)) == "inconclusive"


def test_a_coverage_that_could_not_be_read_does_not_pass(
    gate: dict[str, Any], run_module: Runner, tmp_path: Path
) -> None:
    result = run_module("pg_read_info", {"host": str(tmp_path), "dbname": "x", "sql": "SELECT 1"})
    assert verdict_of(gate, "0.4", result) == "error"


def test_the_coverage_of_an_empty_database_passes(
    gate: dict[str, Any], run_module: Runner, pg: Any, root: Path, slomix_schema: str
) -> None:
    """Zero rounds are a count too; the step asks for the count, not for its size."""
    name = pg.database(slomix_schema)
    options = {"host": str(pg.folder), "port": pg.port, "user": "postgres", "dbname": name}
    sql = (root / "playbooks/plan/sql/coverage.sql").read_text()
    params = {"newest_rounds": 5000, "window_days": 14, "bot_name_regex": "^x"}
    assert verdict_of(gate, "0.4", run_module("pg_read_info", {**options, "sql": sql, "params": params})) == "pass"


def test_an_unreadable_file_does_not_pass(gate: dict[str, Any], run_module: Runner, tmp_path: Path) -> None:
    options = {"path": str(tmp_path / ".env"), "key": "SHOW_TIMING_DUAL"}
    assert verdict_of(gate, "0.5", run_module("env_flag_info", options)) == "fail"
    (tmp_path / ".env").write_text("SHOW_TIMING_DUAL=true\n")
    assert verdict_of(gate, "0.5", run_module("env_flag_info", options)) == "inconclusive", "no running bot was found"
