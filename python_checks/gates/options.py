"""Command-line options that say which site is meant, shared by all groups of the command."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

DEFAULT_EVIDENCE = "evidence/demo"
ENVIRONMENT = "ROLLOUT_EVIDENCE_DIR"


def evidence_options() -> argparse.ArgumentParser:
    """The option that names a ledger."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--evidence",
        metavar="DIR",
        help=f"folder of the ledger (else the inventory's, else ${ENVIRONMENT}, else {DEFAULT_EVIDENCE} of the checkout)",
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
    """The ledger's folder as option or environment name it; "" when neither does, or when an inventory was named, which
    is nearer than the environment."""
    if arguments.evidence or getattr(arguments, "inventory", None):
        return str(arguments.evidence or "")
    return os.environ.get(ENVIRONMENT, "")


def evidence_folder(arguments: argparse.Namespace) -> Path:
    """The ledger's folder: option, inventory, environment, or the demo's below the checkout. Raises site.SiteError."""
    from python_checks.gates.files import ROOT

    named = named_evidence(arguments)
    if named:
        return Path(named)
    if getattr(arguments, "inventory", None):
        from python_checks.run.site import read_site

        return read_site(arguments.inventory).evidence
    return ROOT / DEFAULT_EVIDENCE
