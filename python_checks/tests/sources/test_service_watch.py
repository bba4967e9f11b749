"""service_watch as a process on a real service, and the samples of step 5.3: which session counts, and what voids it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import session_watch

from python_checks.tests.sources.conftest import Service

Watch = Callable[..., dict[str, Any]]


@pytest.fixture
def watch(service: Service, run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> Watch:
    """``watch("begun", check=True, subject="x")``: the module with this service's systemctl."""
    logs = {"bot": str(tmp_path / "bot.log"), "errors": str(tmp_path / "errors.log")}

    def call(state: str, check: bool = False, **more: Any) -> dict[str, Any]:
        given = {"name": "app.service", "path": str(tmp_path / "state" / "watch.json"), "state": state, "logs": logs}
        subject = {"subject": "keep_dual"} if state == "begun" else {}
        return run_module("service_watch", {**given, **subject, **more}, check=check, env=service.environment)

    return call


def test_a_watch_begins_goes_on_and_ends(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "bot.log").write_text("one\n")
    assert watch("read")["watch"] == {} and watch("read")["same_start"] is None
    assert not watch("ended")["changed"]
    predicted = watch("begun", check=True)
    assert predicted["changed"] and not (tmp_path / "state").exists()
    begun = watch("begun")
    assert begun["changed"] and begun["actions"] == predicted["actions"] and begun["after"] == predicted["after"]
    assert begun["watch"]["cursors"]["bot"]["offset"] == 4 and begun["watch"]["cursors"]["errors"] is None
    again = watch("begun")
    assert (
        not again["changed"]
        and again["watch"] == begun["watch"]
        and again["same_start"] is True
        and again["restarts"] == 0
    )
    assert not (watch("read")["changed"]) and watch("read")["watch"] == begun["watch"]
    assert watch("ended", check=True)["changed"] and watch("read")["watch"] == begun["watch"]
    assert watch("ended")["changed"] and not watch("ended")["changed"] and watch("read")["watch"] == {}


def test_another_subject_another_start_or_a_wish_begin_a_new_one(
    watch: Watch, service: Service, tmp_path: Path
) -> None:
    watch("begun")
    assert watch("begun", subject="cutover")["changed"] and not watch("begun", subject="cutover")["changed"]
    service.systemctl("restart")
    service.wait()
    assert watch("read")["same_start"] is False
    assert watch("begun", subject="cutover")["changed"] and watch("read")["same_start"] is True
    assert watch("begun", subject="cutover", anew=True)["changed"]
    # The window may begin before the restart: where the logs ended then.
    (tmp_path / "bot.log").write_text("before\nafter\n")
    early = {"path": "x", "dev": 1, "inode": 2, "offset": 7, "sha256": "0"}
    assert watch("begun", subject="cutover", anew=True, cursors={"bot": early})["watch"]["cursors"]["bot"] == early


def test_a_dead_service_cannot_be_watched_and_a_strange_file_is_not_touched(
    watch: Watch, service: Service, tmp_path: Path
) -> None:
    watch("begun")
    service.close()
    assert watch("read")["same_start"] is False and "required" in watch("begun", subject="other")["msg"]
    (tmp_path / "state" / "watch.json").write_text("[]")
    for state in ("read", "begun", "ended"):
        assert watch(state).get("failed"), state
    assert json.loads((tmp_path / "state" / "watch.json").read_text()) == []


WATCHED: dict[str, Any] = {
    "watch": {"since_unix": 100, "subject": "s"},
    "unit": {"running": True},
    "same_start": True,
    "restarts": 0,
}
BOT = {"counts": {"error": 0, "embed": 0}, "control_count": 9, "gap": False, "window_state": "continued", "matches": {}}
ERRORS = {**BOT, "control_count": 0}
SKIPPED = {"skipped": True}


def test_the_bot_since_its_restart() -> None:
    sample = session_watch.bot_sample(WATCHED, {"bot": BOT, "errors": ERRORS})
    assert (sample["errors"], sample["refused_embeds"], sample["control_count"], sample["gap"], sample["missing"]) == (
        0,
        0,
        9,
        False,
        [],
    )
    line = {"error": [{"line": "x | ERROR    | bot.main | no"}]}
    loud = {**ERRORS, "counts": {"error": 2, "embed": 1}, "matches": line, "gap": True, "window_state": "missing"}
    sample = session_watch.bot_sample(
        WATCHED, {"bot": {**BOT, "counts": {"error": 2, "embed": 0}, "matches": line}, "errors": loud}
    )
    assert (sample["errors"], sample["refused_embeds"], sample["gap"], sample["missing"]) == (2, 1, True, ["errors"])
    assert sample["lines"] == ["x | ERROR    | bot.main | no"] and "no" in session_watch.bot_text(sample)


@pytest.mark.parametrize(
    ("watched", "windows"),
    [
        ({**WATCHED, "watch": {}, "same_start": None, "restarts": None}, {"bot": SKIPPED, "errors": SKIPPED}),
        (WATCHED, {"bot": BOT, "errors": SKIPPED}),
        (WATCHED, {}),
    ],
)
def test_a_log_that_was_not_read_is_unknown(watched: dict[str, Any], windows: dict[str, Any]) -> None:
    sample = session_watch.bot_sample(watched, windows)
    assert sample["gap"] is None and session_watch.bot_text(sample)
    assert session_watch.bot_sample({"failed": True, "msg": "x"}, {}) == {"failed": True, "msg": "x"}
    assert session_watch.bot_sample(WATCHED, {"bot": {"failed": True, "msg": "y"}})["msg"] == "y"


def test_the_rounds_of_the_newest_session() -> None:
    row = {
        "rank": 1,
        "session": "7",
        "round_id": 1,
        "map": "supply",
        "round_number": 1,
        "played_at": "x",
        "round_status": "completed",
    }
    row |= {"is_bot": False, "created_unix": 150, "started_unix": 120, "lua_links": 1, "player_guid": "A"}
    others = [
        {**row, "player_guid": "B"},
        {**row, "round_id": 2, "started_unix": 90},
        {**row, "round_id": 3, "created_unix": 90},
    ]
    some = [
        row,
        *others,
        {**row, "round_id": 4, "started_unix": None, "player_guid": None},
        {**row, "round_id": 5, "rank": 2},
    ]
    sample = session_watch.rounds_sample(some, {"since_unix": 100})
    assert [(one["round_id"], one["since"], one["players"]) for one in sample["rounds"]] == [
        (1, True, 2),
        (2, False, 1),
        (3, False, 1),
        (4, False, 0),
    ]
    assert (sample["session"], sample["since_unix"]) == ("7", 100)
    assert not any(one["since"] for one in session_watch.rounds_sample(some, {})["rounds"])
    assert session_watch.rounds_sample([], {})["rounds"] == []
