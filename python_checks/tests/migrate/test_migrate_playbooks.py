"""The playbooks as an operator runs them, on this machine in place of the VM: keys, preview, run, again, back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import COLUMNS, FORWARD, ROLLBACK, ROOT, TABLE, Site


class Operator:
    """Someone with an inventory of one VM."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.folder = site, folder
        self.evidence = folder / "evidence"
        self.variables: dict[str, Any] = {
            "ansible_connection": "local",
            "ansible_user": "slomix",
            "ansible_python_interpreter": sys.executable,
            "rollout_evidence_dir": str(self.evidence),
            "rollout_lock_dir": str(folder / "site"),
            "rollout_site": "test",
            "stats_db_host": str(site.cluster.folder),
            "stats_db_port": site.cluster.port,
            "stats_db_name": site.name,
            "stats_db_user": "postgres",
            "stats_db_passfile": str(folder / "pgpass"),
            "db_migration_export_dir": str(folder / "exports"),
        }
        (folder / "pgpass").touch(0o600)

    def play(self, name: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook; the caller looks at the exit code."""
        inventory = self.folder / "hosts.yml"
        inventory.write_text(yaml.safe_dump({"stats_hosts": {"hosts": {"vm": None}, "vars": self.variables}}))
        return subprocess.run(
            ["ansible-playbook", "-i", str(inventory), f"playbooks/{name}.yml", *argv],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
            },
            timeout=120,
        )

    def id(self, direction: str) -> str:
        """The id as an operator reads it: below the SQL of a preview."""
        shown = self.play("migrate" if direction == "forward" else "migrate_rollback", "--check").stdout
        found = re.search(r"migration_enable: '?([0-9a-f]{16})", shown)
        assert found, shown
        return found[1]

    def approve(self, direction: str, made: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Write key 3."""
        given = ["-e", f"direction={direction}", "-e", f"migration_enable={made}", "-e", "approved_by=Ana"]
        return self.play("migrate_approve", *given, "-e", json.dumps({"reason": "agreed in the meeting"}), *more)

    def records(self) -> list[dict[str, Any]]:
        """The ledger."""
        ledger = self.evidence / "ledger.jsonl"
        return [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []


@pytest.fixture
def operator(site: Site, tmp_path: Path) -> Operator:
    return Operator(site, tmp_path)


def flat(done: subprocess.CompletedProcess[str]) -> str:
    """What was printed, with line breaks and YAML's quoting taken out."""
    return re.sub(r"\s+", " ", (done.stdout + done.stderr).replace("''", "'"))


def missing(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Numbers of the keys that a refusal names."""
    return sorted(set(re.findall(r"KEY (\d)", flat(done))))


@pytest.mark.slow
def test_without_keys_nothing_happens_and_each_missing_one_is_named(operator: Operator) -> None:
    before = operator.site.catalogue()
    refused = operator.play("migrate")
    assert refused.returncode != 0 and missing(refused) == ["1", "2", "3"]
    for way in ("migration_allow: player_times", "--check", "-e migration_enable=", "migrate_approve.yml"):
        assert way in flat(refused), way
    assert operator.site.options("forward")["migration_id"] not in flat(refused), "an id must be read with its SQL"
    preview = operator.play("migrate", "--check")
    assert preview.returncode == 0, preview.stdout
    for text in (f"ALTER TABLE {TABLE} ADD COLUMN longest_life_seconds INTEGER", "ACCESS EXCLUSIVE on public."):
        assert text in flat(preview)
    assert "changed=1" in preview.stdout and operator.site.catalogue() == before
    assert not operator.records()


@pytest.mark.slow
@pytest.mark.parametrize("left_out", ["1", "2", "3"])
def test_two_keys_are_not_enough(operator: Operator, left_out: str) -> None:
    made = operator.site.options("forward")["migration_id"]
    if left_out != "1":
        operator.variables["migration_allow"] = "player_times"
    if left_out != "3":
        assert operator.approve("forward", made).returncode == 0
    given = [] if left_out == "2" else ["-e", f"migration_enable={made}"]
    refused = operator.play("migrate", *given)
    assert refused.returncode != 0 and missing(refused) == [left_out], flat(refused)
    assert not operator.site.columns()


@pytest.mark.slow
def test_the_whole_way(operator: Operator) -> None:
    operator.variables["migration_allow"] = "player_times"
    made = operator.id("forward")
    assert operator.approve("forward", made).returncode == 0
    done = operator.play("migrate", "-e", f"migration_enable={made}")
    assert done.returncode == 0 and "changed=1" in done.stdout, flat(done)
    assert operator.site.columns() == COLUMNS
    run = operator.records()[-1]["result"]
    assert run["event"] == "run" and run["run"]["made"] == COLUMNS and "done" in run["note"]
    again = operator.play("migrate", "-e", f"migration_enable={made}")
    assert again.returncode == 0 and "changed=0" in again.stdout and "nothing to do" in again.stdout

    # The way back has keys of its own: neither the id nor the approval of the way forward opens it.
    assert missing(operator.play("migrate_rollback", "-e", f"migration_enable={made}")) == ["2", "3"]
    back = operator.id("rollback")
    assert back != made and operator.approve("rollback", back).returncode == 0
    operator.site.run(f"UPDATE {TABLE} SET time_alive_seconds = 5 WHERE id = 3")
    refused = operator.play("migrate_rollback", "-e", f"migration_enable={back}")
    assert refused.returncode != 0 and "1 in time_alive_seconds" in flat(refused)
    assert operator.records()[-1]["result"]["run"]["failed"] is True
    reverted = operator.play("migrate_rollback", "-e", f"migration_enable={back}", "-e", "migration_export=true")
    assert reverted.returncode == 0 and not operator.site.columns(), flat(reverted)
    kept = operator.records()[-1]["result"]["run"]["export"]
    assert kept["rows"] == 1 and kept["sha256"] in Path(kept["path"]).name and Path(kept["path"]).exists()
    assert "changed=0" in operator.play("migrate_rollback", "-e", f"migration_enable={back}").stdout
    # The approval of the way forward was used up by the way back.
    assert missing(operator.play("migrate", "-e", f"migration_enable={made}")) == ["3"]


@pytest.mark.slow
def test_an_approval_names_a_person_a_reason_and_the_right_id(operator: Operator) -> None:
    made = operator.site.options("forward")["migration_id"]
    assert operator.approve("forward", "0" * 16).returncode != 0
    assert operator.approve("forward", made, "-e", "approved_by=' '").returncode != 0
    assert operator.approve("forward", made, "-e", "reason=ok").returncode != 0
    assert operator.approve("sideways", made).returncode != 0
    assert not operator.records()
    assert operator.approve("forward", made, "--check").returncode == 0 and not operator.records()


def keys(records: Sequence[dict[str, Any]], **more: Any) -> list[str]:
    """The key check alone, on a composed ledger."""
    from ansible_collections.slomix.timetracking.plugins.action.migration_keys import missing_keys

    options = {
        "name": "player_times",
        "direction": "forward",
        "allow": "player_times",
        "enable": "id",
        "approval_h": 24,
    }
    return missing_keys({**options, **more}, "id", list(records), datetime(2026, 3, 1, tzinfo=UTC))


def approval(seq: int = 1, age_h: float = 1, **more: Any) -> dict[str, Any]:
    at = datetime(2026, 3, 1, tzinfo=UTC) - timedelta(hours=age_h)
    result = {"migration": "player_times", "event": "approval", "migration_id": "id", "by": "Ana", **more}
    return {"seq": seq, "kind": "note", "at": at.isoformat(), "result": result}


def run(seq: int, direction: str, changed: bool) -> dict[str, Any]:
    result = {"migration": "player_times", "event": "run", "direction": direction, "run": {"changed": changed}}
    return {"seq": seq, "kind": "note", "at": "2026-02-28T23:30:00+00:00", "result": result}


@pytest.mark.parametrize(
    ("records", "opens"),
    [
        ([approval()], True),
        ([], False),
        ([approval(age_h=25)], False),
        ([approval(age_h=-1)], False),
        ([approval(migration_id="other")], False),
        ([approval(migration="other")], False),
        ([{**approval(), "kind": "step"}], False),
        ([approval(), run(2, "forward", True)], True),
        ([approval(), run(2, "rollback", True)], False),
        ([approval(), run(2, "rollback", False)], True),
        ([approval(), run(2, "rollback", True), approval(3)], True),
        ([approval(age_h=30), approval(2)], True),
    ],
)
def test_which_approvals_count(records: list[dict[str, Any]], opens: bool) -> None:
    assert (not keys(records)) == opens


@pytest.mark.parametrize("allow", ["never", "", "other", "PLAYER_TIMES", "true"])
def test_only_its_own_name_allows_it(allow: str) -> None:
    assert "KEY 1" in keys([approval()], allow=allow)[0]


def test_the_id_changes_with_everything_that_matters() -> None:
    from ansible_collections.slomix.timetracking.plugins.module_utils.migration import migration_id

    made = {
        migration_id(*one)
        for one in [
            ("player_times", "forward", FORWARD, ROLLBACK, "etlegacy"),
            ("player_times", "rollback", FORWARD, ROLLBACK, "etlegacy"),
            ("player_times", "forward", FORWARD + " ", ROLLBACK, "etlegacy"),
            ("player_times", "forward", FORWARD, ROLLBACK + " ", "etlegacy"),
            ("player_times", "forward", FORWARD, ROLLBACK, "other"),
            ("other_times", "forward", FORWARD, ROLLBACK, "etlegacy"),
        ]
    }
    assert len(made) == 6


def test_nothing_leads_to_the_migration_by_itself() -> None:
    """No playbook imports it and no role of a phase includes it."""
    for path in [*(ROOT / "playbooks").rglob("*.yml"), *(ROOT / "roles").rglob("*.yml")]:
        if not path.name.startswith("migrate") and "db_migration" not in path.parts:
            assert "db_migration" not in path.read_text() and "migrate.yml" not in path.read_text(), path


def test_the_argument_specs_say_what_the_defaults_are() -> None:
    role = ROOT / "roles" / "db_migration"
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text())
    assert set(specs) | {"run"} == {path.stem for path in (role / "tasks").glob("*.yml")}
    for entry in specs.values():
        assert {name: option["default"] for name, option in entry["options"].items()} == defaults
