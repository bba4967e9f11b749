"""Places in the front end that know the old scale of the three metrics; found and listed, not changed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".js", ".mjs", ".jsx", ".ts", ".tsx", ".vue", ".html", ".css")
_SKIPPED = {"node_modules", ".git", "dist", "vendor", "__pycache__"}
_KEYS = re.compile(r"damage_?efficiency|frag_?potential|survival_?rate", re.IGNORECASE)
_SCALE = re.compile(r"%|\bmax\b|\bgood\b|\bpoor\b|threshold|\b100\b|[<>]=?\s*\d|limit", re.IGNORECASE)
_MAX_BYTES = 2_000_000
_BESIDE = ("js", "static", "templates", "frontend", "public", "src", "assets")


@dataclass(frozen=True)
class Place:
    """One line; ``scale`` when a label, axis limit or threshold stands on it."""

    path: str
    line: int
    text: str
    scale: bool

    def sentence(self) -> str:
        """For people."""
        return f"{self.path}:{self.line}: {'scale' if self.scale else 'use'}: {self.text}"


def places(root: Path) -> list[Place]:
    """Lines below ``root`` that name one of the metrics."""
    found = []
    for path in _files(root):
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if _KEYS.search(line):
                shown = str(path.relative_to(root))
                found.append(Place(shown, number, line.strip()[:200], bool(_SCALE.search(line))))
    return found


def _files(root: Path) -> list[Path]:
    found = []
    for folder, inside, names in os.walk(root):
        inside[:] = sorted(set(inside) - _SKIPPED)
        paths = [Path(folder) / name for name in sorted(names) if name.endswith(SUFFIXES)]
        found += [path for path in paths if path.is_file() and path.stat().st_size <= _MAX_BYTES]
    return found


def root_of(file: Path) -> Path | None:
    """The website's folder around a backend file: the parent of ``backend`` when scripts or pages lie beside that; else None."""
    folder = file.resolve().parent
    if folder.name != "backend":
        return None
    beside = [name for name in _BESIDE if (folder.parent / name).is_dir()]
    return folder.parent if beside or any(folder.parent.glob("*.html")) else None
