"""The world's scripts have known defects: the scan names each, and those that the webhook recipe mends are gone afterwards."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from python_checks.lua.fix import fix
from python_checks.lua.scan.report import Finding
from python_checks.lua.scan.run import scan_source

WORLD = Path(__file__).resolve().parents[3] / "molecule" / "world" / "et_server" / "lua"
WEBHOOKS = [
    WORLD / "luascripts/stats_discord_webhook.lua",
    *sorted(Path(__file__).parents[1].glob("lua/fixtures/*.lua")),
]


@cache
def findings(name: str) -> tuple[Finding, ...]:
    """What the scan says of one script."""
    return scan_source((WORLD / name).read_bytes(), name).findings


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("c0rnp0rn7.lua", "MASK001", "bit.band(toggles, PAUSE_BIT) == 1"),
        ("c0rnp0rn7.lua", "FILE002", "file"),
        ("c0rnp0rn-testluawithtimetracking.lua", "LJIT002", "numbers[1] >> REINF_SHIFT_ALLIES"),
        ("c0rnp0rn-testluawithtimetracking.lua", "LJIT003", "toggles & PAUSE_BIT"),
        ("c0rnp0rn-testluawithtimetracking.lua", "LJIT101", "ms // 1000"),
        ("c0rnp0rn-testluawithtimetracking.lua", "LOAD001", "does not compile"),
        ("c0rnp0rn-testluawithtimetracking.lua", "MASK001", "toggles & PAUSE_BIT == 1"),
        ("c0rnp0rn-testluawithtimetracking.lua", "SLOT002", "max_clients is 64"),
        ("endstats.lua", "MASK001", "% 2 * PAUSE_BIT == 1"),
        ("luascripts/stats_discord_webhook.lua", "FMT001", "time_limit into %d: cvar timelimit"),
        ("luascripts/stats_discord_webhook.lua", "FMT001", "pause_total_seconds into %d"),
        ("luascripts/stats_discord_webhook.lua", "FMT001", "pause.seconds into %d"),
        ("luascripts/stats_discord_webhook.lua", "CLOCK001", "spawn_time - entry.death_time"),
        ("luascripts/stats_discord_webhook.lua", "FRAME001", "et_RunFrame reaches"),
    ],
)
def test_a_known_defect_is_named(name: str, code: str, told: str) -> None:
    """The defects that the plan and its incidents tell of."""
    assert any(f.code == code and told in f.why for f in findings(name)), findings(name)


def test_a_sound_script_has_no_finding() -> None:
    """team-lock has none of the defects."""
    assert findings("luascripts/team-lock.lua") == ()


@pytest.mark.parametrize("path", WEBHOOKS, ids=lambda path: path.stem)
def test_what_the_webhook_recipe_mends_is_gone(path: Path) -> None:
    """No integer conversion is left that could raise, in any of the differently written webhooks."""
    before = scan_source(path.read_bytes()).findings
    after = scan_source(fix(path.read_bytes(), ["webhook"]).output)
    assert any(f.code.startswith("FMT") for f in before)
    assert not [f for f in after.findings if f.code.startswith(("FMT", "LOAD", "LJIT", "LIB"))]
    assert not after.not_judged
    assert {f.code for f in after.findings} <= {f.code for f in before}
