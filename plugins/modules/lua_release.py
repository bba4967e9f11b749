#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Deploy one Lua file as a content-addressed release, restore a recorded one, or only read what is deployed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lua_release
short_description: Deploy, restore or read one Lua file as a content-addressed release
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - Every release is kept under its SHA-256 with a manifest. The bytes found before the first change become a release
    too, the original.
  - "A switch: intent noted, staged beside the target under a name that no C(lua_modules) entry can reach, synced,
    digest
    verified, owner and mode as the original, renamed, folder synced, end noted. Killed anywhere, the next run goes on
    to
    the same end; the server only ever sees whole files."
  - Refuses when the target holds neither the recorded nor the wished bytes (a hand edit), when the moment is wrong
    (players in a match), and when owner or mode could not be kept. The target is then untouched.
  - A target that is a symbolic link is written through to the real file.
options:
  name:
    description: Name of the release line, the folder under O(store_dir).
    type: str
    required: true
  target:
    description: The file that really runs (a copy in the homepath shadows the one in the install directory).
    type: path
    required: true
  store_dir:
    description: Folder on the host that keeps the releases.
    type: path
    required: true
  state:
    description:
      - V(deployed) puts O(content_b64) in place.
      - V(restored) puts the recorded O(release) back, with its mode and owner.
      - V(read) changes nothing and refuses nothing; RV(drift) tells whether the bytes are the recorded ones.
    type: str
    choices: [deployed, restored, read]
    default: read
  content_b64:
    description: The file's bytes, base64. The file may hold a webhook URL, so the value is never shown.
    type: str
  content_path:
    description: >-
      A file on the controller in place of O(content_b64); an action plugin reads it, so every byte is carried.
    type: path
  sha256:
    description: The digest that the bytes of O(content_b64) must have.
    type: str
  made_from:
    description: SHA-256 of the file that the content was made from, for the manifest.
    type: str
    default: ""
  from_target:
    description: >-
      The content was made from the file at O(target), so it holds any hand edit made there; such an edit is refused.
    type: bool
    default: false
  recipes:
    description: The codemod recipes that made it, for the manifest.
    type: list
    elements: str
    default: []
  release:
    description: What V(restored) restores, V(original) or a SHA-256.
    type: str
    default: original
  given:
    description: >-
      The predicted RV(after) of an earlier task. Under check mode V(read) reports it in place of the host; otherwise it
      is ignored.
    type: dict
    default: {}
  keep:
    description: How many releases to keep; the current, the previous and the original one always stay.
    type: int
    default: 10
  console_log:
    description: >-
      The game console. A cursor behind its last line is taken right after the switch, so that later loads can be told
      from earlier ones.
    type: path
  moment:
    description: >-
      How to ask the game server whether now is a moment to replace the file. Needed by V(deployed) and V(restored).
    type: dict
    suboptions:
      host: {type: str, default: 127.0.0.1, description: Address of the game server as seen on the host.}
      port: {type: int, default: 27960, description: Its UDP port.}
      rcon_password_file: {type: path, required: true, description: File on the host with the rcon password.}
      timeout_s: {type: float, default: 2.0, description: How long to wait for one answer.}
      forced: {type: bool, default: false, description: Replace the file at a wrong moment too; this is recorded.}
attributes:
  check_mode:
    support: full
    description: >-
      The same path up to the first write. A wrong moment is a warning there, since the real run comes at another time.
  diff_mode:
    support: full
    description: The file before and after, with URLs and other credentials masked.
"""

EXAMPLES = r"""
- name: Deploy the candidate
  slomix.timetracking.lua_release:
    name: stats_discord_webhook.lua
    target: /home/et/etlegacy-v2.83.1-x86_64/legacy/luascripts/stats_discord_webhook.lua
    store_dir: /home/et/.rollout/releases
    state: deployed
    content_path: "{{ candidate.path }}"
    sha256: "{{ candidate.sha256 }}"
    console_log: /home/et/.etlegacy/legacy/etconsole.log
    moment: {rcon_password_file: /home/et/.rollout/rcon_password}

- name: Put the original back
  slomix.timetracking.lua_release:
    name: stats_discord_webhook.lua
    target: /home/et/etlegacy-v2.83.1-x86_64/legacy/luascripts/stats_discord_webhook.lua
    store_dir: /home/et/.rollout/releases
    state: restored
    moment: {rcon_password_file: /home/et/.rollout/rcon_password}
"""

RETURN = r"""
before:
  description: Target, digests, size, mode, owner, the recorded original, current and previous release, the stored ones.
  type: dict
  returned: always
after:
  description: The same afterwards; predicted under check mode.
  type: dict
  returned: always
actions:
  description: What was done, or would be done.
  type: list
  elements: str
  returned: always
replaces_target:
  description: Whether the file that the server reads is (or would be) replaced.
  type: bool
  returned: always
predicted:
  description: Whether O(given) was reported in place of the host.
  type: bool
  returned: always
drift:
  description: Why the bytes at the target are not the recorded ones; empty when they are.
  type: str
  returned: always
deployment:
  description: When the current release was put in place (unix seconds of the host) and the console cursor taken then.
  type: dict
  returned: when something is recorded
moment:
  description: Whether the moment was safe, whether that is known, why, what to do next, and whether it was forced.
  type: dict
  returned: when the target is replaced
"""

import base64
import binascii
import difflib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import time
from typing import Any, Callable, Dict, Optional, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import logwindow, release
from ansible_collections.slomix.timetracking.plugins.module_utils import moment as moments
from ansible_collections.slomix.timetracking.plugins.module_utils.masking import mask

STAGE = "stage"
JOURNAL = "journal.json"
JOURNAL_NEW = "journal.json.new"
NEW_PREFIX = ".new-"


class Host:
    """The target and its store on this host: reads the world, performs the steps of a plan."""

    def __init__(self, name: str, target: str, store_dir: str, console_log: Optional[str]) -> None:
        self.name = name
        self.target = os.path.realpath(target)
        self.store = os.path.join(store_dir, name)
        self.console_log = console_log
        folder, base = os.path.split(self.target)
        self.folder = folder
        self.stage = os.path.join(folder, f".{base}.rollout-stage")

    def read(self) -> release.World:
        """What is on the host now."""
        releases: Dict[str, release.Release] = {}
        damaged, litter = [], []
        for entry in sorted(os.listdir(self.store)) if os.path.isdir(self.store) else []:
            if entry.startswith(NEW_PREFIX) or entry == JOURNAL_NEW:
                litter.append(entry)
            elif len(entry) == 64:
                try:
                    releases[entry] = self._release(entry)
                except (OSError, ValueError):
                    damaged.append(entry)
        if os.path.lexists(self.stage):
            litter.append(STAGE)
        data = self.journal_data()
        disk = file_state(self.target)
        return release.World(
            self.target,
            disk,
            release.journal_from_data(data) if data is not None else None,
            releases,
            tuple(litter),
            tuple(damaged),
            self._obstacle(disk),
        )

    def _release(self, sha256: str) -> release.Release:
        with open(os.path.join(self.store, sha256, "manifest.json"), encoding="utf-8") as handle:
            stored = release.manifest_from_data(json.load(handle))
        if stored.file.sha256 != sha256 or digests(self.bytes_of(sha256))[0] != sha256:
            raise ValueError(f"release {sha256} does not match its digest")
        return stored

    def bytes_of(self, sha256: str) -> bytes:
        """The bytes of a stored release."""
        with open(os.path.join(self.store, sha256, "file"), "rb") as handle:
            return handle.read()

    def journal_data(self) -> Optional[Dict[str, Any]]:
        """The journal as it lies on disk; None when there is none. Raises Refused when it cannot be read."""
        path = os.path.join(self.store, JOURNAL)
        try:
            with open(path, encoding="utf-8") as handle:
                return json.load(handle)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise release.Refused(
                f"the release journal {path} is no JSON ({error}); restore it from a backup"
            ) from None

    def _obstacle(self, disk: Optional[release.FileState]) -> str:
        if disk is None:
            return ""
        euid = os.geteuid()
        if not os.access(self.folder, os.W_OK | os.X_OK):
            return f"the folder {self.folder} cannot be written by uid {euid}; give this user write access to it"
        if euid != 0 and (disk.uid != euid or disk.gid not in {os.getegid(), *os.getgroups()}):
            owner = f"uid {disk.uid}, gid {disk.gid}"
            return f"{self.target} belongs to {owner}, which uid {euid} cannot keep; connect as its owner"
        return ""

    def perform(self, step: release.Step, content: bytes) -> None:
        """Carry one step out; every step may be repeated after an interruption."""
        if isinstance(step, release.RemoveLitter):
            self._remove(step.path)
        elif isinstance(step, release.StoreRelease):
            self._store(step.release, content)
        elif isinstance(step, release.WriteJournal):
            self._write_journal(step)
        elif isinstance(step, release.Stage):
            self._stage(step.file)
        elif isinstance(step, release.Switch):
            self._switch(step)
        else:
            shutil.rmtree(os.path.join(self.store, step.sha256))

    def _remove(self, name: str) -> None:
        path = self.stage if name == STAGE else os.path.join(self.store, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)

    def _store(self, new: release.Release, content: bytes) -> None:
        sha256 = new.file.sha256
        data = content
        if new.origin == release.ADOPTED:
            with open(self.target, "rb") as handle:
                data = handle.read()
        if digests(data)[0] != sha256:
            raise release.Refused(f"{self.target} changed while it was being stored; run again")
        made = os.path.join(self.store, NEW_PREFIX + sha256)
        os.makedirs(made, 0o700)
        manifest = release.manifest_to_data(self.name, self.target, new)
        manifest["stored_at_unix"] = int(time.time())
        write_synced(os.path.join(made, "file"), data)
        write_synced(os.path.join(made, "manifest.json"), to_json(manifest))
        sync_folder(made)
        final = os.path.join(self.store, sha256)
        if os.path.lexists(final):
            shutil.rmtree(final)
        os.rename(made, final)
        sync_folder(self.store)

    def _write_journal(self, step: release.WriteJournal) -> None:
        data: Dict[str, Any] = dict(release.journal_to_data(step.journal))
        if step.stamped:
            # Taken after the switch: a load behind this place can only have read the new bytes.
            cursor = logwindow.cursor_at(self.console_log) if self.console_log else None
            data.update(deployed_at_unix=int(time.time()), cursor=cursor)
        else:
            old = self.journal_data() or {}
            data.update(deployed_at_unix=old.get("deployed_at_unix"), cursor=old.get("cursor"))
        fresh = os.path.join(self.store, JOURNAL_NEW)
        write_synced(fresh, to_json(data))
        os.rename(fresh, os.path.join(self.store, JOURNAL))
        sync_folder(self.store)

    def _stage(self, wished: release.FileState) -> None:
        write_synced(self.stage, self.bytes_of(wished.sha256), wished)
        with open(self.stage, "rb") as handle:
            found = digests(handle.read())[0]
        if found != wished.sha256:
            raise release.Refused(f"the staged file has {found}, required is {wished.sha256}: the disk lies; check it")

    def _switch(self, step: release.Switch) -> None:
        disk = file_state(self.target)
        if disk is None or disk.sha256 != step.expected:
            raise release.Refused(f"{self.target} changed since it was read; look who edits it, then run again")
        os.rename(self.stage, self.target)
        sync_folder(self.folder)


def digests(data: bytes) -> Tuple[str, str]:
    """(SHA-256, SHA-1), lower-case hex."""
    return hashlib.sha256(data).hexdigest(), hashlib.sha1(data).hexdigest()


def file_state(path: str) -> Optional[release.FileState]:
    """Digests, size, mode and owner of a regular file; None when there is none."""
    try:
        with open(path, "rb") as handle:
            info = os.fstat(handle.fileno())
            if not stat.S_ISREG(info.st_mode):
                return None
            data = handle.read()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    return release.FileState(*digests(data), len(data), stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)


def to_json(data: Dict[str, Any]) -> bytes:
    """Stable, readable JSON."""
    return (json.dumps(data, indent=2, sort_keys=True) + "\n").encode()


def write_synced(path: str, data: bytes, like: Optional[release.FileState] = None) -> None:
    """Make a new file (0600, or mode and owner of ``like``) and sync it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(data)
        handle.flush()
        if like is not None:
            info = os.fstat(descriptor)
            if (info.st_uid, info.st_gid) != (like.uid, like.gid):
                os.fchown(descriptor, like.uid, like.gid)
            os.fchmod(descriptor, like.mode)
        os.fsync(descriptor)


def sync_folder(path: str) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(store: str) -> int:
    """Hold the store until the process ends; raises Refused when another run holds it."""
    os.makedirs(store, 0o700, exist_ok=True)
    descriptor = os.open(os.path.join(store, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise release.Refused(f"another run holds {store}/lock; wait until it ends, then run again") from None
    return descriptor


def wished_content(params: Dict[str, Any]) -> bytes:
    """The decoded content; raises Refused when it is not what the digest says."""
    try:
        content = base64.b64decode(params["content_b64"], validate=True)
    except binascii.Error as error:
        raise release.Refused(f"content_b64 is no base64 ({error}); pass the file's bytes through b64encode") from None
    found = digests(content)[0]
    if params["sha256"] and found != params["sha256"].lower():
        raise release.Refused(f"content_b64 has the digest {found}, required is {params['sha256']}; build it again")
    return content


def judge(options: Dict[str, Any]) -> Dict[str, Any]:
    """Ask the server and judge the moment."""
    facts = moments.observe(options["host"], options["port"], options["rcon_password_file"], options["timeout_s"])
    found = moments.judge_moment(facts)
    return {
        "safe": found.safe,
        "known": found.known,
        "reason": found.reason,
        "next": found.next,
        "forced": options["forced"] and not found.safe,
        "map": facts.map,
        "players": facts.players,
        "gamestate": facts.gamestate,
        "current_round": facts.current_round,
    }


def masked_diff(target: str, old: bytes, new: bytes) -> Dict[str, str]:
    """The unified diff with credentials masked."""
    before, after = (mask(data.decode("utf-8", "replace")).splitlines(keepends=True) for data in (old, new))
    return {"prepared": "".join(difflib.unified_diff(before, after, f"{target} (deployed)", f"{target} (release)"))}


def run(module: AnsibleModule, fail: Callable[..., None]) -> Dict[str, Any]:
    """Read, plan, judge, apply."""
    params = module.params
    host = Host(params["name"], params["target"], params["store_dir"], params["console_log"])
    changing = params["state"] != "read"
    held = lock(host.store) if changing and not module.check_mode and os.path.exists(host.target) else None
    world = host.read()
    result: Dict[str, Any] = {
        "changed": False,
        "predicted": False,
        "before": release.view(world),
        "after": release.view(world),
        "actions": [],
        "replaces_target": False,
        "drift": "",
    }
    if not changing and module.check_mode and params["given"]:
        return {**result, "before": params["given"], "after": params["given"], "predicted": True}
    if not changing:
        result["drift"] = release.drift(world) if world.journal and world.on_disk else ""
        return {**result, **stamp(host)}
    content = b""
    if params["state"] == "deployed":
        content = wished_content(params)
        sha256, sha1 = digests(content)
        wish = release.FileState(sha256, sha1, len(content), 0, 0, 0)
        origin = (params["made_from"], tuple(params["recipes"]))
        plan = release.plan_deploy(world, wish, *origin, params["keep"], params["from_target"])
    else:
        plan = release.plan_restore(world, params["release"], params["keep"])
    result.update(
        changed=bool(plan.steps),
        after=release.view(plan.after),
        actions=list(plan.actions),
        replaces_target=plan.replaces_target,
    )
    if plan.replaces_target:
        new = content or host.bytes_of(plan.after.on_disk.sha256)  # type: ignore[union-attr]
        with open(host.target, "rb") as handle:
            result["diff"] = masked_diff(host.target, handle.read(), new)
        result["moment"] = judge(params["moment"])
        if not result["moment"]["safe"]:
            refuse_or_warn(module, result, fail)
    if not module.check_mode:
        for step in plan.steps:
            host.perform(step, content)
        result["after"] = release.view(host.read())
        result.update(stamp(host))
        if held is not None:
            os.close(held)
    elif not plan.steps:
        result.update(stamp(host))
    return result


def refuse_or_warn(module: AnsibleModule, result: Dict[str, Any], fail: Callable[..., None]) -> None:
    """A wrong moment stops a real run unless it is forced; check mode only tells."""
    found = result["moment"]
    text = f"not now: {found['reason']}; required is a moment when no match can run half old, half new; {found['next']}"
    if found["forced"]:
        module.warn(f"the moment was forced although {found['reason']}")
    elif module.check_mode:
        module.warn(f"a real run would be refused at this moment: {text}")
    else:
        fail(msg=text, moment=found)


def left_at(target: str) -> str:
    """What an operation that failed left at the target."""
    try:
        found = file_state(os.path.realpath(target))
    except OSError:
        return "the target cannot be read"
    return f"the target holds {found.sha256}, a whole file" if found is not None else "there is no file at the target"


def stamp(host: Host) -> Dict[str, Any]:
    """When the current release came and where the console was."""
    data = host.journal_data()
    if data is None:
        return {}
    return {"deployment": {"at_unix": data.get("deployed_at_unix"), "cursor": data.get("cursor")}}


def main() -> None:
    """Run as an Ansible module."""
    options = {
        "host": {"type": "str", "default": "127.0.0.1"},
        "port": {"type": "int", "default": 27960},
        "rcon_password_file": {"type": "path", "required": True, "no_log": False},
        "timeout_s": {"type": "float", "default": 2.0},
        "forced": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "target": {"type": "path", "required": True},
            "store_dir": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["deployed", "restored", "read"], "default": "read"},
            "content_b64": {"type": "str", "no_log": True},
            "sha256": {"type": "str"},
            "made_from": {"type": "str", "default": ""},
            "from_target": {"type": "bool", "default": False},
            "recipes": {"type": "list", "elements": "str", "default": []},
            "release": {"type": "str", "default": "original"},
            "given": {"type": "dict", "default": {}},
            "keep": {"type": "int", "default": 10},
            "console_log": {"type": "path"},
            "moment": {"type": "dict", "options": options},
        },
        required_if=[("state", "deployed", ("content_b64", "moment")), ("state", "restored", ("moment",))],
        supports_check_mode=True,
    )
    name: str = module.params["name"]
    if os.sep in name or name.startswith("."):
        module.fail_json(msg=f"name is {name!r}; required is a plain file name, since it becomes a folder of the store")
    try:
        result = run(module, module.fail_json)
    except release.Refused as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error}; {left_at(module.params['target'])}; remove the cause and run again")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
