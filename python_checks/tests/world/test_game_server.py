"""et-server from outside: what the rollout will find there, and that nothing else is there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

from python_checks.tests.world.outside import ROOT

pytestmark = [pytest.mark.world, pytest.mark.xdist_group("world")]

INSTALL = "/home/et/etlegacy-v2.83.1-x86_64"
HOMEPATH = "/home/et/.etlegacy"
WATCHER = "et-stats-webhook.service"
LOG_MONITOR = "/home/et/scripts/log_monitor.sh"
VERBS = {"disable --now", "disable", "enable --now", "enable", "stop", "start"}

QUERY = """python3 - <<'PY'
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
    query.settimeout(3)
    query.connect(("127.0.0.1", 27960))
    query.send(b"\\xff\\xff\\xff\\xff" + {command!r}.encode())
    print(query.recv(8192)[4:].decode(errors="replace"))
PY"""


def processes(host: Host) -> dict[int, tuple[int, str, str]]:
    """Process id -> parent's id, user, command line."""
    rows = (line.split(None, 3) for line in host.check_output("ps -e -o pid= -o ppid= -o user= -o args=").splitlines())
    return {int(pid): (int(parent), user, args) for pid, parent, user, args in rows}


def test_systemd_is_running_and_nothing_failed(game: Host) -> None:
    assert game.check_output("systemctl is-system-running") == "running"
    assert game.check_output("systemctl list-units --failed --plain --no-legend") == ""


def test_sudo_allows_the_watchers_verbs_and_no_more(game: Host) -> None:
    """An exact set: a rule too many would let a role work here that fails on the live host."""
    listed = game.check_output("sudo -n -l").partition("may run the following commands on et-server:")[2]
    rules = {rule.strip() for rule in listed.replace("(root) NOPASSWD:", "").split(",")}
    assert rules == {f"/usr/bin/systemctl {verb} {WATCHER}" for verb in VERBS}


@pytest.mark.parametrize(
    "command",
    [
        "systemctl stop cron.service",
        f"systemctl mask {WATCHER}",
        f"systemctl restart {WATCHER}",
        f"systemctl stop {WATCHER} cron.service",
        "systemctl stop et-stats-webhook",
        "cat /etc/shadow",
    ],
)
def test_sudo_refuses_everything_else(game: Host, command: str) -> None:
    done = game.run(f"sudo -n {command}")
    assert done.rc == 1
    assert "password is required" in done.stderr


def test_systemctl_without_sudo_is_refused(game: Host) -> None:
    assert game.run(f"systemctl stop {WATCHER}").rc != 0
    assert game.service(WATCHER).is_running


def test_deprecated_watcher_is_enabled_and_active(game: Host) -> None:
    """The docs of the live host called it disabled; on 2026-02-18 it was both."""
    assert game.check_output(f"systemctl is-enabled {WATCHER}; systemctl is-active {WATCHER}").split() == [
        "enabled",
        "active",
    ]
    owners = [user for _, user, args in processes(game).values() if "stats_webhook_notify.py" in args]
    assert owners == ["et"]


def test_two_log_monitors_run(game: Host) -> None:
    """The incident: two instances. Each is a process tree, so more processes than instances bear the name."""
    found = processes(game)
    named = {pid for pid, (_, _, args) in found.items() if args == f"/bin/bash {LOG_MONITOR}"}
    instances = [pid for pid in named if found[pid][0] not in named]
    assert len(instances) == 2
    assert len(named) > len(instances)
    assert {found[pid][1] for pid in named} == {"et"}


def test_boot_crontab(game: Host) -> None:
    lines = [line for line in game.check_output("crontab -l").splitlines() if line and not line.startswith("#")]
    assert lines == ["@reboot /bin/bash /home/et/start.sh"]


def test_server_runs_in_its_screen_session_under_the_daemon(game: Host) -> None:
    found = processes(game)
    (server,) = [pid for pid, (_, _, args) in found.items() if args.startswith("etlded.x86_64 ")]
    parent, user, args = found[server]
    assert (user, args.endswith("+exec vektor.cfg")) == ("et", True)
    assert "-dmS vektor " in found[parent][2]
    assert [user for _, user, args in found.values() if args == "/bin/bash /home/et/scripts/etdaemon.sh"] == ["et"]
    assert game.check_output("pgrep -x etlded.x86_64") == str(server)


def test_game_answers_getstatus(game: Host) -> None:
    answer = game.check_output(QUERY.format(command="getstatus"))
    assert answer.startswith("statusResponse\n\\")
    keys = answer.splitlines()[1].split("\\")[1::2]
    assert {"mapname", "sv_maxclients", "g_gametype", "sv_hostname"} <= set(keys)


def test_rcon_takes_the_password_of_the_file_only(game: Host) -> None:
    path = "/home/et/.rollout/rcon_password"
    assert game.check_output(f"stat -c '%a %U' {path} {INSTALL}/etmain/rcon.cfg").splitlines() == ["600 et"] * 2
    password = game.check_output(f"cat {path}")
    assert len(password) == 32
    assert "Signature" in game.check_output(QUERY.format(command=f"rcon {password} lua_status"))
    refused = game.check_output(QUERY.format(command="rcon wrong lua_status"))
    assert "Bad rconpassword" in refused
    assert "Signature" not in refused


def test_lua_files_are_the_repositorys_and_lie_where_they_belong(game: Host) -> None:
    source = ROOT / "molecule" / "world" / "et_server" / "lua"
    wanted = {str(path.relative_to(source)) for path in source.rglob("*.lua")} - {
        "c0rnp0rn-testluawithtimetracking.lua"
    }
    found = game.check_output(f"cd {INSTALL}/legacy && find . -name '*.lua' -printf '%P\\n'").split()
    assert set(found) == wanted
    assert {"c0rnp0rn7.lua", "endstats.lua", "luascripts/stats_discord_webhook.lua"} <= wanted
    assert game.run(f"find {HOMEPATH} -name '*.lua'").stdout == ""
    for name in wanted:
        assert game.file(f"{INSTALL}/legacy/{name}").content == Path(source / name).read_bytes()


def test_folders_of_the_plan(game: Host) -> None:
    folders = [
        f"{HOMEPATH}/legacy/gamestats",
        f"{HOMEPATH}/legacy/gametimes",
        "/home/et/backups",
        "/home/et/scripts/state",
    ]
    assert game.check_output(f"stat -c '%F %U' {' '.join(folders)}").splitlines() == ["directory et"] * len(folders)
    assert game.file(f"{HOMEPATH}/legacy/etconsole.log").user == "et"


def test_console_tells_that_the_modules_are_loaded(game: Host) -> None:
    console = game.file(f"{HOMEPATH}/legacy/etconsole.log").content_string
    assert "file 'luascripts/stats_discord_webhook.lua' loaded into Lua VM" in console
    assert "Lua 5.4 API" in console


def test_only_ssh_listens_and_only_on_48101(game: Host) -> None:
    listening = {line.split()[3] for line in game.check_output("ss -Hltn").splitlines()}
    assert listening == {"0.0.0.0:48101", "[::]:48101"}


@pytest.mark.parametrize("change", [["-o", "PubkeyAuthentication=no"], ["-l", "root"]], ids=["no key", "root"])
def test_ssh_takes_keys_only_and_only_ets(world: str, change: list[str]) -> None:
    from layout import load_world
    from lifecycle import ssh_command

    *command, address = ssh_command(load_world(world), "et-server")
    assert subprocess.run([*command, address, "true"]).returncode == 0
    where = "127.0.0.1" if "-l" in change else address
    refused = subprocess.run([*command, *change, where, "true"], capture_output=True, text=True)
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_readiness_sees_a_missing_part(game: Host, as_root: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """The mutant of `world.py up`'s own check: with the watcher stopped the host is not what the world promises."""
    ready = ["/usr/local/lib/world/ready.py", "0"]
    assert as_root("et-server", *ready).returncode == 0
    game.check_output(f"sudo -n systemctl stop {WATCHER}")
    try:
        done = as_root("et-server", *ready)
        assert (done.returncode, done.stdout.strip()) == (1, f"{WATCHER} is not active")
    finally:
        game.check_output(f"sudo -n systemctl start {WATCHER}")
