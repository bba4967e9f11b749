"""Documentation of the action plugin ``source_candidate``; it runs on the controller (plugins/action/source_candidate.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: source_candidate
short_description: Fix a Python source with codemods before anything is copied
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - Reads the deployed file from the host, applies codemods on the controller and proves the result there (each recipe
    brings its own proof, which the unpatched file fails). Nothing on the host changes.
  - Fails when a codemod does not recognise the file, when the proof fails, and when a configured value would be lost.
options:
  file:
    description: The file's name, as the diff shows it.
    type: str
    required: true
  running:
    description: Path of the deployed file, on the host.
    type: path
    required: true
  source:
    description: A file on the controller to start from; the deployed file when left out.
    type: path
  recipes:
    description: Codemods to apply, in order.
    type: list
    elements: str
    required: true
  build_dir:
    description: Folder on the controller for candidates (readable by the owner only).
    type: path
    required: true
attributes:
  check_mode:
    description: The same; only the controller's build folder is written.
    support: full
  diff_mode:
    description: RV(unified_diff) is always returned; the deployment shows the diff.
    support: none
"""

EXAMPLES = r"""
- name: Build the fixed parser
  slomix.timetracking.source_candidate:
    file: bot/community_stats_parser.py
    running: /opt/slomix/bot/community_stats_parser.py
    recipes: [parser-field9]
    build_dir: "{{ playbook_dir }}/../build/source"
"""

RETURN = r"""
candidate:
  description: path (on the controller), sha256, sha1 and size of the candidate.
  returned: unless refused
  type: dict
source:
  description: kind (running or file) and sha256 of what the candidate was made from.
  returned: always
  type: dict
running:
  description: path and sha256 of the deployed file.
  returned: always
  type: dict
edited:
  description: Whether the codemods changed anything; false when the file is fixed already.
  returned: always
  type: bool
edits:
  description: What the codemods did and how it was proven, as sentences.
  returned: always
  type: list
  elements: str
unified_diff:
  description: The edits, with URLs and other credentials masked.
  returned: always
  type: str
"""
