"""``rollout gate PHASE --wait MINUTES``: measure, judge, and again, until people have played what the gate asks for."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

# Undecided: more play or a new measurement may settle it. Anything else ends the waiting.
WAITS = ("inconclusive", "expired")
ERRORS_IN_A_ROW = 4
RETRY_AFTER_ERROR_S = 10.0


def wait(phase: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    """Wait for the phase's gate; the exit code of its last verdict (2 when it could not be measured)."""
    from ansible_collections.slomix.timetracking.plugins.module_utils import ledger
    from ansible_collections.slomix.timetracking.plugins.module_utils.judge import EXIT_CODES

    from python_checks.gates import files, text
    from python_checks.gates.evaluate import judge_gate
    from python_checks.gates.evidence import fault
    from python_checks.run.commands import site_of
    from python_checks.run.playbook import INTERRUPTED, run
    from python_checks.run.site import SiteError

    try:
        site, inventory = site_of(arguments)
    except SiteError as error:
        print(f"gate {phase['phase']} cannot be measured: {error}", file=sys.stderr)
        return EXIT_CODES["error"]

    def measure() -> tuple[str, str]:
        outcome = run(
            files.ROOT / "playbooks" / "gate.yml",
            site,
            inventory=inventory,
            variables={"phase": str(phase["phase"])},
            quiet=True,
        )
        if outcome.code == INTERRUPTED:
            raise KeyboardInterrupt
        return outcome.progress.verdict, outcome.found

    try:
        seen = until_decided(measure, minutes=arguments.wait, every_s=arguments.every, say=_say)
    except KeyboardInterrupt:
        return INTERRUPTED
    if seen == "unmeasured":
        return EXIT_CODES["error"]
    verdict = judge_gate(
        phase["gate"], ledger.read(str(site.evidence)), now=datetime.now(UTC), ledger_fault=fault(site.evidence)
    )
    note = f"measured anew, evidence in {site.evidence}"
    print("\n".join(text.verdict_lines(verdict.as_dict(), colour=sys.stdout.isatty(), note=note)))
    return verdict.exit_code


def until_decided(
    measure: Callable[[], tuple[str, str]],
    *,
    minutes: float,
    every_s: float,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Call ``measure`` -> (verdict, what was found) until the verdict decides or the minutes are over.

    Returns the last verdict, or ``unmeasured`` when the measurement itself failed: four times in a row, or at the end.
    At least one measurement is made. An ``error`` of the gate is retried like one of the measurement.
    """
    end = clock() + minutes * 60
    errors = 0
    while True:
        verdict, found = measure()
        failing = verdict in ("", "error")
        errors = errors + 1 if failing else 0
        say(f"{verdict or 'not measured'}{f': {found}' if found else ''}")
        if (verdict and verdict not in (*WAITS, "error")) or errors >= ERRORS_IN_A_ROW or clock() >= end:
            return verdict or "unmeasured"
        sleep(max(0.0, min(RETRY_AFTER_ERROR_S if failing else every_s, end - clock())))


def _say(text: str) -> None:
    print(f"{datetime.now().astimezone():%H:%M:%S}  {text}", file=sys.stderr, flush=True)
