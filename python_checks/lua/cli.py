"""``rollout lua``: fix and rehearse Lua files from the command line, without Ansible."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from python_checks.lua.merge_cli import register as register_merge
from python_checks.lua.scan.cli import register as register_scan

CLEAN, FINDINGS, UNKNOWN = 0, 1, 2
RECIPES = (
    "webhook",
    "portable",
    "timetracking",
    "pause",
    "maxclients",
    "deadtime",
    "reinforcements",
    "integers",
    "files",
)


def register(subparsers: Any) -> None:
    """Add ``lua`` with its commands to the subparsers of ``rollout``; each sets ``run`` to a function of the parsed arguments."""
    lua = subparsers.add_parser("lua", help="fix and rehearse Lua files of an ET:Legacy server")
    commands = lua.add_subparsers(dest="lua_command", required=True, metavar="COMMAND")

    register_scan(commands, _guarded)
    register_merge(commands, _guarded)
    fixing = commands.add_parser(
        "fix",
        help="apply codemods to a file",
        description="Apply codemods to a Lua file. Nothing outside of the edits changes; a second run changes nothing.",
        epilog="exit: 0 fixed or nothing to fix, 1 refused, 2 could not judge",
    )
    fixing.add_argument("file", type=Path, metavar="FILE")
    fixing.add_argument(
        "--recipe", action="append", required=True, metavar="NAME", help=f"may be repeated: {', '.join(RECIPES)}"
    )
    target = fixing.add_mutually_exclusive_group()
    target.add_argument("-o", "--output", type=Path, metavar="OUT", help="write the result here")
    target.add_argument("--in-place", action="store_true", help="replace the file")
    fixing.add_argument("--diff", action="store_true", help="print a unified diff")
    fixing.add_argument("--check", action="store_true", help="write nothing")
    fixing.add_argument("--format", choices=("text", "json"), default="text")
    fixing.set_defaults(run=_guarded(_fix))

    playing = commands.add_parser(
        "rehearse",
        help="play whole matches with files in the engine stand-in and judge what came out",
        description="Play whole matches with each file on the engine stand-in. No command of a script is executed.",
        epilog="exit: 0 passed, 1 failed, 2 could not judge",
    )
    playing.add_argument("files", type=Path, nargs="+", metavar="FILE")
    playing.add_argument(
        "--match",
        action="append",
        metavar="NAME",
        help="a match of the set, a match file, or 'all'; default: the set for the kind of file",
    )
    playing.add_argument(
        "--header-fields", type=int, choices=(8, 9), help="what a stats writer's header must have (default: either)"
    )
    playing.add_argument("--interpreter", choices=("lua54", "luajit", "both"), default="both")
    playing.add_argument(
        "--timeout-s", type=float, default=120.0, metavar="S", help="limit for each file and interpreter (default 120)"
    )
    playing.add_argument("--format", choices=("text", "json"), default="text")
    playing.set_defaults(run=_guarded(_rehearse))


def _guarded(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """What keeps a command from judging is one sentence on stderr and exit code 2."""

    def run(arguments: argparse.Namespace) -> int:
        from python_checks.engine import MatchError
        from python_checks.lua.recipe import CannotJudge

        try:
            return command(arguments)
        except (OSError, CannotJudge, MatchError, KeyError) as problem:
            text = f"unknown recipe {problem}" if isinstance(problem, KeyError) else str(problem)
            if arguments.format == "json":
                print(json.dumps({"error": text}))
            print(f"rollout lua {arguments.lua_command}: could not judge: {text}", file=sys.stderr)
            return UNKNOWN

    return run


def _fix(arguments: argparse.Namespace) -> int:
    from python_checks.lua.files import replace_file
    from python_checks.lua.fix import fix

    source = arguments.file.read_bytes()
    result = fix(source, arguments.recipe, arguments.file.name)
    if not arguments.check and not result.refused_reason:
        if arguments.output is not None:
            replace_file(arguments.output, result.output, like=arguments.file)
        elif arguments.in_place and result.changed:
            replace_file(arguments.file, result.output, like=arguments.file)
    if arguments.format == "json":
        print(json.dumps({"file": str(arguments.file), **result.as_dict()}, indent=2))
    else:
        _tell_fix(arguments, result)
    return FINDINGS if result.refused_reason else CLEAN


def _tell_fix(arguments: argparse.Namespace, result: Any) -> None:
    if result.refused_reason:
        print(f"{arguments.file}: refused: {result.refused_reason}", file=sys.stderr)
        return
    if not result.changed:
        print(f"{arguments.file}: nothing to fix")
    for action in result.actions:
        print(f"{arguments.file}: {action}")
    if arguments.diff:
        sys.stdout.write(result.diff)
    if result.changed and (arguments.check or (arguments.output is None and not arguments.in_place)):
        print(f"{arguments.file}: nothing was written; give -o OUT or --in-place to write")


def _rehearse(arguments: argparse.Namespace) -> int:
    from python_checks.lua.interpreters import INTERPRETERS
    from python_checks.lua.rehearse import RehearsalFile, default_matches, rehearse

    files = [RehearsalFile(f"luascripts/{path.name}", path.read_bytes()) for path in arguments.files]
    interpreters = INTERPRETERS if arguments.interpreter == "both" else (arguments.interpreter,)
    matches = arguments.match or default_matches(files)
    report = rehearse(files, matches, interpreters, arguments.timeout_s, arguments.header_fields)
    if arguments.format == "json":
        print(json.dumps(report.as_dict(), indent=2))
    else:
        for finding in report.findings:
            print(finding.sentence())
        for remark in report.remarks:
            print(f"remark: {remark.sentence()}")
        for sentence in report.unjudged:
            print(f"not judged: {sentence}")
        kinds = ", ".join(f"{name} as {kind}" for name, kind in report.kinds.items())
        word = "passed" if report.passed else "failed" if report.findings else "could not judge"
        print(
            f"{word}: {report.judged} plays judged, {len(report.findings)} findings ({kinds}) in {report.duration_s:.1f} s"
        )
    return CLEAN if report.passed else FINDINGS if report.findings else UNKNOWN
