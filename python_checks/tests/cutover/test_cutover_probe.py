"""What a bot shows when the flag is false, read from differently written bots; what cannot be told is unknown."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils.timing_probe import kind_of, probe

CONFIG = """
    import os
    class Config:
        def __init__(self):
            self.show_timing_dual = os.getenv("SHOW_TIMING_DUAL", "false").lower() == "true"
"""

OLD = {
    "attribute, early return": """
        def text(self, p):
            if not self.config.show_timing_dual:
                return fmt(p.old_dead_seconds)
            return f"O {fmt(p.old_dead_seconds)} / N {fmt(p.new_dead_seconds)}"
    """,
    "columns of the stats file": """
        async def embed(self, rows):
            dual = getattr(self.bot.config, "show_timing_dual", False)
            for row in rows:
                if dual:
                    line = f"{row['time_dead_minutes']} / {row['lua_dead_seconds']}"
                else:
                    line = f"{row['time_dead_minutes']}"
    """,
    "one expression": """
        def text(config, old_dead, new_dead):
            return f"{old_dead} / {new_dead}" if config.show_timing_dual else f"{old_dead}"
    """,
    "set first, replaced in dual mode": """
        def text(config, old_dead, new_dead):
            value = fmt(old_dead)
            if config.show_timing_dual:
                value = f"{fmt(old_dead)} / {fmt(new_dead)}"
            return value
    """,
    "handed on as a parameter": """
        def outer(self, p):
            return render(p, dual_mode=self.config.show_timing_dual)
        def render(p, dual_mode=False):
            if dual_mode is True:
                return both(p["old_time_dead"], p["new_time_dead"])
            return one(p["old_time_dead"])
    """,
    "dual only with data": """
        def text(self, p, has_lua):
            if self.config.show_timing_dual and has_lua:
                return both(p.old_dead, p.new_dead)
            else:
                return one(p.old_dead)
    """,
}
NEW = {
    "new when false": """
        def text(self, p):
            if self.config.show_timing_dual:
                return both(p.old_dead_seconds, p.new_dead_seconds)
            return one(p.new_dead_seconds)
    """,
    "camel case": """
        def text(self, p):
            return both(p.oldDead, p.newDead) if self.config.show_timing_dual else one(p.newDead)
    """,
}
UNCLEAR = {
    "both when false": """
        def text(self, p):
            return tell(p.old_dead, p.new_dead) if self.config.show_timing_dual else pick(p.old_dead, p.new_dead)
    """,
    "two displays that differ": """
        def a(self, p):
            return both(p.old_dead, p.new_dead) if self.config.show_timing_dual else one(p.old_dead)
        def b(self, p):
            return both(p.old_dead, p.new_dead) if self.config.show_timing_dual else one(p.new_dead)
    """,
    "a helper decides out of sight": """
        def text(self, p):
            return render(p, self.config)
    """,
    "nothing tells old from new": """
        def text(self, p):
            return both(p.a, p.b) if self.config.show_timing_dual else one(p.a)
    """,
    "no branch": """
        def text(self, p):
            return one(p.old_dead)
    """,
}


def bot(display: str, config: str = CONFIG) -> dict[str, str]:
    return {"config.py": textwrap.dedent(config), "cogs/last_session.py": textwrap.dedent(display)}


@pytest.mark.parametrize("name", OLD)
def test_false_hides_the_new_values(name: str) -> None:
    found = probe(bot(OLD[name]))
    assert (found["shows_when_false"], found["way"], found["new_only"]) == ("old", None, False), found
    assert found["shows_when_true"] == "both"


@pytest.mark.parametrize("name", NEW)
def test_false_shows_the_new_values(name: str) -> None:
    found = probe(bot(NEW[name]))
    assert (found["shows_when_false"], found["way"]) == ("new", {"key": "SHOW_TIMING_DUAL", "value": "false"})


@pytest.mark.parametrize("name", UNCLEAR)
def test_what_cannot_be_told_is_unknown(name: str) -> None:
    found = probe(bot(UNCLEAR[name]))
    assert (found["shows_when_false"], found["way"]) == ("unknown", None) and found["reason"], found


def test_inverting_a_branch_inverts_the_answer() -> None:
    """The mutant of each: the condition negated. A probe that looked at words only would not see it."""
    for group, wanted in ((OLD, "both"), (NEW, "both")):
        for name in ("one expression", "camel case"):
            if name in group:
                text = group[name].replace("if config.", "if not config.").replace("if self.", "if not self.")
                assert probe(bot(text))["shows_when_true"] != wanted


def test_a_file_that_cannot_be_read_makes_it_unknown() -> None:
    found = probe({**bot(NEW["new when false"]), "cogs/other.py": "def ("})
    assert found["shows_when_false"] == "unknown" and "cogs/other.py" in str(found["reason"])


def test_no_file_reads_the_flag() -> None:
    found = probe(bot(OLD["one expression"], "X = 1\n").copy() | {"cogs/last_session.py": "def f(): return 1\n"})
    assert found["shows_when_false"] == "unknown" and "no file reads SHOW_TIMING_DUAL" in str(found["reason"])


def test_a_new_only_mode_is_found_and_comes_first() -> None:
    text = """
        import os
        def _new_only():
            return os.environ.get("SHOW_TIMING_NEW_ONLY", "").lower() == "true"
        def text(self, p):
            if _new_only():
                return one(p.new_dead)
            if self.config.show_timing_dual:
                return both(p.old_dead, p.new_dead)
            return one(p.old_dead)
    """
    found = probe(bot(text))
    assert found["shows_when_false"] == "old" and found["new_only"] is True
    assert found["way"] == {"key": "SHOW_TIMING_NEW_ONLY", "value": "true"}
    wrong = probe(bot(text.replace("return one(p.new_dead)", "return one(p.old_dead)")))
    assert wrong["new_only"] is False and wrong["way"] is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("new_dead_seconds", "new"), ("lua_dead", "new"), ("newDeadSeconds", "new"), ("NEW", "new"), ("lua", "new"), ("old_denied", "old"),
        ("time_dead_minutes", "old"), ("denied_playtime", "old"), ("lua_version", ""), ("new_players", ""), ("renewed_dead", ""),
        ("lua_rounds", ""), ("kills", ""), ("", ""), ("folder_old_path", ""),
    ],
)  # fmt: skip
def test_words(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_the_module_asks_the_worlds_bot(run_module: Callable[..., dict[str, Any]], root: Path, tmp_path: Path) -> None:
    deployed = root / "molecule" / "world" / "slomix_vm" / "opt_slomix" / "bot"
    found = run_module("timing_display_info", {"root": str(deployed)})
    assert found["shows_when_false"] == "old" and found["way"] is None and not found["changed"] and found["files"] > 10
    assert "cogs/last_session_cog.py" in found["reason"]
    assert "0 Python files" in run_module("timing_display_info", {"root": str(tmp_path)})["msg"]
