"""Read the game server's console log: Lua loads, failures and errors, and the game inits that they belong to.

Lines may carry the server's time in ms in front (eight wide). Only the start of a line counts, so a chat line that
quotes an engine message is not taken for one. Facts: recorded consoles of 2.83.1 (PUC Lua, "Lua 5.4 API") and 2.85.0
(LuaJIT, "Lua 5.1 API"). A check for *absent* errors must search whole lines instead (``logwindow``): a Lua print
without a line end glues the engine's next message to its own text.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from typing import Iterable, List, Optional, Tuple

LOADED = "loaded"
UNLOADED = "unloaded"
ERROR = "error"
SYNTAX = "syntax"
START_FAILED = "start_failed"
NO_FILE = "no_file"
ACL = "acl"
INIT = "init"
MAP = "map"
GAMETIME = "gametime"
SHUTDOWN = "shutdown"
FAILURES = (SYNTAX, START_FAILED, NO_FILE, ACL)

_PREFIX = re.compile(r"^ {0,7}(\d+) (?=.)")
_API = re.compile(r"^(Lua(?:JIT)? [\d.]+) API: (?:\^[^\^])?(.*)$")
_LOADED = re.compile(r"^file '(.*)' loaded into Lua VM\s*$")
_UNLOADED = re.compile(r"^Lua module \[(.*)\] \[([0-9A-Fa-f]{40})\] unloaded\.?\s*$")
_ACL = re.compile(r"^Lua module \[(.*)\] \[([0-9A-Fa-f]{40})\] disallowed by ACL")
_ERROR = re.compile(r"^(\w+) error running lua script: '(.*?)'?\s*$")
_SYNTAX = re.compile(r"^syntax error during pre-compilation: (.*)$")
_START_FAILED = re.compile(r"^Lua VM start failed \( (.*) \)")
_NO_FILE = re.compile(r"^can not open file '(.*)'")
_AT = re.compile(r"""^(?:\[string "(.+?)"\]|([^\s:'"]+\.lua)):(\d+): ?(.*?)\s*$""")
_SHUTDOWN = re.compile(r"^==== ShutdownGame \((-?\d+) - (.*)\) ====")
_GAMETIME = re.compile(r"^gametime: (?:\w{3} )?(\w{3}) +(\d{1,2}) (\d{2}):(\d{2}):(\d{2}) (\d{4})\s*$")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Event:
    """One understood console line.

    ``kind`` is one of this module's constants; ``line`` the 0-based number in the parsed text; ``file`` the Lua file as
    the engine names it; ``detail`` the SHA-1 (unloaded, acl), the callback (error), the map (map, shutdown) or the time
    text (gametime).
    """

    kind: str
    line: int
    text: str
    lua: str = ""
    file: str = ""
    detail: str = ""
    message: str = ""


@dataclass
class Init:
    """One game init: what was loaded, went wrong and was unloaded from its first line up to the next init."""

    line: int
    map: str = ""
    gametime: str = ""
    loaded: List[str] = field(default_factory=list)
    failures: List[Event] = field(default_factory=list)
    errors: List[Event] = field(default_factory=list)
    unloaded: List[Tuple[str, str]] = field(default_factory=list)
    lua: str = ""
    ended: bool = False

    def signature_at_end(self, file: str) -> Optional[str]:
        """The SHA-1 (upper case) that this init's unload line showed for ``file``; None when none was printed."""
        return next((sha1 for name, sha1 in self.unloaded if same_file(name, file)), None)


def split_time(line: str) -> Tuple[Optional[int], str]:
    """``(server time in ms or None, text)`` of one line."""
    match = _PREFIX.match(line)
    return (int(match.group(1)), line[match.end() :]) if match else (None, line)


def parse_line(line: str, number: int = 0) -> Optional[Event]:
    """The event on one line, or None for a line of no interest."""
    text = split_time(line.rstrip("\r\n"))[1]
    api = _API.match(text)
    if api:
        return _lua_event(api.group(1), api.group(2), number, text)
    if text.startswith("------- Game Initialization -------"):
        return Event(INIT, number, text)
    if text.startswith("map: "):
        return Event(MAP, number, text, detail=text[5:].strip())
    if _GAMETIME.match(text):
        return Event(GAMETIME, number, text, detail=text[len("gametime: ") :].strip())
    shutdown = _SHUTDOWN.match(text)
    if shutdown:
        return Event(SHUTDOWN, number, text, detail=shutdown.group(2))
    return None


def _lua_event(lua: str, rest: str, number: int, text: str) -> Optional[Event]:
    for kind, pattern in ((LOADED, _LOADED), (START_FAILED, _START_FAILED), (NO_FILE, _NO_FILE)):
        match = pattern.match(rest)
        if match:
            return Event(kind, number, text, lua, file=match.group(1))
    for kind, pattern in ((UNLOADED, _UNLOADED), (ACL, _ACL)):
        match = pattern.match(rest)
        if match:
            return Event(kind, number, text, lua, file=match.group(1), detail=match.group(2).upper())
    match = _SYNTAX.match(rest)
    if match:
        file, message = _where(match.group(1))
        return Event(SYNTAX, number, text, lua, file=file, message=message)
    match = _ERROR.match(rest)
    if match:
        file, message = _where(match.group(2))
        return Event(ERROR, number, text, lua, file=file, detail=match.group(1), message=message)
    return None


def _where(text: str) -> Tuple[str, str]:
    at = _AT.match(text)
    return (at.group(1) or at.group(2), at.group(4)) if at else ("", text)


def events(lines: Iterable[str]) -> List[Event]:
    """Every understood line, in order."""
    found = (parse_line(line, number) for number, line in enumerate(lines))
    return [event for event in found if event is not None]


def inits(lines: Iterable[str]) -> List[Init]:
    """The game inits in the text, in order; lines before the first belong to a VM that started earlier: left out."""
    result: List[Init] = []
    for event in events(lines):
        if event.kind == INIT:
            result.append(Init(event.line))
            continue
        if not result:
            continue
        current = result[-1]
        current.lua = current.lua or event.lua
        if event.kind == LOADED:
            current.loaded.append(event.file)
        elif event.kind == UNLOADED:
            current.unloaded.append((event.file, event.detail))
        elif event.kind in FAILURES:
            current.failures.append(event)
        elif event.kind == ERROR:
            current.errors.append(event)
        elif event.kind == MAP and not current.map:
            current.map = event.detail
        elif event.kind == SHUTDOWN:
            current.ended = True
        elif event.kind == GAMETIME and not current.gametime and not current.ended:
            # ShutdownGame prints a gametime too; it must never pass for the init's.
            current.gametime = event.detail
    return result


def last_init(lines: Iterable[str]) -> Optional[Init]:
    """The newest game init in the text, or None when the text has none."""
    found = inits(lines)
    return found[-1] if found else None


def modules_loaded(lines: Iterable[str]) -> List[str]:
    """The Lua files that the newest game init loaded, in load order, without those whose start failed."""
    newest = last_init(lines)
    if newest is None:
        return []
    failed = [event.file for event in newest.failures]
    return [name for name in newest.loaded if not any(same_file(name, other) for other in failed)]


def interpreter(lines: Iterable[str]) -> str:
    """The Lua version that the newest API line names ("Lua 5.4": PUC Lua, "Lua 5.1": LuaJIT); empty when none does."""
    named = [event.lua for event in events(lines) if event.lua]
    return named[-1] if named else ""


def same_file(left: str, right: str) -> bool:
    """Whether two engine file names mean the same file: separators and a missing ``.lua`` do not matter."""
    return _normal(left) == _normal(right)


def _normal(name: str) -> str:
    name = name.replace("\\", "/").lstrip("./").strip()
    return name if name.endswith(".lua") else name + ".lua"


def gametime_local(text: str) -> str:
    """A ``gametime:`` text as ``YYYY-MM-DD-HHMMSS`` (local time, as in file names); empty if unreadable."""
    match = _GAMETIME.match(text if text.startswith("gametime: ") else "gametime: " + text)
    if not match or match.group(1) not in _MONTHS:
        return ""
    month, day, hour, minute, second, year = match.groups()
    return f"{year}-{_MONTHS.index(month) + 1:02d}-{int(day):02d}-{hour}{minute}{second}"


def gametime_unix(text: str, zone: Optional[datetime.tzinfo] = None) -> Optional[int]:
    """Unix seconds of a ``gametime:`` text ("Sun Nov 22 06:30:30 2026"), which is local time; None if unreadable.

    ``zone`` None means the zone of the machine that runs this, so call it on the game host. In the hour that exists
    twice in autumn the later instant is taken: a load must never look older than it is.
    """
    local_text = gametime_local(text)
    try:
        local = datetime.datetime.strptime(local_text, "%Y-%m-%d-%H%M%S").replace(tzinfo=zone)
        return max(int(local.replace(fold=fold).timestamp()) for fold in (0, 1))
    except (ValueError, OverflowError, OSError):
        return None
