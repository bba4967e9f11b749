"""Read JSON over HTTP from this host, without proxies and without following redirects to elsewhere."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any, Dict

MOST_BYTES = 32 * 1024 * 1024


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """A redirect is an answer of its own here."""


def get_json(url: str, timeout_s: float) -> Dict[str, Any]:
    """``{url, status, body, error}``: status is None without an answer, body None when it is no JSON; never raises."""
    found: Dict[str, Any] = {"url": url, "status": None, "body": None, "error": ""}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    try:
        with opener.open(url, timeout=timeout_s) as answer:
            found["status"] = answer.status
            data = answer.read(MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        found.update(status=error.code, error=f"{url} answered {error.code}")
        return found
    except (OSError, ValueError, http.client.HTTPException) as error:
        found["error"] = f"{url} does not answer: {getattr(error, 'reason', None) or error}"
        return found
    try:
        if len(data) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes")
        found["body"] = json.loads(data.decode("utf-8"))
    except ValueError as error:
        found["error"] = f"{url} answered no JSON: {error}"
    return found
