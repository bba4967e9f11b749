"""A newcomer has README and `rollout status`: a robot without any knowledge of the plan gets from an untouched world to gate 4.

It reads the screen, does what the first `next:` says, and reads again. What is to be played it takes from the words, and of the
matches that fit them it plays the least helpful one, so that words which forget something do not get it there.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from testinfra.host import Host

WEBHOOK = "/home/et/etlegacy-v2.83.1-x86_64/legacy/luascripts/stats_discord_webhook.lua"
MAPS = ("supply", "radar", "goldrush", "etl_adlernest", "frostbite", "etl_sp_delivery", "sw_goldrush_te")
# (what the words must say to rule it out, match): the first one that the words allow is played.
MATCHES = (
    ("without a pause", "attackers win the first half", "pause_open_at_end"),
    ("without a pause", "", "pauses_three"),
    ("", "attackers win the first half", "full_hold"),
    ("", "", "completed"),
)
MOST_STEPS = 14
COMMANDS = ("ansible-playbook ", "rollout ")


@dataclass
class Newcomer:
    """Reads the screen and obeys. ``done`` holds the commands that were run, ``heard`` each advice, in order, ``seen`` all
    that was shown."""

    root: Path
    inventory: str
    play: Callable[..., str]
    done: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    maps: Iterator[str] = field(default_factory=lambda: iter(MAPS))

    def type(self, command: str) -> tuple[int, str]:
        """A command as a shell would take it: (exit code, output)."""
        environment = {**os.environ, "ANSIBLE_CONFIG": str(self.root / "ansible.cfg")}
        made = subprocess.run(shlex.split(command), cwd=self.root, env=environment, capture_output=True, text=True)
        self.seen.append(made.stdout + made.stderr)
        return made.returncode, self.seen[-1]

    def look(self) -> str:
        """`rollout status`, which fits one screen."""
        code, screen = self.type(f"rollout status -i {self.inventory}")
        assert code == 0, screen
        lines = screen.splitlines()
        wide = [
            line for line in lines[1:] if len(line) > 118 and not line.split("next: ")[-1].strip().startswith(COMMANDS)
        ]
        assert wide == [] and len(lines) <= 48, f"more than one screen:\n{screen}"
        assert "..." not in screen, f"something is cut off:\n{screen}"
        return screen

    def advice(self, screen: str) -> tuple[str, list[str]]:
        """The first `next:` of the screen: (words, commands in their order)."""
        lines = screen.splitlines()
        first = next((number for number, line in enumerate(lines) if line.strip().startswith("next: ")), None)
        assert first is not None, f"the screen does not say what to do:\n{screen}"
        block = [lines[first].strip().removeprefix("next: ")]
        for line in lines[first + 1 :]:
            if not line.startswith(" " * 14):
                break
            block.append(line.strip())
        commands = [line for line in block if line.startswith(COMMANDS)]
        return " ".join(line for line in block if line not in commands), commands

    def obey(self, screen: str) -> None:
        """Do what the screen says first: play, if it says so, then run the command."""
        words, commands = self.advice(screen)
        said = f"{words} | {' | '.join(commands)}"
        assert said not in self.heard, f"the same advice again, so following it got nowhere:\n{screen}"
        assert len(commands) == 1, f"one command at a time is what a newcomer can follow: {said}\n{screen}"
        assert not [word for word in ("waive", "force", "break_lock") if word in commands[0]], said
        self.heard.append(said)
        if "play" in words:
            self.play("play", fitting(words), "--map", next(self.maps))
        code, output = self.type(commands[0])
        assert code == 0, f"{said}\nended with {code}:\n{output}"
        self.done.append(commands[0])

    def until(self, row: str, verdict: str) -> str:
        """Obey until a row has a verdict; the screen then."""
        for _ in range(MOST_STEPS):
            screen = self.look()
            if verdict_of(screen, row) == verdict:
                return screen
            self.obey(screen)
        raise AssertionError(f"{row} is not {verdict} after {MOST_STEPS} steps:\n" + "\n".join(self.heard))


def verdict_of(screen: str, row: str) -> str:
    """The verdict column of a row; an age of two words follows it."""
    head = next(line for line in screen.splitlines() if line.startswith("step "))
    line = next(line for line in screen.splitlines() if line.startswith(f"{row} "))
    return line[head.index("verdict") :].split()[0]


def fitting(words: str) -> str:
    """The least helpful match that the words allow."""
    return next(match for *ruled, match in MATCHES if not any(words.find(one) >= 0 for one in ruled if one))


@pytest.fixture(scope="module")
def newcomer(root: Path, inventory: Path, world: Callable[..., str]) -> Newcomer:
    return Newcomer(root, os.path.relpath(inventory, root), world)


def test_from_an_untouched_world_to_gate_4(newcomer: Newcomer, evidence: Path) -> None:
    assert not (evidence / "ledger.jsonl").exists(), "the world has been touched"
    screen = newcomer.until("gate 4", "pass")
    for gate in range(5):
        assert verdict_of(screen, f"gate {gate}") == "pass"
        assert newcomer.type(f"rollout gate {gate} -i {newcomer.inventory}")[0] == 0
    for step in ("1.1", "1.2", "1.3", "1.4"):
        assert verdict_of(screen, step) == "pass" and f"{step} " in screen and "verified by 1.5" in screen
    order = [word for command in newcomer.done for word in shlex.split(command) if word.startswith("playbooks/phase")]
    assert order == [f"playbooks/phase{number}.yml" for number in range(5)], newcomer.done
    kinds = [json.loads(line)["kind"] for line in (evidence / "ledger.jsonl").read_text().splitlines()]
    assert set(kinds) == {"step", "verdict"}, "no waiver, no note: nothing was passed by"
    assert "playbooks/phase5.yml -e decision=keep_dual" in newcomer.advice(screen)[1][0], "and it leads on"


def test_out_of_a_hand_edit(newcomer: Newcomer, et: Host) -> None:
    """The screen names a command that says what was found and both ways out, and one that measures again."""
    et.check_output(f"cp -p {WEBHOOK} /tmp/kept.lua && echo '-- by hand' >>{WEBHOOK}")
    measured = newcomer.type(f"ansible-playbook -i {newcomer.inventory} playbooks/gate.yml -e phase=1")
    screen = newcomer.look()
    assert measured[0] != 0 and verdict_of(screen, "gate 1") == "drift", screen
    words, (explains, measures) = newcomer.advice(screen)
    assert "outside of the rollout" in words
    said = newcomer.type(explains)[1]
    assert WEBHOOK in said and "put the recorded" in said and "lua_release_source=FILE" in said
    et.check_output(f"cp -p /tmp/kept.lua {WEBHOOK} && rm /tmp/kept.lua")
    code, output = newcomer.type(measures)
    assert code == 0, output
    assert verdict_of(newcomer.look(), "gate 4") == "pass"


def test_out_of_a_rollback(newcomer: Newcomer) -> None:
    code, output = newcomer.type(f"ansible-playbook -i {newcomer.inventory} playbooks/rollback.yml -e phase=4")
    assert code == 0, output
    screen = newcomer.look()
    assert verdict_of(screen, "gate 4") == "fail" and verdict_of(screen, "gate 3") == "pass"
    newcomer.heard.clear()
    newcomer.until("gate 4", "pass")
    code, output = newcomer.type(f"rollout evidence verify -i {newcomer.inventory}")
    assert code == 0 and "intact" in output


def test_no_secret_of_this_world_was_shown_or_kept(
    newcomer: Newcomer, et: Host, vm: Host, evidence: Path, tmp_path: Path
) -> None:
    """The passwords and the webhook's path that all these runs really used are on their hosts, and nowhere else."""
    secrets = {
        "database password": vm.check_output("sed -n 's/^POSTGRES_PASSWORD=//p' /opt/slomix/.env"),
        "rcon password": et.check_output("cat /home/et/.rollout/rcon_password"),
        "webhook": et.check_output(f"sed -n 's|.*/api/webhooks/\\([^\"]*\\).*|\\1|p' {WEBHOOK} | head -1"),
    }
    assert all(len(secret) >= 20 for secret in secrets.values()), "they must have been read"
    assert newcomer.type(f"rollout report -i {newcomer.inventory} -o {tmp_path / 'report.html'}")[0] == 0
    kept = [tmp_path, evidence, newcomer.root / "build/lua/rehearsals", newcomer.root / "build/runs"]
    files = [path for folder in kept for path in folder.rglob("*") if path.is_file()]
    assert len(newcomer.seen) > 20 and len(files) > 3
    for kind, secret in secrets.items():
        assert not [text for text in newcomer.seen if secret in text], f"the {kind} was shown"
        assert not [path for path in files if secret.encode() in path.read_bytes()], f"the {kind} was kept"
    candidates = [path for path in (newcomer.root / "build/lua/candidates").rglob("*") if path.is_file()]
    holding = [path for path in candidates if secrets["webhook"].encode() in path.read_bytes()]
    assert holding, "a candidate for the host that has the URL has it too"
    assert (
        {path.stat().st_mode & 0o077 for path in holding}
        == {0}
        == {path.parent.stat().st_mode & 0o077 for path in holding}
    )
