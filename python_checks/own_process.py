"""What a Python process of the project's own inherits, where it runs files that nobody knows: no variable of the operator's shell."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def environment() -> dict[str, str]:
    """The environment in which ``python -m python_checks…`` finds this project, the collection and the installed packages."""
    packages = [path for path in sys.path if path.endswith("site-packages")]
    return {
        "PATH": os.environ.get("PATH", ""),
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / ".collections"), *packages]),
    }
