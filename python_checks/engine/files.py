"""The engine's file system layer: homepath before basepath, the mod folder before etmain, writes only under the homepath."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

FS_READ, FS_WRITE, FS_APPEND, FS_APPEND_SYNC = range(4)


class GameFiles:
    """``trap_FS_*`` and the search path. Names are engine text relative to the mod folder; a backslash is a slash."""

    def __init__(self, basepath: Path, homepath: Path, mod: str, nominal_basepath: str, nominal_homepath: str) -> None:
        self.home = homepath / mod
        self._mod = mod
        self._folders = [homepath / mod, basepath / mod, homepath / "etmain", basepath / "etmain"]
        self._nominal = (f"{nominal_basepath}/{mod}", f"{nominal_homepath}/{mod}")
        self._open: dict[int, BinaryIO] = {}

    def lua_search(self) -> tuple[str, str]:
        """``package.path`` and ``package.cpath`` as a real server sets them."""
        base, home = self._nominal
        path = f"{base}/?.lua;{base}/lualibs/?.lua;{home}/?.lua;{home}/lualibs/?.lua"
        return path, f"{base}/lualibs/?.so;{home}/lualibs/?.so"

    @staticmethod
    def _plain(name: str) -> str | None:
        """A safe relative path, or None."""
        plain = os.path.normpath(os.fsdecode(name.encode("latin-1")).replace("\\", "/").lstrip("/"))
        return None if "\0" in plain or plain.startswith("..") or plain == "." else plain

    def search(self, name: str) -> Path | None:
        """The file that a read of ``name`` finds, or None."""
        plain = self._plain(name)
        if plain is None:
            return None
        return next((folder / plain for folder in self._folders if (folder / plain).is_file()), None)

    def open(self, name: str, mode: int) -> tuple[int, int]:
        """``trap_FS_FOpenFile``: (descriptor, length); (0, -1) on failure, length 0 for a new file."""
        handle: BinaryIO
        try:
            if mode == FS_READ:
                found = self.search(name)
                if found is None:
                    return 0, -1
                handle = found.open("rb")
                length = found.stat().st_size
            else:
                plain = self._plain(name)
                if plain is None:
                    return 0, -1
                target = self.home / plain
                target.parent.mkdir(parents=True, exist_ok=True)
                handle = target.open("wb" if mode == FS_WRITE else "ab", buffering=0)
                length = 0
        except OSError:
            return 0, -1
        descriptor = next(n for n in range(1, 65536) if n not in self._open)
        self._open[descriptor] = handle
        return descriptor, length

    def read(self, descriptor: int, count: int) -> str:
        """``trap_FS_Read``: up to ``count`` bytes, cut at the first NUL."""
        handle = self._open.get(descriptor)
        if handle is None or not handle.readable():
            return ""
        return handle.read(max(0, count)).decode("latin-1").partition("\0")[0]

    def write(self, data: str, count: int, descriptor: int) -> int:
        """``trap_FS_Write``: the number of bytes written, 0 for an unknown descriptor."""
        handle = self._open.get(descriptor)
        if handle is None or not handle.writable():
            return 0
        return handle.write(data.encode("latin-1")[: max(0, count)])

    def close(self, descriptor: int) -> None:
        """``trap_FS_FCloseFile``."""
        handle = self._open.pop(descriptor, None)
        if handle is not None:
            handle.close()

    def close_all(self) -> None:
        """Close what scripts left open, at the end of their VM."""
        for descriptor in list(self._open):
            self.close(descriptor)

    def rename(self, old: str, new: str) -> None:
        """``trap_FS_Rename`` inside the homepath's mod folder; a failure stays silent, as in the engine."""
        source, target = self._plain(old), self._plain(new)
        if source and target and (self.home / source).is_file():
            (self.home / target).parent.mkdir(parents=True, exist_ok=True)
            (self.home / source).replace(self.home / target)

    def listing(self, folder: str, extension: str) -> list[str]:
        """``trap_FS_GetFileList``: names in all search folders with the extension, sorted."""
        plain = self._plain(folder)
        if plain is None:
            return []
        names: set[str] = set()
        for root in self._folders:
            if (root / plain).is_dir():
                names |= {entry.name for entry in (root / plain).iterdir() if entry.name.endswith(extension)}
        return sorted(names)
