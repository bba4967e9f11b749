"""The roles and plays of phases 2 and 4: documented as they are, strict, each measurement recorded even when it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = ("stats_writer", "writer_rounds")
PLAYBOOKS = ("phase2.yml", "phase4.yml", "verify/phase2.yml", "verify/phase4.yml", "revert/phase4.yml")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("role", ROLES)
def test_the_argument_specs_say_what_the_defaults_are(root: Path, role: str) -> None:
    """An entry point names what it needs only, since a default of another host's variables could not be resolved."""
    specs = load(root / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    assert set(specs) == {path.stem for path in (root / "roles" / role / "tasks").glob("*.yml")}
    said = {name: option for entry in specs.values() for name, option in entry["options"].items()}
    defaults = load(root / "roles" / role / "defaults" / "main.yml")
    assert {name: option["default"] for name, option in said.items()} == defaults
    assert all(name.startswith(f"{role}_") and option["description"] for name, option in said.items())


@pytest.mark.parametrize(
    "path",
    [
        "stats_writer/tasks/build",
        "stats_writer/tasks/merged",
        "stats_writer/tasks/parser",
        "stats_writer/tasks/site_parser",
        "writer_rounds/tasks/files",
        "writer_rounds/tasks/verify",
    ],
)
def test_every_measurement_is_recorded_even_when_it_fails(root: Path, path: str) -> None:
    block = load(root / "roles" / f"{path}.yml")[0]
    assert block["block"] and "slomix.timetracking.rollout_record" in block["always"][0]


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_plays_are_strict_and_tagged(root: Path, name: str) -> None:
    plays = [play for play in load(root / "playbooks" / name) if "hosts" in play]
    assert plays
    for play in plays:
        assert play["gather_facts"] is False and play["any_errors_fatal"] is True and play["max_fail_percentage"] == 0
        whole = " require | " in play["name"]
        assert play["hosts"] in (("game_servers:stats_hosts",) if whole else ("game_servers", "stats_hosts"))
        assert f"phase:{name[-5]}" in play["tags"]


def test_the_parser_is_asked_before_the_writer_is_deployed(root: Path) -> None:
    tasks = [play["tasks"][0] for play in load(root / "playbooks/phase4.yml") if "tasks" in play]
    entries = [task.get("ansible.builtin.import_role", {}).get("tasks_from", "require") for task in tasks]
    assert entries == ["require", "parser_first", "deploy", "verify"]


def test_the_deployed_name_is_kept(root: Path) -> None:
    """A merged writer under another name would not be loaded, or be a second writer beside the first."""
    lua_release = load(root / "roles/stats_writer/vars/main.yml")
    assert lua_release["lua_release_file"] == "{{ stats_writer_file }}"
    assert load(root / "roles/stats_writer/defaults/main.yml")["stats_writer_file"] == "c0rnp0rn7.lua"
