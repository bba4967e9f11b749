"""Run a site's parser on stats files in a process of its own, here or on the host; standard library only.

``runner`` is python_checks/stats/parser_runner.py, which says what keeps such a run harmless.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.slomix.timetracking.plugins.module_utils import stats_names
from ansible_collections.slomix.timetracking.plugins.module_utils.leftovers import own_folder

DEFAULT_TIMEOUT_S = 120.0
_GAP = timedelta(hours=3)
"""Files of one map further apart than this cannot be a pair, whatever window a parser uses."""


class ParserFailed(Exception):
    """The parser could not be run at all; the text says why."""


@dataclass(frozen=True)
class Run:
    """One parser's answers: ``lines`` are canonical JSON, one per file in order, ``{"result"|"error", "log"}``."""

    name: str
    stand_ins: Tuple[str, ...]
    lines: Tuple[str, ...]

    def answers(self) -> List[Dict[str, Any]]:
        """The answers, decoded."""
        return [json.loads(line) for line in self.lines]


def run_parser(
    runner: Path,
    parser: Path,
    files: Sequence[Path],
    *,
    python: str = sys.executable,
    roots: Sequence[Path] = (),
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> Run:
    """Run the parser in ``parser`` (a Python file) on ``files`` with the interpreter ``python``.

    ``runner`` is parser_runner.py, which the interpreter starts by path. The class is found by its method
    parse_stats_file; ``roots`` are further folders to import from. Raises ParserFailed, also after ``timeout_s`` seconds.
    """
    with own_folder(tempfile.gettempdir(), "rollout-parser-") as folder:
        out = Path(folder) / "out.jsonl"
        order = {
            "parser": str(parser.resolve()),
            "roots": [str(path.resolve()) for path in roots],
            "files": [str(path.resolve()) for path in files],
            "out": str(out),
        }
        # Nothing of the caller's environment: it may hold what a site's code would use to connect somewhere.
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": folder, "TMPDIR": folder}
        try:
            done = subprocess.run(
                [python, "-I", str(runner)],
                input=json.dumps(order),
                capture_output=True,
                text=True,
                errors="replace",
                cwd=folder,
                env=environment,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise ParserFailed(f"{parser} took more than {timeout_s:g} s for {len(files)} files") from None
        except OSError as error:
            raise ParserFailed(f"the interpreter {python} cannot be started: {error.strerror}") from None
        about_file = Path(f"{out}.about")
        if not about_file.exists():
            tail = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise ParserFailed(f"{parser} ended the interpreter (exit code {done.returncode}): {tail[0]}")
        about = json.loads(about_file.read_text())
        if about["error"]:
            raise ParserFailed(f"{parser} cannot be run: {about['error']}")
        lines = tuple(out.read_text().splitlines())
    if len(lines) != len(files):
        raise ParserFailed(f"{parser} answered for {len(lines)} of {len(files)} files")
    return Run(about["class"], tuple(about["stand_ins"]), lines)


def failure(answer: Mapping[str, Any]) -> str:
    """Why an answer is none; empty when the parser read the file."""
    if "error" in answer:
        return str(answer["error"])
    result = answer["result"]
    if not isinstance(result, dict):
        return f"the answer is {type(result).__name__}, not a dictionary"
    if result.get("success") is False or not result.get("players", True):
        return str(result.get("error") or "no players in the answer")
    return ""


def rows(line: str) -> Dict[str, Any]:
    """An answer without its log lines, which are no rows; NaN as text, since it equals nothing."""
    answer: Dict[str, Any] = json.loads(line, parse_constant=str)
    answer.pop("log", None)
    return answer


def stage(files: Sequence[Path], folder: Path) -> Iterator[Path]:
    """Copies of ``files`` in their order, grouped so that an R2 still finds its R1 but a parser that lists its folder
    for every R2 does not list thousands of names each time."""
    groups: Dict[Tuple[Path, str], List[Tuple[datetime, Path]]] = {}
    for path in files:
        name = stats_names.parse_name(path.name)
        if name.saved is not None:
            groups.setdefault((path.parent, name.map), []).append((name.saved, path))
    place: Dict[Path, str] = {}
    count = 0
    for members in groups.values():
        last: Optional[datetime] = None
        for saved, path in sorted(members):
            if last is None or saved - last > _GAP:
                count += 1
            last, place[path] = saved, str(count)
    for at, path in enumerate(files):
        target = folder / place.get(path, f"other{at}") / path.name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
        yield target
