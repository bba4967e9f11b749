#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Read one flag of an environment file, and what the running program makes of it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: env_flag_info
short_description: Read one flag of an environment file and what the bot makes of it
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - Tells set, unset, commented and unreadable apart, where C(grep KEY .env) exits 1 or 2 and matches comments. Shows
    duplicates (the last one counts), quotes, CRLF and an C(export) prefix the way systemd and python-dotenv each read
    them.
  - Only the word C(true), in any case, enables a flag. RV(effective) is what the file means for the next start,
    RV(running_effective) what the running program was started with, and RV(needs_restart) whether the file is newer
    than the program.
  - No other key's value is ever shown.
options:
  path:
    description: The environment file.
    type: path
    required: true
  key:
    description: The flag's name.
    type: str
    required: true
  unit:
    description: The systemd unit of the program. Tells whether systemd reads the file, and which process runs.
    type: str
  process_argument:
    description: Without systemd, a word of the program's command line by which its process is found, such as C(bot.ultimate_bot).
    type: str
attributes:
  check_mode:
    support: full
    description: Only reads, and reads under check mode too.
"""

EXAMPLES = r"""
- name: Read the dual timing flag
  slomix.timetracking.env_flag_info:
    path: /opt/slomix/.env
    key: SHOW_TIMING_DUAL
    unit: slomix-bot.service
"""

RETURN = r"""
state:
  description: set, unset, commented (only in comments) or unreadable.
  type: str
  returned: always
value:
  description: The value that counts; null when none does.
  type: str
  returned: always
systemd_value:
  description: The value as systemd reads it.
  type: str
  returned: always
dotenv_value:
  description: The value as python-dotenv reads it.
  type: str
  returned: always
lines:
  description: Lines with an active assignment.
  type: list
  elements: int
  returned: always
duplicate:
  description: Whether a reader finds more than one.
  type: bool
  returned: always
commented:
  description: Commented assignments, value and line.
  type: list
  elements: dict
  returned: always
doubts:
  description: What an operator should look at.
  type: list
  elements: str
  returned: always
effective:
  description: What the bot makes of the file at its next start; null when that cannot be told.
  type: bool
  returned: always
effective_reason:
  description: Why.
  type: str
  returned: always
running_effective:
  description: What the running bot was started with; null when that cannot be told.
  type: bool
  returned: always
running_proof:
  description: environ (read from the process), file (started after the file's last change) or null.
  type: str
  returned: always
needs_restart:
  description: Whether the program started before the file's last change; null when that cannot be told.
  type: bool
  returned: always
process:
  description: pid, started_unix and reason of the program found.
  type: dict
  returned: always
file:
  description: path, mtime_unix, mode and reason of the file.
  type: dict
  returned: always
"""

import os
import shlex
import stat
from typing import Any, Dict, List, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import dotenv, processes

CLOCK_GRAIN_S = 1.0
"""A process's start is known to about a second (boot time in whole seconds); closer than this nothing is claimed."""


def read_file(path: str) -> Dict[str, Any]:
    """``{text, mtime_unix, mode, reason}``; text is None when the file cannot be read."""
    found: Dict[str, Any] = {"path": path, "text": None, "mtime_unix": None, "mode": None, "reason": ""}
    try:
        facts = os.stat(path)
        found["mtime_unix"], found["mode"] = facts.st_mtime, f"{stat.S_IMODE(facts.st_mode):04o}"
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as handle:
            found["text"] = handle.read()
    except OSError as error:
        found["reason"] = error.strerror or str(error)
    return found


class Unit:
    """What systemd says about the bot's unit; everything None where it says nothing."""

    def __init__(self, module: AnsibleModule, name: Optional[str], path: str, key: str) -> None:
        self.pid: Optional[int] = None
        self.reads_file: Optional[bool] = None
        self.value: Optional[str] = None
        self.reason = "no unit given"
        systemctl = module.get_bin_path("systemctl")
        if name is None:
            return
        if systemctl is None:
            self.reason = "no systemctl on this host"
            return
        wanted = "LoadState,MainPID,EnvironmentFiles,Environment"
        rc, out, err = module.run_command([systemctl, "show", "-p", wanted, "--", name])
        lines = [line.split("=", 1) for line in out.splitlines() if "=" in line]
        values = dict(lines)
        if rc != 0 or values.get("LoadState") != "loaded":
            self.reason = f"systemd knows no usable unit {name} ({err.strip() or values.get('LoadState', 'no answer')})"
            return
        self.pid = int(values.get("MainPID") or 0) or None
        self.reason = "" if self.pid else f"{name} is not running"
        files = [value.rsplit(" (", 1)[0] for name_, value in lines if name_ == "EnvironmentFiles"]
        self.reads_file = os.path.realpath(path) in [os.path.realpath(f.strip()) for f in files]
        self.value = from_environment(values.get("Environment", ""), key)


def from_environment(text: str, key: str) -> Optional[str]:
    """The key's value in systemd's Environment property; None when it is not there."""
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    found = [word.split("=", 1)[1] for word in words if word.startswith(key + "=")]
    return found[-1] if found else None


def find_process(unit: Unit, argument: Optional[str]) -> Dict[str, Any]:
    """``{pid, started_unix, reason, process}`` of the program: by systemd's main pid, else by a word of its command
    line."""
    if unit.pid is not None:
        candidates = [p for p in [processes.read_process(unit.pid)] if p is not None]
    elif unit.reads_file is None and argument:
        mine = processes.own_line()
        candidates = [p for p in processes.snapshot() if argument in p.argv and p.pid not in mine]
    else:
        return {"pid": None, "started_unix": None, "reason": unit.reason}
    # A worker forked by the program carries the same command line: the topmost one counts.
    pids = {p.pid for p in candidates}
    candidates = [p for p in candidates if p.ppid not in pids]
    if len(candidates) != 1:
        return {"pid": None, "started_unix": None, "reason": f"{len(candidates)} processes found, one needed"}
    only = candidates[0]
    return {"pid": only.pid, "started_unix": round(processes.started_unix(only), 2), "reason": ""}


def environ_of(pid: int) -> Optional[List[bytes]]:
    """The entries of the process's environment at its start; None when they may not be read.

    In a container root may lack the right to look into another user's process; that user always has it, so root asks as
    that user then.
    """
    path = f"/proc/{pid}/environ"
    is_root, group = os.geteuid() == 0, os.getegid()
    try:
        owner = os.stat(f"/proc/{pid}")
        if is_root:
            os.setegid(owner.st_gid)
            os.seteuid(owner.st_uid)
        with open(path, "rb") as handle:
            return handle.read().split(b"\0")
    except OSError:
        return None
    finally:
        if is_root:
            os.seteuid(0)
            os.setegid(group)


def started_with(pid: Optional[int], key: str) -> Any:
    """The key's value in the environment that the process was started with: text, None (not there), or False (not
    readable)."""
    if pid is None:
        return False
    entries = environ_of(pid)
    if entries is None:
        return False
    wanted = key.encode() + b"="
    found = [entry[len(wanted) :].decode("utf-8", "replace") for entry in entries if entry.startswith(wanted)]
    return found[-1] if found else None


def restart_needed(mtime_unix: Optional[float], started_unix: Optional[float]) -> Optional[bool]:
    """Whether the program is older than the file; None when either time is unknown or they are too close to tell."""
    if mtime_unix is None or started_unix is None or abs(mtime_unix - started_unix) < CLOCK_GRAIN_S:
        return None
    return started_unix < mtime_unix


def main() -> None:
    """Module entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            # A flag's name, not a secret; named so that Ansible does not warn.
            "key": {"type": "str", "required": True, "no_log": False},
            "unit": {"type": "str"},
            "process_argument": {"type": "str"},
        },
        supports_check_mode=True,
    )
    path, key = module.params["path"], module.params["key"]
    file = read_file(path)
    text = file.pop("text")
    unit = Unit(module, module.params["unit"], path, key)
    process = find_process(unit, module.params["process_argument"])
    found = dotenv.inspect(text or "", key)
    effective, reason = dotenv.effective(found, unit.reads_file, unit.value)
    if text is None:
        found["state"] = "unreadable"
        effective, reason = None, f"{path}: {file['reason']}"
    needs_restart = restart_needed(file["mtime_unix"], process["started_unix"])
    inside = started_with(process["pid"], key)
    running: Optional[bool] = None
    proof: Optional[str] = None
    # The environment at the start is the truth where systemd sets the key; a program that reads the file itself does
    # not show it there.
    if inside is not False and (inside is not None or (unit.reads_file and effective is not None)):
        running, proof = dotenv.means_true(inside), "environ"
    elif needs_restart is False and effective is not None:
        running, proof = effective, "file"
    by_systemd = unit.reads_file is not False and found["systemd_value"] is not None
    module.exit_json(
        changed=False,
        **found,
        value=found["systemd_value"] if by_systemd else found["dotenv_value"],
        effective=effective,
        effective_reason=reason,
        running_effective=running,
        running_proof=proof,
        needs_restart=needs_restart,
        process=process,
        file=file,
    )


if __name__ == "__main__":
    main()
