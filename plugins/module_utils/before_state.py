"""Remember on the host what a step found before it acted, so that the way back restores facts and not constants.

One JSON file per thing: ``{"before": {...}, "recorded_at": "...", "restored_at": null | "...", ...}``. The first
recording wins until the recorded state was restored: a second run of the step must not overwrite the true original with
its own result.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
from typing import Any, Dict, Optional


class RecordError(Exception):
    """A recording exists but cannot be used; the text names the file and what to do."""


def read_record(path: str) -> Optional[Dict[str, Any]]:
    """The recording at ``path``, or None when there is none. Raises RecordError for one that cannot be read or
    understood."""
    try:
        with open(path, encoding="utf-8") as handle:
            record = json.load(handle)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RecordError(
            f"found: the recorded state {path} cannot be read ({error}); required: the file that the step wrote; "
            f"next: look at it, and move it away only if its content is worth nothing"
        ) from None
    if not isinstance(record, dict) or not isinstance(record.get("before"), dict):
        raise RecordError(
            f"found: {path} holds no recorded state; required: the file that the step wrote; "
            f"next: look at it, it is not ours"
        )
    return record


def is_open(record: Optional[Dict[str, Any]]) -> bool:
    """Whether the recording still waits to be restored (a restored one may be overwritten by the next act)."""
    return record is not None and not record.get("restored_at")


def new_record(before: Dict[str, Any], **more: Any) -> Dict[str, Any]:
    """A fresh recording of ``before``; further keys as given."""
    return {"before": before, "recorded_at": _now(), "restored_at": None, **more}


def restored(record: Dict[str, Any]) -> Dict[str, Any]:
    """The same recording, marked as restored now."""
    return {**record, "restored_at": _now()}


def staged_path(path: str) -> str:
    """Where a recording lies while it is being written; always the same name, so that a killed run leaves one at most."""
    folder, name = os.path.split(path)
    return os.path.join(folder or ".", f".{name}.new")


def sweep(path: str) -> None:
    """Remove what a killed run left of a recording that it was writing; it never came to its place."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(staged_path(path))


def write_record(path: str, record: Dict[str, Any]) -> None:
    """Write durably and in one step: a crash leaves the old file or the new one. Mode 0600, folder 0700."""
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, mode=0o700, exist_ok=True)
    temporary = staged_path(path)
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump(record, out, indent=2, sort_keys=True)
            out.write("\n")
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
