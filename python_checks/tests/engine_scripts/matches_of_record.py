"""The two recorded matches, as data for the engine stand-in."""

from __future__ import annotations

from typing import Any

COMPLETED: dict[str, Any] = {
    "map": "testmap",
    "timelimit_min": "0.5",
    "halves": [{"end": {"objective_s": 4.95}}, {"end": "time_limit"}],
}
"""R1 won by the attackers after 4.95 s; R2 held for these 0.0825 minutes. Nobody fires."""

HELD: dict[str, Any] = {
    "map": "testmap",
    "timelimit_min": "0.5",
    "halves": [
        {
            "end": "time_limit",
            "events": [
                {"at_s": 5.9, "kill": "fake2", "by": "fake1", "weapon": "mp40", "headshot": True},
                {"at_s": 10.7, "pause": "referee", "for_s": 2.2},
                {"at_s": 24.9, "pause": "allies", "for_s": 15.8},
            ],
        },
        {"end": {"objective_s": 5.4}},
    ],
}
"""R1 held to the limit of half a minute, with a kill and two pauses; R2 won by the attackers."""

FULL_HOLD: dict[str, Any] = {
    "map": "supply",
    "timelimit_min": "1",
    "halves": [{"end": "time_limit"}, {"end": {"objective_s": 20}}],
}
"""R1 held to a limit of one whole minute, so R2's limit is integral as well."""
