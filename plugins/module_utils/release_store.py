"""The host's side of release.py: read the target and its store, carry steps out durably. Standard library only."""

from __future__ import annotations

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
from typing import Any, Dict, Optional, Tuple

from ansible_collections.slomix.timetracking.plugins.module_utils import logwindow, release
from ansible_collections.slomix.timetracking.plugins.module_utils.masking import mask

STAGE = "stage"
JOURNAL = "journal.json"
JOURNAL_NEW = "journal.json.new"
NEW_PREFIX = ".new-"
LOCK_POLL_S = 0.2
LOCK_WAIT_S = 150.0
"""Longer than one run's module: a bot at work for a minute, and a restart that takes another one."""


class Host:
    """The target and its store on this host: reads the world, performs the steps of a plan."""

    def __init__(
        self,
        name: str,
        target: str,
        store_dir: str,
        console_log: Optional[str],
        source_variable: str = release.World.source_variable,
    ) -> None:
        self.name = name
        self.source_variable = source_variable
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
            self.source_variable,
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
            self._prune(step.sha256)

    def _remove(self, name: str) -> None:
        path = self.stage if name == STAGE else os.path.join(self.store, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)

    def _prune(self, sha256: str) -> None:
        # Under a left-over's name first: half a release would be taken for a damaged one, and stay for ever.
        doomed = os.path.join(self.store, NEW_PREFIX + sha256)
        os.rename(os.path.join(self.store, sha256), doomed)
        shutil.rmtree(doomed)

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


def lock(store: str, wait_s: float = LOCK_WAIT_S) -> int:
    """Hold the store until the process ends; raises Refused when another run holds it for longer than ``wait_s``.

    A module outlives its controller when that one is killed. The next run must wait for its end, not fail on it.
    """
    os.makedirs(store, 0o700, exist_ok=True)
    descriptor = os.open(os.path.join(store, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise release.Refused(
                    f"another run holds {store}/lock for {wait_s:g} s or more; wait until it ends, then run again"
                ) from None
            time.sleep(LOCK_POLL_S)


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


def masked_diff(target: str, old: bytes, new: bytes) -> Dict[str, str]:
    """The unified diff with credentials masked."""
    before, after = (mask(data.decode("utf-8", "replace")).splitlines(keepends=True) for data in (old, new))
    return {"prepared": "".join(difflib.unified_diff(before, after, f"{target} (deployed)", f"{target} (release)"))}


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
