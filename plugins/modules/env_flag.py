#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Set one key of an environment file and keep every other byte, or take that back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: env_flag
short_description: Set one key of an environment file and keep every other byte, or take that back
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - Edits the value of one key, so that systemd and python-dotenv both read the wish. Comments, order, quotes, line ends
    and a missing final newline stay. Where the key is set twice the last line counts and is edited; where it is not set
    a line is added at the end. It refuses what cannot be edited without touching another key, and says which line.
  - The file is replaced in one step and keeps owner, mode and access lists. No other key's value is kept or shown.
  - What was there is recorded in O(state_dir) before the first change; V(restored) takes the edit back, byte for byte in
    a file that nobody touched since, and by the line where others were changed.
  - A program reads the file at its start; see M(slomix.timetracking.service_restart).
options:
  path:
    description: The environment file.
    type: path
    required: true
  key:
    description: The key.
    type: str
    required: true
  value:
    description: The wish, a plain word. Required for V(set).
    type: str
  state:
    description: Set the key, or take the recorded edit back.
    type: str
    choices: [set, restored]
    default: set
  missing_ok:
    description: For V(restored), whether nothing recorded means nothing to do, where it is refused otherwise.
    type: bool
    default: false
  state_dir:
    description: Folder on this host that keeps the state before.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Same path; predicts file digest and value exactly.
  diff_mode:
    support: full
    description: Shows the key's line only.
"""

EXAMPLES = r"""
- name: Show the new values only
  slomix.timetracking.env_flag:
    path: /opt/slomix/.env
    key: SHOW_TIMING_NEW_ONLY
    value: "true"
    state_dir: /var/lib/rollout/state
  become: true
"""

RETURN = r"""
before:
  description: value (null when not set), sha256 of the file.
  type: dict
  returned: success
after:
  description: The same afterwards, predicted under check mode.
  type: dict
  returned: success
actions:
  description: What was or would be done.
  type: list
  elements: str
  returned: success
record:
  description: path of the recorded state, and whether it still waits to be restored.
  type: dict
  returned: success
"""

import contextlib
import dataclasses
import hashlib
import os
import stat
from typing import Any, Dict, List, NoReturn, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import before_state, dotenv, release_store

Record = Optional[Dict[str, Any]]


def encode(text: str) -> bytes:
    """The file's bytes; what is no UTF-8 comes back as it was."""
    return text.encode("utf-8", "surrogateescape")


def staged_path(path: str) -> str:
    """Where the new file lies until it takes the place of ``path``."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.rollout-new")


def replace(path: str, data: bytes) -> None:
    """Put a new file in the place of ``path`` in one step, with the same owner, mode and extended attributes."""
    folder = os.path.dirname(path)
    facts = os.stat(path)
    temporary = staged_path(path)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fchown(out.fileno(), facts.st_uid, facts.st_gid)
            os.fchmod(out.fileno(), stat.S_IMODE(facts.st_mode))
            for name in os.listxattr(path):
                # security.* is the kernel's; an access list is system.posix_acl_access.
                if not name.startswith("security."):
                    os.setxattr(temporary, name, os.getxattr(path, name))
            os.fsync(out.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    release_store.sync_folder(folder)


class Flag:
    """One key of one file."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.key: str = module.params["key"]
        self.path = os.path.realpath(module.params["path"])
        name = f"env-{hashlib.sha256(self.path.encode()).hexdigest()[:12]}-{self.key}.json"
        self.state_path = os.path.join(module.params["state_dir"], name)
        self.actions: List[str] = []
        if not module.check_mode:
            # What a killed run was writing holds the same secrets as the file, and never came to its place.
            for left in (staged_path(self.path), before_state.staged_path(self.state_path)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(left)
        try:
            with open(self.path, "rb") as handle:
                self.data = handle.read()
            self.record: Record = before_state.read_record(self.state_path)
        except OSError as error:
            self.refuse(
                f"found: {self.path} cannot be read ({error.strerror}); required: the environment file; next: name the right path"
            )
        except before_state.RecordError as error:
            self.refuse(str(error))
        self.text = self.data.decode("utf-8", "surrogateescape")

    def refuse(self, text: str) -> NoReturn:
        """End the module as failed; nothing was changed."""
        self.module.fail_json(msg=f"{text}; {self.path} was not changed")
        raise AssertionError(text)

    def view(self, text: str) -> Dict[str, Any]:
        """The shape of before and after."""
        found = dotenv.inspect(text, self.key)
        value = found["systemd_value"] if found["systemd_value"] is not None else found["dotenv_value"]
        return {"value": value, "sha256": hashlib.sha256(encode(text)).hexdigest()}

    def set(self) -> str:
        """Set the key; the new text."""
        value = self.module.params["value"]
        edit = dotenv.plan_edit(self.text, self.key, value)
        if edit is None:
            return self.text
        after = edit.apply(self.text)
        found = dotenv.inspect(self.text, self.key)
        before = self.view(self.text)
        # An open recording of these very bytes comes from a run that was killed before it wrote.
        if before_state.is_open(self.record) and (self.record or {})["before"] != before:
            self.refuse(
                f"found: {self.key} is {before['value'] or 'not set'}, and an earlier edit of it was never taken back; required: "
                f"one edit at a time; next: take it back first (state restored), or look who changed the line since"
            )
        self.record = before_state.new_record(before, key=self.key, path=self.path, edit=dataclasses.asdict(edit))
        self.actions.append(f"record the state before in {self.state_path}")
        self.keep()
        where = f"line {found['lines'][-1]}" if found["lines"] else "a new line at the end"
        self.actions.append(f"set {self.key}={value} in {where} of {self.path}")
        if found["duplicate"]:
            self.actions.append(
                f"leave the earlier lines that set {self.key} ({found['lines'][:-1]}); the last one counts"
            )
        return after

    def restore(self) -> str:
        """Take the recorded edit back; the new text."""
        if self.record is None and self.module.params["missing_ok"]:
            return self.text
        if self.record is None:
            self.refuse(
                f"found: nothing is recorded in {self.state_path}; required: the state before the edit; next: nothing to undo "
                f"if the rollout never set {self.key} here"
            )
        if not before_state.is_open(self.record):
            return self.text
        edit = dotenv.plan_undo(self.text, self.key, dotenv.Edit(**self.record["edit"]), self.record["before"]["value"])
        if edit is not None:
            self.actions.append(f"take {self.key} in {self.path} back to {self.record['before']['value'] or 'not set'}")
        self.actions.append(f"mark {self.state_path} as restored")
        return edit.apply(self.text) if edit is not None else self.text

    def keep(self) -> None:
        """Write the record, in a real run."""
        if not self.module.check_mode and self.record is not None:
            before_state.write_record(self.state_path, self.record)

    def write(self, text: str) -> None:
        """Replace the file unless somebody changed it meanwhile."""
        if text == self.text or self.module.check_mode:
            return
        with open(self.path, "rb") as handle:
            if handle.read() != self.data:
                self.refuse("found: the file changed while it was edited; required: one editor; next: run again")
        replace(self.path, encode(text))


def main() -> None:
    """Module entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            # A flag's name, not a secret; named so that Ansible does not warn.
            "key": {"type": "str", "required": True, "no_log": False},
            "value": {"type": "str"},
            "state": {"type": "str", "choices": ["set", "restored"], "default": "set"},
            "missing_ok": {"type": "bool", "default": False},
            "state_dir": {"type": "path", "required": True},
        },
        required_if=[("state", "set", ["value"])],
        supports_check_mode=True,
    )
    flag = Flag(module)
    try:
        after = flag.set() if module.params["state"] == "set" else flag.restore()
        flag.write(after)
        if module.params["state"] == "restored" and flag.record is not None and before_state.is_open(flag.record):
            flag.record = before_state.restored(flag.record)
            flag.keep()
    except dotenv.EditRefused as refusal:
        flag.refuse(str(refusal))
    except OSError as error:
        flag.refuse(f"found: {error.strerror or error}; required: the right to replace the file; next: run with become")
    before, found = flag.view(flag.text), flag.view(after)
    shown = [{flag.key: "(not set)" if one["value"] is None else one["value"]} for one in (before, found)]
    module.exit_json(
        changed=bool(flag.actions),
        before=before,
        after=found,
        actions=flag.actions,
        record={"path": flag.state_path, "open": before_state.is_open(flag.record)},
        diff={"before": shown[0], "after": shown[1]},
    )


if __name__ == "__main__":
    main()
