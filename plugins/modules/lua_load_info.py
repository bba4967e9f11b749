#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Prove from outside that the game server loaded a deployed Lua file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lua_load_info
short_description: Prove from outside that the game server loaded a deployed Lua file
version_added: 0.1.0
extends_documentation_fragment: [slomix.timetracking.game_server]
author: [the etl-timetracking-rollout contributors]
description:
  - Reads the console since the cursor that was taken at the deployment, and asks C(lua_status) over rcon.
  - V(loaded) needs both a game init after the deployment that loaded the file, and the server naming the file's SHA-1.
  - V(pending) is no failure, the server reads Lua at the next map load. V(unknown) is never a pass.
options:
  file:
    description: The file as the engine names it, relative to the game folder (luascripts/stats_discord_webhook.lua).
    type: str
    required: true
  sha1:
    description: SHA-1 of the deployed file.
    type: str
    required: true
  console_log:
    description: The server's console.
    type: path
    required: true
  cursor:
    description: The console's cursor right after the deployment; without it the state is V(unknown).
    type: dict
  rcon_password_file:
    description: File on this host with the rcon password. Without it only unload lines on the console prove the bytes.
    type: path
attributes:
  check_mode:
    support: full
    description: Only reads, and reads under check mode too.
"""

EXAMPLES = r"""
- name: Prove the load
  slomix.timetracking.lua_load_info:
    file: luascripts/stats_discord_webhook.lua
    sha1: "{{ __lua_release_seen_result.after.sha1 }}"
    console_log: /home/et/.etlegacy/legacy/etconsole.log
    cursor: "{{ __lua_release_seen_result.deployment.cursor }}"
    rcon_password_file: /home/et/.rollout/rcon_password
"""

RETURN = r"""
state:
  description: loaded, pending, failed or unknown.
  type: str
  returned: always
reason:
  description: What was found.
  type: str
  returned: always
next:
  description: What to do next; empty when loaded.
  type: str
  returned: always
loaded_at_unix:
  description: When the map load began since which the file runs, unix seconds of the server's clock; may be null.
  type: int
  returned: always
loaded_at_local:
  description: The same as the server printed it, as C(YYYY-MM-DD-HHMMSS) of its local time; empty if unknown.
  type: str
  returned: always
utc_offset_s:
  description: The server's local clock minus UTC at that load, in seconds; null if unknown.
  type: int
  returned: always
loaded_map:
  description: The map of that load.
  type: str
  returned: always
load_cursor:
  description: The console's cursor at that load, the start of the window for later log checks.
  type: dict
  returned: always
signature:
  description: The SHA-1 that the server names, upper case.
  type: str
  returned: always
source:
  description: What proves the bytes, lua_status or unload_line.
  type: str
  returned: always
interpreter:
  description: The Lua version that the console names.
  type: str
  returned: always
map_loads:
  description: Game inits since the deployment.
  type: int
  returned: always
window:
  description: How the console's window was found, state, gap and size in bytes.
  type: dict
  returned: always
"""

import datetime
import math
import os
import time
from typing import Any, Dict, List, Optional, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import console, loadproof, logwindow, quake

ASKS = 2
"""A lost datagram makes the table shorter than announced; reading it again has no side effect."""


def ask_modules(params: Dict[str, Any]) -> Tuple[Optional[List[quake.LuaModule]], str]:
    """The running modules, or None and why they are not known."""
    if not params["rcon_password_file"]:
        return None, "no rcon password file was named"
    problem = ""
    for _ in range(ASKS):
        try:
            password = quake.read_password(params["rcon_password_file"])
            answer = quake.rcon(params["host"], params["port"], password, "lua_status", params["timeout_s"])
            return quake.parse_lua_status(answer), ""
        except quake.QuakeError as error:
            problem = str(error)
    return None, problem


def written_s_ago(path: str) -> float:
    """Seconds since the console was written; infinite when there is none."""
    try:
        return time.time() - os.stat(path).st_mtime
    except OSError:
        return math.inf


def run(params: Dict[str, Any]) -> Dict[str, Any]:
    """Read the window, ask the server, judge."""
    if params["cursor"] is None:
        window = logwindow.Window(logwindow.MISSING, True)
    else:
        window = logwindow.open_window(params["console_log"], params["cursor"])
    inits, places, over = loadproof.read_inits(window)
    # Asked after the window was read: what the console was given since then makes it only younger.
    loading = not over and written_s_ago(params["console_log"]) < loadproof.LOADING_S
    running, problem = ask_modules(params)
    proof = loadproof.prove(inits, params["file"], params["sha1"], running, problem, loading)
    if params["cursor"] is None or window.state == logwindow.MISSING:
        why = "no deployment is recorded" if params["cursor"] is None else f"there is no {params['console_log']}"
        proof = loadproof.Proof(loadproof.UNKNOWN, why, "deploy first, and name the console that the server writes")
    result: Dict[str, Any] = {
        "changed": False,
        "state": proof.state,
        "reason": proof.reason,
        "next": proof.next,
        "loaded_at_unix": None,
        "loaded_at_local": "",
        "utc_offset_s": None,
        "loaded_map": "",
        "load_cursor": None,
        "signature": proof.signature,
        "source": proof.source,
        "interpreter": next((init.lua for init in reversed(inits) if init.lua), ""),
        "map_loads": len(inits),
        "window": {"state": window.state, "gap": window.gap, "size_bytes": window.size},
    }
    if proof.state == loadproof.LOADED and proof.init is not None:
        first = inits[proof.init]
        path, offset = places[proof.init]
        at_unix = console.gametime_unix(first.gametime)
        as_if_utc = console.gametime_unix(first.gametime, datetime.timezone.utc)
        if at_unix is None or as_if_utc is None:
            result.update(
                state=loadproof.UNKNOWN,
                reason=f"the console gives no readable time of the load ({first.gametime or 'no gametime line'})",
                next="wait for the next map load, then run the validation again",
            )
        else:
            result["utc_offset_s"] = as_if_utc - at_unix
        result.update(
            loaded_at_unix=at_unix,
            loaded_at_local=console.gametime_local(first.gametime),
            loaded_map=first.map,
            load_cursor=logwindow.cursor_at(path, offset),
        )
    return result


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "file": {"type": "str", "required": True},
            "sha1": {"type": "str", "required": True},
            "console_log": {"type": "path", "required": True},
            "cursor": {"type": "dict"},
            "host": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 27960},
            "rcon_password_file": {"type": "path", "no_log": False},
            "timeout_s": {"type": "float", "default": 2.0},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module.params))
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"the console {module.params['console_log']} cannot be judged: {error}")


if __name__ == "__main__":
    main()
