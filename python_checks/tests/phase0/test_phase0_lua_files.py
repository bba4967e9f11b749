"""The pure part of the Lua inventory: what a file says of itself, what configurations say, and which copy wins."""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
from pathlib import Path

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import lua_files, quake
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "modname"),
    [
        ('function et_InitGame() et.RegisterModname("c0rnp0rn3") end', "c0rnp0rn3"),
        ("et.RegisterModname( 'team-lock' )", "team-lock"),
        (
            'local modname = "webhook"\nlocal version = "1.6.0"\net.RegisterModname(modname .. " " .. version)',
            "webhook",
        ),
        ('-- et.RegisterModname("old")\net.RegisterModname("new")', "new"),
        ("et.RegisterModname(name())", None),
        ("print('nothing')", None),
    ],
)
def test_declared_modname(text: str, modname: str | None) -> None:
    assert lua_files.declared_modname(text) == modname


def test_declared_versions_are_all_shown() -> None:
    text = 'local version = "3.0"\n\nlocal SCRIPT_VERSION = \'1.6.2\'\nlocal inversion_count = 4\nlocal x = "9"\nversion = 2.5\n'
    assert [(v["name"], v["value"], v["line"]) for v in lua_files.declared_versions(text)] == [
        ("version", "3.0", 1), ("SCRIPT_VERSION", "1.6.2", 3), ("inversion_count", "4", 4), ("version", "2.5", 6),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "modules"),
    [
        ("luascripts/team-lock c0rnp0rn7.lua", ["luascripts/team-lock.lua", "c0rnp0rn7.lua"]),
        ("a,b;c  d.lua", ["a.lua", "b.lua", "c.lua", "d.lua"]),
        ("luascripts\\x^7", ["luascripts/x.lua"]),
        ("", []),
        (" ;, ", []),
    ],
)
def test_split_modules(value: str, modules: list[str]) -> None:
    assert lua_files.split_modules(value) == modules


@given(
    names=st.lists(st.text("abz09_-/", min_size=1, max_size=8), max_size=6),
    separator=st.sampled_from([" ", ",", ";", " ; "]),
)
def test_splitting_is_the_reverse_of_joining(names: list[str], separator: str) -> None:
    assert lua_files.split_modules(separator.join(names)) == [f"{name}.lua" for name in names]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('set lua_modules "a.lua b.lua"', ["a.lua b.lua"]),
        ('setl lua_modules "a"\n', ["a"]),
        ('seta "lua_modules" "a"', ["a"]),
        ("lua_modules a.lua // comment", ["a.lua"]),
        ('// set lua_modules "a"', []),
        ('set lua_modules ""', [""]),
        ('set lua_allowedModules "x"\nset xlua_modules "y"', []),
        ('set lua_modules "a"\nset lua_modules "b"', ["a", "b"]),
        ('set LUA_MODULES "a"', ["a"]),
        ('set g_luaModuleList "list.txt"', ["list.txt"]),
    ],
)
def test_configured_modules(text: str, values: list[str]) -> None:
    assert [s["value"] for s in lua_files.configured_modules(text)] == values


def test_configured_modules_name_their_line() -> None:
    assert lua_files.configured_modules('// x\n\nset lua_modules "a"')[0]["line"] == 3


class Tree:
    """The plan's folders in a temporary place."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.install = folder / "install"
        for place in (self.home, self.install):
            (place / "legacy" / "luascripts").mkdir(parents=True)

    def put(self, root: str, name: str, text: str = "-- lua\n", game: str = "legacy") -> Path:
        path = getattr(self, root) / game / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def pk3(self, root: str, archive: str, **entries: str) -> Path:
        path: Path = getattr(self, root) / "legacy" / archive
        with zipfile.ZipFile(path, "w") as made:
            for name, text in entries.items():
                made.writestr(name.replace("__", "/") + ".lua", text)
        return path

    def scan(self) -> tuple[dict[str, list[lua_files.LuaFile]], list[str]]:
        files, problems = lua_files.scan(str(self.home), str(self.install), "legacy")
        by_name: dict[str, list[lua_files.LuaFile]] = {}
        for file in files:
            by_name.setdefault(file.name, []).append(file)
        return by_name, problems


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_both_folders_and_both_levels_are_seen(tree: Tree) -> None:
    """The plan's grep looks at luascripts/ of the install dir only."""
    tree.put("install", "c0rnp0rn7.lua")
    tree.put("install", "luascripts/x.lua")
    tree.put("home", "luascripts/y.lua")
    tree.put("install", "notes.txt")
    found, problems = tree.scan()
    assert sorted(found) == ["c0rnp0rn7.lua", "luascripts/x.lua", "luascripts/y.lua"] and problems == []


def test_the_homepath_copy_wins(tree: Tree) -> None:
    home = tree.put("home", "luascripts/w.lua", "return 1")
    base = tree.put("install", "luascripts/w.lua", "return 2")
    copies = tree.scan()[0]["luascripts/w.lua"]
    assert [(c.path, c.root, c.shadowed_by) for c in copies] == [
        (str(home), "homepath", None), (str(base), "basepath", str(home)),
    ]  # fmt: skip
    assert copies[0].sha1 == hashlib.sha1(b"return 1").hexdigest()
    assert copies[1].sha256 == hashlib.sha256(b"return 2").hexdigest()


def test_the_mod_wins_over_etmain_even_from_the_basepath(tree: Tree) -> None:
    tree.put("home", "a.lua", game="etmain")
    tree.put("install", "a.lua")
    copies = tree.scan()[0]["a.lua"]
    assert [(c.root, c.game_dir, c.shadowed_by is None) for c in copies] == [
        ("basepath", "legacy", True), ("homepath", "etmain", False),
    ]  # fmt: skip


def test_lua_in_a_pk3_is_listed_and_a_tie_is_unsure(tree: Tree) -> None:
    tree.put("install", "a.lua", "loose")
    archive = tree.pk3("install", "z_mod.pk3", a="packed", luascripts__b="alone")
    found, _ = tree.scan()
    assert [(c.container, c.order_unsure) for c in found["a.lua"]] == [(None, True), (str(archive), True)]
    assert found["luascripts/b.lua"][0].order_unsure is False


def test_a_broken_archive_is_a_problem_and_no_crash(tree: Tree) -> None:
    (tree.install / "legacy" / "bad.pk3").write_bytes(b"PK\x03\x04 cut")
    assert "bad.pk3" in tree.scan()[1][0]


def row(name: str, text: str) -> quake.LuaModule:
    return quake.LuaModule(0, "m", hashlib.sha1(text.encode()).hexdigest().upper(), name)


def test_a_signature_proves_what_is_loaded(tree: Tree) -> None:
    tree.put("home", "luascripts/w.lua", "home")
    tree.put("install", "luascripts/w.lua", "base")
    tree.put("install", "a.lua", "a")
    files, _ = lua_files.scan(str(tree.home), str(tree.install), "legacy")
    strangers = lua_files.mark_loaded(files, [row("luascripts/w.lua", "home")], None, None)
    assert [(f.name, f.root, f.loaded, f.loaded_proof) for f in files] == [
        ("luascripts/w.lua", "homepath", True, "lua_status"),
        ("a.lua", "basepath", False, None),
        ("luascripts/w.lua", "basepath", False, None),
    ]
    assert strangers == []


def test_a_file_changed_after_the_load_is_not_what_runs(tree: Tree) -> None:
    tree.put("install", "w.lua", "new")
    files, _ = lua_files.scan(str(tree.home), str(tree.install), "legacy")
    strangers = lua_files.mark_loaded(files, [row("w.lua", "old")], ["w.lua"], None)
    assert files[0].loaded is False and "changed after the load" in files[0].reasons[0]
    assert strangers == [{"name": "w.lua", "modname": "m", "sha1": hashlib.sha1(b"old").hexdigest()}]


def after(files: list[lua_files.LuaFile]) -> float:
    """A load in the second after the last of these files came."""
    return max(file.changed_unix for file in files) + 1


def test_the_console_says_which_name_was_loaded(tree: Tree) -> None:
    tree.put("home", "w.lua", "home")
    tree.put("install", "w.lua", "base")
    tree.put("install", "other.lua")
    files, _ = lua_files.scan(str(tree.home), str(tree.install), "legacy")
    assert lua_files.mark_loaded(files, None, ["w.lua", "ghost.lua"], after(files)) == [
        {"name": "ghost.lua", "modname": "", "sha1": ""}
    ]
    assert {(f.name, f.root): f.loaded for f in files} == {
        ("w.lua", "homepath"): True, ("w.lua", "basepath"): False, ("other.lua", "basepath"): False,
    }  # fmt: skip


@pytest.mark.parametrize("late", ["written in the second of the load", "the load has no time"])
def test_the_console_proves_no_bytes_that_came_after_its_load(tree: Tree, late: str) -> None:
    """The copy below may be the one that was read, so it is not known either; a module of another name is."""
    for place, name in (("install", "w.lua"), ("install", "other.lua"), ("home", "w.lua")):
        time.sleep(0.02)
        tree.put(place, name, place)
    files, _ = lua_files.scan(str(tree.home), str(tree.install), "legacy")
    by_place = {(f.name, f.root): f for f in files}
    above, below, other = (
        by_place[k] for k in (("w.lua", "homepath"), ("w.lua", "basepath"), ("other.lua", "basepath"))
    )
    known = late != "the load has no time"
    lua_files.mark_loaded(files, None, ["w.lua", "other.lua"], above.changed_unix if known else None)
    assert (above.loaded, below.loaded, other.loaded) == (None, None, True if known else None)
    assert ("written after the load" if known else "does not say when") in below.reasons[0]
    assert above.loaded_proof is None


def test_a_copy_that_kept_its_old_time_still_came_after_the_load(tree: Tree) -> None:
    """scp -p and cp -p keep the mtime; only the time at which it came to lie here tells."""
    tree.put("install", "w.lua", "new")
    path = tree.install / "legacy" / "w.lua"
    os.utime(path, (1, 1))
    files, _ = lua_files.scan(str(tree.home), str(tree.install), "legacy")
    lua_files.mark_loaded(files, None, ["w.lua"], time.time() - 3600)
    assert (files[0].mtime_unix, files[0].loaded) == (1, None)


def test_with_neither_proof_nothing_is_claimed(tree: Tree) -> None:
    tree.put("install", "w.lua")
    files, _ = lua_files.scan(str(tree.home), str(tree.install), "legacy")
    lua_files.mark_loaded(files, None, None, None)
    assert files[0].loaded is None


def test_the_console_cannot_tell_a_pk3_from_a_loose_file(tree: Tree) -> None:
    tree.put("install", "a.lua", "loose")
    tree.pk3("install", "z.pk3", a="packed")
    files, _ = lua_files.scan(str(tree.home), str(tree.install), "legacy")
    lua_files.mark_loaded(files, None, ["a.lua"], after(files))
    assert [f.loaded for f in files] == [None, None]
    lua_files.mark_loaded(files, [row("a.lua", "packed")], None, None)
    assert [f.loaded for f in files] == [False, True]


CONSOLE = """\
Lua 5.4 API: ^$file 'old.lua' loaded into Lua VM
------- Game Initialization -------
Lua 5.4 API: ^$file 'a.lua' loaded into Lua VM
Lua 5.4 API: ^$file 'b.lua' loaded into Lua VM
Lua 5.4 API: ^$Lua VM start failed ( b.lua )
Lua 5.4 API: ^$file 'c.lua' loaded into Lua VM
"""


def test_loaded_since_init() -> None:
    lines = CONSOLE.splitlines()
    assert lua_files.loaded_since_init(lines) == ["a.lua", "c.lua"]
    assert lua_files.loaded_since_init(lines[:1]) is None
    unloaded = f"Lua 5.4 API: ^$Lua module [a.lua] [{'A' * 40}] unloaded."
    assert lua_files.loaded_since_init([*lines, unloaded]) == ["c.lua"]
    assert lua_files.loaded_since_init([*lines, unloaded, lines[2]]) == ["c.lua", "a.lua"]


def test_the_tail_of_a_console_starts_at_a_whole_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("first line\nsecond\nthird\n")
    assert lua_files.read_tail(str(log), 100) == (["first line", "second", "third"], True)
    assert lua_files.read_tail(str(log), 9) == (["third"], False)


def test_disagreements() -> None:
    assert lua_files.disagreements({"cfg": ["a.lua"], "rcon": None}) == []
    assert lua_files.disagreements({"cfg": ["a.lua"], "rcon": ["a.lua"]}) == []
    assert lua_files.disagreements({"cfg": ["a.lua"], "rcon": ["a.lua", "b.lua"]}) == [
        "cfg says a.lua, rcon says a.lua b.lua"
    ]
