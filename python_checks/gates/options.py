"""Command-line options that say which site is meant, shared by all groups of the command."""

from __future__ import annotations

import argparse
import os

DEFAULT_EVIDENCE = "evidence/demo"
ENVIRONMENT = "ROLLOUT_EVIDENCE_DIR"


def evidence_options() -> argparse.ArgumentParser:
    """The option that names a ledger."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--evidence",
        metavar="DIR",
        help=f"folder of the ledger (${ENVIRONMENT}, else {DEFAULT_EVIDENCE} of the checkout)",
    )
    return options


def site_options() -> argparse.ArgumentParser:
    """The option that names a site's hosts."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "-i",
        "--inventory",
        action="append",
        metavar="PATH",
        help="the site's inventory; may be repeated (default: what ansible.cfg names)",
    )
    return options


def named_evidence(arguments: argparse.Namespace) -> str:
    """The ledger's folder as option or environment name it; "" when neither does."""
    return str(arguments.evidence or os.environ.get(ENVIRONMENT) or "")
