"""Run a parser file on composed stats files, in a process of its own.

The class is found by its method ``parse_stats_file``. Modules that are missing (discord and the like) are inert there, sockets do
not open, and a time limit ends it. Nothing of the site is touched: files lie in a temporary folder.
"""

from __future__ import annotations

import functools
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
PLAYERS = {"AABBCCDD": ("^1Ana", "5.0", 300), "11223344": ("Bor", "3.0", 180), "5566EEFF": ("Cy", "0.0", None)}
"""By guid: name, own minutes and the seconds that these are; the last one has none. Other minutes for each, since a parser may give
a player the time of the one before him."""
_DAMAGE = 3000


@dataclass
class Run:
    """Seconds that each case gave each player, and dpm where it is shown, by guid (None when the case was not parsed, with its
    reason in ``problems``); ``error`` says why the parser could not be run."""

    cases: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    log: str = ""
    dpm: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def stats_file(field9: str | None, own_time: bool = False, header: str = _HEADER) -> str:
    """A round file; ``field9`` None writes eight fields, with ``own_time`` the players have their own minutes."""
    lines = [header if field9 is None else f"{header}\\{field9}"]
    for guid, (name, minutes, _) in PLAYERS.items():
        tabs = [str(_DAMAGE), "1500", *["0"] * 36]
        tabs[20], tabs[22] = "120", minutes if own_time else "0.0"
        lines.append(f"{guid}\\{name}\\1\\1\\16 40 120 6 3 9 \t" + "\t".join(tabs))
    return "\n".join(lines) + "\n"


def files() -> dict[str, str]:
    """The composed files by the case's name."""
    cases = {"8 fields": stats_file(None), "8 fields with own time": stats_file(None, True)}
    cases["8 fields without clock"] = stats_file(None, header=_HEADER.replace("7:22", "0:00"))
    cases["ms"] = stats_file("441250")
    cases["ms with own time"] = stats_file("441250", True)
    cases[_BROKEN_LINES] = stats_file("441250", True).replace("\n1122", "\n\nno player\n1122")
    cases["whole seconds"] = stats_file("442")
    for text in UNKNOWN_TEXTS:
        cases[f"unknown {text[:20]!r}"] = stats_file(text)
    return cases


_BROKEN_LINES = "ms with own time and broken lines"


@functools.lru_cache(maxsize=4)
def run(source: bytes) -> Run:
    """Run a parser's source on all cases; the recipe tries what is proven again afterwards, so the last answers are kept."""
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
                input=json.dumps({"folder": name, "files": asked, "guids": list(PLAYERS)}),
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
        found = Run(answer["cases"], answer.get("error", ""), done.stderr, answer["dpm"], answer["problems"])
        if not found.error and not any(found.cases.values()):
            found.error = f"it reads no file: {found.problems.get('8 fields', '')}"
        return found


def has_own_time(one: Run) -> bool:
    """Whether a parser gives players their own time by itself, with eight fields too."""
    found = one.cases.get("8 fields with own time") or {}
    return all(found.get(guid) == seconds for guid, (_, _, seconds) in PLAYERS.items() if seconds is not None)


def wrong(old: Run, new: Run, own: bool | None = None) -> list[str]:
    """What a patched parser gets wrong, as sentences.

    ``own`` says whether players must have their own time where they have one and field 9 is known; None: either all or none.
    """
    told = []
    fallback = new.cases.get("8 fields") or {}
    rounds = {guid: (441, 441.25) for guid in fallback}
    owns = {guid: (PLAYERS[guid][2],) if PLAYERS[guid][2] is not None else rounds[guid] for guid in fallback}
    # Where dpm was damage a minute played, it must be that of the new time.
    is_per_minute = all(_is_per_minute(old, case) for case in new.cases if case.startswith("8 fields"))
    for case, found in new.cases.items():
        allowed: list[dict[str, tuple[Any, ...]]]
        if case.startswith("8 fields"):
            before = found if old.error else old.cases.get(case)
            allowed = [{guid: (seconds,) for guid, seconds in before.items()}] if before else []
        elif case == "ms":
            allowed = [rounds]
        elif case.startswith("ms with own time"):
            allowed = [owns] if own else [rounds] if own is False else [owns, rounds]
        elif case == "whole seconds":
            allowed = [{guid: (442,) for guid in fallback}]
        else:
            allowed = [{guid: (seconds,) for guid, seconds in fallback.items()}]
        if case == _BROKEN_LINES and not old.cases.get(case):
            continue
        if not _is_one_of(found, allowed):
            required = " or ".join(_shown({guid: seconds[0] for guid, seconds in one.items()}) for one in allowed)
            what = _shown(found) if found else f"nothing ({new.problems.get(case, 'no players')})"
            told.append(f"{case}: found {what} s played, required {required or 'nothing'}")
        elif found and (
            new.dpm[case] != old.dpm.get(case)
            if case.startswith("8 fields") and not old.error
            else is_per_minute and not _is_per_minute(new, case)
        ):
            told.append(f"{case}: found dpm {_shown(new.dpm[case])} for {_shown(found)} s played")
    return told


def _is_one_of(found: Any, allowed: list[dict[str, tuple[Any, ...]]]) -> bool:
    if not found:
        return not allowed
    return any(set(found) == set(one) and all(found[guid] in one[guid] for guid in one) for one in allowed)


def _is_per_minute(one: Run, case: str) -> bool:
    seconds, dpm = one.cases.get(case) or {}, one.dpm.get(case) or {}
    return bool(seconds) and all(
        isinstance(dpm.get(guid), (int, float)) and played and abs(dpm[guid] - _DAMAGE * 60 / played) <= 1
        for guid, played in seconds.items()
    )


def _shown(values: dict[str, Any]) -> str:
    """One number when all players have the same."""
    numbers = [str(value) for value in values.values()]
    return numbers[0] if len(set(numbers)) == 1 else ", ".join(numbers)


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
    # A setting that is read at import is some number or text.
    def __int__(self): return 1
    __index__ = __int__
    def __float__(self): return 1.0
    def __str__(self): return "inert"
    def __fspath__(self): return asked["folder"]
    def __lt__(self, other): return False
    __le__ = __gt__ = __ge__ = __lt__
    def __add__(self, other): return other
    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __add__
    def __enter__(self): return self
    def __exit__(self, *a): return None

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
out = {"cases": {}, "dpm": {}, "problems": {}}

def read(thing, name):
    return thing[name] if isinstance(thing, dict) else getattr(thing, name)

def given(thing, *names):
    for name in names:
        try:
            return read(thing, name)
        except (KeyError, AttributeError):
            pass

def judged(case, result):
    players = read(result, "players")
    named = list(players.items()) if isinstance(players, dict) else [(None, player) for player in players]
    if not named:
        raise LookupError("no players")
    guids = [str(given(player, "guid", "player_guid") or key).upper()[:8] for key, player in named]
    if not set(guids) <= set(asked["guids"]) or len(set(guids)) < len(guids):
        guids = asked["guids"]
        if len(named) != len(guids):
            raise LookupError(f"{len(named)} players")
    out["cases"][case] = {guid: read(player, "time_played_seconds") for guid, (_, player) in zip(guids, named)}
    out["dpm"][case] = {guid: given(player, "dpm") for guid, (_, player) in zip(guids, named)}

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
            result = None
            try:
                result = parse(path)
                judged(case, result)
            except Exception as problem:
                out["cases"][case] = None
                told = given(result, "error") if result is not None else None
                out["problems"][case] = str(told or f"{type(problem).__name__}: {problem}")
except BaseException as problem:
    out["error"] = f"{type(problem).__name__}: {problem}"
print(json.dumps(out, default=str))
"""
