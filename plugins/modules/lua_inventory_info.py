#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""List every Lua file that a game server could run, and which of them it does run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lua_inventory_info
short_description: List every Lua file that a game server could run
version_added: 0.1.0
extends_documentation_fragment: [slomix.timetracking.game_server]
author: [the etl-timetracking-rollout contributors]
description:
  - Walks homepath and basepath in the engine's search order, loose files and pk3 archives, and gives for each Lua file
    its checksums, the name and version it declares, whether another copy shadows it, whether C(lua_modules) names it,
    and whether it is loaded.
  - Loaded is proven by the SHA-1 signatures of C(lua_status) over rcon; without rcon the console log since the last
    game init says which names were loaded, and a file that was written after that load is unknown. With neither it stays
    unknown, never V(false).
  - C(lua_modules) is read from the configuration files and from the running server; that they disagree is reported,
    since a competition configuration may override the static one.
  - Declared versions are claims of the file. Two files with one version and different checksums are different files.
options:
  home_dir:
    description: fs_homepath, searched first.
    type: path
    required: true
  install_dir:
    description: fs_basepath.
    type: path
    required: true
  mod:
    description: The mod's folder name.
    type: str
    default: legacy
  console_log:
    description: The server's console log; C(etconsole.log) in the homepath's mod folder when left out.
    type: path
  rcon_password_file:
    description: File on this host that holds the rcon password in its first line. Without it the running server is not asked.
    type: path
  releases_dir:
    description: >-
      Folder with the manifests that C(lua_release) keeps. Loaded bytes that are a release recorded there are superseded
      (replaced on disk, running until the next map load), not strangers.
    type: path
attributes:
  check_mode:
    support: full
    description: Only reads, and reads under check mode too.
"""

EXAMPLES = r"""
- name: List the Lua files
  slomix.timetracking.lua_inventory_info:
    home_dir: /home/et/.etlegacy
    install_dir: /home/et/etlegacy-v2.83.1-x86_64
    rcon_password_file: /home/et/.rollout/rcon_password
"""

RETURN = r"""
files:
  description: >-
    One row per Lua file: name, path, root, game_dir, rank, container, size, mtime_unix, changed_unix, sha1, sha256, modname,
    versions, writes_stats, shadowed,
    shadowed_by, order_unsure, in_lua_modules, loaded, loaded_proof, reasons.
  type: list
  elements: dict
  returned: always
lua_modules:
  description: >-
    modules (null when not known), source (rcon, cfg or null), settings (every setting found in a cfg with file and line), agree,
    disagreements, missing (named modules without a file).
  type: dict
  returned: always
server:
  description: state (answered, not_asked, refused, no_answer, unreadable), reason, interpreter as the console names it.
  type: dict
  returned: always
strangers:
  description: Loaded modules whose bytes match no file here.
  type: list
  elements: dict
  returned: always
superseded:
  description: Loaded modules whose bytes are a recorded release that was replaced on disk; they run until the next map load.
  type: list
  elements: dict
  returned: always
problems:
  description: What could not be read, each with its path.
  type: list
  elements: str
  returned: always
summary:
  description: >-
    Counts of files, shadowed, loaded, loaded_unknown, in_lua_modules, missing_modules, strangers, superseded, problems.
  type: dict
  returned: always
"""

import glob
import json
import os
from typing import Any, Dict, List, Optional, Set, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import console, lua_files, quake
from ansible_collections.slomix.timetracking.plugins.module_utils.release import manifest_from_data

CONSOLE_STEPS_BYTES = (1 << 20, 8 << 20, 64 << 20)
"""The console is never truncated, so it is read from its end, in growing pieces until a game init is in sight."""
ASKS = 2


class Server:
    """What the running server says over rcon; None where it said nothing that can be used."""

    def __init__(self, params: Dict[str, Any]) -> None:
        self.modules: Optional[List[str]] = None
        self.list_file: Optional[str] = None
        self.status: Optional[List[quake.LuaModule]] = None
        self.state, self.reason = "not_asked", "no rcon_password_file given"
        if params["rcon_password_file"]:
            self._ask(params)

    def _ask(self, params: Dict[str, Any]) -> None:
        try:
            password = quake.read_password(params["rcon_password_file"])
        except quake.QuakeError as error:
            self.state, self.reason = "unreadable", str(error)
            return

        def ask(command: str) -> str:
            # Both commands only print, so asking again after a lost datagram is safe.
            for attempt in range(ASKS):
                try:
                    return quake.rcon(params["host"], params["port"], password, command, params["timeout_s"])
                except quake.NoAnswer:
                    if attempt == ASKS - 1:
                        raise
            raise quake.NoAnswer(command)

        try:
            value = quake.parse_cvar(ask("lua_modules"), "lua_modules")
            self.modules = lua_files.split_modules(value) if value is not None else None
            self.list_file = quake.parse_cvar(ask("g_luaModuleList"), "g_luaModuleList") or None
            self.status = quake.parse_lua_status(ask("lua_status"))
            self.state, self.reason = "answered", ""
        except quake.RconRefused as error:
            self.state, self.reason = "refused", str(error)
        except quake.NoAnswer as error:
            self.state, self.reason = "no_answer", str(error)
        except quake.QuakeError as error:
            self.state, self.reason = "unreadable", str(error)


def from_console(path: str, problems: List[str]) -> Tuple[Optional[List[str]], Optional[int], str]:
    """(modules loaded since the last game init or None, that init's unix seconds or None, the interpreter's name or
    empty)."""
    loaded, loaded_at_unix, interpreter = None, None, ""
    try:
        for limit in CONSOLE_STEPS_BYTES:
            lines, whole = lua_files.read_tail(path, limit)
            loaded, interpreter = lua_files.loaded_since_init(lines), console.interpreter(lines)
            newest = console.last_init(lines)
            loaded_at_unix = console.gametime_unix(newest.gametime) if newest else None
            if loaded is not None or whole:
                break
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
    return loaded, loaded_at_unix, interpreter


def from_cfg(params: Dict[str, Any], problems: List[str]) -> List[Dict[str, Any]]:
    """Every setting of lua_modules in the configuration files, in search order."""
    found: List[Dict[str, Any]] = []
    for path in lua_files.cfg_files(params["home_dir"], params["install_dir"], params["mod"]):
        try:
            with open(path, encoding="utf-8", errors="replace") as handle:
                text = handle.read()
        except OSError as error:
            problems.append(f"{path}: {error.strerror}")
            continue
        found.extend({"file": path, **setting} for setting in lua_files.configured_modules(text))
    return found


def wanted_modules(
    server: Server, settings: List[Dict[str, Any]], params: Dict[str, Any], problems: List[str]
) -> Dict[str, Any]:
    """What lua_modules is, where that is known from, and who says otherwise. The running server beats the files."""
    sources: Dict[str, Optional[List[str]]] = {"the running server": server.modules}
    for setting in settings:
        if setting["cvar"].lower() == "lua_modules":
            # A later line of one file overrides an earlier one.
            sources[setting["file"]] = lua_files.split_modules(setting["value"])
    if server.list_file:
        sources["the running server"] = read_list_file(server.list_file, params, problems)
    different = lua_files.disagreements(sources)
    modules, source = sources["the running server"], "rcon" if sources["the running server"] is not None else None
    from_files = [value for name, value in sources.items() if name != "the running server" and value is not None]
    if modules is None and from_files and not different:
        modules, source = from_files[0], "cfg"
    known = len([value for value in sources.values() if value is not None])
    return {
        "modules": modules,
        "source": source,
        "settings": settings,
        "list_file": server.list_file,
        "agree": not different if known > 1 else None,
        "disagreements": different,
    }


def read_list_file(name: str, params: Dict[str, Any], problems: List[str]) -> Optional[List[str]]:
    """The modules named in the file that g_luaModuleList points to; None when no such file can be read."""
    for _root, _game, folder in lua_files.search_order(params["home_dir"], params["install_dir"], params["mod"]):
        try:
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as handle:
                return lua_files.split_modules(handle.read())
        except OSError:
            continue
    problems.append(f"{name}: named by g_luaModuleList, found in no game folder")
    return None


def recorded_releases(folder: Optional[str], problems: List[str]) -> Set[str]:
    """SHA-1 of every release whose manifest lies in ``folder``; empty when there is none yet."""
    found = set()
    for path in glob.glob(os.path.join(folder, "*", "*", "manifest.json")) if folder else []:
        try:
            with open(path, encoding="utf-8") as handle:
                found.add(manifest_from_data(json.load(handle)).file.sha1)
        except (OSError, ValueError) as error:
            problems.append(f"{path}: {error}")
    return found


def main() -> None:
    """Module entry point."""
    module = AnsibleModule(
        argument_spec={
            "home_dir": {"type": "path", "required": True},
            "install_dir": {"type": "path", "required": True},
            "mod": {"type": "str", "default": "legacy"},
            "console_log": {"type": "path"},
            "host": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 27960},
            # The path of a secret is no secret; named so that Ansible does not warn.
            "rcon_password_file": {"type": "path", "no_log": False},
            "timeout_s": {"type": "float", "default": 2.0},
            "releases_dir": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = module.params
    order = lua_files.search_order(params["home_dir"], params["install_dir"], params["mod"])
    folders = [folder for _root, _game, folder in order]
    if not any(os.path.isdir(folder) for folder in folders[:2]):
        module.fail_json(
            msg=f"found: neither {folders[0]} nor {folders[1]}; required: the game server's mod folder; "
            f"next: correct game_home_dir, game_install_dir or game_mod in the inventory"
        )
    files, problems = lua_files.scan(params["home_dir"], params["install_dir"], params["mod"])
    server = Server(params)
    log = params["console_log"] or os.path.join(params["home_dir"], params["mod"], "etconsole.log")
    loaded_names, loaded_at_unix, interpreter = from_console(log, problems)
    wanted = wanted_modules(server, from_cfg(params, problems), params, problems)
    wanted["missing"] = lua_files.mark_configured(files, wanted["modules"])
    unmatched = lua_files.mark_loaded(files, server.status, loaded_names, loaded_at_unix)
    released = recorded_releases(params["releases_dir"], problems)
    superseded = [row for row in unmatched if row["sha1"] in released]
    strangers = [row for row in unmatched if row not in superseded]
    module.exit_json(
        changed=False,
        files=[file.as_dict() for file in files],
        lua_modules=wanted,
        server={"state": server.state, "reason": server.reason, "interpreter": interpreter or None},
        strangers=strangers,
        superseded=superseded,
        problems=problems,
        summary={
            "files": len(files),
            "shadowed": sum(file.shadowed_by is not None for file in files),
            "loaded": sum(file.loaded is True for file in files),
            "loaded_unknown": sum(file.loaded is None for file in files),
            "in_lua_modules": sum(file.in_lua_modules is True for file in files),
            "missing_modules": len(wanted["missing"]),
            "strangers": len(strangers),
            "superseded": len(superseded),
            "problems": len(problems),
        },
    )


if __name__ == "__main__":
    main()
