"""Front ends written before the finder was read: which lines know the old scale. And the role's leg that shows and records them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils.frontend_scale import places, places_in

from python_checks.tests.source.files import DATA, SITE

FRONTENDS = DATA / "frontends"
# file -> lines to look at, lines that only hand a value on
EXPECTED = {
    "graphs.js": ({12, 14, 15}, {8, 9}),
    "PlayerCard.jsx": ({4, 11, 12, 13, 17}, {7, 16}),
    "table.html": ({4, 10, 11}, set()),
    "bars.js": ({2, 3}, {4}),
    "metrics.ts": ({3, 14, 15, 16, 19, 20}, {2, 4, 8, 9, 10}),
    "session.html": ({6, 7, 8}, {9}),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_lines_that_know_a_scale(name: str) -> None:
    found = places_in(name, (FRONTENDS / name).read_text())
    looked_at, used = EXPECTED[name]
    assert {p.line for p in found if p.scale} == looked_at
    assert {p.line for p in found if not p.scale} == used


def test_other_pages_are_left_alone() -> None:
    assert places_in("a.js", "const max = 100;\nif (accuracy > 50) label('%');\n") == []
    beside = "f(p.damage_efficiency)\n// accuracy\nscales: { y: { max: 100 } }\n"
    assert [p.line for p in places_in("a.js", beside)] == [1], "another metric's axis"
    assert [p.kind for p in places_in("a.js", beside.replace("accuracy", "its axis"))] == ["use", "near"]


def test_the_worlds_own_front_end() -> None:
    lines = {(p.path, p.line) for p in places(SITE / "website") if p.scale}
    assert {("js/session-graphs.js", n) for n in (4, 5, 12, 13, 14)} <= lines


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.js").symlink_to(tmp_path / "gone.js")
    assert places(tmp_path) == [], "a dangling link is no file"
    (tmp_path / "b.js").write_text("f(p.damage_efficiency > 50)\n")
    real = Path.read_text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_text", lambda self, **kw: real(self / "x", **kw))
        assert [(p.kind, p.line, p.scale) for p in places(tmp_path)] == [("unread", 0, True)]


def test_the_module(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    found = run_module("frontend_scale_info", {"root": str(FRONTENDS)}, check=True)
    assert not found["changed"] and found["looked_at"] and found["to_look_at"] == 22
    assert found["places"][0] == {
        "path": "PlayerCard.jsx",
        "line": 4,
        "text": found["places"][0]["text"],
        "kind": "scale",
    }
    gone = run_module("frontend_scale_info", {"root": str(tmp_path / "nowhere")})
    assert not gone["looked_at"] and gone["places"] == [] and "was not looked at" in gone["text"]


def test_the_role_shows_and_records_them(root: Path, tmp_path: Path) -> None:
    """A folder that is there, and one that is not: both are said and recorded, neither stops the play."""
    leg = {"name": "web_source", "tasks_from": "frontend"}
    tasks = [
        {"ansible.builtin.include_role": leg, "vars": {"web_source_frontend": str(folder)}}
        for folder in (FRONTENDS, tmp_path / "nowhere")
    ]
    play = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    evidence = tmp_path / "evidence"
    given = {"bot_root": "/nowhere", "rollout_evidence_dir": str(evidence)}
    program = Path(sys.executable).parent / "ansible-playbook"
    run = subprocess.run(
        [str(program), "-i", "localhost,", "-c", "local", str(tmp_path / "play.yml"), "-e", json.dumps(given)],
        cwd=root,
        env={**os.environ, "ANSIBLE_ROLES_PATH": str(root / "roles")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "22 lines below" in run.stdout and "session.html" in run.stdout and "was not looked at" in run.stdout
    records = [json.loads(line) for line in (evidence / "ledger.jsonl").read_text().splitlines()]
    assert [(r["step"], r["leg"], r["name"]) for r in records] == [("6.1", "verify", "frontend")] * 2
