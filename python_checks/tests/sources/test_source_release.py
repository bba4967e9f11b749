"""source_release as a process on a real service: what is on disk and what runs, whatever goes wrong."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from python_checks.tests.sources.conftest import SERVICE, Service

OLD = SERVICE.encode()
NEW = OLD.replace(b'WORD = "old"', b'WORD = "new"')
BROKEN = OLD.replace(b'WORD = "old"', b"WORD = missing_name")
RunModule = Callable[..., dict[str, Any]]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def run(service: Service, run_module: RunModule) -> Callable[..., dict[str, Any]]:
    """``run(NEW, check=True, unit="x.service")``: the module with this service's systemctl."""

    def call(content: bytes | None = None, check: bool = False, **more: Any) -> dict[str, Any]:
        return run_module("source_release", service.args(content, **more), check=check, env=service.environment)

    return call


def test_check_then_real_then_nothing_then_back(service: Service, run: Callable[..., dict[str, Any]]) -> None:
    predicted = run(NEW, check=True)
    assert predicted["changed"] and predicted["restarts"], predicted
    assert (service.target.read_bytes(), service.word(), service.restarts()) == (OLD, "old", 1)
    assert not service.store.exists()

    real = run(NEW)
    assert (real["before"], real["after"], real["actions"], real["diff"]) == (
        predicted["before"],
        predicted["after"],
        predicted["actions"],
        predicted["diff"],
    )
    assert (service.target.read_bytes(), service.word(), service.restarts()) == (NEW, "new", 2)
    assert real["unit"]["loaded"] is True and real["health"]["ok"] is True
    for check in (True, False):
        again = run(NEW, check=check)
        assert (again["changed"], again["actions"]) == (False, []), again

    back = run()
    assert back["changed"] and (service.target.read_bytes(), service.word(), service.restarts()) == (OLD, "old", 3)
    assert run()["changed"] is False
    assert list(service.target.parent.iterdir()) == [service.target]


def test_a_service_that_does_not_come_up_gets_its_file_back(
    service: Service, run: Callable[..., dict[str, Any]]
) -> None:
    assert run(NEW)["changed"]
    failed = run(BROKEN)
    assert failed["failed"] and failed["reverted"] is True and failed["changed"] is False
    assert "was not healthy after the change" in failed["msg"] and sha256(NEW) in failed["msg"]
    assert any("missing_name" in line for line in failed["journal"])
    assert (service.target.read_bytes(), service.word()) == (NEW, "new")
    seen = run(state="read")
    assert seen["after"]["wish"] == "restored", "the verify leg fails until it is deployed again"
    assert run(NEW)["after"]["wish"] == "deployed"


def test_an_answer_that_is_no_200_is_not_healthy(service: Service, run: Callable[..., dict[str, Any]]) -> None:
    failed = run(OLD.replace(b"send_response(200)", b"send_response(503)"))
    assert failed["failed"] and failed["reverted"] and "503" in failed["msg"]
    assert service.word() == "old"


def test_what_does_not_compile_is_never_on_disk(service: Service, run: Callable[..., dict[str, Any]]) -> None:
    for check in (True, False):
        refused = run(OLD + b"def broken(:\n", check=check)
        assert refused["failed"] and "does not compile" in refused["msg"] and "SyntaxError" in refused["msg"]
    assert (service.target.read_bytes(), service.restarts()) == (OLD, 1)


@pytest.mark.parametrize(
    ("idle", "text"),
    [
        (
            {"match": {"safe": False, "known": True, "reason": "6 players on supply", "next": "wait"}},
            "6 players on supply",
        ),
        ({"match": {}}, "is not known"),
        ({"url": ""}, "whether the bot is at rest is not known"),
        ({"busy": True}, "the bot is at work"),
    ],
)
def test_a_wrong_moment_is_refused_and_only_told_in_check_mode(
    service: Service, run: Callable[..., dict[str, Any]], idle: dict[str, Any], text: str
) -> None:
    options = {**service.args()["idle"], **idle}
    if options.pop("busy", False):
        (service.folder / "busy").touch()
    refused = run(NEW, idle=options)
    assert refused["failed"] and text in refused["msg"], refused
    assert (service.target.read_bytes(), service.restarts()) == (OLD, 1)
    told = run(NEW, check=True, idle=options)
    assert told["changed"] and text in str(told["warnings"])
    forced = run(NEW, idle={**options, "forced": True})
    assert forced["moment"]["forced"] and service.word() == "new"


def test_an_ill_service_is_not_touched(service: Service, run: Callable[..., dict[str, Any]]) -> None:
    refused = run(NEW, health={"url": service.url.replace("health", "x") + "x:", "timeout_s": 2})
    ill = run(NEW, health={"url": "http://127.0.0.1:1/health", "timeout_s": 2})
    assert ill["failed"] and "not healthy before the change" in ill["msg"], refused
    service.close()
    stopped = run(NEW)
    assert stopped["failed"] and "a running service" in stopped["msg"]
    assert service.target.read_bytes() in (OLD, NEW) and ill["changed"] is False


def test_stopped_between_switch_and_restart_the_next_run_restarts(
    service: Service, run: Callable[..., dict[str, Any]]
) -> None:
    assert run(NEW)["changed"]
    (service.folder / "started").write_text("1")
    seen = run(state="read")
    assert seen["unit"]["loaded"] is False
    predicted = run(NEW, check=True)
    assert (predicted["changed"], predicted["replaces_target"], predicted["restarts"]) == (True, False, True)
    assert run(NEW)["unit"]["loaded"] is True and service.restarts() == 3
    assert run(NEW)["changed"] is False


def test_killed_before_it_saw_the_service_fail_the_way_back_rescues_it(
    service: Service, run: Callable[..., dict[str, Any]]
) -> None:
    """The file is switched, the restart came, and nobody was there any more to take the file back."""
    assert run(NEW)["changed"]
    service.target.write_bytes(BROKEN)
    journal = service.store / "app.py" / "journal.json"
    journal.write_text(journal.read_text().replace(sha256(NEW), sha256(BROKEN)))
    service.systemctl("restart")
    time.sleep(0.5)
    assert run(BROKEN)["restarts"] is False, "a run forward does not restart what cannot come up"
    predicted, back = run(check=True), run()
    assert back.get("failed") is None and (predicted["actions"], predicted["after"]) == (back["actions"], back["after"])
    assert (service.target.read_bytes(), service.word()) == (OLD, "old")
    service.close()
    assert run()["restarts"] is True and service.word() == "old", "the right file, but the service was down"
    assert run()["changed"] is False


def test_a_rescue_that_does_not_help_says_so_and_keeps_the_recorded_file(
    service: Service, run: Callable[..., dict[str, Any]]
) -> None:
    assert run(NEW)["changed"]
    health = {"url": "http://127.0.0.1:1/health", "timeout_s": 1, "settle_s": 0.2}
    failed = run(health=health)
    assert failed["failed"] and "as ill as it was before" in failed["msg"] and failed["reverted"] is False
    assert service.target.read_bytes() == OLD


def test_a_hand_edit_is_refused_both_ways(service: Service, run: Callable[..., dict[str, Any]]) -> None:
    run(NEW)
    service.target.write_bytes(NEW + b"# by hand\n")
    for refused in (run(NEW + b"# other\n"), run(), run(NEW, from_target=True)):
        assert refused["failed"] and "by hand" in refused["msg"] and "source_release_source=FILE" in refused["msg"]
    assert service.target.read_bytes() == NEW + b"# by hand\n"


def git(service: Service, *words: str) -> str:
    command = [
        "git",
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@example.invalid",
        "-C",
        str(service.target.parent),
        *words,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_checkout_is_described_and_left_alone(service: Service, run: Callable[..., dict[str, Any]]) -> None:
    git(service, "init", "-q", "-b", "main")
    git(service, "add", "app.py")
    git(service, "commit", "-q", "-m", "first")
    head, index = git(service, "rev-parse", "HEAD").strip(), Path(service.target.parent, ".git/index")
    # A refresh of the index would be a trace: its file times no longer fit, so git would want to.
    os.utime(service.target, (1, 1))
    before = (index.read_bytes(), index.stat().st_mtime_ns)
    predicted = run(NEW, check=True)
    assert (index.read_bytes(), index.stat().st_mtime_ns) == before
    checkout = run(NEW)["checkout"]
    assert (checkout["head"], checkout["branch"], checkout["path"]) == (head, "main", "app.py")
    assert checkout["pull"]["stops"] is None and "no upstream" in checkout["pull"]["text"]
    assert predicted["checkout"]["pull"] == checkout["pull"]
    assert run(state="read")["checkout"]["dirty"] == ["app.py"]
    assert git(service, "rev-parse", "HEAD").strip() == head


@pytest.mark.parametrize(("touches", "stops"), [(True, True), (False, False)])
def test_the_next_pull_is_foretold(
    service: Service, tmp_path: Path, run: Callable[..., dict[str, Any]], touches: bool, stops: bool
) -> None:
    git(service, "init", "-q", "-b", "main")
    git(service, "add", "app.py")
    git(service, "commit", "-q", "-m", "first")
    origin = tmp_path / "origin"
    subprocess.run(["git", "clone", "-q", str(service.target.parent), str(origin)], check=True)
    (origin / ("app.py" if touches else "other.py")).write_bytes(OLD + b"# upstream\n")
    for words in (
        ["add", "-A"],
        ["-c", "user.name=x", "-c", "user.email=x@example.invalid", "commit", "-qm", "second"],
    ):
        subprocess.run(["git", "-C", str(origin), *words], check=True)
    git(service, "remote", "add", "origin", str(origin))
    git(service, "fetch", "-q", "origin")
    git(service, "branch", "-q", "--set-upstream-to=origin/main")
    checkout = run(NEW)["checkout"]
    assert checkout["pull"]["stops"] is stops, checkout
    pull = ["git", "-C", str(service.target.parent), "pull", "-q", "--ff-only"]
    assert (subprocess.run(pull, capture_output=True).returncode != 0) is stops, "git agrees"


@pytest.mark.parametrize("straight_back", [False, True])
def test_what_a_checkout_brings_is_the_new_original(
    service: Service, run: Callable[..., dict[str, Any]], straight_back: bool
) -> None:
    git(service, "init", "-q", "-b", "main")
    git(service, "add", "app.py")
    git(service, "commit", "-q", "-m", "first")
    run(NEW)
    later = OLD + b"# later\n"
    service.target.write_bytes(later)
    assert run(NEW)["failed"], "before it is committed it is a hand edit"
    git(service, "commit", "-q", "-m", "later", "app.py")
    if straight_back:
        assert run()["after"]["original"] == sha256(later) and service.target.read_bytes() == later
        assert run()["changed"] is False
    seen = run(state="read")
    if straight_back:
        assert (seen["renewed"], seen["after"]["wish"]) == (False, "restored")
        return
    assert seen["renewed"] and "as committed" in seen["drift"]
    done = run(NEW + b"# later\n", from_target=True)
    assert done["after"]["original"] == sha256(later) and service.word() == "new"
    run()
    assert service.target.read_bytes() == later


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "../x"}, "plain file name"),
        ({"unit": "no suffix"}, "suffix"),
        ({"sha256": "0" * 64}, "digest"),
        ({"target": "/nowhere/app.py"}, "no regular file"),
        ({"content_b64": "%"}, "no base64"),
        ({"python": "/nowhere/python3"}, "nowhere"),
    ],
)
def test_wrong_options_are_refused(run: Callable[..., dict[str, Any]], options: dict[str, Any], text: str) -> None:
    refused = run(NEW, **options)
    assert refused["failed"] and text in refused["msg"], refused


def test_credentials_are_not_shown(service: Service, run: Callable[..., dict[str, Any]]) -> None:
    secret = b"https://example.invalid/api/webhooks/123/canary-token"
    shown = str(run(NEW + b'URL = "' + secret + b'"\n', check=True))
    assert "canary" not in shown and base64.b64encode(secret).decode() not in shown
