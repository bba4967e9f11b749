"""What killed processes leave on a disk is removed by the next one of their kind, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import before_state, ledger
from ansible_collections.slomix.timetracking.plugins.module_utils.leftovers import own_folder, sweep
from ansible_collections.slomix.timetracking.plugins.module_utils.lock import process_ticks

from python_checks.candidate import keep

KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.slomix.timetracking.plugins.module_utils.leftovers import own_folder
with own_folder(sys.argv[2], "made-") as folder:
    open(os.path.join(folder, "secret"), "w").close()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def left(tmp_path: Path, root: Path) -> Path:
    """The folder that a killed process left."""
    subprocess.run([sys.executable, "-c", KILLED, str(root / ".collections"), str(tmp_path)])
    (folder,) = tmp_path.iterdir()
    assert [path.name for path in folder.iterdir()] == ["secret"], "a kill must leave something, else nothing is tried"
    return folder


def test_a_killed_ones_folder_goes_with_the_next(left: Path, tmp_path: Path) -> None:
    with own_folder(str(tmp_path), "made-") as folder:
        assert [str(path) for path in tmp_path.iterdir()] == [folder]
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        assert sweep(str(tmp_path), "made-") == [], "what a living process uses stays"
    assert list(tmp_path.iterdir()) == []


def test_other_names_other_kinds_and_links_stay(left: Path, tmp_path: Path) -> None:
    mine = f"{os.getpid()}-{process_ticks(os.getpid())}"
    kept = {"made-1", "made-x-y-z", "other-1-2-3", f"made-{mine}-a"}
    for name in kept:
        (tmp_path / name).mkdir()
    (tmp_path / "made-1-2-link").symlink_to(tmp_path / "other-1-2-3")
    assert sweep(str(tmp_path), "made-") == [left.name]
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "made-1-2-link"}
    assert sweep(str(tmp_path / "nowhere"), "made-") == []


def test_a_pid_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    (tmp_path / f"made-{os.getpid()}-{process_ticks(os.getpid()) - 1}-a").mkdir()
    assert len(sweep(str(tmp_path), "made-")) == 1


def test_a_recording_that_never_came_to_its_place_is_swept(tmp_path: Path) -> None:
    path = str(tmp_path / "x.service.json")
    before_state.write_record(path, before_state.new_record({"enabled": True}))
    Path(before_state.staged_path(path)).write_text('{"bef')
    before_state.sweep(path)
    assert [one.name for one in tmp_path.iterdir()] == ["x.service.json"]
    before_state.sweep(path)
    Path(before_state.staged_path(path)).write_text("longer than what comes now " * 40)
    before_state.write_record(path, before_state.new_record({"enabled": False}))
    assert before_state.read_record(path)["before"] == {"enabled": False}  # type: ignore[index]
    assert [one.name for one in tmp_path.iterdir()] == ["x.service.json"]


def test_the_next_append_leaves_no_half_written_file(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    ledger.append(str(folder), {"kind": "note", "result": {"text": "y" * 5000}})
    for one in (folder, folder / "raw"):
        (one / ".new").write_text("half of something that was longer than the head " * 9)
    ledger.append(str(folder), {"kind": "note"})
    assert ledger.verify(str(folder)).intact
    assert not [path for path in folder.rglob(".*")]


def test_a_candidate_is_whole_under_its_digest_and_nothing_lies_beside(tmp_path: Path) -> None:
    kept = Path(keep(tmp_path, "dir/hook.lua", b"print(1)")["path"])
    assert kept.parent.parent == tmp_path / "candidates" and kept.stat().st_mode & 0o777 == 0o600
    kept.write_bytes(b"torn")
    assert Path(keep(tmp_path, "hook.lua", b"print(1)")["path"]).read_bytes() == b"print(1)"
    assert [path.name for path in tmp_path.iterdir()] == ["candidates"]
