"""The pure parts: what systemd's words mean, when a service has settled, and what is made of a match."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import checkout, service_unit, source_samples

SHOW = """LoadState=loaded
ActiveState=active
SubState=running
MainPID=812
NRestarts=2
ExecMainStartTimestampMonotonic=5000000
ExecStart={ path=/opt/slomix/venv-bot/bin/python3 ; argv[]=/opt/slomix/venv-bot/bin/python3 -m bot ; ignore_errors=no }
"""


def test_show_becomes_facts() -> None:
    facts = service_unit.parse_show(SHOW, 1000.0, 20.0)
    assert (facts["running"], facts["pid"], facts["restarts"], facts["started_unix"]) == (True, 812, 2, 985.0)
    assert facts["python"] == "/opt/slomix/venv-bot/bin/python3"
    assert service_unit.loaded(facts, 984.9) is True
    assert service_unit.loaded(facts, 985.1) is False
    assert service_unit.loaded(facts, None) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        SHOW.replace("MainPID=812", "MainPID=0"),
        SHOW.replace("=active", "=failed"),
        SHOW.replace("running", "auto-restart"),
    ],
)
def test_what_does_not_run_has_loaded_nothing(text: str) -> None:
    facts = service_unit.parse_show(text, 1000.0, 20.0)
    assert facts["running"] is False and service_unit.loaded(facts, 1.0) is None


def test_another_program_is_no_interpreter() -> None:
    assert service_unit.parse_show(SHOW.replace("/python3 ;", "/gunicorn ;"), 0, 0)["python"] == ""


class World:
    """A service over time: one (pid, restarts, healthy) per poll, the last one for ever."""

    def __init__(self, *steps: tuple[int | None, int, bool]) -> None:
        self.steps = list(steps)
        self.now = 0.0

    def observe(self) -> tuple[dict[str, Any], dict[str, Any]]:
        pid, restarts, healthy = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        unit = {"name": "app.service", "running": pid is not None, "pid": pid, "restarts": restarts}
        unit |= {"active": "active" if pid else "failed", "sub": "", "problem": ""}
        return unit, {"ok": healthy, "problem": "" if healthy else "no answer"}

    def settled(self) -> str:
        return service_unit.settled(self.observe, 1, 20, 3, lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_service_settles_as_one_new_process() -> None:
    assert World((1, 0, True), (None, 0, False), (2, 0, False), (2, 0, True)).settled() == ""


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([(1, 0, True)], "old process 1"),
        ([(None, 0, False)], "failed"),
        ([(2, 0, False)], "no answer"),
        ([(2 + n, n, True) for n in range(60)], "did not stay up"),
        ([step for n in range(30) for step in ((2 + n, n, True), (None, n, False))], "app.service"),
    ],
)
def test_what_is_missing_is_named(steps: list[tuple[int | None, int, bool]], text: str) -> None:
    assert text in World(*steps).settled()


def test_the_worst_moment_of_all_game_servers_counts() -> None:
    free = {"moment": {"safe": True, "known": True, "reason": "nobody", "next": ""}}
    played = {
        "moment": {
            "safe": False,
            "known": True,
            "reason": "6 players",
            "next": "wait; -e lua_release_force_moment=true overrides",
        }
    }
    assert source_samples.match_moment([], "x") == {}
    assert source_samples.match_moment([free], "x")["safe"] is True
    found = source_samples.match_moment([free, played], "x")
    assert found["safe"] is False and "-e x=true" in found["next"] and "lua_release" not in found["next"]
    lost = source_samples.match_moment([free, {"unreachable": True, "msg": "no route"}], "x")
    assert (lost["safe"], lost["known"], lost["reason"]) == (False, False, "no route")


SEEN: dict[str, Any] = {
    "after": {"wish": "deployed", "sha256": "a" * 64, "target": "/x", "current": "a" * 64, "original": "b" * 64},
    "drift": "",
    "unit": {"name": "app.service", "running": True, "loaded": True},
    "health": {"ok": True},
    "checkout": {"pull": {"stops": None, "text": ""}},
}


def test_a_deployed_loaded_healthy_file_is_one() -> None:
    sample = source_samples.source_sample(SEEN)
    assert (sample["deployed"], sample["loaded"], sample["healthy"], sample["predicted"]) == (True, True, True, False)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"drift": "by hand"}, "deployed"),
        ({"after": {**SEEN["after"], "wish": "restored"}}, "deployed"),
        ({"after": {**SEEN["after"], "sha256": ""}}, "deployed"),
        ({"unit": {"name": "app.service", "running": True, "loaded": False}}, "loaded"),
        ({"health": {"ok": False, "problem": "503"}}, "healthy"),
    ],
)
def test_mutants_of_it_are_not(change: dict[str, Any], key: str) -> None:
    sample = source_samples.source_sample({**SEEN, **change})
    assert sample[key] is False and sample["guidance"]


def test_what_could_not_be_read_is_a_failure() -> None:
    assert source_samples.source_sample({"failed": True, "msg": "gone"}) == {"failed": True, "msg": "gone"}
    assert source_samples.probe_sample({"failed": True, "msg": "gone"}, False)["failed"]
    assert source_samples.logged_sample({"failed": True}, None)["failed"]


def test_a_log_without_a_deployment_proves_nothing() -> None:
    counts = {"source": 3, "traceback": 1, "connection_traceback": 0}
    window = {"counts": counts, "matches": {"source": [{"line": "x"}]}, "control_count": 1, "gap": False}
    assert source_samples.logged_sample(window, None)["since_deployment"] is False
    assert source_samples.logged_sample(window, {"at_unix": None, "cursor": None})["since_deployment"] is False
    assert source_samples.logged_sample(window, {"at_unix": 7, "cursor": None})["since_deployment"] is True


def test_no_checkout_no_pull() -> None:
    assert checkout.pull(checkout.read("/proc/version"), "a")["stops"] is False
