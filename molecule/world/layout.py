"""Names, places, ports and secrets of a world; everything a world owns on the controller lies in ``.world/<name>``."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import socket
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from containers import WorldError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORLDS = ROOT / ".world"
CACHE = WORLDS / "cache"
DEMO = "demo"
HOSTS = ("et-server", "slomix-vm")
SSH_PORT = {"et-server": 48101, "slomix-vm": 22}
DEMO_PORT = {"et-server": 48101, "slomix-vm": 48122}
USER = {"et-server": "et", "slomix-vm": "slomix"}
INTERPRETERS = ("lua54", "luajit")
WEBHOOK_LUA = HERE / "et_server" / "lua" / "luascripts" / "stats_discord_webhook.lua"
ENV_TEMPLATE = HERE / "slomix_vm" / "env.template"


@dataclass(frozen=True)
class World:
    """One world: its name, the loopback ports its sshd are published on, and how it differs from the plain one."""

    name: str
    game_port: int
    stats_port: int
    shadow: bool = False
    interpreter: str = "lua54"
    zone: str = "Etc/UTC"

    @property
    def folder(self) -> Path:
        """What the world owns on the controller."""
        return WORLDS / self.name

    @property
    def network(self) -> str:
        """The podman network of the world."""
        return f"{self.name}-rollout"

    def container(self, host: str) -> str:
        """The container of a host."""
        return f"{self.name}-{host}"

    def port(self, host: str) -> int:
        """The loopback port of a host's sshd."""
        return {"et-server": self.game_port, "slomix-vm": self.stats_port}[host]

    def save(self) -> None:
        """Remember the world for later commands, at one stroke: others may be reading."""
        staged = self.folder / "world.json.new"
        staged.write_text(json.dumps(asdict(self), indent=2) + "\n")
        staged.replace(self.folder / "world.json")


def new_world(name: str, *, shadow: bool, interpreter: str) -> World:
    """A world with ports: the demo's are fixed (its inventory is static), others get free ones."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name) or name == CACHE.name:
        raise WorldError(
            f"'{name}' is no name for a world: lower-case letters, digits and hyphens are, but not 'cache'."
        )
    ports = (DEMO_PORT["et-server"], DEMO_PORT["slomix-vm"]) if name == DEMO else _free_ports()
    return World(name, *ports, shadow=shadow, interpreter=interpreter, zone=noon_zone(datetime.now(UTC).hour))


def noon_zone(hour: int) -> str:
    """The time zone where it is noon at this hour of UTC.

    Both hosts of a world live there: no midnight tears a pair apart (the bot links none over midnight, whoever runs the tests
    late), and local time is rarely UTC by accident.

    >>> noon_zone(4), noon_zone(12), noon_zone(20)
    ('Etc/GMT-8', 'Etc/UTC', 'Etc/GMT+8')
    """
    return f"Etc/GMT{hour - 12:+d}" if hour != 12 else "Etc/UTC"


def load_world(name: str) -> World:
    """The world as `up` left it."""
    path = WORLDS / name / "world.json"
    if not path.exists():
        raise WorldError(
            f"there is no world '{name}' ({path.relative_to(ROOT)} is missing). Start it: world.py up --name {name}"
        )
    return World(**json.loads(path.read_text()))


def known_worlds() -> list[World]:
    """All worlds that `up` has left on this machine; one that is being taken down at this moment is left out."""
    found = []
    for path in sorted(WORLDS.glob("*/world.json")):
        with contextlib.suppress(FileNotFoundError):
            found.append(World(**json.loads(path.read_text())))
    return found


def _free_ports() -> tuple[int, int]:
    """Two free loopback ports that no other world has been promised."""
    taken = {port for world in known_worlds() for port in (world.game_port, world.stats_port)} | set(DEMO_PORT.values())
    found: list[int] = []
    with socket.socket() as first, socket.socket() as second, socket.socket() as third, socket.socket() as fourth:
        for one in (first, second, third, fourth):
            one.bind(("127.0.0.1", 0))
            found.append(one.getsockname()[1])
    game, stats, *_ = [port for port in found if port not in taken]
    return game, stats


def prepare_folder(world: World) -> None:
    """Make the world's folder anew: keys, passwords, known_hosts, inventory. Logs of an earlier world stay."""
    folder = world.folder
    remove_folder(world.name, keep_logs=True)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _make_key(folder / "id_ed25519", f"operator@{world.name}")
    _make_key(folder / "seed" / "slomix-vm" / "etlegacy_bot", f"slomix_bot@{world.name}")
    operator = (folder / "id_ed25519.pub").read_text()
    bot = (folder / "seed" / "slomix-vm" / "etlegacy_bot.pub").read_text()
    host_keys = {host: _make_key(folder / "seed" / host / "ssh_host_ed25519_key", f"root@{host}") for host in HOSTS}
    (folder / "known_hosts").write_text(
        "".join(f"[127.0.0.1]:{world.port(host)} {host_keys[host]}\n" for host in HOSTS)
    )
    game, stats = folder / "seed" / "et-server", folder / "seed" / "slomix-vm"
    for host in HOSTS:
        (folder / "seed" / host / "zone").write_text(f"{world.zone}\n")
    (game / "authorized_keys").write_text(operator + bot)
    (stats / "authorized_keys").write_text(operator)
    (stats / "bot_known_hosts").write_text(f"[et-server]:{SSH_PORT['et-server']} {host_keys['et-server']}\n")
    rcon_password = _secret(game / "rcon_password")
    _write_private(game / "rcon.cfg", f'set rconpassword "{rcon_password}"\n')
    _write_private(game / "stats_webhook.env", f"DISCORD_WEBHOOK_URL={webhook_url()[0]}\n")
    (game / "engine.env").write_text(f"ET_LUA_INTERPRETER={world.interpreter}\n")
    if world.shadow:
        (game / "shadow").touch()
    password = _secret(stats / "postgres_password")
    _write_private(stats / "env", render_env(ENV_TEMPLATE.read_text(), password))
    _write_inventory(world)
    world.save()


def set_evidence_aside(name: str) -> None:
    """A new world has a new history: evidence of an earlier world of the name is kept beside it, never removed."""
    folder = ROOT / "evidence" / name
    if folder.exists():
        folder.rename(folder.with_name(f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S}"))


def remove_folder(name: str, *, keep_logs: bool) -> None:
    """Remove what a world owns on the controller."""
    folder = WORLDS / name
    if not folder.exists():
        return
    for path in folder.iterdir():
        if keep_logs and path.name == "logs":
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _make_key(path: Path, comment: str) -> str:
    """Make an Ed25519 key pair; returns type and key of the public half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


def _secret(path: Path) -> str:
    value = secrets.token_hex(16)
    _write_private(path, f"{value}\n")
    return value


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def webhook_url() -> re.Match[str]:
    """The URL the game server's own script posts to; groups: webhook id and token."""
    url = re.search(r'http[^"]*/api/webhooks/(\d+)/([^"/]+)', WEBHOOK_LUA.read_text())
    if url is None:
        raise WorldError(f"no URL of the form …/api/webhooks/<id>/<token> in {WEBHOOK_LUA.relative_to(ROOT)}.")
    return url


def render_env(template: str, password: str) -> str:
    """The bot's .env; the webhook's id and token come from the URL in the game server's script, so they agree."""
    url = webhook_url()
    values = {
        "POSTGRES_PASSWORD": password,
        "SSH_HOST": "et-server",
        "SSH_PORT": str(SSH_PORT["et-server"]),
        "SSH_USER": USER["et-server"],
        "SSH_KEY_PATH": "/home/slomix_bot/.ssh/etlegacy_bot",
        "SSH_KNOWN_HOSTS": "/home/slomix_bot/.ssh/known_hosts",
        "WEBHOOK_ID": url[1],
        "WEBHOOK_TOKEN": url[2],
    }
    unknown = sorted(set(re.findall(r"@([A-Z_]+)@", template)) - set(values))
    if unknown:
        raise WorldError(
            f"{ENV_TEMPLATE.relative_to(ROOT)} asks for {', '.join(unknown)}, which layout.py does not know."
        )
    return re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], template)


def inventory_text(world: World) -> str:
    """hosts.yml of a world: the demo's static one with this world's name, depth and ports."""
    demo = (ROOT / "inventory" / "demo" / "hosts.yml").read_text()
    text = demo.replace("world_name: demo\n", f"world_name: {world.name}\n")
    for host in HOSTS:
        text = text.replace(f"ansible_port: {DEMO_PORT[host]}\n", f"ansible_port: {world.port(host)}\n")
    return text.replace('"{{ inventory_dir }}/../.."', '"{{ inventory_dir }}/../../.."')


def _write_inventory(world: World) -> None:
    folder = world.folder / "inventory"
    folder.mkdir()
    (folder / "hosts.yml").write_text(inventory_text(world))
    (folder / "group_vars").symlink_to("../../../inventory/demo/group_vars")
