"""lua_inventory_info as a process on a tree like the game server's, with a real UDP socket in the server's place."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import judge
from ansible_collections.slomix.timetracking.plugins.module_utils.release import FileState, Release, manifest_to_data

Runner = Callable[..., dict[str, Any]]
PASSWORD = "canary-c0ffee"
WEBHOOK = "luascripts/stats_discord_webhook.lua"
OLD_WEBHOOK = 'local version = "1.6.0"\nfunction et_InitGame() et.RegisterModname("webhook") end\n'
NEW_WEBHOOK = OLD_WEBHOOK + "-- another content, the same version\n"


class Server:
    """Answers rcon with given texts; counts what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.asked: list[str] = []
        self.drop = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            packet, sender = self.socket.recvfrom(4096)
            if packet == b"stop":
                return
            words = packet[4:].decode().rstrip("\n").split(maxsplit=2)
            self.asked.append(words[2])
            if self.drop:
                self.drop -= 1
                continue
            text = self.answers.get(words[2], "") if words[1] == PASSWORD else "Bad rconpassword.\n"
            self.socket.sendto(b"\xff\xff\xff\xffprint\n" + text.encode(), sender)

    def loads(self, **files: bytes) -> None:
        rows = [
            f"{vm:2d} {'m':24s} {hashlib.sha1(content).hexdigest().upper()} {name:24s}"
            for vm, (name, content) in enumerate(files.items())
        ]
        head = f"Lua 5.4 API: ^$showing lua information ( {len(rows)} module{'s' if len(rows) != 1 else ''} loaded )"
        table = ["VM Modname                  Signature                                Filename                ", *rows]
        self.answers["lua_status"] = "\n".join([head, *table]) + "\n"

    def says(self, modules: str) -> None:
        self.answers["lua_modules"] = f'"lua_modules" is:"{modules}^7" default:"^7"\n'
        self.answers["g_luaModuleList"] = '"g_luaModuleList" is:"^7" default:"^7"\n'


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.socket.sendto(b"stop", ("127.0.0.1", made.port))
    made.thread.join(5)
    made.socket.close()


class Site:
    """Homepath, basepath, configuration, console and password file."""

    def __init__(self, folder: Path, port: int) -> None:
        self.home, self.install = folder / "home", folder / "install"
        self.password_file = folder / "rcon_password"
        self.password_file.write_text(PASSWORD + "\n")
        self.options: dict[str, Any] = {
            "home_dir": str(self.home), "install_dir": str(self.install), "port": port, "timeout_s": 0.5,
            "rcon_password_file": str(self.password_file),
        }  # fmt: skip
        self.put("install/legacy/c0rnp0rn7.lua", 'et.RegisterModname("c0rnp0rn3")\nlocal version = "3.0"\n')
        self.put(f"install/legacy/{WEBHOOK}", OLD_WEBHOOK)
        self.put("install/etmain/vektor.cfg", f'set lua_modules "c0rnp0rn7.lua {WEBHOOK}"\n')
        self.console("c0rnp0rn7.lua", WEBHOOK)

    def put(self, name: str, text: str) -> Path:
        root, _, rest = name.partition("/")
        path: Path = getattr(self, root) / rest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def read(self, name: str) -> bytes:
        root, _, rest = name.partition("/")
        path: Path = getattr(self, root) / rest
        return path.read_bytes()

    def console(self, *loaded: str, ago_s: float = -2) -> None:
        """A map load; without ``ago_s`` it comes after the files."""
        lines = [
            "------- Game Initialization -------",
            time.strftime("gametime: %a %b %d %H:%M:%S %Y", time.localtime(time.time() - ago_s)),
            *(f"Lua 5.4 API: ^$file '{n}' loaded into Lua VM" for n in loaded),
        ]
        self.put("home/legacy/etconsole.log", "\n".join(lines) + "\n")


@pytest.fixture
def site(tmp_path: Path, server: Server) -> Site:
    made = Site(tmp_path, server.port)
    server.says(f"c0rnp0rn7.lua {WEBHOOK}")
    server.loads(**{
        "c0rnp0rn7.lua": made.read("install/legacy/c0rnp0rn7.lua"),
        WEBHOOK: OLD_WEBHOOK.encode(),
    })  # fmt: skip
    return made


def rows(result: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(f["name"], f["root"]): f for f in result["files"]}


@pytest.mark.parametrize("check", [False, True])
def test_a_sound_server(run_module: Runner, site: Site, check: bool) -> None:
    result = run_module("lua_inventory_info", site.options, check=check)
    assert result["changed"] is False
    assert result["summary"] == {
        "files": 2, "shadowed": 0, "loaded": 2, "loaded_unknown": 0, "in_lua_modules": 2,
        "missing_modules": 0, "strangers": 0, "superseded": 0, "problems": 0,
    }  # fmt: skip
    assert result["server"] == {"state": "answered", "reason": "", "interpreter": "Lua 5.4"}
    assert (result["lua_modules"]["source"], result["lua_modules"]["agree"]) == ("rcon", True)
    stats = rows(result)[("c0rnp0rn7.lua", "basepath")]
    assert (stats["modname"], stats["versions"][0]["value"]) == ("c0rnp0rn3", "3.0"), (
        "the name lies, the checksum does not"
    )


def test_the_shadowing_copy_is_the_one_that_runs(run_module: Runner, site: Site, server: Server) -> None:
    site.put(f"home/legacy/{WEBHOOK}", NEW_WEBHOOK)
    server.loads(**{"c0rnp0rn7.lua": site.read("install/legacy/c0rnp0rn7.lua"), WEBHOOK: NEW_WEBHOOK.encode()})
    found = rows(run_module("lua_inventory_info", site.options))
    above, below = found[(WEBHOOK, "homepath")], found[(WEBHOOK, "basepath")]
    assert (above["loaded"], above["shadowed"], above["loaded_proof"]) == (True, False, "lua_status")
    assert (below["loaded"], below["shadowed"], below["shadowed_by"]) == (False, True, above["path"])
    assert above["versions"] == below["versions"] and above["sha256"] != below["sha256"]


def test_a_copy_put_there_after_the_load_does_not_run_yet(run_module: Runner, site: Site) -> None:
    site.put(f"home/legacy/{WEBHOOK}", NEW_WEBHOOK)
    result = run_module("lua_inventory_info", site.options)
    assert result["summary"]["strangers"] == 1
    assert rows(result)[(WEBHOOK, "homepath")]["loaded"] is False


@pytest.mark.parametrize("recorded", [True, False])
def test_bytes_that_a_release_replaced_are_no_stranger(
    run_module: Runner, site: Site, tmp_path: Path, recorded: bool
) -> None:
    """Between a deployment and the next map load the server runs the replaced bytes; only a record makes them known."""
    old = OLD_WEBHOOK.encode()
    site.put(f"install/legacy/{WEBHOOK}", NEW_WEBHOOK)
    kept = FileState(hashlib.sha256(old).hexdigest(), hashlib.sha1(old).hexdigest(), len(old), 0o644, 0, 0)
    if recorded:
        folder = tmp_path / "releases" / "stats_discord_webhook.lua" / kept.sha256
        folder.mkdir(parents=True)
        release = Release(kept, "original", 1)
        (folder / "manifest.json").write_text(json.dumps(manifest_to_data("w", "t", release)))
    result = run_module("lua_inventory_info", {**site.options, "releases_dir": str(tmp_path / "releases")})
    assert (result["summary"]["strangers"], result["summary"]["superseded"]) == ((0, 1) if recorded else (1, 0))


def test_the_running_value_beats_the_cfg_and_both_are_shown(run_module: Runner, site: Site, server: Server) -> None:
    server.says("c0rnp0rn7.lua")
    result = run_module("lua_inventory_info", site.options)
    assert result["lua_modules"]["agree"] is False and "vektor.cfg" in result["lua_modules"]["disagreements"][0]
    assert rows(result)[(WEBHOOK, "basepath")]["in_lua_modules"] is False


def test_a_named_module_without_a_file_is_missing(run_module: Runner, site: Site, server: Server) -> None:
    server.says(f"c0rnp0rn7.lua {WEBHOOK} endstats")
    assert run_module("lua_inventory_info", site.options)["lua_modules"]["missing"] == ["endstats.lua"]


def test_a_module_list_file_wins_over_the_cvar(run_module: Runner, site: Site, server: Server) -> None:
    server.answers["g_luaModuleList"] = '"g_luaModuleList" is:"list.txt^7" default:"^7"\n'
    site.put("install/legacy/list.txt", "c0rnp0rn7.lua\n")
    assert run_module("lua_inventory_info", site.options)["lua_modules"]["modules"] == ["c0rnp0rn7.lua"]


def test_without_rcon_the_console_says_what_is_loaded(run_module: Runner, site: Site) -> None:
    options = {k: v for k, v in site.options.items() if k != "rcon_password_file"}
    site.console("c0rnp0rn7.lua")
    result = run_module("lua_inventory_info", options)
    found = rows(result)
    assert (found[("c0rnp0rn7.lua", "basepath")]["loaded"], found[(WEBHOOK, "basepath")]["loaded"]) == (True, False)
    assert found[("c0rnp0rn7.lua", "basepath")]["loaded_proof"] == "console"
    assert (result["server"]["state"], result["lua_modules"]["source"]) == ("not_asked", "cfg")


@pytest.mark.parametrize("where", ["install", "home"])
@pytest.mark.parametrize(("ago_s", "verdict"), [(3600, "inconclusive"), (-2, "pass")])
def test_without_rcon_a_file_written_after_the_load_is_not_known_to_run(
    run_module: Runner, site: Site, root: Path, where: str, ago_s: float, verdict: str
) -> None:
    """The console names no bytes. Replaced, or put above the copy that was read: gate 0.3 waits for the next load."""
    options = {k: v for k, v in site.options.items() if k != "rcon_password_file"}
    site.put(f"{where}/legacy/{WEBHOOK}", NEW_WEBHOOK)
    site.console("c0rnp0rn7.lua", WEBHOOK, ago_s=ago_s)
    result = run_module("lua_inventory_info", options)
    gate = yaml.safe_load((root / "playbooks/plan/gates/phase0.yml").read_text())
    at = datetime.now(UTC)
    record = {
        "kind": "step", "check": False, "phase": 0, "step": "0.3", "leg": "verify", "host": "g", "seq": 1,
        "at": at.isoformat(), "result": result,
    }  # fmt: skip
    found = next(c for c in judge.judge(gate, [record], now=at + timedelta(seconds=1)).checks if c.id == "0.3")
    assert found.verdict == verdict, found
    winner = next(f for f in result["files"] if f["name"] == WEBHOOK and not f["shadowed"])
    assert winner["loaded"] is (True if verdict == "pass" else None)


def test_without_rcon_and_with_cfgs_that_differ_lua_modules_is_unknown(run_module: Runner, site: Site) -> None:
    options = {k: v for k, v in site.options.items() if k != "rcon_password_file"}
    site.put("install/legacy/configs/legacy3.config", 'setl lua_modules "c0rnp0rn7.lua"\n')
    result = run_module("lua_inventory_info", options)
    assert result["lua_modules"]["modules"] is None and result["lua_modules"]["agree"] is False
    assert {f["in_lua_modules"] for f in result["files"]} == {None}


def test_a_silent_server_and_no_console_leave_it_unknown(run_module: Runner, site: Site, server: Server) -> None:
    (site.home / "legacy" / "etconsole.log").unlink()
    server.drop = 99
    result = run_module("lua_inventory_info", {**site.options, "timeout_s": 0.1})
    assert result["server"]["state"] == "no_answer"
    assert (result["summary"]["loaded_unknown"], result["summary"]["loaded"]) == (2, 0)
    assert result["summary"]["problems"] == 1, "the missing console is named"


def test_one_lost_datagram_is_asked_again(run_module: Runner, site: Site, server: Server) -> None:
    server.drop = 1
    assert run_module("lua_inventory_info", {**site.options, "timeout_s": 0.2})["server"]["state"] == "answered"


def test_a_refused_password_is_said_and_never_shown(run_module: Runner, site: Site) -> None:
    site.password_file.write_text("wrong-canary\n")
    result = run_module("lua_inventory_info", site.options)
    assert result["server"]["state"] == "refused"
    assert "canary" not in json.dumps(result)


def test_only_reading_commands_reach_the_server(run_module: Runner, site: Site, server: Server) -> None:
    run_module("lua_inventory_info", site.options)
    assert set(server.asked) == {"lua_modules", "g_luaModuleList", "lua_status"}


def test_wrong_folders_are_an_error(run_module: Runner, tmp_path: Path) -> None:
    result = run_module("lua_inventory_info", {"home_dir": str(tmp_path / "a"), "install_dir": str(tmp_path / "b")})
    assert result["failed"] and "game_home_dir" in result["msg"]
