"""Signatures of the ledger's head (ssh-keygen -Y): proof that the chain up to a record is the one its signer saw.

The hash chain alone cannot tell a ledger from one that was written anew from its first line; a signature can. It lies
in ``signatures/<seq>.sig`` beside the ledger and covers the text ``<seq> <hash>``. Keys are named by path and never
read here.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMESPACE = "rollout-evidence"


class SigningError(RuntimeError):
    """ssh-keygen refused, or a signature does not belong to the chain; the message says which and what to do."""


@dataclass(frozen=True)
class Signature:
    """The newest valid signature: it covers the records up to ``seq``."""

    seq: int
    signer: str


def message(record: Mapping[str, Any]) -> str:
    """The text that is signed."""
    return f"{record['seq']} {record['hash']}\n"


def sign(folder: Path, records: Sequence[Mapping[str, Any]], key: Path) -> Path:
    """Sign the newest record with the private key at ``key`` (or held by the agent for that public key)."""
    if not records:
        raise SigningError(f"there is nothing to sign in {folder}")
    done = _keygen("sign", "-f", str(key), "-n", NAMESPACE, text=message(records[-1]))
    if done.returncode:
        raise SigningError(f"ssh-keygen did not sign: {done.stderr.strip()}")
    target = folder / "signatures" / f"{records[-1]['seq']}.sig"
    target.parent.mkdir(mode=0o700, exist_ok=True)
    staged = target.with_suffix(".new")
    with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as stream:
        stream.write(done.stdout)
    staged.replace(target)
    return target


def check(folder: Path, records: Sequence[Mapping[str, Any]], signers: Path) -> Signature:
    """Check every signature against the chain and the allowed signers' file; the newest one.

    Raises SigningError for the first that does not hold, and when there is none: an unsigned ledger proves less than
    the caller asked for.
    """
    found = sorted((folder / "signatures").glob("*.sig"), key=lambda path: int(path.stem))
    if not found:
        raise SigningError(f"{folder} holds no signature; sign it with: rollout evidence sign --key KEY")
    newest = None
    for path in found:
        seq = int(path.stem)
        if seq > len(records):
            raise SigningError(f"record {seq} was signed, but the ledger ends at {len(records)}: its tail is gone")
        newest = Signature(seq, _signer(path, message(records[seq - 1]), signers))
    assert newest is not None
    return newest


def _signer(path: Path, text: str, signers: Path) -> str:
    who = _keygen("find-principals", "-s", str(path), "-f", str(signers), text="")
    name = who.stdout.split("\n")[0].strip()
    if who.returncode or not name:
        raise SigningError(f"{path.name} was not made by a key in {signers}")
    done = _keygen("verify", "-f", str(signers), "-I", name, "-n", NAMESPACE, "-s", str(path), text=text)
    if done.returncode:
        raise SigningError(
            f"{path.name} by {name} does not cover the record that is in the ledger now: it was rewritten"
        )
    return name


def _keygen(verb: str, *options: str, text: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["ssh-keygen", "-Y", verb, *options], input=text, capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SigningError(f"ssh-keygen could not be run: {error}; install openssh-client") from error
