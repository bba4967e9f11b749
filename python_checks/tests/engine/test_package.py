"""The stand-in as a package: light imports, for the game server's image has only lupa, PyYAML and the standard library."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from python_checks import engine

ALLOWED = {*sys.stdlib_module_names, "lupa", "yaml"}


def test_imports_are_light() -> None:
    """No module of the package imports anything but the standard library, lupa, PyYAML and the package itself."""
    files = sorted(Path(engine.__file__).parent.rglob("*.py"))
    assert len(files) > 15
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = {(node.module or "").split(".")[0]}
            else:
                continue
            assert names <= ALLOWED, f"{path.name}: {names - ALLOWED}"


def test_public_names() -> None:
    """What the package promises exists and is documented."""
    for name in engine.__all__:
        assert getattr(engine, name).__doc__, name
