"""``rollout run PHASE``: the same playbook that ``ansible-playbook`` would run, shown step by step."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from python_checks.gates.options import evidence_options, named_evidence, site_options

OTHERS = ("baseline", "gate", "validate", "rollback")


def register(commands: Any) -> None:
    """Add the subcommand."""
    one = commands.add_parser(
        "run",
        parents=[evidence_options(), site_options()],
        help="run a phase (or baseline, gate, validate, rollback) with live progress",
        description="Run playbooks/phaseN.yml through ansible-runner. ansible-playbook gives the same guarantees.",
        epilog="exit: 0 done, 1 a step failed, 2 could not run, 3 its gate is inconclusive, 4 refused (requirement, "
        "lock, drift, broken ledger), 130 interrupted",
    )
    one.add_argument("phase", metavar="PHASE", help=f"number of the phase, or one of: {', '.join(OTHERS)}")
    one.add_argument("--check", action="store_true", help="predict and change nothing")
    one.add_argument("--diff", action="store_true", help="show what changes in files")
    one.add_argument(
        "-e",
        dest="variables",
        action="append",
        default=[],
        type=_assignment,
        metavar="KEY=VALUE",
        help="a variable of the playbook, such as waive=phase0, break_lock=NAME, phase=1, to=phase0",
    )
    one.set_defaults(run=_run)


def _assignment(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return name, value


def site_of(arguments: argparse.Namespace) -> tuple[Any, list[str]]:
    """(the Site, its inventory's paths) that the options name. Raises site.SiteError."""
    import configparser

    from python_checks.gates.files import ROOT
    from python_checks.run.site import read_site

    inventory = list(arguments.inventory or [])
    if not inventory:
        settings = configparser.ConfigParser(interpolation=None)
        settings.read(ROOT / "ansible.cfg")
        inventory = [str(ROOT / part.strip()) for part in settings["defaults"]["inventory"].split(",")]
    named = named_evidence(arguments)
    return read_site(inventory, Path(named) if named else None), inventory


def _run(arguments: argparse.Namespace) -> int:
    from python_checks.gates import files
    from python_checks.run.playbook import DONE, ERROR, run
    from python_checks.run.site import SiteError

    title, name = arguments.phase, arguments.phase
    if arguments.phase not in OTHERS:
        phase = next((item for item in files.load_plan()["phases"] if str(item["phase"]) == arguments.phase), None)
        if phase is None or phase["state"] != "built":
            why = "not built yet" if phase else f"no phase of the plan and none of {', '.join(OTHERS)}"
            print(f"{arguments.phase} cannot be run: it is {why}; see rollout status", file=sys.stderr)
            return ERROR
        title, name = f"phase {phase['phase']}: {phase['title']}", Path(phase["playbook"]).stem
    try:
        site, inventory = site_of(arguments)
    except SiteError as error:
        print(f"{title} cannot be run: {error}", file=sys.stderr)
        return ERROR
    print(f"{title}{'  (check mode: nothing is changed)' if arguments.check else ''}", flush=True)
    outcome = run(
        files.ROOT / "playbooks" / f"{name}.yml",
        site,
        inventory=inventory,
        check=arguments.check,
        diff=arguments.diff,
        variables=dict(arguments.variables),
    )
    minutes, seconds = divmod(int(outcome.progress.elapsed_s()), 60)
    count = len(outcome.progress.changed)
    changes = f"{count or 'no'} {'change' if count == 1 else 'changes'}{' predicted' if arguments.check else ''}"
    if outcome.code == DONE:
        gate = f", gate {outcome.progress.verdict}" if outcome.progress.verdict else ""
        print(f"done in {minutes}:{seconds:02d}, {changes}{gate}. Next: rollout status --evidence {site.evidence}")
    else:
        print(f"STOPPED after {minutes}:{seconds:02d}, {changes}: {outcome.found}")
    return outcome.code
