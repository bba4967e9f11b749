"""Keep credentials out of diffs and messages: a Lua file on the server holds a live webhook URL."""

from __future__ import annotations

import hashlib
import re
from typing import Set

_URL = re.compile(r"https?://[^\s\"'<>\\)\]}]+", re.IGNORECASE)
_TOKEN_SEGMENT = re.compile(r"[A-Za-z0-9_\-]{20,}")
_ASSIGNED = re.compile(
    r"(?P<head>\b\w*(?:webhook_?urls?|secret|token|passw(?:or)?d|api_?key)\w*[\"']?\]?\s*[=:]\s*)"
    r"(?P<quote>[\"'])(?P<value>[^\"'\n]+)(?P=quote)",
    re.IGNORECASE,
)


def mask(text: str) -> str:
    """``text`` with secret-like values replaced by ``<masked 1a2b3c4d>`` (the start of the value's SHA-256, so
    changes show).

    Masked are: URLs that hold ``/webhooks/``, credentials before an ``@`` or a segment of 20 or more token
    characters; and quoted values given to a name that speaks of a webhook URL, secret, token, password or API key.
    Masking twice changes nothing.
    """
    return _ASSIGNED.sub(_assigned, _URL.sub(_url, text))


def _label(value: str) -> str:
    return f"<masked {hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}>"


def _url(match: "re.Match[str]") -> str:
    url = match.group(0)
    rest = url.split("://", 1)[1]
    host, _, path = rest.partition("/")
    secret = "/webhooks/" in url.lower() or "@" in host or _TOKEN_SEGMENT.search(path) is not None
    return _label(url) if secret else url


def _assigned(match: "re.Match[str]") -> str:
    value = match.group("value")
    if value.startswith("<masked "):
        return match.group(0)
    return f"{match.group('head')}{match.group('quote')}{_label(value)}{match.group('quote')}"


def secrets(text: str) -> Set[str]:
    """The values that ``mask`` would hide. Keep them in memory only; placeholders such as REPLACE_WITH_… are none."""
    urls = {match.group(0) for match in _URL.finditer(text) if _url(match) != match.group(0)}
    assigned = {match.group("value") for match in _ASSIGNED.finditer(text)}
    return {value for value in urls | assigned if "REPLACE_WITH" not in value and not value.startswith("<masked ")}
