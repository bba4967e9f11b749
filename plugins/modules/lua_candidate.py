"""Documentation of the action plugin ``lua_candidate``; it runs on the controller (plugins/action/lua_candidate.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lua_candidate
short_description: Fix a Lua file with codemods and rehearse it before anything is copied
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - Reads the file that runs on the host, applies codemods on the controller, and plays whole matches with the result in
    the engine stand-in, on Lua 5.4 and LuaJIT. Nothing on the host changes.
  - Fails when a codemod does not recognise the file, when the candidate fails its rehearsal, when the file passes the
    rehearsal without the fix (the rehearsal would prove nothing; not asked of a merge), and when a configured value
    such as the webhook's URL
    would be lost.
  - Rehearsals are kept by the digest of file, matches and engine; C(rehearsed_at) says when a kept one took place.
options:
  file:
    description: The file as the engine names it, relative to the game folder.
    type: str
    required: true
  running:
    description: Path of the file that runs, on the host.
    type: path
    required: true
  source:
    description: A file on the controller to start from; the running file when left out.
    type: path
  recipes:
    description: Codemods to apply, in order; none of them leaves the file as it is.
    type: list
    elements: str
    default: []
  merge:
    description: Make the merged stats writer of phase 2 from the file in place of O(recipes).
    type: bool
    default: false
  timetracking:
    description: With O(merge), a second writer on the controller that the time tracking is taken from.
    type: path
  matches:
    description: Matches to play; the set for the file's kind when left out.
    type: list
    elements: str
  header_fields:
    description: What a stats writer's header must have; either when left out.
    type: int
    choices: [8, 9]
  scan:
    description: Scan the candidate for both interpreters too, and fail when anything is found.
    type: bool
    default: false
  specimen:
    description: Play one match more and return the headers of the stats files that the candidate wrote.
    type: bool
    default: false
  build_dir:
    description: Folder on the controller for candidates (readable by the owner only) and rehearsals.
    type: path
    required: true
  timeout_s:
    description: Limit for the rehearsal on one interpreter.
    type: float
    default: 120
attributes:
  check_mode:
    description: The same; only the controller's build folder is written.
    support: full
  diff_mode:
    description: RV(unified_diff) is always returned; the deployment shows the diff.
    support: none
"""

EXAMPLES = r"""
- name: Build the fixed webhook
  slomix.timetracking.lua_candidate:
    file: luascripts/stats_discord_webhook.lua
    running: /home/et/.etlegacy/legacy/luascripts/stats_discord_webhook.lua
    recipes: [webhook]
    build_dir: "{{ playbook_dir }}/../build"
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
  description: path and sha256 of the file that runs.
  returned: always
  type: dict
timetracking:
  description: name and sha256 of O(timetracking); null without one.
  returned: always
  type: dict
merge:
  description: sources, sha256, rows (the plan's table), actions and notes of the merge; null without O(merge).
  returned: always
  type: dict
scan:
  description: clean, loads (each interpreter's message), targets, findings and not_judged; null unless scanned.
  returned: unless refused
  type: dict
specimen:
  description: match, problem and files (interpreter, name, round, complete, header, players, true_ms); null unless asked for.
  returned: unless refused
  type: dict
edited:
  description: Whether the codemods changed anything; false when the file is fixed already.
  returned: always
  type: bool
edits:
  description: What the codemods did, as sentences; those of the plan begin with its step.
  returned: always
  type: list
  elements: str
unified_diff:
  description: The edits, with URLs and other credentials masked.
  returned: always
  type: str
rehearsal:
  description: Reports of the candidate and, if edited, of the source; each has sha256, rehearsed_at and cached.
  returned: unless refused
  type: dict
"""
