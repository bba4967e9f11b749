"""The roles and plays of phase 0: documented as they are, strict, and each leg recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = {
    "deprecated_service": {"main", "verify", "revert"},
    "singleton_process": {"main", "verify", "revert"},
    "lua_inventory": {"verify"},
    "lua_coverage": {"verify", "baseline"},
    "env_flag": {"verify"},
}
PLAYBOOKS = ["phase0.yml", "baseline.yml", "revert/phase0.yml"]


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("role", ROLES)
def test_the_argument_specs_say_what_the_defaults_are(root: Path, role: str) -> None:
    """A default in the specification alone sets no variable, so both must be the same."""
    specs = load(root / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    defaults = load(root / "roles" / role / "defaults" / "main.yml")
    assert set(specs) == ROLES[role] == {p.stem for p in (root / "roles" / role / "tasks").glob("*.yml")}
    for entry in specs.values():
        assert {name: option["default"] for name, option in entry["options"].items()} == defaults
        assert all(name.startswith(f"{role}_") and option["description"] for name, option in entry["options"].items())


@pytest.mark.parametrize(
    "path", [f"{role}/tasks/{entry}.yml" for role, entries in ROLES.items() for entry in sorted(entries)]
)
def test_every_leg_is_recorded_even_when_it_fails(root: Path, path: str) -> None:
    first = load(root / "roles" / path)[0]
    record = first["always"][0]["slomix.timetracking.rollout_record"]
    measured = first["block"][-1]
    assert record["phase"] == 0 and record["result"] == f"{{{{ {measured['register']} }}}}"
    assert record["leg"] == {"main": "action", "baseline": "verify"}.get(Path(path).stem, Path(path).stem)


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_plays_are_strict_and_tagged(root: Path, name: str) -> None:
    plays = [play for play in load(root / "playbooks" / name) if "hosts" in play]
    assert plays
    for play in plays:
        assert play["gather_facts"] is False and play["any_errors_fatal"] is True and play["max_fail_percentage"] == 0
        whole = play["name"].startswith("0 require")
        assert play["hosts"] in (("game_servers:stats_hosts",) if whole else ("game_servers", "stats_hosts"))
        assert "phase:0" in play["tags"]


def test_every_action_is_followed_by_its_proof(root: Path) -> None:
    names = [play["name"].partition(" | ")[0] for play in load(root / "playbooks" / "phase0.yml")]
    assert names == [
        "0 require",
        "0 require",
        "0.1 action",
        "0.1 verify",
        "0.2 action",
        "0.2 verify",
        "0.3 verify",
        "0.4 verify",
        "0.5 verify",
        "Gate 0",
    ]
