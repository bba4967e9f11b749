"""Run a parser file on composed stats files, in a process of its own.

The class is found by its method ``parse_stats_file``. Modules that are missing (discord and the like) are inert there, sockets do
not open, and a time limit ends it. Nothing of the site is touched: files lie in a temporary folder.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils.leftovers import own_folder

TIME_LIMIT_S = 30
UNKNOWN_TEXTS = ("0", "-5123456", "", "abc", "nan", "inf", "1e309", "-0", "9" * 40, "99999999")
_HEADER = r"^4Demo ^7Server\supply\legacy3\1\2\1\12:00\7:22"
_PLAYER = "AABBCCDD\\^1Ana\\1\\1\\16 40 120 6 3 9 \t3000\t1500"


@dataclass
class Run:
    """Seconds that each case gave its one player (None when it was not parsed); ``error`` says why the parser could not be run."""

    cases: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    log: str = ""


def stats_file(field9: str | None, minutes: str = "0.0", header: str = _HEADER) -> str:
    """A round file with one player; ``field9`` None writes eight fields, ``minutes`` is his tab field 22."""
    tabs = ["3000", "1500", *["0"] * 36]
    tabs[20], tabs[22] = "120", minutes
    first = header if field9 is None else f"{header}\\{field9}"
    return f"{first}\n{_PLAYER.rpartition(' ')[0]} \t" + "\t".join(tabs) + "\n"


def files() -> dict[str, str]:
    """The composed files by the case's name."""
    cases = {"8 fields": stats_file(None), "8 fields with own time": stats_file(None, "5.0")}
    cases["8 fields without clock"] = stats_file(None, header=_HEADER.replace("7:22", "0:00"))
    cases["ms"] = stats_file("441250")
    cases["ms with own time"] = stats_file("441250", "5.0")
    cases["whole seconds"] = stats_file("442")
    for text in UNKNOWN_TEXTS:
        cases[f"unknown {text[:20]!r}"] = stats_file(text)
    return cases


def run(source: bytes) -> Run:
    """Run a parser's source on all cases."""
    with own_folder(tempfile.gettempdir(), "rollout-probe-") as name:
        folder = Path(name)
        (folder / "parser_under_probe.py").write_bytes(source)
        asked = {}
        for index, (case, text) in enumerate(files().items()):
            path = folder / f"2026-02-20-21{index:02d}00-supply-round-1.txt"
            path.write_text(text, encoding="utf-8")
            asked[case] = str(path)
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", _RUNNER],
                input=json.dumps({"folder": name, "files": asked}),
                capture_output=True,
                text=True,
                timeout=TIME_LIMIT_S,
                cwd=name,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": name},
            )
        except subprocess.TimeoutExpired:
            return Run(error=f"it did not end within {TIME_LIMIT_S} s")
        line = next((one for one in reversed(done.stdout.splitlines()) if one.startswith("{")), "")
        if not line:
            return Run(error=(done.stderr.strip().splitlines() or ["it printed nothing"])[-1])
        answer = json.loads(line)
        return Run(answer.get("cases", {}), answer.get("error", ""), done.stderr)


def wrong(old: Run, new: Run) -> list[str]:
    """What a patched parser gets wrong, as sentences."""
    told = []
    fallback = new.cases.get("8 fields")
    for case, found in new.cases.items():
        required: tuple[Any, ...]
        if case.startswith("8 fields"):
            required = (old.cases.get(case),) if not old.error else (found,)
        elif case == "ms":
            required = (441, 441.25)
        elif case == "ms with own time":
            required = (300, 441, 441.25)
        elif case == "whole seconds":
            required = (442,)
        else:
            required = (fallback,)
        if found not in required:
            told.append(f"{case}: found {found} s played, required {' or '.join(map(str, required))}")
    return told


_RUNNER = r"""
import importlib.abc, importlib.machinery, json, logging, socket, sys

class Inert:
    def __init__(self, *a, **k): pass
    def __call__(self, *a, **k): return a[0] if len(a) == 1 and callable(a[0]) and not k else Inert()
    def __getattr__(self, name):
        if name.startswith("__"): raise AttributeError(name)
        return Inert()
    def __getitem__(self, key): return Inert()
    def __iter__(self): return iter(())
    def __mro_entries__(self, bases): return (object,)
    def __or__(self, other): return self
    __ror__ = __or__

class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec): return None
    def exec_module(self, module):
        module.__path__ = []
        module.__getattr__ = lambda name: Inert() if not name.startswith("__") else (_ for _ in ()).throw(AttributeError(name))

def closed(*a, **k): raise OSError("no network in a probe")
socket.socket = socket.create_connection = closed
asked = json.load(sys.stdin)
sys.path.insert(0, asked["folder"])
sys.meta_path.append(Finder())
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
out = {"cases": {}}
try:
    source = open(asked["folder"] + "/parser_under_probe.py", "rb").read()
    import types
    module = types.ModuleType("probed.parser")
    module.__package__ = "probed"
    module.__file__ = asked["folder"] + "/parser_under_probe.py"
    sys.modules["probed"] = types.ModuleType("probed"); sys.modules["probed"].__path__ = []
    sys.modules["probed.parser"] = module
    exec(compile(source, "parser", "exec"), module.__dict__)
    classes = [c for c in vars(module).values() if isinstance(c, type) and hasattr(c, "parse_stats_file")]
    parse = classes[0]().parse_stats_file if classes else getattr(module, "parse_stats_file", None)
    if parse is None:
        out["error"] = "it has no class with a method parse_stats_file"
    else:
        for case, path in asked["files"].items():
            try:
                result = parse(path)
                players = result["players"] if isinstance(result, dict) else result.players
                players = list(players.values()) if isinstance(players, dict) else players
                first = players[0]
                seconds = first["time_played_seconds"] if isinstance(first, dict) else first.time_played_seconds
                out["cases"][case] = seconds
            except Exception as problem:
                out["cases"][case] = None
except BaseException as problem:
    out["error"] = f"{type(problem).__name__}: {problem}"
print(json.dumps(out))
"""
