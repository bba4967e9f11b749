"""Plain data for the ledger: no secrets, no engine's types, nothing that JSON cannot say; the canonical text of it,
and its digest."""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any, Mapping

REDACTED = "[redacted]"
_SECRET_KEY = re.compile(
    r"passw(or)?d|passphrase|passfile|pgpass|secret|token|credential|api_?key|private_?key|ssh_?key|key_?path"
    r"|identity_?file|authorization|cookie|rcon_?pass|webhook_?urls?|dsn$",
    re.IGNORECASE,
)
_SECRET_TEXT = (
    # A webhook's path is its credential, whoever hosts it.
    (re.compile(r"(https?://[^\s\"'<>\\]*?/webhooks?/)[^\s\"'<>\\]+", re.IGNORECASE), r"\1" + REDACTED),
    (re.compile(r"(://[^/\s:@\"']+:)[^@\s/\"']+(?=@)"), r"\1" + REDACTED),
    (
        re.compile(
            r"((?:password|passwd|passphrase|secret|token|api_?key|webhook_urls?)[\"']?\s*[=:]\s*)(?![\"']?<masked )"
            r"(\"[^\"\n]*\"|'[^'\n]*'|[^\s\"',;&)}]+)",
            re.IGNORECASE,
        ),
        r"\1" + REDACTED,
    ),
    # rcon <password> <command>, as it stands in a packet or on a command line.
    (
        re.compile(r"((?<![A-Za-z0-9_])rcon\s+)(\"[^\"\n]*\"|\S+)(?=\s+(?:lua_\w+|status|set\w?|map\w*|exec|quit)\b)"),
        r"\1" + REDACTED,
    ),
    (re.compile(r"[~\w./-]*/\.ssh/(?!known_hosts)[^\s\"',;:)]+"), REDACTED),
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        REDACTED,
    ),
)


def plain(value: Any) -> Any:
    """``value`` as exact JSON types: subclasses are unwrapped, keys become text, NaN and the infinities become null,
    the rest its text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {str.__str__(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [plain(item) for item in items]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def redact(value: Any, key: str = "") -> Any:
    """A copy of plain ``value`` without secrets: by the name of the key (text and numbers under it), and by the shape
    of any text.

    Booleans and nulls stay: that a password was found is evidence, the password is not.
    """
    if isinstance(value, Mapping):
        return {name: redact(item, f"{key}/{name}" if _secret(key) else str(name)) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item, key) for item in value]
    if value is None or isinstance(value, bool) or value == "":
        return value
    if _secret(key) or (isinstance(value, str) and key.lower() == "rcon"):
        return REDACTED
    return redact_text(value) if isinstance(value, str) else value


def _secret(key: str) -> bool:
    return any(_SECRET_KEY.search(part) for part in key.split("/"))


def redact_text(text: str) -> str:
    """``text`` without webhook paths, passwords in URLs and assignments, rcon commands and private keys."""
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    return text


def canonical(value: Any) -> str:
    """The one JSON text of ``value``: sorted keys, no spaces, ASCII. Raises ValueError for NaN and the infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical text."""
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()
