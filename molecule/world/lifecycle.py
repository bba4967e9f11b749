"""Bring a world up, take it down, play on it."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from containers import Podman, WorldError
from image_build import build_all
from layout import HOSTS, SSH_PORT, USER, World, load_world, prepare_folder, remove_folder, set_evidence_aside

from python_checks.engine.__main__ import HELD

BOOT_TIMEOUT_S = 120
READY_TIMEOUT_S = 60
DIGEST_TIMEOUT_S = 120
PLAY_TIMEOUT_S = 300
SETTLE_S = 1.0
HEALTH = "http://127.0.0.1:8089/health"
ENGINE = ("env", "PYTHONPATH=/opt/engine", "python3", "-m", "python_checks.engine")
HALF_TIME = "r2"

# One `podman exec` does all the waiting: is-system-running fails while the bus is not there yet.
WAIT_FOR_BOOT = f"""
deadline=$((SECONDS + {BOOT_TIMEOUT_S}))
until state=$(systemctl is-system-running --wait 2>/dev/null) || [ "$state" = degraded ]; do
    [ $SECONDS -lt $deadline ] || break
    sleep 0.1
done
failed=$(systemctl list-units --failed --plain --no-legend | cut -d' ' -f1)
[ "$state" = running ] && [ -z "$failed" ] && exit 0
echo "systemd is '$state', required: running; failed units: ${{failed:-none}}"
for unit in $failed; do journalctl --no-pager -n 15 -u "$unit"; done
exit 1
"""
RCON_PASSWORD_FILE = "/home/et/.rollout/rcon_password"
# A copy of the match that differs in one line; prints its path.
MATCH_ON_MAP = r"""
set -eu
folder=/opt/engine/python_checks/engine/matches
refuse() { echo "$*" >&2; exit 1; }
[[ $2 =~ ^[A-Za-z0-9_-]+$ ]] || refuse "'$2' is no map name"
[[ -e $folder/$1.yml ]] || refuse "no match '$1'; known: $(basename -s .yml -a "$folder"/*.yml | xargs)"
[[ $(grep -c '^map:' "$folder/$1.yml") == 1 ]] || refuse "$1.yml has not exactly one line that begins with 'map:'"
sed "s/^map:.*/map: $2/" "$folder/$1.yml" >"/tmp/$1-on-$2.yml"
echo "/tmp/$1-on-$2.yml"
"""
# The webhook Lua posts with curl in the background, which tries again when it is told to wait.
WAIT_FOR_POSTS = "while pgrep -u et -x curl >/dev/null; do sleep 0.2; done"


def up(podman: Podman, world: World) -> None:
    """Fresh containers of a world; returns when both hosts are what the world promises."""
    images = build_all(podman)
    _remove_containers(podman, world.name)
    prepare_folder(world)
    set_evidence_aside(world.name)
    podman.call("network", "create", "--label", f"rollout.world={world.name}", world.network)
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        for done in [pool.submit(_start, podman, world, host, images[host]) for host in HOSTS]:
            done.result()
        for done in [pool.submit(_wait_until_ready, podman, world, host) for host in HOSTS]:
            done.result()


def _start(podman: Podman, world: World, host: str, image: str) -> None:
    name = world.container(host)
    podman.call(
        "run", "--detach", "--name", name, "--hostname", host, "--label", f"rollout.world={world.name}",
        "--network", world.network, "--network-alias", host,
        "--publish", f"127.0.0.1:{world.port(host)}:{SSH_PORT[host]}",
        "--volume", f"{world.folder / 'seed' / host}:/etc/world-seed:ro",
        "--systemd=always", *podman.limits, image, "/sbin/init",
    )  # fmt: skip


def _wait_until_ready(podman: Podman, world: World, host: str) -> None:
    name = world.container(host)
    look = f"Look with: podman exec -it {name} journalctl -b"
    for what, argv, timeout_s in (
        ("did not boot", ["bash", "-c", WAIT_FOR_BOOT], BOOT_TIMEOUT_S),
        ("is not ready", ["/usr/local/lib/world/ready.py", str(READY_TIMEOUT_S)], READY_TIMEOUT_S),
    ):
        done = podman.call("exec", name, *argv, check=False, timeout_s=timeout_s + 30)
        if done.returncode:
            raise WorldError(f"{host} of world '{world.name}' {what}: {(done.stdout + done.stderr).strip()}\n{look}")
    done = subprocess.run(ssh_command(world, host, "true"), capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise WorldError(f"ssh to {host} of world '{world.name}' is refused: {done.stderr.strip()}\n{look}")


def ssh_command(world: World, host: str, *argv: str) -> list[str]:
    """An ssh command line as an operator of the world would type it; the host key must match."""
    return [
        "ssh", "-F", "none", "-i", str(world.folder / "id_ed25519"), "-p", str(world.port(host)),
        "-o", f'UserKnownHostsFile="{world.folder / "known_hosts"}"',
        "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10",
        f"{USER[host]}@127.0.0.1", *argv,
    ]  # fmt: skip


def down(podman: Podman, name: str) -> None:
    """Remove a world: containers, network, keys. A world that is not there is no error."""
    _remove_containers(podman, name)
    remove_folder(name, keep_logs=False)


def _remove_containers(podman: Podman, name: str) -> None:
    label = f"label=rollout.world={name}"
    containers = podman.call("ps", "--all", "--quiet", "--filter", label).stdout.split()
    if containers:
        podman.call("rm", "--force", "--time", "0", "--volumes", *containers)
    networks = podman.call("network", "ls", "--quiet", "--filter", label).stdout.split()
    if networks:
        podman.call("network", "rm", *networks)


def health(podman: Podman, world: World) -> dict[str, Any]:
    """What the bot says of itself."""
    out = podman.exec(world.container("slomix-vm"), "curl", "-sS", "--max-time", "5", HEALTH)
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError as unreadable:
        raise WorldError(
            f"the bot of world '{world.name}' answers {HEALTH} with {out[:200]!r}, JSON is required."
        ) from unreadable
    return answer


def play(podman: Podman, name: str, match: str, map_name: str | None) -> str:
    """Play a match of the engine stand-in (on another map, if one is named) and wait until the bot has digested it.

    The bot digests each half before the next one begins: on a real server minutes lie between two files, and a bot that
    sees both at once may import the second half without the first. Returns what the engine printed. Raises WorldError
    when the engine refuses or the bot does not come to rest.
    """
    world = load_world(name)
    health(podman, world)
    game = world.container("et-server")
    if map_name:
        match = podman.exec(game, "bash", "-c", MATCH_ON_MAP, "bash", match, map_name, user="et").strip()
    options = ["--hold", HALF_TIME, "--timeout-s", str(PLAY_TIMEOUT_S), "--password-file", RCON_PASSWORD_FILE]
    said, code, verb = "", HELD, ["play", match]
    while code == HELD:
        done = podman.call(
            "exec", "--user", "et", game, *ENGINE, *verb, *options, check=False, timeout_s=PLAY_TIMEOUT_S + 30
        )
        said, code = said + done.stdout, done.returncode
        if code not in (0, HELD):
            raise WorldError(f"the game server of world '{name}' did not play {match}: {(said + done.stderr).strip()}")
        podman.exec(game, "bash", "-c", WAIT_FOR_POSTS, timeout_s=DIGEST_TIMEOUT_S)
        wait_for_digestion(podman, world, time.time())
        verb = ["go"]
    return said


def wait_for_digestion(podman: Podman, world: World, after_unix: float) -> dict[str, Any]:
    """Wait until the bot is idle and has polled the game server after ``after_unix`` (s); returns its last answer."""
    deadline = time.monotonic() + DIGEST_TIMEOUT_S
    while True:
        now = health(podman, world)
        if now["idle"] and now["last_poll_unix"] >= after_unix + SETTLE_S:
            return now
        if time.monotonic() > deadline:
            raise WorldError(
                f"the bot of world '{world.name}' did not come to rest within {DIGEST_TIMEOUT_S} s: {json.dumps(now)}. "
                f"Look with: world.py exec --name {world.name} slomix-vm -- tail /opt/slomix/logs/bot.log"
            )
        time.sleep(0.3)
