"""The evidence ledger: append-only JSON lines, each carrying the hash of the one before; any later change of a byte
is found.

Folder: ``ledger.jsonl`` (the lines), ``head`` (seq and hash of the last line, replaced atomically; what a cut tail is
found by), ``raw/<sha256>`` (long texts, named by their digest), ``lock``. Everything is 0600 in a 0700 folder.

Line: canonical JSON (plain.canonical) of the record with ``hash`` = SHA-256 of ``prev`` + canonical record without
``hash``; the first ``prev`` is 64 zeros. ``seq`` counts from 1. What this does not prove: that the host told the
truth, and that nobody who owns the folder wrote the whole chain anew. Against the latter keep the head elsewhere
(``rollout evidence verify`` prints it).

Order of one append: head with ``pending`` (the line about to come), line (one write, fsync), head. A crash in between
leaves a state that ``verify`` recognises as sound (the pending line is there or it is not); a line cut in its middle
is reported, and ``repair`` sets it aside.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from ansible_collections.slomix.timetracking.plugins.module_utils.plain import canonical, plain, redact, redact_text

GENESIS = "0" * 64
KINDS = ("step", "verdict", "waiver", "note")
LEGS = ("action", "verify", "revert")
LONG_TEXT_BYTES = 4096
LONG_TEXT_SHOWN = 200
_LINES = "ledger.jsonl"
_STAGED = ".new"


class LedgerError(RuntimeError):
    """The ledger cannot be written or read as it is; the message says what was found and what to do."""


@dataclass(frozen=True)
class Verification:
    """What ``verify`` found: ``fault`` is "" when the chain is intact; ``line`` is the number of the first bad line
    (0: not one line's fault)."""

    records: int
    head: str
    fault: str = ""
    line: int = 0
    torn: bool = False

    @property
    def intact(self) -> bool:
        """Whether every line, the head and every raw file are as they were written."""
        return not self.fault


def record_hash(record: Mapping[str, Any]) -> str:
    """SHA-256 (hex) that chains ``record`` (with ``prev``, with or without ``hash``) to the one before."""
    body = {key: value for key, value in record.items() if key != "hash"}
    return hashlib.sha256((str(record["prev"]) + canonical(body)).encode("ascii")).hexdigest()


def append(folder: str, body: Mapping[str, Any], *, at: Optional[datetime] = None) -> Dict[str, Any]:
    """Write one record and return it as written (plain, redacted, long texts set aside). Safe against other writers.

    ``body``: kind (step | verdict | waiver | note) and what belongs to it: run, check, phase, step, leg, name, host,
    operator, result, digests, plan_sha256, git. ``at`` is the time of recording (now). Raises LedgerError if the
    ledger is not intact: a broken one is never written on.
    """
    if body.get("kind") not in KINDS:
        raise LedgerError(f"a record's kind is {body.get('kind')!r}; required is one of {', '.join(KINDS)}")
    reserved = sorted({"seq", "prev", "hash", "at"} & set(body))
    if reserved:
        raise LedgerError(f"{', '.join(reserved)} are set by the ledger itself; leave them out of the record")
    moment = (at or datetime.now(timezone.utc)).astimezone(timezone.utc)
    with _locked(folder):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, "raw", _STAGED))
        state = _verify(folder)
        if not state.intact:
            raise LedgerError(f"{state.fault}. Nothing was recorded. {advice(state)}")
        record = {**redact(plain(body)), "at": moment.isoformat(timespec="milliseconds")}
        record = {**_set_aside(folder, record), "seq": state.records + 1, "prev": state.head}
        record["hash"] = record_hash(record)
        _write_head(folder, state.records, state.head, pending=record["hash"])
        _write_line(folder, canonical(record) + "\n")
        _write_head(folder, record["seq"], record["hash"])
    return record


def read(folder: str) -> List[Dict[str, Any]]:
    """All records, oldest first; of a damaged ledger those before the first bad line. An absent ledger is empty."""
    return _scan(folder)[0]


def verify(folder: str) -> Verification:
    """Recompute the whole chain, the head and the digests of raw files. An absent folder is an empty, intact ledger.

    Raises LedgerError only if the files cannot be read at all.
    """
    if not os.path.isdir(folder):
        return Verification(0, GENESIS)
    with _locked(folder, shared=True):
        return _verify(folder)


def advice(state: Verification) -> str:
    """One sentence: what to do about a ledger that is not intact."""
    if state.torn:
        return "A crash cut the last line; set it aside with: rollout evidence repair"
    return "Restore the folder from a copy, or keep it aside and start a new one; its phases must be proven again"


def repair(folder: str) -> Dict[str, Any]:
    """Set a torn last line aside under raw/ and record that. Raises LedgerError when the ledger is intact or damaged
    in any other way."""
    with _locked(folder):
        state = _verify(folder)
        if not state.torn:
            raise LedgerError(f"there is no torn last line to set aside; {state.fault or 'the ledger is intact'}")
        path = os.path.join(folder, _LINES)
        with open(path, "rb+") as lines:
            data = lines.read()
            keep = data.rfind(b"\n") + 1
            torn = data[keep:]
            name = store_raw(folder, torn.decode("utf-8", "backslashreplace"))
            lines.truncate(keep)
            os.fsync(lines.fileno())
        _write_head(folder, state.records, state.head)
    text = f"a crash cut line {state.line}; its {len(torn)} bytes are raw/{name}"
    return append(folder, {"kind": "note", "result": {"note": text, "raw": name}})


def store_raw(folder: str, text: str) -> str:
    """Keep ``text``, redacted, as raw/<sha256>; returns the digest (hex)."""
    data = redact_text(text).encode("utf-8", "backslashreplace")
    name = hashlib.sha256(data).hexdigest()
    raw = os.path.join(folder, "raw")
    os.makedirs(raw, mode=0o700, exist_ok=True)
    if not os.path.exists(os.path.join(raw, name)):
        _replace(raw, name, data)
    return name


def recorded_text(folder: str, value: Any) -> Optional[str]:
    """The text that ``append`` was given, from a record's ``value``: the text itself or, when it was set aside, raw/.

    None for anything else, and for a raw file that is missing or no longer what was recorded.
    """
    if isinstance(value, str):
        return value
    name = value.get("raw_sha256") if isinstance(value, Mapping) else None
    if not isinstance(name, str):
        return None
    try:
        with open(os.path.join(folder, "raw", os.path.basename(name)), "rb") as stream:
            data = stream.read()
    except OSError:
        return None
    return data.decode("utf-8", "replace") if hashlib.sha256(data).hexdigest() == name else None


# --- inside -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(folder: str, shared: bool = False) -> Iterator[None]:
    path = os.path.join(folder, "lock")
    if shared and not os.path.exists(path):
        # Looking must not leave a file behind; where there is no lock yet, nobody writes.
        yield
        return
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        handle = os.open(path, os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise LedgerError(
            f"the evidence folder {folder} cannot be used: {error.strerror}; name another with rollout_evidence_dir"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _set_aside(folder: str, value: Any) -> Any:
    """``value`` with long texts replaced by {raw_sha256, bytes, head}; the texts go to raw/."""
    if isinstance(value, dict):
        return {key: _set_aside(folder, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_set_aside(folder, item) for item in value]
    if isinstance(value, str) and len(value) > LONG_TEXT_BYTES:
        return {
            "raw_sha256": store_raw(folder, value),
            "bytes": len(value.encode("utf-8", "backslashreplace")),
            "head": value[:LONG_TEXT_SHOWN],
        }
    return value


def _write_line(folder: str, line: str) -> None:
    handle = os.open(os.path.join(folder, _LINES), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        data = line.encode("ascii")
        written = os.write(handle, data)
        os.fsync(handle)
        if written != len(data):
            raise LedgerError(
                f"only {written} of {len(data)} bytes were recorded; free the disk, then: rollout evidence repair"
            )
    finally:
        os.close(handle)


def _write_head(folder: str, seq: int, last: str, pending: str = "") -> None:
    head = {"seq": seq, "hash": last, **({"pending": pending} if pending else {})}
    # Losing the final head to a power cut does no harm: the one before announces the line that is there.
    _replace(folder, "head", (canonical(head) + "\n").encode("ascii"), sync=bool(pending))


def _replace(folder: str, name: str, data: bytes, sync: bool = True) -> None:
    """Write a file so that it is either the old or the new one, whatever happens; mode 0600."""
    # Always the same name: there is one writer at a time, and what a killed one left is written over or swept.
    temporary = os.path.join(folder, _STAGED)
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        os.replace(temporary, os.path.join(folder, name))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _scan(folder: str) -> Tuple[List[Dict[str, Any]], str, int, bool]:
    """(records before the first bad line, fault or "", its line number, whether it is a torn last line)."""
    try:
        with open(os.path.join(folder, _LINES), "rb") as lines:
            data = lines.read()
    except FileNotFoundError:
        return [], "", 0, False
    except OSError as error:
        raise LedgerError(f"{os.path.join(folder, _LINES)} cannot be read: {error.strerror}") from error
    records: List[Dict[str, Any]] = []
    previous = GENESIS
    parts = data.split(b"\n")
    for number, part in enumerate(parts[:-1], start=1):
        record, fault = _line(part, number, previous)
        if record is None:
            return records, fault, number, False
        records.append(record)
        previous = record["hash"]
    if parts[-1]:
        number = len(parts)
        return records, f"line {number} is cut: {len(parts[-1])} bytes without an end of line", number, True
    return records, "", 0, False


def _line(part: bytes, number: int, previous: str) -> Tuple[Optional[Dict[str, Any]], str]:
    try:
        record = json.loads(part.decode("ascii"))
        rewritten = canonical(record)
    except (ValueError, RecursionError):
        return None, f"line {number} is no JSON record; it was changed after it was written"
    if not isinstance(record, dict) or rewritten != part.decode("ascii"):
        return None, f"line {number} is not written the way the ledger writes; it was changed after it was written"
    if record.get("seq") != number:
        return None, f"line {number} carries number {record.get('seq')!r}; a line was removed, added or swapped"
    if record.get("prev") != previous:
        return None, f"line {number} does not follow the line before it; a line was changed, removed or swapped"
    if record.get("hash") != record_hash(record):
        return None, f"line {number} does not have the content it was recorded with"
    return record, ""


def _head(folder: str) -> Tuple[Optional[Dict[str, Any]], str]:
    try:
        with open(os.path.join(folder, "head"), "rb") as stream:
            data = stream.read()
    except FileNotFoundError:
        return None, ""
    try:
        head = json.loads(data.decode("ascii"))
        sound = isinstance(head, dict) and (canonical(head) + "\n").encode("ascii") == data
        if sound and isinstance(head.get("seq"), int) and set(head) <= {"seq", "hash", "pending"}:
            return head, ""
    except (ValueError, RecursionError):
        pass
    return None, "the head is not readable; it was changed after it was written"


def _verify(folder: str) -> Verification:
    records, fault, line, torn = _scan(folder)
    last = records[-1]["hash"] if records else GENESIS
    head, head_fault = _head(folder)
    if not fault:
        fault = head_fault or _against_head(records, head)
    elif torn and (
        head_fault or head is None or (head["seq"], head.get("hash")) != (len(records), last) or "pending" not in head
    ):
        # A crash can only cut the line that the head announces; anything else was cut on purpose.
        torn = False
    if not fault:
        fault, line = _raw_fault(folder, records)
    return Verification(len(records), last, fault, line, torn)


def _against_head(records: List[Dict[str, Any]], head: Optional[Dict[str, Any]]) -> str:
    last = records[-1]["hash"] if records else GENESIS
    if head is None:
        return f"the head is missing beside {len(records)} lines" if records else ""
    if (head["seq"], head.get("hash")) == (len(records), last):
        return ""
    before = records[-2]["hash"] if len(records) > 1 else GENESIS
    if records and head.get("pending") == last and (head["seq"], head.get("hash")) == (len(records) - 1, before):
        return ""
    if head["seq"] > len(records):
        return f"the tail is cut: the head knows {head['seq']} lines, {len(records)} are there"
    return f"the head (line {head['seq']}) does not belong to the {len(records)} lines that are there"


def _raw_fault(folder: str, records: List[Dict[str, Any]]) -> Tuple[str, int]:
    for record in records:
        for name in _raw_names(record):
            try:
                with open(os.path.join(folder, "raw", os.path.basename(name)), "rb") as stream:
                    actual = hashlib.sha256(stream.read()).hexdigest()
            except OSError:
                return f"raw/{name}, which line {record['seq']} names, is missing", int(record["seq"])
            if actual != name:
                return f"raw/{name}, which line {record['seq']} names, was changed", int(record["seq"])
    return "", 0


def _raw_names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("raw_sha256"), str):
            yield value["raw_sha256"]
        for item in value.values():
            yield from _raw_names(item)
    elif isinstance(value, list):
        for item in value:
            yield from _raw_names(item)
