"""Writing a file so that nobody ever reads half of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_file(path: Path, content: bytes, *, like: Path) -> None:
    """Put ``content`` at ``path`` by way of a temporary file beside it and a rename; mode (and owner, where allowed) as ``like``.

    Raises OSError; the file at ``path`` is then as it was.
    """
    path = path.resolve()
    model = like.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    staged = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        staged.chmod(model.st_mode & 0o7777)
        if os.geteuid() == 0:
            os.chown(staged, model.st_uid, model.st_gid)
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
