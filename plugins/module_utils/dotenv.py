"""One key of an environment file, as the two programs that may read it understand it; other keys' values never leave
this module.

systemd (``EnvironmentFile=``, systemd.exec(5)): a line starting with ``#`` or ``;`` is a comment, blanks around key and
value are dropped, quotes may span parts of a value, a backslash at a line's end continues it, there is **no** inline
comment and **no** ``export`` (the name is then invalid and ignored), and a later assignment overrides an earlier one.
Observed on systemd 252 (tests/phase0).

python-dotenv (``load_dotenv()``): ``export`` is allowed, ``#`` after a blank starts a comment in an unquoted value, a
later assignment overrides an earlier one, and the file never overrides a variable that the process already has. So
where systemd sets the key, systemd's value counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Tuple

TRUE_WORD = "true"
"""The bot enables a flag only for this word, in any case, without blanks around it (domain.md 1.2)."""
STATE_SET = "set"
STATE_UNSET = "unset"
STATE_COMMENTED = "commented"

_BLANKS = " \t\n\r"
_NEWLINES = "\n\r"
_SYSTEMD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Escapes that systemd undoes inside double quotes; other backslashes stay.
_ESCAPABLE = '"\\`$'

_EXPORT = re.compile(r"export[^\S\r\n]+")
_DOTENV_KEY = re.compile(r"'([^']+)'|([^=#\s]+)")
_INLINE_BLANKS = re.compile(r"[^\S\r\n]*")
# Quote -> (the quoted text, the escapes that are undone in it).
_QUOTED = {
    "'": (re.compile(r"'((?:\\'|[^'])*)'"), re.compile(r"\\([\\'])")),
    '"': (re.compile(r'"((?:\\"|[^"])*)"'), re.compile(r"\\([\\'\"abfnrtv])")),
}
_CONTROL = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_REST = re.compile(r"[^\r\n]*")
_LINE_END = re.compile(r"[^\S\r\n]*(?:#[^\r\n]*)?(?:\r\n|\n|\r|$)")


@dataclass(frozen=True)
class Assignment:
    """One active assignment: key, value (None: a bare key, python-dotenv only), 1-based line."""

    key: str
    value: Optional[str]
    line: int


def systemd_assignments(text: str) -> List[Assignment]:
    """All assignments that systemd would make, in order; invalid names are left out as systemd leaves them out."""
    return [a for a in _Systemd(text).assignments() if _SYSTEMD_NAME.fullmatch(a.key)]


class _Systemd:
    """A small state machine over the characters of the file; each method consumes one part."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def assignments(self) -> Iterator[Assignment]:
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in _BLANKS:
                self.at += 1
            elif char in "#;":
                self._comment()
            else:
                start = self.at
                key = self._key()
                if key is not None:
                    value = self._value()
                    yield Assignment(key, value, self.text.count("\n", 0, start) + 1)

    def _comment(self) -> None:
        """To the end of the line; up to systemd 253 a backslash there drags the next line into the comment."""
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 2 if char == "\\" else 1
            if char in _NEWLINES:
                return

    def _key(self) -> Optional[str]:
        """The text before ``=``; None when the line ends first (it is ignored)."""
        start = self.at
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char in _NEWLINES:
                return None
            if char == "=":
                return self.text[start : self.at - 1].rstrip(_BLANKS)
        return None

    def _value(self) -> str:
        value = ""
        keep = 0  # blanks behind this length are trailing and unquoted
        leading = True
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char in _NEWLINES:
                break
            if leading and char in " \t":
                continue
            if leading and char in "'\"":
                value += self._quoted(char)
                keep = len(value)
                continue
            leading = False
            if char == "\\" and self.at < len(self.text):
                following = self.text[self.at]
                self.at += 1
                if following not in _NEWLINES:
                    value += following
                    keep = len(value)
                continue
            value += char
            if char not in " \t":
                keep = len(value)
        return value[:keep]

    def _quoted(self, quote: str) -> str:
        """Up to the closing quote (or the end of the file); in double quotes some escapes are undone."""
        value = ""
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char == quote:
                break
            if quote == '"' and char == "\\" and self.at < len(self.text):
                following = self.text[self.at]
                self.at += 1
                if following in _ESCAPABLE:
                    value += following
                elif following != "\n":
                    value += char + following
                continue
            value += char
        return value


def dotenv_assignments(text: str) -> List[Assignment]:
    """All assignments that python-dotenv would make, in order; a line it cannot parse is skipped, as it does."""
    found: List[Assignment] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        line = text.count("\n", 0, at) + 1
        parsed = None if text[at] == "#" else _dotenv_binding(text, at)
        if parsed is None:
            match = _REST.match(text, at)
            at = match.end() if match and match.end() > at else at + 1
            continue
        key, value, at = parsed
        found.append(Assignment(key, value, line))
    return found


def _dotenv_binding(text: str, at: int) -> Optional[Tuple[str, Optional[str], int]]:
    """(key, value, position behind the line), or None when the line is no binding."""
    export = _EXPORT.match(text, at)
    at = export.end() if export else at
    key = _DOTENV_KEY.match(text, at)
    if key is None:
        return None
    name = key.group(1) or key.group(2)
    at = _skip(text, key.end())
    if text[at : at + 1] != "=":
        end = _LINE_END.match(text, at)
        return (name, None, end.end()) if end else None
    at = _skip(text, at + 1)
    quote = text[at : at + 1]
    if quote in _QUOTED:
        pattern, escapes = _QUOTED[quote]
        quoted = pattern.match(text, at)
        end = _LINE_END.match(text, quoted.end()) if quoted else None
        if quoted is None or end is None:
            return None
        return name, escapes.sub(lambda m: _CONTROL.get(m.group(1), m.group(1)), quoted.group(1)), end.end()
    rest = _REST.match(text, at)
    raw = rest.group(0) if rest else ""
    end_at = rest.end() if rest else at
    return name, re.sub(r"\s+#.*", "", raw).rstrip(), end_at


def _skip(text: str, at: int) -> int:
    match = _INLINE_BLANKS.match(text, at)
    return match.end() if match else at


def commented(text: str, key: str) -> List[Dict[str, Any]]:
    """Commented-out assignments of ``key``: ``[{value, line}]``."""
    pattern = re.compile(rf"^[ \t]*[#;][#; \t]*(?:export[ \t]+)?{re.escape(key)}[ \t]*=[ \t]*(.*?)[ \t\r]*$")
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        match = pattern.match(line)
        if match:
            found.append({"value": match.group(1), "line": number})
    return found


def means_true(value: Optional[str], default: bool = False) -> bool:
    """What the bot makes of a value: true only for the word; unset gives the bot's default."""
    return default if value is None else value.lower() == TRUE_WORD


def inspect(text: str, key: str) -> Dict[str, Any]:
    """Everything about one key: state, each reader's value and occurrences, comments, doubts (sentences)."""
    by_systemd = [a for a in systemd_assignments(text) if a.key == key]
    by_dotenv = [a for a in dotenv_assignments(text) if a.key == key and a.value is not None]
    notes = commented(text, key)
    doubts: List[str] = []
    if len(by_systemd) > 1 or len(by_dotenv) > 1:
        lines = sorted({a.line for a in by_systemd + by_dotenv})
        doubts.append(f"{key} is set {len(lines)} times (lines {', '.join(map(str, lines))}); the last one counts")
    systemd_value = by_systemd[-1].value if by_systemd else None
    dotenv_value = by_dotenv[-1].value if by_dotenv else None
    if systemd_value != dotenv_value:
        doubts.append("systemd and python-dotenv read different values; write the line as KEY=value, nothing else")
    state = STATE_SET if by_systemd or by_dotenv else STATE_COMMENTED if notes else STATE_UNSET
    return {
        "state": state,
        "systemd_value": systemd_value,
        "dotenv_value": dotenv_value,
        "lines": sorted({a.line for a in by_systemd + by_dotenv}),
        "duplicate": len(by_systemd) > 1 or len(by_dotenv) > 1,
        "commented": notes,
        "doubts": doubts,
    }


def effective(
    found: Dict[str, Any], by_systemd: Optional[bool], unit_value: Optional[str]
) -> Tuple[Optional[bool], str]:
    """What the bot will make of the file at its next start, and why; None when that cannot be told.

    ``by_systemd``: whether the unit names the file as EnvironmentFile (None: not known). ``unit_value``: the key's
    value in the unit's own ``Environment=``, which an EnvironmentFile overrides.
    """
    systemd_value, dotenv_value = found["systemd_value"], found["dotenv_value"]
    if by_systemd is None:
        answers = {means_true(systemd_value), means_true(dotenv_value)}
        if len(answers) == 1:
            return answers.pop(), "both readers make the same of it"
        return None, "the two readers disagree, and which one the bot uses is not known"
    if not by_systemd:
        value = unit_value if unit_value is not None else dotenv_value
        return means_true(value), "the unit does not name the file; the bot reads it itself"
    value = systemd_value if systemd_value is not None else unit_value
    if value is not None:
        return means_true(value), "systemd sets it for the bot"
    if means_true(dotenv_value):
        return None, "systemd ignores the line, but the bot would take it if it reads the file itself"
    return False, "nothing sets it; the bot's default is false"


class EditRefused(Exception):
    """The file cannot be edited by key without touching something else; the text is meant for people."""


@dataclass(frozen=True)
class Edit:
    """One replacement in a file's text: ``old`` at ``start`` becomes ``new``. Undone by the same in reverse."""

    start: int
    old: str
    new: str

    def apply(self, text: str) -> str:
        """The edited text. Raises EditRefused when ``old`` is not there."""
        if text[self.start : self.start + len(self.old)] != self.old:
            raise EditRefused("the place of the edit holds something else")
        return text[: self.start] + self.new + text[self.start + len(self.old) :]


_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_./:+-]+")
# The part of an assignment's line up to its value, with what the readers allow in front of the key.
_LINE_HEAD = r"[ \t]*(?:export[ \t]+)?(?:{key}|'{key}')[ \t]*=[ \t]*"
_LINE_VALUE = re.compile(r"\"[^\"\r\n\\]*\"|'[^'\r\n\\]*'|[^\s#'\"\\]*")


def plan_edit(text: str, key: str, value: str) -> Optional[Edit]:
    """The smallest edit after which both readers read ``value`` for ``key``; None when they do already.

    Where the key is set more than once the last line counts and is edited, the others stay. Quotes around the value stay.
    A key that is not set gets a line of its own at the end, with the file's own line end; a file without a final newline
    stays one. Every other byte is kept, and every other key is read as before. Raises EditRefused where that is not
    possible, with the line to mend by hand.
    """
    if not _PLAIN_VALUE.fullmatch(value) or not _SYSTEMD_NAME.fullmatch(key):
        raise EditRefused(f"found: {key}={value}; required: a plain name and value, without blanks and quotes")
    found = inspect(text, key)
    if found["systemd_value"] == found["dotenv_value"] == value:
        return None
    edit = _replacement(text, key, value, found["lines"][-1]) if found["lines"] else _addition(text, key, value)
    _require_only(text, edit.apply(text), key, value)
    return edit


def _replacement(text: str, key: str, value: str, line: int) -> Edit:
    start = 0
    for _ in range(line - 1):
        start = text.index("\n", start) + 1
    # systemd and python-dotenv take a lone carriage return for a line end too.
    starts = [start, *(start + at.end() for at in re.finditer("\r", text[start:].split("\n", 1)[0]))]
    head = re.compile(_LINE_HEAD.format(key=re.escape(key)))
    for start in starts:
        match = head.match(text, start)
        if match:
            old = _LINE_VALUE.match(text, match.end())
            shown = old.group(0) if old else ""
            quote = shown[:1] if shown[:1] in ("'", '"') else ""
            return Edit(match.end(), shown, f"{quote}{value}{quote}")
    raise EditRefused(_by_hand(key, value, line, "is not written in one line"))


def _addition(text: str, key: str, value: str) -> Edit:
    end = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
    if text and not text.endswith("\n"):
        return Edit(len(text), "", f"{end}{key}={value}")
    return Edit(len(text), "", f"{key}={value}{end}")


def _require_only(old: str, new: str, key: str, value: str) -> None:
    """Both readers read the value, and read everything else as before; else the edit is refused."""
    found = inspect(new, key)
    line = (found["lines"] or [new.count("\n") + 1])[-1]
    for name, read in (("systemd", found["systemd_value"]), ("python-dotenv", found["dotenv_value"])):
        if read != value:
            raise EditRefused(_by_hand(key, value, line, f"would be read as {read!r} by {name}"))
    for reader in (systemd_assignments, dotenv_assignments):
        before, after = ([(a.key, a.value) for a in reader(text) if a.key != key] for text in (old, new))
        if before != after:
            raise EditRefused(
                _by_hand(key, value, line, "would change how another key is read (an open quote or \\ above it)")
            )


def _by_hand(key: str, value: str, line: int, why: str) -> str:
    return (
        f"found: line {line}, which sets {key}, {why}; required: a line that both systemd and python-dotenv read as {value}; "
        f"next: write it as {key}=<value> on a line of its own, without export and without a comment behind it, then run again"
    )


def plan_undo(text: str, key: str, done: Edit, before: Optional[str]) -> Optional[Edit]:
    """The edit that takes ``done`` back, also where other lines were changed since; None when ``key`` is read as
    ``before`` (None: not set) already. Raises EditRefused when the key's line is not as ``done`` left it.

    In a file that nobody touched since, the result is the file of before, byte for byte.
    """
    found = inspect(text, key)
    if found["systemd_value"] == found["dotenv_value"] == before:
        return None
    at = done.start if text[done.start : done.start + len(done.new)] == done.new else _moved(text, key, done, found)
    undone = Edit(at, done.new, done.old)
    after = undone.apply(text)
    read = inspect(after, key)
    if not read["systemd_value"] == read["dotenv_value"] == before:
        raise EditRefused(
            f"found: {key} would be read as {read['systemd_value']!r} (systemd) and {read['dotenv_value']!r} (python-dotenv); "
            f"required: {before!r} as before; next: look who edited the file since, and put it right by hand"
        )
    return undone


def _moved(text: str, key: str, done: Edit, found: Dict[str, Any]) -> int:
    """Where the edited text stands after somebody changed other lines."""
    if found["lines"] and not done.old and key in done.new:
        # An added line: found by its own words, with the newline that came with it.
        if text.count(done.new) == 1:
            return text.index(done.new)
    elif found["lines"]:
        value = found["systemd_value"] or ""
        again = _replacement(text, key, value, found["lines"][-1])
        if again.old == done.new:
            return again.start
    raise EditRefused(
        f"found: {key} is not set as it was left ({done.new.strip()}); required: that line, to take it back; "
        f"next: look who edited the file since, and put it right by hand"
    )
