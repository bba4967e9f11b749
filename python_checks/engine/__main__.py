"""Command line: ``serve`` a stand-in, ask one by ``rcon``, ``play`` a match on one, ``go`` on with a play that is held.

The password is read from a file, never from argv.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from pathlib import Path

OOB = b"\xff\xff\xff\xff"
FIRST_ANSWER_S, NEXT_ANSWER_S = 3.0, 0.15
HELD = 10
"""Exit code of ``play --hold`` and ``go`` when the play waits at the named point."""


class NoAnswer(RuntimeError):
    """No server answered."""


def ask(host: str, port: int, password: str, command: str, wait_s: float = FIRST_ANSWER_S) -> str:
    """Send one rcon command and join its answer packets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect((host, port))
        link.send(OOB + f'rcon "{password}" {command}'.encode())
        parts: list[bytes] = []
        link.settimeout(wait_s)
        try:
            while True:
                packet = link.recv(4096)
                parts.append(packet.removeprefix(OOB + b"print\n"))
                link.settimeout(NEXT_ANSWER_S)
        except OSError as problem:
            if not parts:
                raise NoAnswer(f"no answer from {host}:{port} within {wait_s:g} s; is the server running?") from problem
    return b"".join(parts).decode("utf-8", "replace")


def _rcon(args: argparse.Namespace) -> int:
    answer = ask(args.host, args.port, args.password_file.read_text(encoding="utf-8").strip(), " ".join(args.command))
    sys.stdout.write(answer)
    return 1 if answer.startswith(("Bad rconpassword", "No rconpassword", "error:")) else 0


def _play(args: argparse.Namespace) -> int:
    password = args.password_file.read_text(encoding="utf-8").strip()
    # A play that was held and then forgotten would keep this one waiting for ever.
    if args.hold and not _go_on(args, password):
        return 1
    answer = ask(args.host, args.port, password, f"standin_play {args.match} {args.speed:g}")
    sys.stdout.write(answer)
    if not answer.startswith("queued"):
        return 1
    return _wait(args, password) if args.wait or args.hold else 0


def _go(args: argparse.Namespace) -> int:
    password = args.password_file.read_text(encoding="utf-8").strip()
    return _wait(args, password) if _go_on(args, password) else 1


def _go_on(args: argparse.Namespace, password: str) -> bool:
    """Let a held play go on, to the next point that is wished for; in one command, since a play at full speed is fast."""
    answer = ask(args.host, args.port, password, f"standin_go {args.hold or ''}")
    if answer.startswith("error:"):
        print(answer.strip(), file=sys.stderr)
    return not answer.startswith("error:")


def _wait(args: argparse.Namespace, password: str) -> int:
    """Until the play is over (its last line is printed; 0 when it went well) or held (``HELD``)."""
    deadline = time.monotonic() + args.timeout_s
    while time.monotonic() < deadline:
        state = ask(args.host, args.port, password, "standin_idle").splitlines()
        if state[0].endswith(" held"):
            return HELD
        if state[0] == "idle":
            ask(args.host, args.port, password, "standin_go")  # a hold that was never reached is not for the next play
            print(state[1])
            return 0 if state[1].endswith(" ok") else 1
        time.sleep(0.2)
    print(
        f"still {state[0]} after {args.timeout_s:g} s; give --timeout-s more or look at the server's console",
        file=sys.stderr,
    )
    return 1


def _serve(args: argparse.Namespace) -> int:
    from .serve import serve

    serve(
        basepath=args.basepath,
        homepath=args.homepath,
        mod=args.mod,
        interpreter=args.interpreter,
        config=args.config,
        map_name=args.map,
        bind=args.bind,
        port=args.port,
        password_file=args.rcon_password_file,
        nominal_basepath=args.nominal_basepath,
    )
    return 0


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m python_checks.engine", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("serve", help="run a server process")
    run.add_argument("--basepath", type=Path, required=True)
    run.add_argument("--homepath", type=Path, required=True)
    run.add_argument("--mod", default="legacy")
    run.add_argument("--interpreter", choices=("lua54", "luajit"), default="lua54")
    run.add_argument("--config", type=Path)
    run.add_argument("--rcon-password-file", type=Path)
    run.add_argument(
        "--nominal-basepath", help="what scripts read in fs_basepath (a server started after a cd shows '.')"
    )
    run.add_argument("--map", default="supply")
    run.add_argument("--bind", default="0.0.0.0")
    run.add_argument("--port", type=int, default=27960)
    run.set_defaults(action=_serve)
    for name, text, action in (
        ("rcon", "send one command", _rcon),
        ("play", "play a match", _play),
        ("go", "go on with a play that is held, and wait for its end", _go),
    ):
        client = commands.add_parser(name, help=text)
        client.add_argument("--password-file", type=Path, required=True)
        client.add_argument("--host", default="127.0.0.1")
        client.add_argument("--port", type=int, default=27960)
        if name == "rcon":
            client.add_argument("command", nargs="+")
        else:
            client.add_argument("--timeout-s", type=float, default=120.0)
            client.add_argument(
                "--hold", metavar="POINT", help=f"stop at the next r1, r2 or intermission, with exit code {HELD}"
            )
        if name == "play":
            client.add_argument("match")
            client.add_argument("--speed", type=float, default=0.0, help="multiple of real time; 0 is full speed")
            client.add_argument("--wait", action="store_true")
        client.set_defaults(action=action)
    args = parser.parse_args(argv)
    try:
        return int(args.action(args))
    except (NoAnswer, OSError, ValueError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
