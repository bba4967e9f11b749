"""`make demo`: the whole story on the two-host world, with the proof on disk.

One line a step while it runs; the full output of each step lies in `.world/demo/logs/`. At the end one screen says what was found,
changed and proven. The world stays up for exploring; `make down` removes it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils.ledger import read

ROOT = Path(__file__).resolve().parents[1]
WORLD = ROOT / "molecule" / "world" / "world.py"
LOGS = ROOT / ".world" / "demo" / "logs"
EVIDENCE = ROOT / "evidence" / "demo"

# Two maps: the February bot links a second play of the same map within 45 minutes to the first one's rows.
BEFORE = ("completed", "etl_adlernest")
AFTER = ("completed", "supply")

LUA_ERROR = "error running lua script"
ROUNDS_SQL = """
SELECT map_name, round_number, count(*) FILTER (WHERE round_id IS NOT NULL), count(*)
FROM lua_round_teams GROUP BY 1, 2 ORDER BY 1, 2
"""


class StepFailed(RuntimeError):
    """A step of the demo ended with another exit code than it should."""


def step(title: str, argv: Sequence[str], *, expect: int = 0) -> str:
    """Run one step, show its title and time, keep its whole output in a log file, and return the output."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{len(list(LOGS.glob('*.log'))) + 1:02d}-{title.split(':')[0].replace(' ', '-')}.log"
    print(f"  {title} ", end="", flush=True)
    started = time.monotonic()
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    log.write_text(done.stdout)
    seconds = time.monotonic() - started
    print(f"{'.' * max(2, 66 - len(title))} {seconds:5.1f} s", flush=True)
    if done.returncode != expect:
        tail = "\n".join(done.stdout.splitlines()[-40:])
        raise StepFailed(
            f"{title}: exit code {done.returncode}, expected {expect}. The last lines of {log.relative_to(ROOT)}:\n{tail}"
        )
    return done.stdout


def world(*argv: str) -> list[str]:
    """The command line of the world's own tool."""
    return [sys.executable, str(WORLD), *argv]


def playbook(name: str, *argv: str) -> list[str]:
    """The command line an operator types."""
    return ["ansible-playbook", f"playbooks/{name}.yml", *argv]


def lua_rows() -> dict[str, dict[int, tuple[int, int]]]:
    """Rows of lua_round_teams by map and round: (linked to a round, all)."""
    sql = " ".join(ROUNDS_SQL.split())
    out = subprocess.run(
        world(
            "exec",
            "slomix-vm",
            "--",
            "runuser",
            "-u",
            "postgres",
            "--",
            "psql",
            "-AtF",
            ",",
            "-d",
            "etlegacy",
            "-c",
            sql,
        ),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rows: dict[str, dict[int, tuple[int, int]]] = {}
    for line in out.split():
        map_name, number, linked, total = line.split(",")
        rows.setdefault(map_name, {})[int(number)] = (int(linked), int(total))
    return rows


def console_errors() -> list[str]:
    """Lua error lines on the game server's console, oldest first."""
    out = subprocess.run(
        world("exec", "et-server", "--", "cat", "/home/et/.etlegacy/legacy/etconsole.log"),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        errors="replace",
    ).stdout
    return [line.strip() for line in out.splitlines() if LUA_ERROR in line]


def describe(rows: dict[str, dict[int, tuple[int, int]]], map_name: str) -> str:
    """One line on what reached the database of a map's pair."""
    parts = []
    for number in (1, 2):
        linked, total = rows.get(map_name, {}).get(number, (0, 0))
        parts.append(
            f"R{number} {'LOST' if not total else 'stored, linked' if linked == total else 'stored, not linked'}"
        )
    return f"{map_name}: " + ", ".join(parts)


def summary(records: Sequence[Mapping[str, Any]], before: str, after: str) -> str:
    """One screen from the ledger: what was found, what was changed, what is proven."""

    def newest(step: str, leg: str) -> Mapping[str, Any]:
        return [r["result"] for r in records if (r.get("step"), r.get("leg")) == (step, leg)][-1]

    def first_change(step: str) -> Mapping[str, Any]:
        return next(
            r["result"] for r in records if (r.get("step"), r.get("leg")) == (step, "action") and r["result"]["changed"]
        )

    unit, monitors, webhook = first_change("0.1"), first_change("0.2"), first_change("1.6")
    rehearsal = newest("1.5", "verify")["rehearsal"]["candidate"]
    verdicts = {r["result"]["gate"]: r["result"] for r in records if r["kind"] == "verdict"}
    lines = [
        "",
        "Found",
        f"  {before}",
        f"  0.1 et-stats-webhook.service: {'enabled' if unit['before']['enabled'] else 'disabled'}, "
        f"{'running' if unit['before']['running'] else 'stopped'}",
        f"  0.2 log_monitor.sh: {len(monitors['before']['instances'])} instances",
        f"  0.3 Lua files that could run: {newest('0.3', 'verify')['summary']['files']}",
        f"  0.5 SHOW_TIMING_DUAL: {newest('0.5', 'verify')['state']}, the bot takes it as {newest('0.5', 'verify')['effective']}",
        "Changed",
        *(f"  {step} {act}" for step, result in (("0.1", unit), ("0.2", monitors)) for act in result["actions"]),
        f"  1.6 {webhook['after']['target']}",
        f"      {webhook['before']['sha256'][:16]} -> {webhook['after']['sha256'][:16]}; the old bytes are kept as a release",
        "Proven",
        f"  {after}",
        f"  1.5 {rehearsal['judged']} rehearsed plays on {' and '.join(rehearsal['interpreters'])}; the file as it was failed them",
        *(f"  {gate}: {v['verdict'].upper()}  {v['asks']}" for gate, v in verdicts.items()),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run the demo; exit code 0 only when gate 1 passed."""
    started = time.monotonic()
    print("\nThe world: a game server and a statistics VM (systemd, sshd, cron, PostgreSQL, real Lua)")
    step("world up", world("up", "--name", "demo"))
    for old in LOGS.glob("*.log"):
        old.unlink()
    print("\nThe defect: a stopwatch pair is played on the scripts as they were")
    step("play a pair", world("play", BEFORE[0], "--map", BEFORE[1], "--name", "demo"))
    before_rows, before_errors = lua_rows(), console_errors()
    print(f"      {describe(before_rows, BEFORE[1])}")
    print(f"      console: {before_errors[-1] if before_errors else 'no Lua error (the defect did not show)'}")
    print("\nThe rollout")
    step("baseline", playbook("baseline"))
    step("phase 0, dry run", playbook("phase0", "--check", "--diff"))
    step("phase 0: retire the old watcher, one log_monitor, three reads", playbook("phase0"))
    step("phase 1, dry run", playbook("phase1", "--check", "--diff"))
    step("phase 1: fix, rehearse, deploy the webhook", playbook("phase1"))
    print("\nThe proof: another pair is played")
    step("play a pair", world("play", AFTER[0], "--map", AFTER[1], "--name", "demo"))
    after_rows, after_errors = lua_rows(), console_errors()
    print(f"      {describe(after_rows, AFTER[1])}")
    print(f"      console: {len(after_errors) - len(before_errors)} new Lua error lines")
    step("gate 1", playbook("gate", "-e", "phase=1"))
    print(summary(read(str(EVIDENCE)), describe(before_rows, BEFORE[1]), describe(after_rows, AFTER[1])))
    verify = subprocess.run(["rollout", "evidence", "verify", "--evidence", str(EVIDENCE)], cwd=ROOT)
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    print(
        f"\n{minutes} min {seconds} s. The world is up: `make down` removes it; README.md, 'Explore', says what to try."
    )
    return verify.returncode


if __name__ == "__main__":
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    try:
        sys.exit(main())
    except StepFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        sys.exit(1)
