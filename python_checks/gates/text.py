"""What people read: verdicts, the status screen and the log as plain aligned text; colour only where it is wanted."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from python_checks.gates import advice
from python_checks.gates.status import Row

WIDTH = 118
_COLOURS = {
    "pass": "32",
    "done": "32",
    "waived": "33",
    "inconclusive": "33",
    "expired": "33",
    "fail": "31",
    "error": "31",
    "drift": "35",
    "broken": "35",
}


def paint(text: str, verdict: str, colour: bool) -> str:
    """``text`` in the colour of ``verdict`` when ``colour`` is wanted."""
    code = _COLOURS.get(verdict)
    return f"\033[{code}m{text}\033[0m" if colour and code else text


def age(seconds: float | None) -> str:
    """An age as one short word: 12 s, 5 min, 3 h, 9 d; - when there is none."""
    if seconds is None:
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as left-aligned columns; the last column is cut at the width of the screen."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    room = max(30, WIDTH - sum(widths) - 2 * len(widths))
    return [
        "  ".join(
            [
                *(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)),
                textwrap.shorten(row[-1], room),
            ]
        ).rstrip()
        for row in rows
    ]


def status_lines(rows: Sequence[Row], *, colour: bool = False) -> list[str]:
    """The status screen: a line for each row, what to do next indented below the row it belongs to."""
    heads = ("step", "title", "state", "verdict", "age")
    cells = [heads, *((row.step, row.title, row.state, row.verdict, age(row.age_s)) for row in rows)]
    lines = table(cells)
    shown = lines[:1]
    for row, line in zip(rows, lines[1:], strict=True):
        shown.append(paint(line, row.verdict, colour))
        shown += advice.lines(row.next, WIDTH, 8)
    return shown


def notice_lines(found: str, todo: str) -> list[str]:
    """What stands in the way of everything, above the rows, and what to do about it."""
    return [*textwrap.wrap(found, WIDTH), *advice.lines(todo, WIDTH, 8)]


def verdict_lines(verdict: Mapping[str, Any], *, colour: bool = False, note: str = "") -> list[str]:
    """A gate's verdict (GateVerdict.as_dict) for the terminal: one block per check, then the decision and what to do
    next."""
    name, result = str(verdict["gate"]), str(verdict["verdict"])
    lines = [f"gate {name}: {paint(result.upper(), result, colour)}  {verdict['asks']}", *([note] if note else [])]
    widest = max((len(str(check["id"])) for check in verdict["checks"]), default=0)
    for check in verdict["checks"]:
        aside = " (observed only)" if check["severity"] == "observe" else ""
        seen = (
            f" [ledger {', '.join(str(seq) for seq in check['evidence'])}; {age(check['age_s'])} old]"
            if check["evidence"]
            else ""
        )
        mark = str(check["verdict"])
        lines.append(
            f"  {str(check['id']).ljust(widest)}  {paint(mark.ljust(12), mark, colour)}  {check['asks']}{aside}{seen}"
        )
        lines += _wrapped("found", str(check["found"]), widest)
        if mark != "pass":
            lines += _wrapped("required", str(check["required"]), widest)
            lines += _wrapped("next", str(check["next"]), widest)
            lines += [line for row, code in check["excluded"] for line in _wrapped(code, row, widest)]
    if not verdict["checks"]:
        lines += [*_wrapped("found", str(verdict["found"]), 0), *_wrapped("required", str(verdict["required"]), 0)]
    if verdict["verdict"] == "broken":
        lines += _wrapped("ledger", str(verdict["found"]), 0)
    if verdict["next"] and (not verdict["checks"] or verdict["verdict"] == "broken"):
        lines += textwrap.wrap(f"next: {verdict['next']}", WIDTH)
    return lines


def _wrapped(label: str, text: str, indent: int) -> list[str]:
    if not text:
        return []
    head = " " * (indent + 4) + f"{label}: "
    return textwrap.wrap(
        text, WIDTH, initial_indent=head, subsequent_indent=" " * (indent + 6), max_lines=4, placeholder=" ..."
    )


def proof_lines(answers: Iterable[Mapping[str, Any]], *, colour: bool = False) -> list[str]:
    """The integration proof (proof.Answer as dict) for the terminal: one block per item."""
    lines = ["integration proof"]
    for one in answers:
        mark = str(one["verdict"])
        lines.append(f"  {one['item']}  {paint(mark.ljust(12), mark, colour)}  {one['asks']}")
        lines += _wrapped("in its place", str(one["instead"]), 1)
        lines += [*_wrapped("found", str(one["found"]), 1), *_wrapped("next", str(one["next"]), 1)]
    return lines


def log_lines(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Records of the ledger, one line each: number, time (UTC), run, what, where, how it ended."""
    return table([["seq", "at (UTC)", "operator", "record", "result"], *log_cells(records)])


def log_cells(records: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Number, time (UTC), operator, what and where, how it ended: of each record."""
    return [
        [
            str(record["seq"]),
            str(record["at"])[:19].replace("T", " "),
            str(record.get("operator") or "-"),
            _subject(record),
            _ending(record),
        ]
        for record in records
    ]


def _subject(record: Mapping[str, Any]) -> str:
    if record["kind"] == "step":
        name = f" {record['name']}" if record.get("name") else ""
        return f"{record.get('step')} {record.get('leg')}{name} on {record.get('host')}"
    result = record.get("result")
    gate = result.get("gate") if isinstance(result, Mapping) else None
    return f"{record['kind']} {gate}" if gate else str(record["kind"])


def _ending(record: Mapping[str, Any]) -> str:
    result = record.get("result")
    if not isinstance(result, Mapping):
        return "unreadable"
    if record["kind"] == "verdict":
        return " ".join(str(result.get(key) or "") for key in ("verdict", "next")).strip()
    if record["kind"] == "waiver":
        return f"until {str(result.get('until'))[:16]}: {result.get('reason')}"
    if record["kind"] == "note":
        return str(result.get("note"))
    if result.get("failed"):
        return f"failed: {result.get('msg')}"
    actions = result.get("actions")
    if result.get("changed"):
        return (
            f"changed: {'; '.join(str(item) for item in actions)}"
            if isinstance(actions, list) and actions
            else "changed"
        )
    return "ok"
