"""service_state as a process on this host, where systemd is not PID 1 or may be: it must never take silence for success."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Runner = Callable[..., dict[str, Any]]
without_systemd = pytest.mark.skipif(Path("/run/systemd/system").is_dir(), reason="systemd runs this host")


@without_systemd
@pytest.mark.parametrize("check", [False, True])
def test_a_host_without_systemd_is_an_error_that_says_so(run_module: Runner, tmp_path: Path, check: bool) -> None:
    state_dir = tmp_path / "state"
    result = run_module(
        "service_state", {"name": "x.service", "state": "retired", "state_dir": str(state_dir)}, check=check
    )
    assert result["failed"] and result["state"] == "no_systemd" and result["satisfied"] is False
    assert "systemd does not run this host" in result["msg"]
    assert not state_dir.exists()


@without_systemd
def test_reading_there_does_not_fail_but_is_not_satisfied(run_module: Runner) -> None:
    result = run_module("service_state", {"name": "x.service"})
    assert (result.get("failed"), result["state"], result["satisfied"]) == (None, "no_systemd", False)


@without_systemd
def test_accepting_missing_does_not_accept_the_unknown(run_module: Runner) -> None:
    """A host that cannot be judged must not slip through the operator's permission for an absent unit."""
    result = run_module("service_state", {"name": "x.service", "accepted_states": ["missing", "masked", "failed"]})
    assert result["satisfied"] is False


def test_restoring_without_a_recording_is_refused(run_module: Runner, tmp_path: Path) -> None:
    result = run_module("service_state", {"name": "x.service", "state": "restored", "state_dir": str(tmp_path)})
    assert result["failed"] and "nothing is recorded" in result["msg"] and "next:" in result["msg"]


def test_restoring_what_never_acted_changes_nothing(run_module: Runner, tmp_path: Path) -> None:
    options = {"name": "x.service", "state": "restored", "state_dir": str(tmp_path / "state"), "missing_ok": True}
    result = run_module("service_state", options)
    assert (result.get("failed"), result["changed"], result["actions"]) == (None, False, [])
    assert not (tmp_path / "state").exists()


def test_a_damaged_recording_is_refused(run_module: Runner, tmp_path: Path) -> None:
    (tmp_path / "x.service.json").write_text('{"before": ')
    result = run_module("service_state", {"name": "x.service", "state": "restored", "state_dir": str(tmp_path)})
    assert result["failed"] and "cannot be read" in result["msg"]


def test_a_restored_recording_is_not_restored_again(run_module: Runner, tmp_path: Path) -> None:
    record = {
        "before": {"enabled": True, "running": True, "load": "loaded"},
        "restored_at": "2026-02-21T00:00:00+00:00",
    }
    (tmp_path / "x.service.json").write_text(json.dumps(record))
    result = run_module("service_state", {"name": "x.service", "state": "restored", "state_dir": str(tmp_path)})
    assert (result["changed"], result["actions"]) == (False, [])


def test_a_name_that_is_no_unit_never_reaches_a_command(run_module: Runner) -> None:
    result = run_module("service_state", {"name": "x.service; reboot"})
    assert result["failed"] and "no unit name" in result["msg"]


def test_a_prediction_is_judged_under_check_mode_only(run_module: Runner) -> None:
    after = {"state": "retired", "load": "loaded", "unit_file": "disabled", "active": "inactive", "sub": "dead"}
    predicted = run_module("service_state", {"name": "x.service", "given": after}, check=True)
    assert (predicted["satisfied"], predicted["predicted"]) == (True, True)
    real = run_module("service_state", {"name": "x.service", "given": after})
    assert (real["satisfied"], real["predicted"]) == (False, False)
