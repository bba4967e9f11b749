"""The files that the recipes are tried on: the world's own and the composed ones."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "python_checks" / "tests" / "data" / "source"
SITE = ROOT / "molecule" / "world" / "slomix_vm" / "opt_slomix"


def name(value: object) -> str:
    """Short test ids."""
    return value.name.split(".")[0] if isinstance(value, Path) else str(value)


# What the recipes refuse, and what needs nothing, stays out of the laws on what they change.
NOT_CHANGED = {"nodead_selected", "compute_fn", "two_queries", "template", "correct"}
WEB = [SITE / "website/backend/api.py", *sorted((DATA / "web").glob("*.txt"))]
HEADSHOTS = [SITE / "bot/cogs/leaderboard_cog.py", *sorted((DATA / "headshots").glob("*.txt"))]
PARSERS = [SITE / "bot/community_stats_parser.py", *sorted((DATA / "parser").glob("*.txt"))]
ENDPOINTS = [p for p in sorted((DATA / "endpoints").glob("*.txt")) if name(p) not in NOT_CHANGED]
BOARDS = [p for p in sorted((DATA / "boards").glob("*.txt")) if name(p) not in NOT_CHANGED]
FIRST = [
    *((path, "web-formulas") for path in WEB),
    *((path, "headshot-leaderboard") for path in HEADSHOTS),
    *((path, "parser-field9") for path in PARSERS),
]
ALL = [
    *FIRST,
    *((path, "web-formulas") for path in ENDPOINTS),
    *((path, "headshot-leaderboard") for path in BOARDS),
]
