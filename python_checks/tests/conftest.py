"""Fixtures shared by all test layers: a private PostgreSQL cluster and a runner for modules as processes."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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


class Cluster:
    """A private PostgreSQL cluster on a Unix socket and a loopback port; ``database()`` makes a fresh database."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._made = 0

    def dsn(self, dbname: str = "postgres") -> str:
        """A libpq connection text for the superuser of the cluster."""
        return f"host={self.folder} port={self.port} user=postgres dbname={dbname}"

    def database(self, template: str = "template0") -> str:
        """Create an empty database (or a copy of ``template``) and return its name."""
        import psycopg

        self._made += 1
        name = f"t{os.getpid()}_{self._made}"
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name


def _pg_bin() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def pg() -> Iterator[Cluster]:
    """A throw-away PostgreSQL cluster; initdb refuses root, so it runs as the system user postgres then."""
    binaries = _pg_bin()
    if binaries is None:
        pytest.fail("PostgreSQL's server binaries are missing under /usr/lib/postgresql; run `make setup` first")
    as_postgres = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
    folder = Path(tempfile.mkdtemp(prefix="rollout-pg-", dir="/tmp"))
    folder.chmod(0o755)
    if as_postgres:
        shutil.chown(folder, "postgres", "postgres")
    port = 20000 + os.getpid() % 20000
    data_dir = folder / "data"

    def run(*argv: str) -> None:
        subprocess.run(
            [*as_postgres, *argv],
            check=True,
            capture_output=True,
            text=True,
            cwd="/",
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )

    run(
        str(binaries / "initdb"),
        "-D",
        str(data_dir),
        "-U",
        "postgres",
        "-A",
        "trust",
        "-N",
        "-E",
        "UTF8",
        "--no-locale",
    )
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off -c full_page_writes=off"
    run(str(binaries / "pg_ctl"), "-D", str(data_dir), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield Cluster(folder, port)
    finally:
        run(str(binaries / "pg_ctl"), "-D", str(data_dir), "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
