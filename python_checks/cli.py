"""The command ``rollout``: each group of subcommands registers itself; this file only knows their names.

A group is a module with ``register(commands)``, where ``commands`` is argparse's subparsers action; each parser it
adds sets the default ``run`` to a function from the parsed arguments to the exit code. Heavy imports belong into that
function, so that ``rollout --help`` is quick.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

GROUPS = (
    "python_checks.gates.commands",
    "python_checks.run.commands",
    "python_checks.report.commands",
    "python_checks.lua.cli",
    "python_checks.source.cli",
    "python_checks.shadow.commands",
    "python_checks.stats.commands",
)

# The root is a collection; this makes its import name work in plain Python as it does under Ansible.
_COLLECTIONS = Path(__file__).resolve().parents[1] / ".collections"


def parser() -> argparse.ArgumentParser:
    """The parser with all groups."""
    if str(_COLLECTIONS) not in sys.path:
        sys.path.insert(0, str(_COLLECTIONS))
    top = argparse.ArgumentParser(
        prog="rollout", description="Carry the plan out, and let nothing through that evidence does not prove."
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in GROUPS:
        importlib.import_module(group).register(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns its exit code."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except BrokenPipeError:
        # `rollout log | head` is no error.
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
