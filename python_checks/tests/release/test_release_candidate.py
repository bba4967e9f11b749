"""lua_candidate and lua_release through Ansible on this machine: no credential leaves them, and they refuse what they must."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.action.lua_candidate import why_not

CANARY = "https://example.invalid/api/webhooks/4711/canary-token-canary"
FILE = "luascripts/stats_discord_webhook.lua"
Play = Callable[..., "Run"]


class Run:
    """One play's output and the registered results."""

    def __init__(self, output: str, results: dict[str, Any]) -> None:
        self.output = output
        self.results = results


@pytest.fixture
def place(tmp_path: Path, root: Path) -> Path:
    """A folder with the webhook as it was, a canary as its URL."""
    source = (root / "molecule/world/et_server/lua" / FILE).read_text()
    head, _, tail = source.partition("discord_webhook_url = ")
    old_value, _, rest = tail.partition(",")
    assert head and old_value and rest
    (tmp_path / "hook.lua").write_text(f'{head}discord_webhook_url = "{CANARY}",{rest}')
    return tmp_path


@pytest.fixture
def play(place: Path, root: Path, game: Any) -> Play:
    def run(*, deploy: bool = False, check: bool = False, **options: Any) -> Run:
        candidate = {
            "file": FILE,
            "running": str(place / "hook.lua"),
            "recipes": ["webhook"],
            "matches": ["completed"],
            "build_dir": str(place / "build"),
            **options,
        }
        release = {
            "name": "hook.lua",
            "target": str(place / "hook.lua"),
            "store_dir": str(place / "store"),
            "state": "deployed",
            "content_path": "{{ built.candidate.path }}",
            "from_target": True,
            "moment": {"port": game.port, "rcon_password_file": str(game.password_file)},
        }
        tasks: list[dict[str, Any]] = [{"slomix.timetracking.lua_candidate": candidate, "register": "built"}]
        tasks += [{"slomix.timetracking.lua_release": release, "register": "put"}] if deploy else []
        keep = {
            "ansible.builtin.copy": {
                "content": "{{ {'built': built | default({}), 'put': put | default({})} | to_json }}",
                "dest": str(place / "results.json"),
            },
            "no_log": True,
            "check_mode": False,
        }
        book = [{"hosts": "localhost", "gather_facts": False, "tasks": [{"block": tasks, "always": [keep]}]}]
        (place / "play.yml").write_text(json.dumps(book))
        inventory = f"localhost ansible_connection=local ansible_python_interpreter={sys.executable}\n"
        (place / "hosts.ini").write_text(inventory)
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("-vvv", "--diff", "-i", str(place / "hosts.ini"), str(place / "play.yml")),
                *(["--check"] if check else []),
            ],
            capture_output=True,
            text=True,
            cwd=root,
            env={**os.environ, "ANSIBLE_CONFIG": str(root / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
        )
        results = place / "results.json"
        assert results.exists(), done.stdout + done.stderr
        return Run(done.stdout + done.stderr, json.loads(results.read_text()))

    return run


def test_from_the_running_file_to_the_deployed_one_without_showing_the_url(play: Play, place: Path) -> None:
    before = (place / "hook.lua").read_bytes()
    predicted = play(deploy=True, check=True)
    assert (place / "hook.lua").read_bytes() == before and not (place / "store").exists()
    first = play(deploy=True)
    built = first.results["built"]
    assert built["edited"] and built["rehearsal"]["candidate"]["passed"]
    assert built["rehearsal"]["unpatched"]["passed"] is False
    assert built["source"] == {"kind": "running", "sha256": built["running"]["sha256"]}
    candidate = Path(built["candidate"]["path"])
    assert stat.S_IMODE(candidate.stat().st_mode) == 0o600
    assert CANARY in (place / "hook.lua").read_text() == candidate.read_text()
    assert predicted.results["put"]["actions"] == first.results["put"]["actions"]
    assert "<masked " in first.output or "discord_webhook_url" not in first.output
    second = play(deploy=True)
    again = second.results["built"]
    assert again["edited"] is False and second.results["put"]["changed"] is False
    assert again["rehearsal"]["candidate"]["cached"] is True and again["rehearsal"]["unpatched"] is None
    assert again["rehearsal"]["candidate"]["rehearsed_at"] == built["rehearsal"]["candidate"]["rehearsed_at"]
    for shown in (predicted, first, second):
        assert "canary" not in shown.output and "canary" not in json.dumps(shown.results)
    kept = [path for path in (place / "build" / "rehearsals").iterdir()]
    assert kept and not any("canary" in path.read_text() for path in kept)


def test_a_named_file_that_would_lose_the_configured_url_is_refused(play: Play, place: Path, root: Path) -> None:
    named = place / "named.lua"
    named.write_bytes((root / "molecule/world/et_server/lua" / FILE).read_bytes())
    built = play(source=str(named)).results["built"]
    assert built["failed"] and "lacks 1 configured value" in built["msg"] and "canary" not in built["msg"]
    assert built["source"]["kind"] == "file"


def test_what_the_codemod_does_not_recognise_is_refused_before_any_rehearsal(play: Play, place: Path) -> None:
    (place / "hook.lua").write_text("local x = 1\n")
    built = play().results["built"]
    assert built["failed"] and "refused" in built["msg"] and "rehearsal" not in built


def test_a_missing_file_and_a_file_that_is_no_lua_name_the_next_step(play: Play, place: Path) -> None:
    (place / "hook.lua").write_text("local = =\n")
    assert "cannot be fixed" in play().results["built"]["msg"]
    (place / "hook.lua").unlink()
    assert "name the right path" in play().results["built"]["msg"]


def report(passed: bool, judged: int = 4) -> dict[str, Any]:
    found = {"match": "m", "interpreter": "lua54", "half": "R2", "code": "lua_error", "found": "1 line"}
    return {"passed": passed, "judged": judged, "findings": [] if passed else [found], "unjudged": []}


@pytest.mark.parametrize(
    ("candidate", "unpatched", "words"),
    [
        (report(True), report(False), ""),
        (report(True), None, ""),
        (report(False), report(False), "m lua54 R2 lua_error: 1 line"),
        (report(False), None, "nothing was deployed"),
        (report(True), report(True), "proves nothing"),
    ],
)
def test_what_stops_a_deployment(candidate: dict[str, Any], unpatched: dict[str, Any] | None, words: str) -> None:
    found = why_not({"candidate": candidate, "unpatched": unpatched})
    assert words in found and bool(found) == bool(words)
