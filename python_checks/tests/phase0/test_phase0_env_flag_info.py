"""env_flag_info as a process: file states, and the running program found without systemd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Runner = Callable[..., dict[str, Any]]
KEY = "SHOW_TIMING_DUAL"
CANARY = "canary-c0ffee"
# Containers on this machine may run the real word, so the word of these tests is their own.
WORD = f"bot.of_test_{os.getpid()}"


def ask(run_module: Runner, path: Path, **more: Any) -> dict[str, Any]:
    return run_module("env_flag_info", {"path": str(path), "key": KEY, **more})


@pytest.mark.parametrize(
    ("text", "state", "effective"),
    [
        (f"{KEY}=true\n", "set", True),
        (f"{KEY}=1\n", "set", False),
        (f"# {KEY}=true\n", "commented", False),
        ("OTHER=true\n", "unset", False),
        (f"{KEY}=true # on\n", "set", None),
    ],
)
def test_states(run_module: Runner, tmp_path: Path, text: str, state: str, effective: bool | None) -> None:
    file = tmp_path / ".env"
    file.write_text(text)
    result = ask(run_module, file)
    assert (result["state"], result["effective"], result["changed"]) == (state, effective, False)


def test_a_missing_file_is_unreadable_and_not_off(run_module: Runner, tmp_path: Path) -> None:
    result = ask(run_module, tmp_path / ".env")
    assert (result["state"], result["effective"], result["running_effective"]) == ("unreadable", None, None)
    assert "No such file" in result["file"]["reason"]


def test_a_folder_in_its_place_is_unreadable(run_module: Runner, tmp_path: Path) -> None:
    result = ask(run_module, tmp_path)
    assert (result["state"], result["effective"]) == ("unreadable", None)


def test_no_other_value_is_shown(run_module: Runner, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"POSTGRES_PASSWORD={CANARY}\n{KEY}=true\n#TOKEN={CANARY}\nX='{CANARY}\n'\n")
    result = ask(run_module, file)
    assert CANARY not in json.dumps(result)
    assert result["value"] == "true"


def start_bot(tmp_path: Path, **environment: str) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", WORD],
        env={**os.environ, **environment},
        cwd=tmp_path,
    )
    while WORD.encode() not in Path(f"/proc/{child.pid}/cmdline").read_bytes():
        time.sleep(0.01)
    return child


def set_age(path: Path, age_s: float) -> None:
    os.utime(path, (time.time() - age_s,) * 2)


def test_the_running_program_decides_what_is_running(run_module: Runner, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"{KEY}=true\n")
    set_age(file, 100)
    bot = start_bot(tmp_path)
    try:
        # Older file: what the program read at its start is what stands there.
        fresh = ask(run_module, file, process_argument=WORD)
        assert fresh["process"]["pid"] == bot.pid
        assert (fresh["needs_restart"], fresh["running_effective"], fresh["running_proof"]) == (False, True, "file")
        # Changed after the start: the running value is not known from the file any more.
        set_age(file, -100)
        stale = ask(run_module, file, process_argument=WORD)
        assert (stale["needs_restart"], stale["effective"], stale["running_effective"]) == (True, True, None)
    finally:
        bot.kill()
        bot.wait()


def test_the_programs_own_environment_is_the_better_proof(run_module: Runner, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"{KEY}=true\n")
    set_age(file, -100)
    bot = start_bot(tmp_path, **{KEY: "false"})
    try:
        result = ask(run_module, file, process_argument=WORD)
        assert (result["running_effective"], result["running_proof"], result["effective"]) == (False, "environ", True)
    finally:
        bot.kill()
        bot.wait()


def test_no_program_means_not_known(run_module: Runner, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"{KEY}=true\n")
    result = ask(run_module, file, process_argument="bot.nobody_runs_this")
    assert (result["needs_restart"], result["running_effective"]) == (None, None)
    assert result["process"]["reason"]
