"""``rollout lua merge``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

DONE, REFUSED = 0, 1


def register(commands: Any, guarded: Any) -> None:
    """Add ``merge`` to the commands of ``rollout lua``."""
    merging = commands.add_parser(
        "merge",
        help="make one production-ready stats writer (phase 2)",
        description="Make one stats writer with time tracking that runs on Lua 5.4 and on LuaJIT. The base keeps its own code. "
        "Rehearse the result before it goes anywhere: rollout lua rehearse OUT --header-fields 9",
        epilog="exit: 0 merged, 1 refused, 2 could not judge",
    )
    merging.add_argument("--writer", type=Path, required=True, metavar="A", help="the base: the stats writer in use")
    merging.add_argument(
        "--timetracking", type=Path, metavar="B", help="the writer with nine header fields, where there is one"
    )
    merging.add_argument("-o", "--output", type=Path, metavar="OUT", help="write the result here")
    merging.add_argument("--check", action="store_true", help="write nothing")
    merging.add_argument("--diff", action="store_true", help="print a unified diff against the base")
    merging.add_argument("--format", choices=("text", "json"), default="text")
    merging.set_defaults(run=guarded(_merge))


def _merge(arguments: argparse.Namespace) -> int:
    from python_checks.lua.files import replace_file
    from python_checks.lua.merge import Source, merge
    from python_checks.lua.recipe import CannotJudge

    if arguments.output is None and not arguments.check:
        raise CannotJudge("found neither -o OUT nor --check; say where the result goes")
    paths = [p for p in (arguments.writer, arguments.timetracking) if p is not None]
    result = merge(*(Source(path.name, path.read_bytes()) for path in paths))
    if result.output and not arguments.check:
        replace_file(arguments.output, result.output, like=arguments.writer)
    if arguments.format == "json":
        print(json.dumps(result.as_dict(), indent=2))
    elif result.refused_reason:
        print(f"{arguments.writer}: refused: {result.refused_reason}", file=sys.stderr)
    else:
        for row in result.rows:
            print(f"{row.item}: {row.result}" + (f" (in the sources: {', '.join(row.found[:6])})" if row.found else ""))
        for action in result.actions:
            print(f"{arguments.writer}: {action}")
        for note in result.notes:
            print(f"note: {note}")
        if arguments.diff:
            sys.stdout.write(result.diff)
    return REFUSED if result.refused_reason else DONE
