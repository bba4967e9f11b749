#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Run the site's own parser on golden files and on all stored stats files, with the site's own interpreter."""

from __future__ import annotations

DOCUMENTATION = r"""
module: parser_probe_info
short_description: See what the site's own parser makes of field 9, and that it moves nothing else
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - Runs the parser on golden files (of known content, with 8 and 9 header fields) and says whether it takes field 9 for
    milliseconds, for seconds (a thousandfold error), ignores it, or rejects the file.
  - Runs the parser and the original one of the release store on copies of all stored stats files and compares row for
    row. Rows of 8-field files must be equal; those of 9-field files may differ only in what follows from field 9.
  - The parser runs in a process of its own without network and without the right to write, under a time limit, with the
    site's interpreter. Its class is found, not assumed. Judged is on the controller, by the code of C(rollout stats probe)
    and C(rollout stats replay).
options:
  parser:
    description: The deployed parser.
    type: path
    required: true
  candidate_path:
    description: A file on the controller to try in place of O(parser); an action plugin reads it.
    type: path
  candidate_b64:
    description: Its bytes; set by the action plugin.
    type: str
  python:
    description: The interpreter of the service that runs the parser.
    type: path
    required: true
  store:
    description: The parser's release line; its original is the parser to compare with, the deployed one when there is none.
    type: path
    required: true
  folders:
    description: Folders with stored stats files.
    type: list
    elements: path
    default: []
  max_files:
    description: How many of them to compare at most, the newest.
    type: int
    default: 5000
  timeout_s:
    description: Limit for one run of a parser.
    type: float
    default: 120.0
  runner_b64:
    description: The program that runs a parser; set by the action plugin.
    type: str
  golden:
    description: The golden files (name, content_b64); set by the action plugin.
    type: list
    elements: dict
    default: []
attributes:
  check_mode:
    support: full
    description: Only reads (and writes temporary files), under check mode too.
"""

EXAMPLES = r"""
- name: Probe the deployed parser
  slomix.timetracking.parser_probe_info:
    parser: /opt/slomix/bot/community_stats_parser.py
    python: /opt/slomix/venv-bot/bin/python3
    store: /home/slomix/.rollout/releases/community_stats_parser.py
    folders: [/opt/slomix/local_stats]
"""

RETURN = r"""
reads:
  description: milliseconds, seconds, ignores or rejects.
  returned: success
  type: str
right:
  description: Whether a writer of nine fields may be deployed before this parser.
  returned: success
  type: bool
evidence:
  description: Why, as sentences with numbers.
  returned: success
  type: list
  elements: str
faults:
  description: What else is wrong with how field 9 is handled.
  returned: success
  type: list
  elements: str
log:
  description: Lines on the source of a round's time that the parser logged, as (level, text).
  returned: success
  type: list
  elements: list
python_version:
  description: Version of the interpreter.
  returned: success
  type: str
sha256:
  description: Digest of the parser that was tried.
  returned: success
  type: str
replay:
  description: >-
    files (by number of header fields), compared, read, equal, differing, refused, differences (the first ones), same_parser (nothing to
    compare with) and folders.
  returned: success
  type: dict
"""

import base64
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import parser_run, stats_file, stats_names
from ansible_collections.slomix.timetracking.plugins.module_utils.leftovers import own_folder

MOST_DIFFERING = 40


def original_of(store: str, parser: Path) -> Path:
    """The recorded original of a release line, the parser itself when nothing is recorded."""
    journal = Path(store, "journal.json")
    if not journal.exists():
        return parser
    found = Path(store, str(json.loads(journal.read_text(encoding="utf-8"))["original"]), "file")
    return found if found.exists() else parser


def round_files(folders: List[str], most: int) -> List[Path]:
    """The newest ``most`` round files in ``folders``, by the time in their names."""
    found = []
    for folder in folders:
        for entry in os.scandir(folder):
            name = stats_names.parse_name(entry.name)
            if name.kind == stats_names.ROUND and name.saved is not None and entry.is_file():
                found.append((name.saved, entry.path))
    return [Path(path) for _saved, path in sorted(found)[-most:]] if most > 0 else []


def place(folder: Path, name: str, content: bytes) -> Path:
    """Write one temporary file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def replayed(before: parser_run.Run, after: parser_run.Run, files: List[Path], staged: List[Path]) -> Dict[str, Any]:
    """Counts over all files, and both answers for those that differ, 8-field files first."""
    fields: Dict[str, int] = {}
    different: List[Tuple[bool, int]] = []
    read = equal = failed = 0
    for at in range(len(staged)):
        header = stats_file.parse_stats(staged[at].read_bytes()).header
        key = str(header.fields if header else 0)
        fields[key] = fields.get(key, 0) + 1
        old, new = parser_run.rows(before.lines[at]), parser_run.rows(after.lines[at])
        read += not parser_run.failure(new)
        if json.dumps(old) == json.dumps(new):
            equal += 1
            failed += bool(parser_run.failure(old))
        else:
            different.append((key == "9", at))
    shown = [at for _nine, at in sorted(different)[:MOST_DIFFERING]]
    return {
        "files": fields,
        "compared": len(files),
        "read": read,
        "equal": equal,
        "failed_in_both": failed,
        "differing": len(different),
        "differing_other_than_9": sum(not nine for nine, _at in different),
        "shown": [
            {
                "name": files[at].name,
                "content_b64": base64.b64encode(staged[at].read_bytes()).decode(),
                "before": before.lines[at],
                "after": after.lines[at],
            }
            for at in shown
        ],
        "names": [before.name, after.name],
    }


def run(params: Dict[str, Any], folder: Path) -> Dict[str, Any]:
    """The parser's raw answers; judged by the action plugin."""
    deployed = Path(params["parser"]).resolve()
    roots = [deployed.parent.parent, deployed.parent]
    runner = place(folder, "runner/parser_runner.py", base64.b64decode(params["runner_b64"]))
    tried = deployed
    if params["candidate_b64"]:
        tried = place(folder, f"candidate/{deployed.name}", base64.b64decode(params["candidate_b64"]))
    golden = [place(folder / "golden", one["name"], base64.b64decode(one["content_b64"])) for one in params["golden"]]
    options: Dict[str, Any] = {"python": params["python"], "roots": roots, "timeout_s": params["timeout_s"]}
    answer = parser_run.run_parser(runner, tried, golden, **options)
    sha256 = hashlib.sha256(tried.read_bytes()).hexdigest()
    before = original_of(params["store"], deployed)
    before_sha256 = hashlib.sha256(before.read_bytes()).hexdigest()
    files = round_files(params["folders"], params["max_files"])
    staged_in = folder / "stored"
    staged_in.mkdir()
    staged = list(parser_run.stage(files, staged_in))
    result = {
        "class": answer.name,
        "stand_ins": list(answer.stand_ins),
        "lines": list(answer.lines),
        "sha256": sha256,
        "before_sha256": before_sha256,
    }
    runs = [parser_run.run_parser(runner, one, staged, **options) for one in (before, tried)] if staged else []
    empty = parser_run.Run("", (), ())
    result["replay"] = replayed(*(runs or [empty, empty]), files, staged)
    return result


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "parser": {"type": "path", "required": True},
            "candidate_path": {"type": "path"},
            "candidate_b64": {"type": "str"},
            "python": {"type": "path", "required": True},
            "store": {"type": "path", "required": True},
            "folders": {"type": "list", "elements": "path", "default": []},
            "max_files": {"type": "int", "default": 5000},
            "timeout_s": {"type": "float", "default": parser_run.DEFAULT_TIMEOUT_S},
            "runner_b64": {"type": "str"},
            "golden": {"type": "list", "elements": "dict", "default": []},
        },
        supports_check_mode=True,
    )
    params = module.params
    if not params["runner_b64"] or not params["golden"]:
        module.fail_json(
            msg="the runner and the golden files are missing; this module is called through its action plugin"
        )
    if not os.access(params["python"], os.X_OK):
        module.fail_json(msg=f"the interpreter {params['python']} cannot be started here; name the service's own")
    rc, version, err = module.run_command([params["python"], "-I", "-c", "import sys; print(sys.version.split()[0])"])
    if rc != 0:
        module.fail_json(msg=f"the interpreter {params['python']} cannot be used: {err.strip()}; name the right one")
    try:
        with own_folder(tempfile.gettempdir(), "rollout-probe-") as folder:
            result = run(params, Path(folder))
    except parser_run.ParserFailed as error:
        module.fail_json(msg=f"the parser cannot be judged: {error}; look at it with `rollout stats probe`")
    except (OSError, ValueError, KeyError) as error:
        module.fail_json(msg=f"the parser or the stored stats files cannot be read: {error}; correct the path")
    module.exit_json(changed=False, python_version=version.strip(), **result)


if __name__ == "__main__":
    main()
