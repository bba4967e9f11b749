"""Places in the front end that know the old scale of the metrics; found and listed, not changed.

Damage efficiency turns from a percentage into a ratio, and frag potential from about ten to some hundreds; survival rate stays a
percentage. A front end knows a scale by a ``%`` behind the value, an axis limit, a threshold or a label, often not on the line that
names the response's key: so the names that take the value over are followed in a file, and what stands beside them is looked at.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Pattern, Sequence, Union

SUFFIXES = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".vue", ".svelte", ".html", ".htm", ".jinja", ".j2", ".css")
_SKIPPED = {"node_modules", ".git", "dist", "vendor", "__pycache__"}
_KEY = r"(?:damage_?efficiency|frag_?potential|survival_?rate)"
_KEYS = re.compile(_KEY, re.IGNORECASE)
_CHANGED = re.compile(r"damage_?efficiency|frag_?potential", re.IGNORECASE)
_LABEL = re.compile(r"\b(?:damage|dmg)[ _.-]?eff(?:iciency)?\b|\bfrag[ _-]?pot(?:ential)?\b", re.IGNORECASE)
_SCALE = re.compile(
    r"%|\bmax\b|\bgood\b|\bpoor\b|threshold|\b100\b|[<>]=?\s*\d|limit|suggestedM(?:ax|in)|percent", re.IGNORECASE
)
# Survival rate stays 0 to 100, but what counts as much of it does not.
_JUDGED = re.compile(r"\bgood\b|\bpoor\b|threshold|[<>]=?\s*\d", re.IGNORECASE)
# What says a scale without naming the value: only looked for beside a line that does.
_BESIDE_SCALE = re.compile(
    r"\b(?:suggested)?max\b\W{0,4}\d|max=|['\"`}]\s*%|%\s*['\"`<]|\bpercent\b|stepSize|[<>]=?\s*\d{2}", re.IGNORECASE
)
_NEW = r"(?:damage_?efficiency|frag_?potential)"
_TAKEN = (
    re.compile(rf"\b(?:const|let|var)\s+(\w+)\s*=[^=].*{_NEW}", re.IGNORECASE),
    re.compile(rf"{_NEW}['\"]?\s*:\s*([A-Za-z_$][\w$]*)\s*(?:[,}}=]|$)", re.IGNORECASE),
    re.compile(rf"\b(\w+)\s*[:=]\s*[\w.$?\[\]'\"()]*{_NEW}\b", re.IGNORECASE),
)
_PLAIN = {
    "data",
    "value",
    "values",
    "label",
    "labels",
    "key",
    "number",
    "string",
    "null",
    "true",
    "false",
    "return",
    "const",
    "let",
}
_AHEAD, _BEHIND = 6, 2
_MAX_BYTES = 2_000_000
_BESIDE = ("js", "static", "templates", "frontend", "public", "src", "assets")


@dataclass(frozen=True)
class Place:
    """One line of the front end. ``kind``: ``scale`` where a label, axis limit or threshold of a changed metric stands on it,
    ``near`` where one stands beside it, ``use`` where the value is only handed on, ``unread`` for a file or folder (line 0)
    that cannot be read."""

    path: str
    line: int
    text: str
    kind: str

    @property
    def scale(self) -> bool:
        """Whether the line has to be looked at."""
        return self.kind != "use"

    def as_dict(self) -> Dict[str, Union[str, int]]:
        """For a table or a record."""
        return asdict(self)

    def sentence(self) -> str:
        """For people."""
        return f"{self.path}:{self.line}: {self.kind}: {self.text}"


def places(root: Path) -> List[Place]:
    """Lines below ``root`` that name one of the metrics or know its scale, in the order of files and lines."""
    found: List[Place] = []
    closed: List[OSError] = []
    for path in _files(root, closed):
        shown = str(path.relative_to(root))
        try:
            found += places_in(shown, path.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            closed.append(error)
    return found + [Place(str(e.filename), 0, f"cannot be read: {e.strerror}", "unread") for e in closed]


def places_in(path: str, text: str) -> List[Place]:
    """The same for one file's text."""
    lines = text.splitlines()
    if not any(_KEYS.search(line) for line in lines):
        return []
    taken = {name for line in lines if _CHANGED.search(line) for name in _taken(line)}
    names = re.compile(rf"(?<![\w$])(?:{'|'.join(map(re.escape, sorted(taken)))})(?![\w$])") if taken else None
    kinds: Dict[int, str] = {}
    for number, line in enumerate(lines):
        changed = _CHANGED.search(line) or _LABEL.search(line) or (names is not None and names.search(line))
        if changed:
            kinds[number] = "scale" if _SCALE.search(line) else "use"
        elif _KEYS.search(line):
            kinds[number] = "scale" if _JUDGED.search(line) else "use"
    changed_lines = [n for n in kinds if not _only_survival(lines[n])]
    for number in _judges(lines, changed_lines, names):
        kinds[number] = "scale"
    for number in changed_lines:
        for beside in range(max(0, number - _BEHIND), min(len(lines), number + _AHEAD + 1)):
            # Another metric's own lines are not about this one.
            between = lines[min(number, beside) + 1 : max(number, beside) + 1]
            if beside not in kinds and _BESIDE_SCALE.search(lines[beside]) and not any(map(_other_metric, between)):
                kinds[beside] = "near"
    return [Place(path, number + 1, lines[number].strip()[:200], kind) for number, kind in sorted(kinds.items())]


def _taken(line: str) -> Iterator[str]:
    for pattern in _TAKEN:
        for name in pattern.findall(line):
            if len(name) > 2 and name.lower() not in _PLAIN and not _KEYS.fullmatch(name):
                yield name


def _only_survival(line: str) -> bool:
    return bool(_KEYS.search(line)) and not _CHANGED.search(line) and not _LABEL.search(line)


def _other_metric(line: str) -> bool:
    return bool(re.search(r"surviv|accuracy|headshot|\bk/?d\b", line, re.IGNORECASE)) and not _CHANGED.search(line)


def _judges(lines: Sequence[str], at: Sequence[int], names: Optional[Pattern[str]]) -> Iterator[int]:
    """Lines with a threshold or a ``%`` in small functions of the file that are given a value."""
    given = rf"(?:{names.pattern}|[\w.$?]*{_KEY})" if names is not None else rf"[\w.$?]*{_KEY}"
    called = {name for n in at for name in re.findall(rf"([A-Za-z_$][\w$]*)\(\s*{given}", lines[n], re.IGNORECASE)}
    for name in sorted(called - {"if", "for", "while", "map", "round", "Math", "Number", "parseFloat", "push"}):
        start = re.compile(
            rf"\bfunction\s+{re.escape(name)}\b|\b(?:const|let|var)\s+{re.escape(name)}\s*=|^\s*{re.escape(name)}\s*\(.*\{{\s*$"
        )
        for first, line in enumerate(lines):
            if start.search(line):
                for number in range(first, min(len(lines), first + _AHEAD)):
                    if re.search(r"[<>]=?\s*\d|%['\"`]|\b100\b", lines[number]):
                        yield number
                    if number > first and re.match(r"\}|\S.*;\s*$", lines[number]):
                        break


def _files(root: Path, closed: List[OSError]) -> List[Path]:
    found: List[Path] = []
    for folder, inside, names in os.walk(root, onerror=closed.append):
        inside[:] = sorted(set(inside) - _SKIPPED)
        paths = [Path(folder) / name for name in sorted(names) if name.endswith(SUFFIXES)]
        found += [path for path in paths if path.is_file() and path.stat().st_size <= _MAX_BYTES]
    return found


def root_of(file: Path) -> Optional[Path]:
    """The website's folder around a backend file: the parent of ``backend`` when scripts or pages lie beside that; else None."""
    folder = file.resolve().parent
    if folder.name != "backend":
        return None
    beside = [name for name in _BESIDE if (folder.parent / name).is_dir()]
    return folder.parent if beside or any(folder.parent.glob("*.html")) else None
