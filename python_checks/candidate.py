"""A candidate on the controller: the running file's bytes come from the host, the fixed ones are kept by their digest."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError


def fetch(connection: Any, path: str, build: Path) -> bytes:
    """The remote file's bytes, by file transfer: a module's answer would show them at -vvv."""
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build, prefix=".fetch-") as folder:
        local = Path(folder) / "file"
        try:
            connection.fetch_file(path, str(local))
            return local.read_bytes()
        except (AnsibleError, OSError) as error:
            raise AnsibleActionFail(f"the running file {path} cannot be read: {error}; name the right path") from error


def read(path: str) -> bytes:
    """A file on the controller to start from."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise AnsibleActionFail(f"the source {path} cannot be read on the controller: {error}") from error


def sha256(content: bytes) -> str:
    """The digest, lower-case hex."""
    return hashlib.sha256(content).hexdigest()


def write(path: Path, content: bytes) -> None:
    """Write in one step, readable by the owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
    Path(name).replace(path)


def keep(folder: Path, file: str, content: bytes) -> dict[str, Any]:
    """Keep the candidate by its digest, readable by its owner only: it may hold a webhook's URL."""
    digest = sha256(content)
    path = folder / digest / Path(file).name
    if not path.is_file() or sha256(path.read_bytes()) != digest:
        write(path, content)
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return {"path": str(path.resolve()), "sha256": digest, "sha1": sha1, "size": len(content)}
