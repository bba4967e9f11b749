"""Editing an environment file by key: both readers read the wish, every other byte stays, and the way back is exact."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils.dotenv import (
    Edit,
    EditRefused,
    dotenv_assignments,
    inspect,
    plan_edit,
    plan_undo,
    systemd_assignments,
)
from hypothesis import example, given
from hypothesis import strategies as st

KEY = "SHOW_TIMING_DUAL"

CASES = [
    ("A=1\nSHOW_TIMING_DUAL=true\nB=2\n", "A=1\nSHOW_TIMING_DUAL=false\nB=2\n"),
    ("SHOW_TIMING_DUAL=true", "SHOW_TIMING_DUAL=false"),
    ('SHOW_TIMING_DUAL="true"\n', 'SHOW_TIMING_DUAL="false"\n'),
    ("SHOW_TIMING_DUAL='true'  \n", "SHOW_TIMING_DUAL='false'  \n"),
    ("  SHOW_TIMING_DUAL = true\n", "  SHOW_TIMING_DUAL = false\n"),
    ("A=1\r\nSHOW_TIMING_DUAL=true\r\nB=2\r\n", "A=1\r\nSHOW_TIMING_DUAL=false\r\nB=2\r\n"),
    ("SHOW_TIMING_DUAL=\nB=2\n", "SHOW_TIMING_DUAL=false\nB=2\n"),
    ("# SHOW_TIMING_DUAL=true\nA=1\n", "# SHOW_TIMING_DUAL=true\nA=1\nSHOW_TIMING_DUAL=false\n"),
    ("A=1", "A=1\nSHOW_TIMING_DUAL=false"),
    ("A=1\r\nB=2", "A=1\r\nB=2\r\nSHOW_TIMING_DUAL=false"),
    ("", "SHOW_TIMING_DUAL=false\n"),
    ("SHOW_TIMING_DUAL=false\nSHOW_TIMING_DUAL=true\n", "SHOW_TIMING_DUAL=false\nSHOW_TIMING_DUAL=false\n"),
    ("SHOW_TIMING_DUAL=true\nNOT_SHOW_TIMING_DUAL=true\n", "SHOW_TIMING_DUAL=false\nNOT_SHOW_TIMING_DUAL=true\n"),
    (
        "T='two\nSHOW_TIMING_DUAL=true'\nSHOW_TIMING_DUAL=true\n",
        "T='two\nSHOW_TIMING_DUAL=true'\nSHOW_TIMING_DUAL=false\n",
    ),
    ("\ufeffA=1\nSHOW_TIMING_DUAL=true\n# \udcff\n", "\ufeffA=1\nSHOW_TIMING_DUAL=false\n# \udcff\n"),
]
REFUSED = [
    ("SHOW_TIMING_DUAL=true # dual display\n", "by systemd"),
    ("export SHOW_TIMING_DUAL=true\n", "by systemd"),
    ("SHOW_TIMING_DUAL=tr\\\nue\n", "line 1"),
    ('A="open\nB=1\n', "another key|by "),
    ("A=1 \\", "another key|by "),
    ("# note \\", "by systemd"),
    ("SHOW_TIMING_DUAL='tr''ue'\n", "line 1"),
]


@pytest.mark.parametrize(("text", "wanted"), CASES)
def test_only_the_value_changes(text: str, wanted: str) -> None:
    edit = plan_edit(text, KEY, "false")
    assert edit is not None and edit.apply(text) == wanted
    assert plan_edit(wanted, KEY, "false") is None
    before = inspect(text, KEY)["systemd_value"]
    undone = plan_undo(wanted, KEY, edit, before)
    assert undone is not None and undone.apply(wanted) == text


@pytest.mark.parametrize(("text", "why"), REFUSED)
def test_what_cannot_be_edited_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(EditRefused, match=why):
        plan_edit(text, KEY, "false")


@pytest.mark.parametrize("value", ["a b", "", '"x"', "a#b", "x\n", "$HOME", "a\\"])
def test_only_plain_values_are_written(value: str) -> None:
    with pytest.raises(EditRefused, match="plain name and value"):
        plan_edit("A=1\n", KEY, value)


PIECES = st.sampled_from(
    [
        "A=1",
        "B='x y'",
        'C="q\\"q"',
        "# SHOW_TIMING_DUAL=true",
        "; note",
        "",
        "export D=4",
        "SHOW_TIMING_DUAL=true",
        "E=a # b",
        'SHOW_TIMING_DUAL="True"',
        "F='two\nlines'",
        "G=back\\",
        " SHOW_TIMING_DUAL = TRUE ",
        "H",
        "I='open",
        "\t",
        "J==",
        "K=\udce4",
    ]
)


@given(st.lists(PIECES, max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
@example(["G=back\\"], "\n", False)
def test_any_file_is_edited_rightly_or_not_at_all(pieces: list[str], newline: str, final: bool) -> None:
    text = newline.join(pieces) + (newline if final else "")
    try:
        edit = plan_edit(text, KEY, "false")
    except EditRefused:
        return
    assert edit is not None
    after = edit.apply(text)
    found = inspect(after, KEY)
    assert found["systemd_value"] == found["dotenv_value"] == "false"
    assert after[: edit.start] == text[: edit.start]
    assert after[edit.start + len(edit.new) :] == text[edit.start + len(edit.old) :]
    for read in (systemd_assignments, dotenv_assignments):
        others = [[(a.key, a.value) for a in read(one) if a.key != KEY] for one in (text, after)]
        assert others[0] == others[1]
    old = inspect(text, KEY)
    if old["systemd_value"] == old["dotenv_value"]:
        undone = plan_undo(after, KEY, edit, old["systemd_value"])
        assert undone is not None and undone.apply(after) == text


def test_the_way_back_passes_over_other_edits() -> None:
    text = "A=1\nSHOW_TIMING_DUAL='true'\nB=2\n"
    edit = plan_edit(text, KEY, "false")
    assert edit is not None
    moved = "# new\nA=12\nSHOW_TIMING_DUAL='false'\nB=2\nC=3\n"
    undone = plan_undo(moved, KEY, edit, "true")
    assert undone is not None and undone.apply(moved) == moved.replace("'false'", "'true'")
    added = plan_edit("A=1\n", KEY, "false")
    assert added is not None
    undone = plan_undo("A=1\nSHOW_TIMING_DUAL=false\nZ=1\n", KEY, added, None)
    assert undone is not None and undone.apply("A=1\nSHOW_TIMING_DUAL=false\nZ=1\n") == "A=1\nZ=1\n"
    undone = plan_undo("A=1\nY=1\nSHOW_TIMING_DUAL=false\nZ=1\n", KEY, added, None)
    assert undone is not None and undone.apply("A=1\nY=1\nSHOW_TIMING_DUAL=false\nZ=1\n") == "A=1\nY=1\nZ=1\n"


@pytest.mark.parametrize("now", ["A=1\nSHOW_TIMING_DUAL=maybe\n", "A=1\n"])
def test_the_way_back_refuses_what_somebody_else_wrote(now: str) -> None:
    edit = plan_edit("A=1\nSHOW_TIMING_DUAL=true\n", KEY, "false")
    assert edit is not None
    with pytest.raises(EditRefused):
        plan_undo("# above\n" + now, KEY, edit, "true")


def test_an_edit_in_the_wrong_place_is_refused() -> None:
    with pytest.raises(EditRefused):
        Edit(0, "x", "y").apply("abc")


Module = Callable[..., dict[str, Any]]


@pytest.fixture
def flag(run_module: Module, tmp_path: Path) -> Module:
    """The module on a file of the test's own."""

    def run(state: str = "set", *, check: bool = False, **more: Any) -> dict[str, Any]:
        options = {
            "path": str(tmp_path / ".env"),
            "key": KEY,
            "state": state,
            "state_dir": str(tmp_path / "state"),
            **more,
        }
        return run_module("env_flag", {"value": "false", **options} if state == "set" else options, check=check)

    return run


TEXT = b'# settings \xff\r\nSECRET=canary-3\r\nSHOW_TIMING_DUAL="true"\r\nB=2'


def test_set_again_restore_again(flag: Module, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(TEXT)
    path.chmod(0o640)
    os.chown(path, os.getuid(), os.getgid())
    predicted = flag(check=True)
    assert path.read_bytes() == TEXT and not (tmp_path / "state").exists()
    real = flag()
    assert path.read_bytes() == TEXT.replace(b"true", b"false") and stat.S_IMODE(path.stat().st_mode) == 0o640
    for key in ("changed", "before", "after", "actions", "diff"):
        assert predicted[key] == real[key], key
    assert (
        real["changed"]
        and "canary" not in str(real)
        and (real["before"]["value"], real["after"]["value"]) == ("true", "false")
    )
    record = next((tmp_path / "state").iterdir())
    assert "canary" not in record.read_text() and stat.S_IMODE(record.stat().st_mode) == 0o600
    assert not flag()["changed"]
    assert flag("restored", check=True)["changed"] and path.read_bytes() != TEXT
    assert flag("restored")["changed"] and path.read_bytes() == TEXT
    assert not flag("restored")["changed"]
    assert flag()["changed"], "it can be set again after the way back"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".") and p.name != ".env"] == []


def test_a_link_is_followed_and_stays(flag: Module, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(TEXT)
    (tmp_path / ".env").symlink_to("real")
    flag()
    assert (tmp_path / ".env").is_symlink() and b"false" in (tmp_path / "real").read_bytes()


def test_what_a_killed_run_was_writing_is_removed_even_when_there_is_nothing_to_do(
    flag: Module, tmp_path: Path
) -> None:
    """It holds every secret of the file, beside the file."""
    (tmp_path / ".env").write_bytes(TEXT)
    assert flag()["changed"]
    left = tmp_path / "..env.rollout-new"
    for check in (True, False):
        left.write_text("SECRET=half")
        assert flag(check=check)["changed"] is False
        assert left.exists() is check
    left.write_text("SECRET=half of something that was longer than the file is now" * 9)
    assert flag("restored")["changed"] and (tmp_path / ".env").read_bytes() == TEXT and not left.exists()


def test_killed_after_the_record_runs_again(flag: Module, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(TEXT)
    flag()
    path.write_bytes(TEXT)  # as a kill between record and file would leave it
    assert flag()["changed"] and flag("restored")["changed"] and path.read_bytes() == TEXT


def test_nothing_recorded_and_strange_states_are_refused(flag: Module, tmp_path: Path) -> None:
    assert "cannot be read" in flag()["msg"]
    path = tmp_path / ".env"
    path.write_bytes(TEXT)
    assert "nothing is recorded" in flag("restored")["msg"]
    flag()
    path.write_bytes(TEXT.replace(b"true", b"maybe"))
    assert "never taken back" in flag()["msg"] and b"maybe" in path.read_bytes()
    assert flag("restored").get("failed") and b"maybe" in path.read_bytes()
    path.write_bytes(b"export SHOW_TIMING_DUAL=true\n")
    assert (
        flag(state_dir=str(tmp_path / "other")).get("failed") and path.read_bytes() == b"export SHOW_TIMING_DUAL=true\n"
    )
