"""Options of every module that works on the controller's evidence ledger."""

from __future__ import annotations


class ModuleDocFragment:
    """Used as ``slomix.timetracking.ledger``."""

    DOCUMENTATION = r"""
options:
  evidence_dir:
    description: Folder of the ledger on the controller. Default is the variable C(rollout_evidence_dir).
    type: path
"""
