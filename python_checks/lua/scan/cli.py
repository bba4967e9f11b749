"""``rollout lua scan``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

CLEAN, FINDINGS, UNKNOWN = 0, 1, 2


def register(commands: Any, guarded: Any) -> None:
    """Add ``scan`` to the commands of ``rollout lua``."""
    scanning = commands.add_parser(
        "scan",
        help="find what will not load or will misbehave, per interpreter",
        description="Find what will not load or will misbehave on Lua 5.4 and on LuaJIT. Nothing of a script is run.",
        epilog="exit: 0 clean, 1 findings, 2 could not judge",
    )
    scanning.add_argument("paths", type=Path, nargs="*", metavar="PATH", help="a Lua file, or a folder of them")
    scanning.add_argument("--root", type=Path, metavar="DIR", help="every *.lua below it, named relative to it")
    scanning.add_argument("--target", choices=("lua54", "luajit", "both"), default="both", help="default: both")
    scanning.add_argument("--format", choices=("text", "json", "sarif"), default="text")
    scanning.set_defaults(run=guarded(_scan))


def _scan(arguments: argparse.Namespace) -> int:
    from python_checks.lua.interpreters import INTERPRETERS
    from python_checks.lua.recipe import CannotJudge
    from python_checks.lua.scan.run import scan_paths

    if not arguments.paths and arguments.root is None:
        raise CannotJudge("found neither a PATH nor --root DIR; name what is to be scanned")
    targets = INTERPRETERS if arguments.target == "both" else (arguments.target,)
    report = scan_paths(arguments.paths, arguments.root, targets)
    if arguments.format == "json":
        print(json.dumps(report.as_dict(), indent=2))
    elif arguments.format == "sarif":
        print(json.dumps(report.sarif(), indent=2))
    else:
        for line in report.lines():
            print(line)
    return CLEAN if report.is_clean else FINDINGS if report.findings else UNKNOWN
