"""Places in the front end that know the old scale of the three metrics; found and listed, not changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".js", ".mjs", ".jsx", ".ts", ".tsx", ".vue", ".html", ".css")
_SKIPPED = {"node_modules", ".git", "dist", "vendor", "__pycache__"}
_KEYS = re.compile(r"damage_?efficiency|frag_?potential|survival_?rate", re.IGNORECASE)
_SCALE = re.compile(r"%|\bmax\b|\bgood\b|\bpoor\b|threshold|\b100\b|[<>]=?\s*\d|limit", re.IGNORECASE)
_MAX_BYTES = 2_000_000


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
    for path in sorted(root.rglob("*")):
        if (
            path.suffix not in SUFFIXES
            or _SKIPPED & set(path.parts)
            or not path.is_file()
            or path.stat().st_size > _MAX_BYTES
        ):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if _KEYS.search(line):
                found.append(Place(str(path.relative_to(root)), number, line.strip()[:200], bool(_SCALE.search(line))))
    return found


def root_of(file: Path) -> Path | None:
    """The website's folder around a backend file: the nearest one (up to three levels) that has scripts or pages below it."""
    for folder in list(file.resolve().parents)[:3]:
        if any(True for suffix in (".js", ".html", ".ts") for _ in folder.glob(f"*/*{suffix}")) or any(
            folder.glob("*.html")
        ):
            return folder
    return None
