"""``rollout source``: codemods for the site's Python files, without Ansible."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

CLEAN, REFUSED, UNKNOWN = 0, 1, 2
RECIPES = ("headshot-leaderboard", "parser-field9", "timing-new-only", "web-formulas")


def register(subparsers: Any) -> None:
    """Add ``source`` with its commands to the subparsers of ``rollout``."""
    source = subparsers.add_parser("source", help="fix the site's Python files: parser, website, leaderboard")
    commands = source.add_subparsers(dest="source_command", required=True, metavar="COMMAND")
    one = commands.add_parser(
        "fix",
        help="apply codemods to a file",
        description="Apply codemods to a Python file. Nothing outside of the edits changes; the result is proven before it "
        "is written; a file that cannot be run here (a newer Python, an import that does more than define) is not written "
        "without --unproven.",
        epilog="exit: 0 fixed or nothing to fix, 1 refused, 2 could not judge or could not prove",
    )
    one.add_argument("file", type=Path, metavar="FILE")
    one.add_argument(
        "--recipe", action="append", required=True, metavar="NAME", help=f"{', '.join(RECIPES)}; may be repeated"
    )
    target = one.add_mutually_exclusive_group()
    target.add_argument("-o", "--output", type=Path, metavar="OUT", help="write the result here")
    target.add_argument("--in-place", action="store_true", help="replace the file")
    one.add_argument("--diff", action="store_true", help="print a unified diff")
    one.add_argument("--check", action="store_true", help="write nothing")
    one.add_argument(
        "--unproven",
        action="store_true",
        help="write also what cannot be proven here; try it on the site's Python then",
    )
    one.add_argument(
        "--frontend", type=Path, metavar="DIR", help="web-formulas: list the lines there that know the old scale"
    )
    one.add_argument("--format", choices=("text", "json"), default="text")
    one.set_defaults(run=_fix)


def _fix(arguments: argparse.Namespace) -> int:
    from python_checks.lua.files import replace_file
    from python_checks.source.recipe import fix
    from python_checks.source.tree import CannotJudge

    unknown = [name for name in arguments.recipe if name not in RECIPES]
    try:
        if unknown:
            raise CannotJudge(f"found: unknown recipe {', '.join(unknown)}; required: one of {', '.join(RECIPES)}")
        result = fix(
            arguments.file.read_bytes(), arguments.recipe, arguments.file.name, needs_proof=not arguments.unproven
        )
        if not arguments.check and not result.refused_reason:
            if arguments.output is not None:
                replace_file(arguments.output, result.output, like=arguments.file)
            elif arguments.in_place and result.changed:
                replace_file(arguments.file, result.output, like=arguments.file)
    except (OSError, CannotJudge) as problem:
        if arguments.format == "json":
            print(json.dumps({"error": str(problem)}))
        print(f"rollout source fix: could not judge: {problem}", file=sys.stderr)
        return UNKNOWN
    frontend = _frontend(arguments)
    if arguments.format == "json":
        print(json.dumps({"file": str(arguments.file), **result.as_dict(), "frontend": frontend}, indent=2))
    else:
        _tell(arguments, result, frontend)
    return REFUSED if result.refused_reason else CLEAN


def _frontend(arguments: argparse.Namespace) -> list[str]:
    from ansible_collections.slomix.timetracking.plugins.module_utils.frontend_scale import places, root_of

    if "web-formulas" not in arguments.recipe:
        return []
    root = arguments.frontend or root_of(arguments.file)
    if root is None:
        return []
    if not root.is_dir():
        return [f"{root} is no folder: nothing was looked at"]
    return [place.sentence() for place in places(root)]


def _tell(arguments: argparse.Namespace, result: Any, frontend: list[str]) -> None:
    if result.refused_reason:
        print(f"{arguments.file}: refused: {result.refused_reason}", file=sys.stderr)
        return
    if not result.changed:
        print(f"{arguments.file}: nothing to fix")
    for action in result.actions:
        print(f"{arguments.file}: {action}")
    for sentence in frontend:
        print(f"front end: {sentence}")
    if arguments.diff:
        sys.stdout.write(result.diff)
    if result.changed and (arguments.check or (arguments.output is None and not arguments.in_place)):
        print(f"{arguments.file}: nothing was written; give -o OUT or --in-place to write")
