"""What git says about one file of a checkout: its commit, what is changed there, whether the next pull would stop at it.

The deployed tree of the bot and the website is a git checkout that somebody pulls. The rollout patches files in it and
commits nothing there, so it has to say what git makes of the patch. Nothing is written: not even the index is refreshed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import Any, Dict, List, Optional

MOST_DIRTY = 20
TIMEOUT_S = 30.0


def _git(folder: str, *words: str) -> Optional[bytes]:
    """The output of one reading git command; None when it fails or there is no git."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        # Without this `git status` may rewrite the index, a trace that check mode must not leave.
        "GIT_OPTIONAL_LOCKS": "0",
        "HOME": os.environ.get("HOME", "/"),
    }
    try:
        done = subprocess.run(
            # The tree often belongs to the service's user, which git refuses to read unless told so.
            ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", folder, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _line(folder: str, *words: str) -> str:
    return (_git(folder, *words) or b"").decode("utf-8", "replace").strip()


def read(target: str) -> Dict[str, Any]:
    """The checkout that holds ``target``: root, head, branch, upstream, path, tracked, head_sha256 (of the file as
    committed), dirty (changed files, at most MOST_DIRTY) and upstream_changes_it (None when that is not known)."""
    folder = os.path.dirname(os.path.realpath(target))
    found: Dict[str, Any] = {
        "found": False,
        "root": "",
        "head": "",
        "branch": "",
        "upstream": "",
        "path": "",
        "tracked": False,
        "head_sha256": "",
        "dirty": [],
        "dirty_count": 0,
        "upstream_changes_it": None,
    }
    root = _line(folder, "rev-parse", "--show-toplevel")
    if not root:
        return found
    path = os.path.relpath(os.path.realpath(target), os.path.realpath(root))
    dirty = _porcelain(_git(root, "status", "--porcelain", "-z", "--untracked-files=no") or b"")
    found.update(
        found=True,
        root=root,
        path=path,
        head=_line(root, "rev-parse", "--verify", "--quiet", "HEAD"),
        branch=_line(root, "symbolic-ref", "--short", "--quiet", "HEAD"),
        upstream=_line(root, "rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}"),
        dirty=dirty[:MOST_DIRTY],
        dirty_count=len(dirty),
    )
    # The form that `git checkout` would write (line ends, filters), not the raw blob.
    blob = _git(root, "cat-file", "--filters", f"HEAD:{path}")
    if blob is not None:
        found.update(tracked=True, head_sha256=hashlib.sha256(blob).hexdigest())
    if found["upstream"]:
        names = _git(root, "diff", "--name-only", "-z", "HEAD...@{upstream}", "--", path)
        found["upstream_changes_it"] = None if names is None else bool(names)
    return found


def _porcelain(output: bytes) -> List[str]:
    """Paths of ``git status --porcelain -z``; of a renamed file the new one."""
    entries = iter(output.decode("utf-8", "replace").split("\0"))
    paths = []
    for entry in entries:
        if len(entry) > 3:
            paths.append(entry[3:])
            if entry[0] in "RC":
                next(entries, None)
    return paths


def pull(found: Dict[str, Any], sha256: str) -> Dict[str, Any]:
    """What the next ``git pull`` does when the file holds ``sha256``: ``{stops, text}``; stops is None if unknown."""
    if not found["found"]:
        return {"stops": False, "text": "the file is in no git checkout, so no pull touches it"}
    where = f"{found['path']} in the checkout {found['root']} at {found['head'][:12] or 'no commit'}"
    if not found["tracked"]:
        return {"stops": None, "text": f"{where} is not committed there"}
    if sha256 == found["head_sha256"]:
        return {"stops": False, "text": f"{where} is as committed"}
    way = "lead the phase back, pull, and run the phase again (its edits are found anew in the file that came)"
    if found["upstream_changes_it"]:
        return {"stops": True, "text": f"{where} is changed, and {found['upstream']} changes it too: {way}"}
    if found["upstream_changes_it"] is False:
        text = f"{where} is changed; {found['upstream']} as last fetched does not touch it; if a pull stops here, {way}"
        return {"stops": False, "text": text}
    return {"stops": None, "text": f"{where} is changed, and no upstream is known; if a pull stops here, {way}"}
