"""A candidate on the controller: the running file's bytes come from the host, the fixed ones are kept by their digest."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.slomix.timetracking.plugins.module_utils.leftovers import own_folder

_SCRATCH = ".scratch-"


def fetch(connection: Any, path: str, build: Path) -> bytes:
    """The remote file's bytes, by file transfer: a module's answer would show them at -vvv.

    What an earlier run left in ``build`` because it was killed is removed: it may hold a webhook's URL.
    """
    build.mkdir(parents=True, exist_ok=True)
    with own_folder(str(build), _SCRATCH) as folder:
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


def write(build: Path, path: Path, content: bytes) -> None:
    """Write a file below ``build`` in one step, readable by the owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with own_folder(str(build), _SCRATCH) as folder:
        staged = Path(folder) / path.name
        staged.touch(mode=0o600)
        staged.write_bytes(content)
        staged.replace(path)


def keep(build: Path, file: str, content: bytes) -> dict[str, Any]:
    """Keep the candidate below ``build`` by its digest, readable by its owner only: it may hold a webhook's URL."""
    digest = sha256(content)
    path = build / "candidates" / digest / Path(file).name
    if not path.is_file() or sha256(path.read_bytes()) != digest:
        write(build, path, content)
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return {"path": str(path.resolve()), "sha256": digest, "sha1": sha1, "size": len(content)}
