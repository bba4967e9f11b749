"""Filters on stats files' names and texts: ``stats_header``, ``stats_name``, ``stats_newest``, ``stats_check``.

Each is documented in the YAML file of its name beside this one.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Optional

from ansible_collections.slomix.timetracking.plugins.module_utils import (
    stats_checks,
    stats_file,
    stats_header,
    stats_names,
)


def header(text: str) -> Dict[str, Any]:
    """The typed header of a header line or a whole file's text.

    >>> header("Demo\\\\supply\\\\\\\\2\\\\1\\\\1\\\\7:22\\\\7:22\\\\441250")["playtime_ms"]
    441250
    >>> header("no header")["header"]
    False
    """
    found, reason = stats_header.parse_header(_bytes(text).split(b"\n", 1)[0])
    return {"header": False, "reason": reason} if found is None else {"header": True, **found.as_dict()}


def name(text: str) -> Dict[str, Any]:
    """What a file's name says.

    >>> name("2026-02-20-214503-supply-round-2-endstats.txt")["kind"]
    'endstats'
    """
    return stats_names.parse_name(text).as_dict()


def newest(names: Iterable[str]) -> Optional[str]:
    """The newest round file among names, None when there is none.

    >>> newest(["2026-02-20-214503-a-round-1.txt", "2026-02-20-214504-a-round-1-endstats.txt"])
    '2026-02-20-214503-a-round-1.txt'
    """
    found = stats_names.newest_first(names)
    return found[0].name if found else None


def check(text: str, file_name: str = "") -> Dict[str, Any]:
    """The violations of a whole file's text.

    >>> check("Demo\\\\supply\\\\\\\\1\\\\1\\\\2\\\\12:00\\\\7:22\\\\-5\\n")["violations"][0]["rule"]
    'playtime_unknown'
    """
    return stats_checks.check_stats(file_name, stats_file.parse_stats(_bytes(text))).as_dict()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class FilterModule:
    """Ansible's way in."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"stats_header": header, "stats_name": name, "stats_newest": newest, "stats_check": check}
