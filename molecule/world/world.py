#!/usr/bin/env python3
"""The two-host world: a game server and a statistics VM in containers with systemd, sshd, cron and PostgreSQL.

world.py up --name demo             fresh containers, ready to be worked on
world.py play completed --map supply    a stopwatch pair; returns when the bot has digested it
world.py exec et-server -- id       a command on a host, as root
world.py status | reset | down | build
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

from containers import Podman, WorldError
from image_build import build_all
from layout import CACHE, DEMO, HOSTS, INTERPRETERS, World, known_worlds, load_world, new_world
from lifecycle import down, health, play, up


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="world.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("build", help="build the images that are missing")
    verbs.add_parser("status", help="the worlds on this machine")
    for name, explanation in (
        ("up", "fresh containers, ready to be worked on"),
        ("down", "remove a world"),
        ("reset", "the same world afresh"),
        ("play", "play a match and wait until the bot has digested it"),
        ("exec", "run a command on a host"),
    ):
        verb = verbs.add_parser(name, help=explanation)
        verb.add_argument("--name", default=DEMO, help="the world's name (default: %(default)s)")
        if name == "up":
            verb.add_argument(
                "--variant",
                choices=("plain", "shadow"),
                default="plain",
                help="shadow: a second webhook Lua in the homepath",
            )
            verb.add_argument(
                "--interpreter",
                choices=INTERPRETERS,
                default=INTERPRETERS[0],
                help="what the game server's Lua runs on",
            )
        elif name == "play":
            verb.add_argument("match", help="a match of the engine stand-in, e.g. completed")
            verb.add_argument("--map", help="the map to play it on")
            verb.add_argument(
                "--wait", action="store_true", help="accepted for symmetry with the engine: play always waits"
            )
        elif name == "exec":
            verb.add_argument("--user", default="root")
            verb.add_argument("host", choices=HOSTS)
            verb.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return parser


def command_line(typed: list[str]) -> argparse.Namespace:
    """What was typed, parsed; of an exec'd command only a first ``--`` is dropped."""
    options = _parser().parse_args(typed)
    if options.verb == "exec" and options.command[:1] == ["--"]:
        options.command = options.command[1:]
    return options


def _status(podman: Podman) -> None:
    worlds = known_worlds()
    if not worlds:
        print("no world is up; start one with: make up")
    for world in worlds:
        running = podman.call(
            "ps", "--format", "{{.Names}} {{.Status}}", "--filter", f"label=rollout.world={world.name}"
        ).stdout.strip()
        print(f"{world.name}: et-server on 127.0.0.1:{world.game_port}, slomix-vm on 127.0.0.1:{world.stats_port}")
        print(f"  inventory: .world/{world.name}/inventory")
        for line in running.splitlines() or ["no container is running; `world.py reset` makes fresh ones"]:
            print(f"  {line}")
        if running:
            print(f"  bot: {_bot(podman, world)}")


def _bot(podman: Podman, world: World) -> str:
    try:
        return json.dumps(health(podman, world))
    except WorldError as silent:
        return f"no answer ({silent})"


def main() -> int:
    """Carry the command line out."""
    # podman and mmdebstrap look for helpers there (iptables, ldconfig); an ordinary user's PATH ends before.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    options = command_line(sys.argv[1:])
    podman = Podman(CACHE)
    started = time.monotonic()
    if options.verb == "build":
        for tag in build_all(podman).values():
            print(tag)
    elif options.verb == "status":
        _status(podman)
    elif options.verb == "down":
        down(podman, options.name)
    elif options.verb in ("up", "reset"):
        if options.verb == "up":
            world = new_world(options.name, shadow=options.variant == "shadow", interpreter=options.interpreter)
        else:
            old = load_world(options.name)
            world = new_world(old.name, shadow=old.shadow, interpreter=old.interpreter)
        up(podman, world)
        seconds = time.monotonic() - started
        print(f"world '{world.name}' is up ({seconds:.1f} s): ansible-playbook -i .world/{world.name}/inventory …")
    elif options.verb == "play":
        print(play(podman, options.name, options.match, options.map), end="")
    elif options.verb == "exec":
        container = load_world(options.name).container(options.host)
        interactive = ["--interactive", "--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
        command = options.command or ["bash", "-l"]
        podman.replace_process("exec", *interactive, "--user", options.user, container, *command)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WorldError as error:
        print(f"world: {error}", file=sys.stderr)
        sys.exit(1)
