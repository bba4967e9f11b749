"""The ledger: any change is found, a crash at any point is told from tampering, and no writer loses a line."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger
from ansible_collections.slomix.timetracking.plugins.module_utils.ledger import GENESIS, LedgerError
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger of four records, one with a raw file."""
    made = tmp_path / "evidence"
    for number in range(4):
        text = "x" * (ledger.LONG_TEXT_BYTES + 1) if number == 2 else "short"
        ledger.append(str(made), {"kind": "step", "phase": 0, "step": f"0.{number}", "result": {"text": text}})
    return made


def lines(folder: Path) -> list[bytes]:
    return (folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)


def write(folder: Path, *parts: bytes) -> None:
    (folder / "ledger.jsonl").write_bytes(b"".join(parts))


def fault(folder: Path) -> str:
    return ledger.verify(str(folder)).fault


def test_what_was_written_is_intact(folder: Path) -> None:
    state = ledger.verify(str(folder))
    assert (state.intact, state.records, state.line) == (True, 4, 0)
    records = ledger.read(str(folder))
    assert [record["seq"] for record in records] == [1, 2, 3, 4]
    assert records[0]["prev"] == GENESIS
    assert [record["prev"] for record in records[1:]] == [record["hash"] for record in records[:-1]]
    assert state.head == records[-1]["hash"]


def test_files_are_for_the_owner_only(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 4
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_folder_that_is_not_there_is_an_empty_ledger_and_stays_absent(tmp_path: Path) -> None:
    absent = tmp_path / "none"
    assert ledger.verify(str(absent)).intact
    assert ledger.read(str(absent)) == []
    assert not absent.exists()


def test_every_flipped_byte_is_found(folder: Path) -> None:
    """All bytes of the lines and of the head, one after the other (every third, with three kinds of flip)."""
    for name in ("ledger.jsonl", "head"):
        path = folder / name
        good = path.read_bytes()
        for at in range(len(good)):
            flip = (0x01, 0x20, 0x80)[at % 3]
            path.write_bytes(good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :])
            assert fault(folder), f"{name}: byte {at} ({good[at : at + 1]!r}) xor {flip:#x}"
        path.write_bytes(good)
    assert fault(folder) == ""


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_change_of_the_lines_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    made = tmp_path_factory.mktemp("any")
    for number in range(3):
        ledger.append(str(made), {"kind": "note", "result": {"number": number, "name": 'a"b\\ é'}})
    good = (made / "ledger.jsonl").read_bytes()
    start = data.draw(st.integers(0, len(good)))
    stop = data.draw(st.integers(start, min(len(good), start + 40)))
    changed = good[:start] + data.draw(st.binary(max_size=3)) + good[stop:]
    (made / "ledger.jsonl").write_bytes(changed)
    assert bool(fault(made)) == (changed != good)


def test_swapped_removed_doubled_and_cut_lines_are_found(folder: Path) -> None:
    one, two, three, four = lines(folder)
    for damage in (
        (two, one, three, four),
        (one, three, four),
        (one, two, two, three, four),
        (one, two, three),
        (one,),
        (),
    ):
        write(folder, *damage)
        assert fault(folder)
    write(folder, one, two, three, four)
    assert fault(folder) == ""


def test_the_line_that_was_changed_is_named(folder: Path) -> None:
    one, two, three, four = lines(folder)
    write(folder, one, two.replace(b'"phase":0', b'"phase":1'), three, four)
    state = ledger.verify(str(folder))
    assert state.line == 2
    assert "line 2 does not have the content" in state.fault


def test_a_line_rewritten_with_a_new_hash_is_found_by_the_next(folder: Path) -> None:
    one, two, three, four = lines(folder)
    record = json.loads(two)
    record["result"]["text"] = "better"
    record["hash"] = ledger.record_hash(record)
    write(folder, one, ledger.canonical(record).encode() + b"\n", three, four)
    assert "line 3 does not follow" in fault(folder)


@pytest.mark.parametrize(
    ("good", "same"),
    [(b'"phase":0', b'"phase": 0'), (b"{", b'{"phase":7,'), (b"}\n", b"} \n"), (b"\\u00e9", b"\\u00E9"), (b"{", b" {")],
)
def test_another_spelling_of_the_same_record_is_found(tmp_path: Path, good: bytes, same: bytes) -> None:
    """What JSON reads alike (blanks, a key given twice, another escape) is not the byte that was written."""
    ledger.append(str(tmp_path), {"kind": "step", "phase": 0, "result": {"name": "é"}})
    path = tmp_path / "ledger.jsonl"
    changed = path.read_bytes().replace(good, same, 1)
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    assert "line 1" in fault(tmp_path)


def test_a_record_under_a_wrong_number_is_found(folder: Path) -> None:
    """Even if its hash was made to fit."""
    record = json.loads(lines(folder)[3])
    record["seq"] = 9
    record["hash"] = ledger.record_hash(record)
    write(folder, *lines(folder)[:3], ledger.canonical(record).encode() + b"\n")
    (folder / "head").write_text(ledger.canonical({"seq": 4, "hash": record["hash"]}) + "\n")
    assert "carries number 9" in fault(folder)


def test_a_cut_tail_is_found_by_the_head(folder: Path) -> None:
    write(folder, *lines(folder)[:3])
    assert fault(folder) == "the tail is cut: the head knows 4 lines, 3 are there"
    (folder / "head").unlink()
    assert "head is missing" in fault(folder)


def test_raw_files_are_part_of_the_evidence(folder: Path) -> None:
    raw = next((folder / "raw").iterdir())
    good = raw.read_bytes()
    raw.write_bytes(good[:-1] + b"y")
    assert "was changed" in fault(folder)
    raw.unlink()
    assert "is missing" in fault(folder)
    assert ledger.verify(str(folder)).line == 3


def test_a_text_is_read_back_wherever_it_was_kept(folder: Path) -> None:
    short, long = (ledger.read(str(folder))[at]["result"]["text"] for at in (0, 2))
    assert ledger.recorded_text(str(folder), short) == "short"
    assert ledger.recorded_text(str(folder), long) == "x" * (ledger.LONG_TEXT_BYTES + 1)
    for other in (None, 7, [short], {}, {"raw_sha256": 7}, {"raw_sha256": "../head"}, {"raw_sha256": ""}):
        assert ledger.recorded_text(str(folder), other) is None
    raw = folder / "raw" / long["raw_sha256"]
    raw.write_bytes(raw.read_bytes()[:-1] + b"y")
    assert ledger.recorded_text(str(folder), long) is None, "it is no longer what was recorded"
    raw.unlink()
    assert ledger.recorded_text(str(folder), long) is None


def test_a_broken_ledger_is_not_written_on(folder: Path) -> None:
    write(folder, *lines(folder)[1:])
    before = (folder / "ledger.jsonl").read_bytes()
    with pytest.raises(LedgerError, match="Nothing was recorded"):
        ledger.append(str(folder), {"kind": "note", "result": {}})
    assert (folder / "ledger.jsonl").read_bytes() == before
    with pytest.raises(LedgerError, match="no torn last line"):
        ledger.repair(str(folder))


def test_only_its_own_kinds_and_fields(folder: Path) -> None:
    with pytest.raises(LedgerError, match="kind is 'verify'"):
        ledger.append(str(folder), {"kind": "verify"})
    with pytest.raises(LedgerError, match="seq"):
        ledger.append(str(folder), {"kind": "note", "seq": 9})


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="rollout_evidence_dir"):
        ledger.append(str(tmp_path / "file"), {"kind": "note"})


def test_what_json_cannot_say_is_made_null(tmp_path: Path) -> None:
    record = ledger.append(str(tmp_path), {"kind": "note", "result": {"nan": math.nan, "inf": [-math.inf], 1: b"\xff"}})
    assert record["result"] == {"nan": None, "inf": [None], "1": "\\xff"}
    assert ledger.verify(str(tmp_path)).intact


NAMES = st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(result=VALUES)
def test_whatever_is_recorded_is_read_back_as_written(tmp_path_factory: pytest.TempPathFactory, result: Any) -> None:
    made = tmp_path_factory.mktemp("round")
    record = ledger.append(str(made), {"kind": "step", "result": result})
    assert ledger.read(str(made)) == [record]
    assert ledger.verify(str(made)).intact


# --- crashes ---------------------------------------------------------------------------------------------------------

CRASH = """
import os, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger
left = int(sys.argv[3])
def counted(real):
    def call(*args, **more):
        global left
        left -= 1
        if left == 0:
            os._exit(9)
        return real(*args, **more)
    return call
for name in ("open", "write", "fsync", "replace", "close", "makedirs"):
    setattr(os, name, counted(getattr(os, name)))
ledger.append(sys.argv[2], {"kind": "note", "result": {"text": "y" * 5000}})
"""


def test_a_crash_at_any_point_leaves_an_intact_ledger(folder: Path, root: Path) -> None:
    """Ended before each system call in turn: the record is there or it is not, and the next one can be written."""
    finished = 0
    for point in range(1, 40):
        before = ledger.verify(str(folder)).records
        done = subprocess.run(
            [sys.executable, "-c", CRASH, str(root / ".collections"), str(folder), str(point)], capture_output=True
        )
        state = ledger.verify(str(folder))
        assert state.intact, (point, state)
        assert state.records in (before, before + 1)
        assert ledger.append(str(folder), {"kind": "note", "result": {"point": point}})["seq"] == state.records + 1
        finished += done.returncode == 0
    assert finished > 0, "the points must reach the end of an append, else the middle was not covered"
    assert finished < 35


def torn(folder: Path, keep: int) -> None:
    """What a power cut leaves: the head announces a line of which only ``keep`` bytes reached the disk."""
    state = ledger.verify(str(folder))
    copy = folder.parent / "copy"
    subprocess.run(["cp", "-r", str(folder), str(copy)], check=True)
    record = ledger.append(str(copy), {"kind": "note", "result": {"note": "the line that tears"}})
    line = (ledger.canonical(record) + "\n").encode()
    head = {"seq": state.records, "hash": state.head, "pending": record["hash"]}
    (folder / "head").write_text(ledger.canonical(head) + "\n")
    with (folder / "ledger.jsonl").open("ab") as stream:
        stream.write(line[:keep])


@pytest.mark.parametrize("keep", [1, 50, -1])
def test_a_torn_line_is_reported_and_set_aside_but_never_dropped(folder: Path, keep: int) -> None:
    torn(folder, keep)
    state = ledger.verify(str(folder))
    assert state.torn and state.line == 5
    assert "rollout evidence repair" in ledger.advice(state)
    with pytest.raises(LedgerError, match="rollout evidence repair"):
        ledger.append(str(folder), {"kind": "note"})
    record = ledger.repair(str(folder))
    assert (folder / "raw" / record["result"]["raw"]).is_file()
    assert ledger.verify(str(folder)).intact
    assert ledger.verify(str(folder)).records == 5


def test_a_line_cut_by_hand_is_not_taken_for_a_crash(folder: Path) -> None:
    data = (folder / "ledger.jsonl").read_bytes()
    (folder / "ledger.jsonl").write_bytes(data[:-10])
    state = ledger.verify(str(folder))
    assert not state.intact and not state.torn
    with pytest.raises(LedgerError):
        ledger.repair(str(folder))


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path, root: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from ansible_collections.slomix.timetracking.plugins.module_utils import ledger\n"
        "for one in range(10): ledger.append(sys.argv[2], {'kind': 'note', 'result': {'who': sys.argv[3], 'one': one}})"
    )
    made = str(tmp_path / "shared")
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(root / ".collections"), made, str(who)]) for who in range(4)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0, 0]
    records = ledger.read(made)
    assert ledger.verify(made).intact
    assert len({(record["result"]["who"], record["result"]["one"]) for record in records}) == 40


def test_reading_waits_for_a_writer(folder: Path) -> None:
    """verify takes the lock shared, so it never sees a half-written state of a living writer."""
    import fcntl

    handle = os.open(folder / "lock", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_SH)
    assert ledger.verify(str(folder)).intact
    os.close(handle)
