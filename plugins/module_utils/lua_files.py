"""Every Lua file that the game could run: where it lies, what it says of itself, which copy wins, and what the running
server holds.

Facts: the engine searches fs_homepath before fs_basepath, in each the mod folder before ``etmain`` (domain.md 1.1);
names in ``lua_modules`` are relative to the game folder, split on space, comma and semicolon, ``.lua`` is added, and a
file named by ``g_luaModuleList`` wins over it (engine.md); version strings lie, so checksums decide (domain.md 10.5).
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.slomix.timetracking.plugins.module_utils import console, quake

FILE_LIMIT_BYTES = 1024 * 1024
"""The engine refuses a Lua file above this size."""
BASE_GAME = "etmain"

_MODNAME_CALL = re.compile(r"""\bRegisterModname\s*\(\s*(?:(["'])(.*?)\1|([A-Za-z_][\w.]*))""")
_VERSION = re.compile(r"""^[ \t]*(?:local[ \t]+)?([A-Za-z_][\w.]*)[ \t]*=[ \t]*(?:(["'])(.*?)\2|([\d.]+))""", re.M)
_ANY_VERSION_NAME = re.compile(r"version", re.I)
_LUA_MODULES_LINE = re.compile(
    r"""^\s*(?:(?:set[aus]?|setl)\s+)?"?(lua_modules|g_luaModuleList)"?\s+(?:"([^"]*)"|([^"\s;/][^\r\n;]*?))\s*(?://.*)?$""",
    re.I | re.M,
)
_STATS_FOLDER = re.compile(r"""["'][^"'\n]*gamestats""")
_ROUND_FILE = re.compile(r"""["'][^"'\n]*-round-""")
_SIBLING = re.compile(r"""(endstats|engagements)(\.txt)?["']""")


@dataclass
class LuaFile:
    """One Lua file. ``name`` is how the engine would call it; ``rank`` its place in the search order (0 wins)."""

    name: str
    path: str
    root: str
    game_dir: str
    rank: int
    size: int
    mtime_unix: float
    changed_unix: float
    """When it came to lie here as it is (ctime): a copy may keep the mtime of its original."""
    sha1: str
    sha256: str
    modname: Optional[str]
    versions: List[Dict[str, Any]]
    container: Optional[str] = None
    writes_stats: Optional[bool] = None
    """Whether its text says that it writes round files into the stats folder; a claim of the file, as the versions."""
    shadowed_by: Optional[str] = None
    order_unsure: bool = False
    """A loose file and a pk3 entry of the same name: their order is not established, so only a signature can tell
    which one runs."""
    in_lua_modules: Optional[bool] = None
    loaded: Optional[bool] = None
    loaded_proof: Optional[str] = None
    reasons: List[str] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        """The row of the inventory."""
        return {**self.__dict__, "shadowed": self.shadowed_by is not None}


def split_modules(value: str) -> List[str]:
    """The files that a ``lua_modules`` value names, in order, with ``.lua`` and forward slashes, without colours."""
    words = re.split(r"[ ,;\t\r\n]+", quake.strip_colours(value).strip())
    return [with_suffix(word) for word in words if word]


def with_suffix(name: str) -> str:
    """The engine's file name of a module: forward slashes, ``.lua`` at the end."""
    name = name.replace("\\", "/")
    return name if name.endswith(".lua") else name + ".lua"


def declared_modname(text: str) -> Optional[str]:
    """The argument of ``RegisterModname``: a literal, or a variable's literal when the file assigns one; None when
    neither is found."""
    match = _MODNAME_CALL.search(_without_comments(text))
    if match is None:
        return None
    if match.group(3) is None:
        return match.group(2)
    wanted = match.group(3)
    for assignment in _VERSION.finditer(text):
        if assignment.group(1) == wanted:
            return assignment.group(3) or assignment.group(4)
    return None


def declared_versions(text: str) -> List[Dict[str, Any]]:
    """Every top-level looking ``*version* = literal``: ``[{name, value, line}]``. They are claims of the file, not
    facts."""
    found = []
    for match in _VERSION.finditer(text):
        if _ANY_VERSION_NAME.search(match.group(1)):
            value = match.group(3) if match.group(3) is not None else match.group(4)
            found.append({"name": match.group(1), "value": value, "line": text.count("\n", 0, match.start()) + 1})
    return found


def declared_writer(text: str) -> bool:
    """Whether the text names the stats folder and a round file in literals, and none of the files that lie there too
    (awards, engagements)."""
    code = _without_comments(text)
    return all(one.search(code) for one in (_STATS_FOLDER, _ROUND_FILE)) and not _SIBLING.search(code)


def _without_comments(text: str) -> str:
    """Drop line comments; good enough to find a call (a ``--`` inside a literal only cuts that line short)."""
    return re.sub(r"--(?!\[\[).*", "", text)


def configured_modules(text: str) -> List[Dict[str, Any]]:
    """Settings of ``lua_modules`` and ``g_luaModuleList`` in one cfg text: ``[{cvar, value, line}]``; commented lines
    are no settings."""
    found = []
    for match in _LUA_MODULES_LINE.finditer(text):
        value = match.group(2) if match.group(2) is not None else match.group(3)
        line = text.count("\n", 0, match.start(1)) + 1
        found.append({"cvar": match.group(1), "value": value.strip(), "line": line})
    return found


def search_order(home_dir: str, install_dir: str, mod: str) -> List[Tuple[str, str, str]]:
    """``[(root, game_dir, folder)]`` in the engine's order: homepath before basepath within the mod, then the same for
    etmain."""
    roots = (("homepath", home_dir), ("basepath", install_dir))
    return [(root, game, os.path.join(base, game)) for game in (mod, BASE_GAME) for root, base in roots]


def scan(home_dir: str, install_dir: str, mod: str) -> Tuple[List[LuaFile], List[str]]:
    """All Lua files (loose and in pk3), and what could not be read (folder, file or archive), each a sentence."""
    files: List[LuaFile] = []
    problems: List[str] = []
    for rank, (root, game, folder) in enumerate(search_order(home_dir, install_dir, mod)):
        if not os.path.isdir(folder):
            continue
        for path in _files_below(folder, problems):
            relative = os.path.relpath(path, folder).replace(os.sep, "/")
            if relative.endswith(".lua"):
                _add_loose(files, problems, path, relative, root, game, rank)
            elif relative.endswith(".pk3") and "/" not in relative:
                _add_archive(files, problems, path, root, game, rank)
    mark_shadows(files)
    return files, problems


def _files_below(folder: str, problems: List[str]) -> List[str]:
    found: List[str] = []

    def note(error: OSError) -> None:
        problems.append(f"{error.filename}: {error.strerror}")

    for here, folders, names in os.walk(folder, onerror=note, followlinks=False):
        folders.sort()
        found.extend(os.path.join(here, name) for name in sorted(names))
    return found


def _add_loose(
    files: List[LuaFile], problems: List[str], path: str, name: str, root: str, game: str, rank: int
) -> None:
    try:
        with open(path, "rb") as handle:
            content = handle.read()
        info = os.stat(path)
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
        return
    files.append(_lua_file(name, path, root, game, rank, content, info, None))


def _add_archive(files: List[LuaFile], problems: List[str], path: str, root: str, game: str, rank: int) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            info = os.stat(path)
            for entry in archive.infolist():
                if entry.filename.endswith(".lua"):
                    content = archive.read(entry)
                    files.append(_lua_file(entry.filename, path, root, game, rank, content, info, path))
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        problems.append(f"{path}: not readable as pk3 ({error})")


def _lua_file(
    name: str,
    path: str,
    root: str,
    game: str,
    rank: int,
    content: bytes,
    info: os.stat_result,
    container: Optional[str],
) -> LuaFile:
    text = content.decode("utf-8", "replace")
    reasons = [f"above the engine's limit of {FILE_LIMIT_BYTES} bytes"] if len(content) > FILE_LIMIT_BYTES else []
    return LuaFile(
        name=name,
        path=path,
        root=root,
        game_dir=game,
        rank=rank,
        size=len(content),
        mtime_unix=info.st_mtime,
        changed_unix=info.st_ctime,
        # The engine's own signature is SHA-1 (lua_status, lua_allowedModules); SHA-256 names releases.
        sha1=hashlib.sha1(content).hexdigest(),
        sha256=hashlib.sha256(content).hexdigest(),
        modname=declared_modname(text),
        versions=declared_versions(text),
        writes_stats=declared_writer(text),
        container=container,
        reasons=reasons,
    )


def mark_shadows(files: Sequence[LuaFile]) -> None:
    """Fill ``shadowed_by`` (the winning copy of the same name) and ``order_unsure``."""
    by_name: Dict[str, List[LuaFile]] = {}
    for file in files:
        by_name.setdefault(file.name, []).append(file)
    for copies in by_name.values():
        best = min(copy.rank for copy in copies)
        first = [copy for copy in copies if copy.rank == best]
        unsure = len(first) > 1
        for copy in copies:
            if copy.rank == best:
                copy.order_unsure = unsure
                if unsure:
                    copy.reasons.append(
                        "a pk3 and a loose file of this name lie in one folder; only lua_status tells which runs"
                    )
            else:
                copy.shadowed_by = first[0].path


def mark_configured(files: Sequence[LuaFile], modules: Optional[Sequence[str]]) -> List[str]:
    """Fill ``in_lua_modules`` (None when the value is unknown); returns the named modules that no file provides."""
    for file in files:
        file.in_lua_modules = (
            None if modules is None else any(console.same_file(file.name, module) for module in modules)
        )
    return [m for m in modules or [] if not any(console.same_file(m, file.name) for file in files)]


def mark_loaded(
    files: Sequence[LuaFile],
    status: Optional[Sequence[quake.LuaModule]],
    console_loaded: Optional[Sequence[str]],
    loaded_at_unix: Optional[float],
) -> List[Dict[str, str]]:
    """Fill ``loaded`` and ``loaded_proof``; returns loaded modules whose bytes match no file here.

    ``status`` (rows of lua_status) is proof by SHA-1 and wins. ``console_loaded`` (names since the last game init) can
    only say which name was loaded: the winning copy is taken for it, unless two copies could be meant, or it came at or
    after ``loaded_at_unix`` (that init's time, None: not known), for then other bytes may run. With neither, ``loaded``
    stays None.
    """
    strangers: List[Dict[str, str]] = []
    if status is not None:
        for file in files:
            rows = [row for row in status if console.same_file(row.filename, file.name)]
            hit = any(row.signature.lower() == file.sha1 for row in rows)
            # A shadowed copy with the same bytes is not the one that was read.
            file.loaded = hit and file.shadowed_by is None
            file.loaded_proof = "lua_status" if file.loaded else None
            if rows and not hit and file.shadowed_by is None:
                file.reasons.append("the server runs other bytes under this name: the file changed after the load")
        for row in status:
            if not any(f.loaded and console.same_file(row.filename, f.name) for f in files):
                strangers.append({"name": row.filename, "modname": row.modname, "sha1": row.signature.lower()})
        return strangers
    if console_loaded is None:
        return strangers
    late = {file.name: why for file in files for why in [_late(file, loaded_at_unix)] if why}
    for file in files:
        if not any(console.same_file(name, file.name) for name in console_loaded):
            file.loaded = False
        elif file.name in late:
            # Before the late copy came, a copy that it shadows now may have been the one that was read.
            file.loaded = None
            file.reasons.append(late[file.name])
        elif file.shadowed_by is not None:
            file.loaded = False
        elif file.order_unsure:
            file.loaded = None
        else:
            file.loaded, file.loaded_proof = True, "console"
    for name in console_loaded:
        if not any(console.same_file(name, file.name) for file in files):
            strangers.append({"name": name, "modname": "", "sha1": ""})
    return strangers


def _late(file: LuaFile, loaded_at_unix: Optional[float]) -> str:
    """Why the console's load of this name may have read other bytes than the winning copy's; empty when it read these."""
    if file.shadowed_by is not None:
        return ""
    if loaded_at_unix is None:
        return "the console does not say when its newest load was, so these bytes may have come after it"
    # The console's time is in whole seconds: within that second the order is not known.
    if file.changed_unix >= loaded_at_unix:
        return f"{file.path} was written after the load: other bytes may run until the next map load"
    return ""


def disagreements(sources: Mapping[str, Optional[Sequence[str]]]) -> List[str]:
    """Sentences about the pairs of known sources of ``lua_modules`` (source to modules, None: not known) that differ."""
    known = [(name, list(value)) for name, value in sources.items() if value is not None]
    found = []
    for index, (left, left_value) in enumerate(known):
        for right, right_value in known[index + 1 :]:
            if left_value != right_value:
                found.append(
                    f"{left} says {' '.join(left_value) or 'nothing'}, {right} says "
                    f"{' '.join(right_value) or 'nothing'}"
                )
    return found


def loaded_since_init(lines: Iterable[str]) -> Optional[List[str]]:
    """The modules that are loaded now by the console: since the newest game init, without those that failed or were
    unloaded again.

    None when the text holds no game init: then nothing is known.
    """
    now: Optional[List[str]] = None
    for event in console.events(lines):
        if event.kind == console.INIT:
            now = []
        elif now is not None and event.kind == console.LOADED:
            now.append(event.file)
        elif now is not None and event.kind in (console.UNLOADED, console.START_FAILED):
            now = [name for name in now if not console.same_file(name, event.file)]
    return now


def read_tail(path: str, limit_bytes: int) -> Tuple[List[str], bool]:
    """The last whole lines of a file, at most ``limit_bytes``, and whether that is the whole file. Raises OSError."""
    with open(path, "rb") as handle:
        size = handle.seek(0, os.SEEK_END)
        start = max(0, size - limit_bytes)
        handle.seek(start)
        content = handle.read()
    if start:
        content = content.partition(b"\n")[2]
    return content.decode("utf-8", "replace").splitlines(), start == 0


def cfg_files(home_dir: str, install_dir: str, mod: str) -> List[str]:
    """The server's ``*.cfg`` and ``*.config`` files, in the game folders and their ``configs`` folders."""
    found: List[str] = []
    for _root, _game, folder in search_order(home_dir, install_dir, mod):
        for place in (folder, os.path.join(folder, "configs")):
            try:
                names: Iterable[str] = sorted(os.listdir(place))
            except OSError:
                continue
            found.extend(os.path.join(place, name) for name in names if name.endswith((".cfg", ".config")))
    return found
