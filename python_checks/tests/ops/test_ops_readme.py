"""The first page can be typed: every command of README exists, takes these options, and comes in an order that leads on."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from python_checks.cli import parser
from python_checks.gates import files

MYSITE = "inventory/mysite"


def block(readme: str, heading: str) -> list[str]:
    """The commands of the first code block below a heading, without their remarks."""
    section = readme.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = section.split("```", 2)[1].splitlines()
    return [command for line in lines if (command := line.split("#", 1)[0].strip())]


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text()


def test_the_commands_for_a_site_can_be_typed_in_this_order(readme: str, root: Path) -> None:
    copy, *others = block(readme, "On your own servers")
    assert copy == f"cp -r inventory/example {MYSITE}" and (root / "inventory/example").is_dir()
    typed = [shlex.split(line.replace(MYSITE, "inventory/example")) for line in others]
    for line in typed:
        assert line[0] in ("ansible-playbook", "rollout"), line
        if line[0] == "rollout":
            parser().parse_args(line[1:])
    words = [line for line in typed if line[0] == "ansible-playbook"]
    assert len(words) >= 7, others

    def parsed(line: list[str]) -> str:
        command = [str(Path(sys.executable).with_name(line[0])), *line[1:], "--syntax-check"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
        return "" if done.returncode == 0 else f"{' '.join(line)}:\n{done.stdout}{done.stderr}"

    with ThreadPoolExecutor(2) as pool:
        assert [problem for problem in pool.map(parsed, words) if problem] == []
    named = [Path(next(word for word in line if word.endswith(".yml"))).stem for line in words]
    assert named[0] == "baseline" and "--check" in words[named.index("phase0")], "reading and predicting come first"
    order = [name for name in dict.fromkeys(named) if name.startswith("phase")]
    plan = [Path(phase["playbook"]).stem for phase in files.load_plan()["phases"]]
    assert order == plan[: len(order)], "each phase behind the ones it stands on"
    assert named.index("gate") < named.index("rollback")


def test_a_command_that_is_not_there_is_found(root: Path) -> None:
    """The test's own mutant."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventory/example", "--syntax-check"]
    for wrong in (["playbooks/phase9.yml"], ["playbooks/gate.yml", "--no-such-option"]):
        assert subprocess.run([*command, *wrong], cwd=root, capture_output=True, timeout=60).returncode != 0


def test_every_rollout_command_of_the_first_page_exists(readme: str) -> None:
    spans = re.findall(r"`(rollout [^`]+)`", readme)
    assert len(spans) >= 10
    for span in spans:
        words = re.match(r"rollout((?: [a-z]+)+)", span)
        assert words, span
        with pytest.raises(SystemExit) as ended:
            parser().parse_args([*words[1].split(), "--help"])
        assert ended.value.code == 0, span
