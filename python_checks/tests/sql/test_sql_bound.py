"""Who binds the plan's statements: roles and bench name exactly the parameters that a statement has."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from python_checks.shadow import commands
from scripts import bench

_NAME = re.compile(r"%\((\w+)\)s")
_FILE = re.compile(r"plan/sql/(\w+)\.sql'")
READ = "slomix.timetracking.pg_read_info"


def asked(root: Path, name: str) -> set[str]:
    return set(_NAME.findall((root / f"playbooks/plan/sql/{name}.sql").read_text()))


def reads(tasks: Any) -> Iterator[dict[str, Any]]:
    """The arguments of each pg_read_info below a list of tasks."""
    for task in tasks:
        if READ in task:
            yield task[READ]
        for part in ("block", "rescue", "always"):
            yield from reads(task.get(part) or [])


def test_roles_bind_what_their_statement_asks_for(root: Path) -> None:
    """Otherwise only a run on a host would tell."""
    bound = {
        (path.relative_to(root).as_posix(), match[1]): set(read.get("params") or {})
        for path in sorted(root.glob("roles/*/tasks/*.yml"))
        for read in reads(yaml.safe_load(path.read_text()))
        if (match := _FILE.search(read["sql"]))
    }
    assert {name for _, name in bound} == {path.stem for path in (root / "playbooks/plan/sql").glob("*.sql")}
    assert bound == {(path, name): asked(root, name) for path, name in bound}


def test_command_and_role_compare_as_many_halves() -> None:
    assert bench.defaults("timing_shadow")["newest_halves"] == commands.NEWEST_HALVES


def test_the_bench_measures_every_statement(root: Path) -> None:
    parameters = bench.parameters(datetime.now(UTC), 10_000)
    assert {name: set(bound) for name, bound in parameters.items()} == {
        path.stem: asked(root, path.stem) for path in (root / "playbooks/plan/sql").glob("*.sql")
    }


@pytest.mark.postgres
def test_the_bench_fails_when_a_statement_is_over_the_limit(root: Path) -> None:
    command = [sys.executable, "-m", "scripts.bench", "--rounds", "300", "--only", "coverage", "--limit-ms"]
    done = [subprocess.run([*command, limit], cwd=root, capture_output=True, text=True) for limit in ("0.01", "60000")]
    assert [one.returncode for one in done] == [1, 0], done
    assert "TOO SLOW" in done[0].stdout and re.search(r"coverage .* ok$", done[1].stdout, re.MULTILINE)
