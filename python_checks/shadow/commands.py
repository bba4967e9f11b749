"""``rollout shadow``: may the new timing be trusted? Prints the decision table; changes nothing."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

ERROR = 2
SQL = Path(__file__).resolve().parents[2] / "playbooks" / "plan" / "sql" / "shadow_pairs.sql"
BOT_NAMES = r"^\[BOT\]"
MAX_ROWS = 200_000
NEWEST_HALVES = 600
WIDTH = 80


def register(commands: Any) -> None:
    """Add ``shadow`` to the subparsers of ``rollout``."""
    one = commands.add_parser(
        "shadow",
        help="compare OLD and NEW dead time and say what that allows",
        description="Compare OLD and NEW dead time, raw independent pairs only, rounds as clusters, at the planned numbers of rounds.",
        epilog="exit: 0 NEW may be shown alone, 1 different, invalid or coverage too low, 2 could not judge, 3 inconclusive",
    )
    source = one.add_mutually_exclusive_group(required=True)
    source.add_argument("--csv", type=Path, metavar="FILE", help="rows of a CSV with a header line")
    source.add_argument("--json", type=Path, metavar="FILE", help="rows of a JSON list of objects")
    source.add_argument("--dbname", metavar="NAME", help="read the rows from this database")
    source.add_argument("--columns", action="store_true", help="print the columns of the rows and end")
    one.add_argument("--host", metavar="HOST")
    one.add_argument("--port", type=int, default=5432)
    one.add_argument("--user", metavar="ROLE")
    one.add_argument("--passfile", metavar="FILE", help="password file in libpq's format, mode 0600")
    one.add_argument("--since", default="2026-02-20", metavar="DATE", help="rounds from this day on (2026-02-20)")
    one.add_argument(
        "--newest-halves",
        type=int,
        default=NEWEST_HALVES,
        metavar="COUNT",
        help=f"at most so many halves since then; with more there is no EQUIVALENT ({NEWEST_HALVES})",
    )
    one.add_argument("--bot-name-regex", default=BOT_NAMES, metavar="REGEX")
    one.add_argument(
        "--margin-s",
        type=float,
        default=5.0,
        metavar="S",
        help="equivalence margin in seconds, chosen before looking (5)",
    )
    one.add_argument(
        "--lua-version",
        metavar="VERSION",
        help="webhook version of rows that do not name one; unknown versions do not count",
    )
    one.add_argument("--format", choices=("text", "json"), default="text")
    one.set_defaults(run=_shadow)


def _shadow(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from python_checks.shadow.decision import decide
    from python_checks.shadow.pairs import COLUMNS, InputError, read_csv, read_json, sample

    if arguments.columns:
        for name, meaning in COLUMNS.items():
            print(f"{name:16} {meaning}")
        return 0
    try:
        if arguments.csv is not None:
            rows = read_csv(arguments.csv)
        elif arguments.json is not None:
            rows = read_json(arguments.json)
        else:
            rows = collect(arguments)
        if arguments.lua_version:
            rows = [{**row, "lua_version": row.get("lua_version") or arguments.lua_version} for row in rows]
        report = decide(sample(rows), arguments.margin_s)
    except (OSError, UnicodeDecodeError, InputError, ValueError) as problem:
        if arguments.format == "json":
            print(json.dumps({"error": str(problem)}))
        print(f"rollout shadow: could not judge: {problem}", file=sys.stderr)
        return ERROR
    if arguments.format == "json":
        print(json.dumps({**asdict(report), "exit_code": report.exit_code}, indent=2))
    else:
        print(text(report))
    return report.exit_code


def collect(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows from the database, by the plan's SQL. Raises InputError with the database's reason."""
    from ansible_collections.slomix.timetracking.plugins.module_utils import pg

    from python_checks.shadow.pairs import InputError

    target = pg.Target(arguments.host, arguments.port, arguments.dbname, arguments.user, arguments.passfile)
    try:
        found = pg.read(
            target,
            SQL.read_text(encoding="utf-8"),
            {
                "since": arguments.since,
                "newest_halves": arguments.newest_halves,
                "bot_name_regex": arguments.bot_name_regex,
            },
            max_rows=MAX_ROWS,
        )
    except pg.PgError as problem:
        raise InputError(str(problem)) from None
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def text(report: Any) -> str:
    """The report for a terminal of 80 columns: decision, what would settle it, the decision table, then what it rests on."""
    from dataclasses import asdict

    from python_checks.shadow import words
    from python_checks.shadow.decision import table

    found = asdict(report)
    judged = table(report.decision, report.coverage)
    lines = [f"verdict   {report.verdict}"]
    lines += _hanging("decision  ", f"{report.decision}: {next(words.outcome(row) for row in judged if row[''])}")
    settles = words.settles(found)
    if settles:
        lines += ["", "what would settle it"]
        for code, way in settles:
            lines += _hanging(f"  {code}  ", way)
    rows = [{key: value for key, value in row.items() if key != "remark"} for row in judged]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    lines += ["", "  ".join(name.ljust(width) for name, width in widths.items()).rstrip()]
    lines += ["  ".join(row[name].ljust(width) for name, width in widths.items()).rstrip() for row in rows]
    for one in words.answers(found):
        lines += ["", f"{one.letter}  {one.asks} {one.verdict}"]
        for sentence in one.told:
            lines += _hanging("   ", sentence)
    lines += ["", "plain figures"]
    for name, value in words.figures(found):
        lines += _hanging(f"  {name:21}", value)
    left_out = words.not_compared(found)
    if left_out:
        lines += ["", "not compared"]
        for reason, many, meaning in left_out:
            lines += _hanging(f"  {reason} {many}  ", meaning)
    return "\n".join(lines)


def _hanging(head: str, told: str) -> list[str]:
    """``told`` behind ``head``, wrapped; names of players and maps are foreign, so what a terminal would obey is shown as its code."""
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in head + told)
    indent = " " * min(len(head), 24)
    return textwrap.wrap(shown, WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [shown]
