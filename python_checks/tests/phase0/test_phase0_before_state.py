"""The recording that the way back relies on: durable, first one wins, never guessed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import before_state
from hypothesis import given
from hypothesis import strategies as st


def test_what_is_written_is_read_and_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "x.json"
    record = before_state.new_record({"enabled": True}, started=None)
    before_state.write_record(str(path), record)
    assert before_state.read_record(str(path)) == record
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_nothing_recorded_is_none(tmp_path: Path) -> None:
    assert before_state.read_record(str(tmp_path / "x.json")) is None
    assert not before_state.is_open(None)


def test_open_until_restored() -> None:
    record = before_state.new_record({})
    assert before_state.is_open(record)
    assert not before_state.is_open(before_state.restored(record))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"before": 3}', '{"other": {}}'])
def test_what_is_no_recording_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(before_state.RecordError, match=r"x\.json"):
        before_state.read_record(str(path))


@given(cut=st.integers(min_value=0, max_value=60))
def test_a_cut_recording_is_never_read_as_another(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "x.json"
    before_state.write_record(str(path), before_state.new_record({"enabled": True, "running": False}))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(before_state.RecordError):
        before_state.read_record(str(path))


def test_a_failed_write_leaves_the_old_recording(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    before_state.write_record(str(path), before_state.new_record({"enabled": True}))
    before = path.read_bytes()
    with pytest.raises(TypeError):
        before_state.write_record(str(path), before_state.new_record({"enabled": {1, 2}}))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
