"""``rollout status | gate | log | evidence | plan``: read the ledger and say where the rollout stands. They measure
nothing and touch no host, except for ``gate --wait``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from python_checks.gates.options import evidence_folder, evidence_options, site_options

# `rollout evidence verify`: the ledger could not be looked at, which is neither intact nor broken.
UNREADABLE = 2


def register(commands: Any) -> None:
    """Add the subcommands of this group."""
    common, site = evidence_options(), site_options()
    one = commands.add_parser(
        "status", parents=[common, site], help="the plan's steps with state, verdict, age and the next thing to do"
    )
    one.set_defaults(run=_sited(_status))
    one = commands.add_parser(
        "gate",
        parents=[common, site],
        help="judge a phase's gate on what is recorded; with --wait measure anew until it is decided",
        description="Exit code: 0 pass, 1 fail, 2 error, 3 inconclusive or expired, 4 blocked, 5 waived.",
    )
    one.add_argument(
        "--wait",
        type=_duration,
        metavar="MINUTES",
        help="measure anew (playbooks/gate.yml) and judge, again and again while it is undecided, at most so long",
    )
    one.add_argument("--every", type=_duration, default=60.0, metavar="SECONDS", help="between two measurements (60)")
    one.add_argument("phase", type=int, metavar="PHASE")
    one.add_argument("--json", action="store_true", help="the verdict as JSON")
    one.set_defaults(run=_sited(_gate))
    one = commands.add_parser("log", parents=[common, site], help="the ledger's records, newest last")
    one.add_argument("-n", type=_count, default=20, metavar="COUNT", help="so many of the newest (20)")
    one.set_defaults(run=_sited(_log))
    evidence = commands.add_parser("evidence", help="verify, show or repair the evidence ledger").add_subparsers(
        metavar="ACTION", required=True
    )
    one = evidence.add_parser("verify", parents=[common, site], help="exit code: 0 intact, 1 broken, 2 could not judge")
    one.add_argument(
        "--signers", metavar="FILE", help="require a valid signature by a key in this allowed-signers file"
    )
    one.set_defaults(run=_sited(_verify))
    one = evidence.add_parser("sign", parents=[common, site], help="sign the newest record with an ssh key")
    one.add_argument(
        "--key", required=True, metavar="FILE", help="path of the private key, or of the public one in the agent"
    )
    one.set_defaults(run=_sited(_sign))
    one = evidence.add_parser("show", parents=[common, site], help="one record as JSON")
    one.add_argument("seq", type=_count, metavar="SEQ", help="number of the record, see rollout log")
    one.set_defaults(run=_sited(_show))
    one = evidence.add_parser(
        "repair", parents=[common, site], help="set a line aside that a crash cut in its middle, and record that"
    )
    one.set_defaults(run=_sited(_repair))
    plan = commands.add_parser("plan", help="the plan as data").add_subparsers(metavar="ACTION", required=True)
    one = plan.add_parser("lint", help="refuse an unsound plan and gates that cannot fail")
    one.set_defaults(run=_lint)


def _sited(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """``command``, which ends with a sentence where the inventory that was named does not tell the ledger's folder."""

    def run(arguments: argparse.Namespace) -> int:
        from python_checks.run.site import SiteError

        try:
            return command(arguments)
        except SiteError as error:
            print(f"nothing was looked at: {error}", file=sys.stderr)
            return UNREADABLE

    return run


def _duration(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is no length of time")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _status(arguments: argparse.Namespace) -> int:
    from ansible_collections.slomix.timetracking.plugins.module_utils import ledger

    from python_checks.gates import advice, files, text
    from python_checks.gates.evidence import trouble
    from python_checks.gates.locking import occupied
    from python_checks.gates.status import status

    folder = evidence_folder(arguments)
    broken, mend = trouble(folder)
    plan = files.load_plan()
    gates = {name: files.load_gate(name) for name in files.gate_names()}
    rows = status(plan, gates, ledger.read(str(folder)), now=datetime.now(UTC), ledger_fault=broken)
    held = occupied(folder)
    if held.line and not held.breaks:
        rows = [replace(row, next="") for row in rows]
    place = advice.Place(tuple(arguments.inventory or ()), arguments.evidence or "", held.breaks)
    print(f"{plan['plan']} ({plan['version']}), evidence in {folder}")
    for found, todo in (
        (broken and f"THE LEDGER IS BROKEN: {broken}. Every phase is blocked.", mend),
        (held.line, held.next),
    ):
        if found:
            print("\n".join(text.notice_lines(found, advice.placed(todo, place))))
    rows = [replace(row, next=advice.placed(row.next, place)) for row in rows]
    print("\n".join(text.status_lines(rows, colour=sys.stdout.isatty())))
    return 0


def _gate(arguments: argparse.Namespace) -> int:
    from ansible_collections.slomix.timetracking.plugins.module_utils import ledger
    from ansible_collections.slomix.timetracking.plugins.module_utils.judge import EXIT_CODES

    from python_checks.gates import files, text
    from python_checks.gates.evaluate import judge_gate
    from python_checks.gates.evidence import fault

    phase = next((item for item in files.load_plan()["phases"] if item["phase"] == arguments.phase), None)
    if phase is None or phase["state"] != "built":
        why = "not in the plan" if phase is None else "not built yet"
        print(f"phase {arguments.phase} has no gate: it is {why}; see rollout status")
        return EXIT_CODES["error"]
    if arguments.wait is not None:
        from python_checks.run.waiting import wait

        return wait(phase, arguments)
    folder = evidence_folder(arguments)
    verdict = judge_gate(phase["gate"], ledger.read(str(folder)), now=datetime.now(UTC), ledger_fault=fault(folder))
    if arguments.json:
        print(json.dumps(verdict.as_dict(), indent=2))
    else:
        print(
            "\n".join(
                text.verdict_lines(
                    verdict.as_dict(), colour=sys.stdout.isatty(), note=f"judged on what is recorded in {folder}"
                )
            )
        )
    return verdict.exit_code


def _log(arguments: argparse.Namespace) -> int:
    from ansible_collections.slomix.timetracking.plugins.module_utils import ledger

    from python_checks.gates import text
    from python_checks.gates.evidence import fault

    folder = evidence_folder(arguments)
    records = ledger.read(str(folder))
    print("\n".join(text.log_lines(records[-arguments.n :])) if records else f"nothing is recorded in {folder}")
    broken = fault(folder)
    if broken:
        print(f"THE LEDGER IS BROKEN: {broken}. Run: rollout evidence verify --evidence {folder}")
    return 1 if broken else 0


def _verify(arguments: argparse.Namespace) -> int:
    from ansible_collections.slomix.timetracking.plugins.module_utils import ledger

    folder = evidence_folder(arguments)
    if not folder.is_dir():
        print(f"{folder} does not exist, so there is nothing to verify; name the folder with --evidence")
        return UNREADABLE
    try:
        state = ledger.verify(str(folder))
    except (ledger.LedgerError, OSError) as error:
        print(f"the ledger in {folder} cannot be judged: {error}")
        return UNREADABLE
    if not state.intact:
        print(f"BROKEN: {state.fault}. {ledger.advice(state)}.")
        return 1
    print(f"intact: {state.records} records, head {state.head}")
    return _signed(folder, Path(arguments.signers)) if arguments.signers else 0


def _signed(folder: Path, signers: Path) -> int:
    from ansible_collections.slomix.timetracking.plugins.module_utils import ledger

    from python_checks.gates import signing

    if not signers.is_file():
        print(f"{signers} is no file, so signatures cannot be judged")
        return UNREADABLE
    try:
        newest = signing.check(folder, ledger.read(str(folder)), signers)
    except signing.SigningError as error:
        print(f"BROKEN: {error}.")
        return 1
    print(f"signed up to record {newest.seq} by {newest.signer}")
    return 0


def _sign(arguments: argparse.Namespace) -> int:
    from ansible_collections.slomix.timetracking.plugins.module_utils import ledger

    from python_checks.gates import signing
    from python_checks.gates.evidence import fault

    folder = evidence_folder(arguments)
    broken = fault(folder)
    if broken:
        print(f"not signed: {broken}")
        return 1
    try:
        print(f"signed: {signing.sign(folder, ledger.read(str(folder)), Path(arguments.key))}")
    except signing.SigningError as error:
        print(f"not signed: {error}")
        return 1
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from ansible_collections.slomix.timetracking.plugins.module_utils import ledger

    folder = evidence_folder(arguments)
    records = ledger.read(str(folder))
    if arguments.seq > len(records):
        print(f"there is no record {arguments.seq} in {folder}; it holds {len(records)}")
        return 1
    print(json.dumps(records[arguments.seq - 1], indent=2, sort_keys=True))
    return 0


def _repair(arguments: argparse.Namespace) -> int:
    from ansible_collections.slomix.timetracking.plugins.module_utils import ledger

    try:
        record = ledger.repair(str(evidence_folder(arguments)))
    except ledger.LedgerError as error:
        print(f"not repaired: {error}")
        return 1
    print(f"repaired: {record['result']['note']} (record {record['seq']})")
    return 0


def _lint(arguments: argparse.Namespace) -> int:
    from python_checks.gates.evaluate import lint_all

    problems = lint_all()
    print("\n".join(problems) if problems else "the plan and its gates are sound")
    return 1 if problems else 0
