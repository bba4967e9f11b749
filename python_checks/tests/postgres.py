"""A private PostgreSQL cluster, for tests and for the bench."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


def binaries() -> Path | None:
    """Folder of initdb and pg_ctl of the newest server that is installed; None when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def cluster(programs: Path) -> Iterator[Cluster]:
    """A throw-away cluster; initdb refuses root, so it runs as the system user postgres then."""
    as_postgres = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
    folder = Path(tempfile.mkdtemp(prefix="rollout-pg-", dir="/tmp"))
    folder.chmod(0o755)
    if as_postgres:
        shutil.chown(folder, "postgres", "postgres")
    port = 20000 + os.getpid() % 20000
    data = folder / "data"

    def run(program: str, *argv: str) -> None:
        subprocess.run(
            [*as_postgres, str(programs / program), *argv],
            check=True,
            capture_output=True,
            text=True,
            cwd="/",
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )

    run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--no-locale")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
    options += " -c fsync=off -c full_page_writes=off"
    run("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield Cluster(folder, port)
    finally:
        run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
