"""What a playbook inherits of the operator's environment: a list of names, so that no credential travels by accident."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

# Paths, language and the ssh agent's socket. Ansible's own settings belong into ansible.cfg; of those only paths pass.
ALLOWED = (
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TERM",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "ANSIBLE_VAULT_PASSWORD_FILE",
)


def scrubbed(environment: Mapping[str, str], root: Path) -> dict[str, str]:
    """The allowed part of ``environment``, with this Python's commands first on PATH and the project's ansible.cfg."""
    commands = str(Path(sys.executable).parent)
    kept = {name: environment[name] for name in ALLOWED if name in environment}
    path = environment.get("PATH", os.defpath)
    return {
        "LC_ALL": "C.UTF-8",
        **kept,
        "PATH": f"{commands}{os.pathsep}{path}",
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
    }


@contextlib.contextmanager
def only(environment: Mapping[str, str]) -> Iterator[None]:
    """Have exactly ``environment`` as this process's own, since ansible-runner hands all of that on and stores it."""
    before = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(environment)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
