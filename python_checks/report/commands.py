"""``rollout report``: write the report on a ledger."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from python_checks.gates.options import evidence_folder, evidence_options, site_options

WRITTEN, NOT_WRITTEN = 0, 2


def register(commands: Any) -> None:
    """Add the subcommand."""
    one = commands.add_parser(
        "report",
        parents=[evidence_options(), site_options()],
        help="write steps, verdicts, evidence and coverage as one HTML file",
        description="Write one HTML file that needs nothing else: it can be mailed and read on a phone.",
        epilog="exit: 0 written, 2 could not be written",
    )
    one.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the file to write")
    one.set_defaults(run=_report)


def _report(arguments: argparse.Namespace) -> int:
    from python_checks.gates.files import PlanError
    from python_checks.report.model import collect
    from python_checks.report.page import page
    from python_checks.run.site import SiteError

    try:
        folder = evidence_folder(arguments)
    except SiteError as error:
        print(f"{arguments.output} was not written: {error}", file=sys.stderr)
        return NOT_WRITTEN
    if not folder.is_dir():
        print(
            f"{folder} does not exist, so there is nothing to report; name the folder with --evidence", file=sys.stderr
        )
        return NOT_WRITTEN
    try:
        made = page(collect(folder, datetime.now(UTC)))
        _write(arguments.output, made)
    except (PlanError, OSError) as error:
        print(f"{arguments.output} was not written: {error}", file=sys.stderr)
        return NOT_WRITTEN
    print(f"written: {arguments.output} ({len(made.encode()) // 1024 + 1} KB)")
    return WRITTEN


def _write(path: Path, content: str) -> None:
    """The old file or the whole new one. Its mode is the operator's usual one: the report is made to be shown."""
    handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=".report-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
        usual = os.umask(0)
        os.umask(usual)
        Path(name).chmod(0o666 & ~usual)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
