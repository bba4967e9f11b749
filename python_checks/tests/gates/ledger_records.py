"""Made records of the ledger for the tests of the judge: as ledger.append writes them, at the times a test needs."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

NOW = datetime(2026, 2, 21, 20, 0, tzinfo=UTC)
OLD_LUA, NEW_LUA, OTHER_LUA = "a" * 64, "b" * 64, "c" * 64
DATABASE, OTHER_DATABASE = "e" * 64, "f" * 64

PAIR = {
    "r1_id": 1,
    "r2_id": 2,
    "r1_start_unix": 1000,
    "r2_limit_fractional": True,
    "r1_links": 1,
    "r2_links": 1,
    "captured_unix": 1500,
}

GATE: dict[str, Any] = {
    "gate": "pairs",
    "phase": 1,
    "asks": "Do second rounds reach the database again?",
    "checks": [
        {
            "id": "1.7/pair",
            "asks": "Is there one complete pair played after the load?",
            "sample": {"step": "1.7", "leg": "verify", "name": "pairs"},
            "digests": ["webhook_lua"],
            "measured_on": ["database"],
            "after": ["1.6/action"],
            "rows": "pairs",
            "distinct": ["r1_id", "r2_id"],
            "where": [
                {"path": "r1_start_unix", "op": "gt", "than": "$.loaded_unix", "code": "BEFORE_LOAD"},
                {
                    "path": "r2_limit_fractional",
                    "op": "eq",
                    "value": True,
                    "code": "INTEGRAL_LIMIT",
                    "next": "play one more R2 with a fractional limit",
                },
            ],
            "pass_if": {
                "all": [{"path": "r1_links", "op": "eq", "value": 1}, {"path": "r2_links", "op": "eq", "value": 1}]
            },
            "next": "play one R1 and R2 on the same map",
            "good": {"loaded_unix": 900, "pairs": [PAIR]},
            "mutants": [{"name": "R2 has no Lua row", "set": {"pairs[0].r2_links": 0}, "expect": "fail"}],
        }
    ],
}


def gate(**changes: Any) -> dict[str, Any]:
    """GATE with its one check changed; None removes a key."""
    made = copy.deepcopy(GATE)
    for key, value in changes.items():
        if value is None:
            made["checks"][0].pop(key, None)
        else:
            made["checks"][0][key] = value
    return made


def pair(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A good pair with its own ids."""
    return {**PAIR, "r1_id": 2 * number - 1, "r2_id": 2 * number, **changes}


def step(seq: int, where: str, result: Any, *, minutes_ago: float = 10, **more: Any) -> dict[str, Any]:
    """A step's record; ``where`` is ``step/leg`` or ``step/leg/name``."""
    parts = where.split("/")
    return {
        "kind": "step",
        "check": False,
        "seq": seq,
        "at": (NOW - timedelta(minutes=minutes_ago)).isoformat(timespec="milliseconds"),
        "phase": int(parts[0].split(".")[0]),
        "step": parts[0],
        "leg": parts[1],
        "name": parts[2] if len(parts) > 2 else None,
        "host": "slomix-vm",
        "operator": "ana@desk",
        "result": result,
        "digests": {"webhook_lua": NEW_LUA, "database": DATABASE},
        **more,
    }


def deployed(seq: int = 1, **more: Any) -> dict[str, Any]:
    """The game host's deploy of the new Lua."""
    result = more.pop("result", {"changed": True})
    return step(seq, "1.6/action", result, **{"host": "et-server", "minutes_ago": 60, **more})


def pairs(seq: int, *rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The database host's sample of pairs."""
    return step(seq, "1.7/verify/pairs", {"changed": False, "loaded_unix": 900, "pairs": list(rows)}, **more)
