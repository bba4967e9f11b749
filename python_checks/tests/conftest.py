"""Fixtures shared by all test layers: a private PostgreSQL cluster and a runner for modules as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from python_checks.tests.postgres import Cluster, binaries, cluster

__all__ = ["DATA", "MODULE_PACKAGE", "ROOT", "TARGET_PYTHON", "Cluster"]

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).resolve().parent / "data"
TARGET_PYTHON = "/usr/bin/python3"
MODULE_PACKAGE = "ansible_collections.slomix.timetracking.plugins.modules"


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of recorded and composed test data."""
    return DATA


@pytest.fixture(scope="session")
def run_module() -> Callable[..., dict[str, Any]]:
    """Run a module of the collection as its own process, the way a target runs it.

    ``run_module("name", {"option": 1}, check=True)`` returns the JSON that the module printed; ``rc`` and ``stderr`` are added under
    ``_rc`` and ``_stderr``. Nothing is mocked: options are validated by AnsibleModule itself.
    """
    site_packages = next(p for p in sys.path if p.endswith("site-packages"))
    environment = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join([str(ROOT / ".collections"), site_packages]),
    }

    def run(
        name: str,
        args: dict[str, Any],
        *,
        check: bool = False,
        diff: bool = True,
        env: dict[str, str] | None = None,
        timeout_s: float = 60,
    ) -> dict[str, Any]:
        payload = {"ANSIBLE_MODULE_ARGS": {**args, "_ansible_check_mode": check, "_ansible_diff": diff}}
        done = subprocess.run(
            [TARGET_PYTHON, "-m", f"{MODULE_PACKAGE}.{name}"],
            input=json.dumps(payload),
            capture_output=True,
            text=True,
            env={**environment, **(env or {})},
            timeout=timeout_s,
        )
        try:
            result = json.loads(done.stdout)
        except ValueError:
            pytest.fail(f"module {name} printed no JSON (rc {done.returncode}):\n{done.stdout}\n{done.stderr}")
        return {**result, "_rc": done.returncode, "_stderr": done.stderr}

    return run


@pytest.fixture(scope="session")
def pg() -> Iterator[Cluster]:
    """A throw-away PostgreSQL cluster for the whole session."""
    programs = binaries()
    if programs is None:
        pytest.fail("PostgreSQL's server binaries are missing under /usr/lib/postgresql; run `make setup` first")
    with cluster(programs) as made:
        yield made


@pytest.fixture(scope="session")
def slomix_schema(pg: Cluster) -> str:
    """Name of a database with the site's empty schema; ``pg.database(slomix_schema)`` makes a copy to work on."""
    name = pg.database()
    with psycopg.connect(pg.dsn(name), autocommit=True) as connection:
        connection.execute((ROOT / "molecule/world/slomix_vm/schema.sql").read_bytes())
    return name
