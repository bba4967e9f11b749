"""The bot's own embed against its own database: what step 5.3 makes of it, with the display as it is and with displays that are wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import embed_check, pg
from slomix_process import OPT_SLOMIX, PACKAGES, ROOT, Bot, Database

SQL = (ROOT / "playbooks" / "plan" / "sql" / "session_display.sql").read_text()
COG = "bot/cogs/last_session_cog.py"
SHADOW = "bot/services/session_timing_shadow.py"
Start = Callable[..., Bot]


def play(
    connection: psycopg.Connection[Any],
    session: int | None,
    date: str,
    time: str,
    number: int,
    players: int = 4,
    **more: Any,
) -> int:
    """One half: each player was dead 1.5 min by the stats file and 60 + 7 n s by Lua; ``lua`` rows of the webhook are linked to it."""
    wish = {"lua": 1, "spawns": True, "names": "player ", "status": "completed", "dead": 60, **more}
    row = connection.execute(
        "INSERT INTO rounds (match_id, round_number, round_date, round_time, map_name, gaming_session_id, round_status)"
        " VALUES (%s, %s, %s, %s, 'supply', %s, %s) RETURNING id",
        (f"{date}-{time}-{number}", number, date, time, session, wish["status"]),
    ).fetchone()
    assert row is not None
    made = int(row["id"])
    connection.execute(
        "INSERT INTO player_comprehensive_stats (round_id, round_date, map_name, round_number, player_guid, player_name, clean_name,"
        " time_played_seconds, time_dead_minutes, denied_playtime)"
        " SELECT %s, %s, 'supply', %s, 'GUID' || lpad(n::text, 4, '0'), 'p', %s || n, 400, 1.5, 31 FROM generate_series(1, %s) AS n",
        (made, date, number, wish["names"], players),
    )
    for copy in range(wish["lua"]):
        connection.execute(
            "INSERT INTO lua_round_teams (match_id, round_number, round_id, map_name, round_start_unix, round_end_unix,"
            " actual_duration_seconds, lua_version) VALUES (%s, %s, %s, 'supply', 1771620000, 1771620400, 398, '1.7.2')",
            (f"{made}-{copy}", number, made),
        )
    if wish["spawns"]:
        connection.execute(
            "INSERT INTO lua_spawn_stats (match_id, round_number, round_id, player_guid, dead_seconds)"
            " SELECT %s, %s, %s, 'guid' || lpad(n::text, 4, '0') || repeat('F', 24), %s + 7 * n FROM generate_series(1, %s) AS n",
            (str(made), number, made, wish["dead"], players),
        )
    return made


def rows(database: Database) -> list[dict[str, Any]]:
    """What the module reads."""
    target = pg.Target(str(database.cluster.folder), database.cluster.port, database.name, "postgres")
    found: list[dict[str, Any]] = pg.read(target, SQL, {"sessions": 3, "bot_name_regex": r"^\[BOT\]"})["rows"]
    return found


@pytest.fixture
def evenings(database: Database) -> Database:
    """Two sessions of the same four players; the second one has twice the dead time."""
    with database.connect() as connection:
        for session, date, dead in ((6, "2026-02-19", 40), (7, "2026-02-20", 110)):
            for number, time in ((1, "214503"), (2, "215601")):
                play(connection, session, date, time, number, dead=dead)
    return database


def tree(folder: Path, *edits: tuple[str, str, str], new_only: bool = True) -> dict[str, str]:
    """The bot's environment with a copy of its source: the display of new values alone by the codemod, and some edits."""
    copy = folder / "source"
    shutil.copytree(OPT_SLOMIX, copy, ignore=shutil.ignore_patterns("__pycache__"))
    if new_only:
        command = [
            sys.executable,
            "-m",
            "python_checks.cli",
            "source",
            "fix",
            str(copy / COG),
            "--recipe",
            "timing-new-only",
        ]
        subprocess.run([*command, "--in-place"], check=True, cwd=ROOT, capture_output=True)
    for file, old, new in edits:
        text = (copy / file).read_text()
        assert old in text, old
        (copy / file).write_text(text.replace(old, new))
    more = {"SHOW_TIMING_NEW_ONLY": "true"} if new_only else {}
    return {"PYTHONPATH": f"{copy}:{PACKAGES}", **more}


def checked(bot: Bot, database: Database, wanted: str) -> dict[str, Any]:
    status, embed, _headers = bot.request("/commands/last_session")
    assert status == 200
    return embed_check.check(embed, rows(database), wanted)


def is_right(sample: dict[str, Any]) -> bool:
    return not sample["fault"] and sample["session"] == "newest" and sample["shows"] == sample["wanted"]


def test_the_two_displays_that_may_be_shown(start_bot: Start, evenings: Database, tmp_path: Path) -> None:
    dual = checked(start_bot(SHOW_TIMING_DUAL="true"), evenings, "both")
    assert is_right(dual) and (dual["compared"], dual["telling"]) == (4, 4), dual
    alone = checked(start_bot(**tree(tmp_path)), evenings, "new")
    assert is_right(alone) and alone["lua_rows"] == 8, alone


def test_the_plans_flag_shows_old(start_bot: Start, evenings: Database) -> None:
    sample = checked(start_bot(SHOW_TIMING_DUAL="false"), evenings, "new")
    assert sample["shows"] == "old" and sample["fault"] == "the embed shows old", sample


WRONG = {
    "minutes taken for seconds": (
        (SHADOW, "player.new_dead_seconds += new_dead", "player.new_dead_seconds += new_dead * 60"),
        "unit",
    ),
    "an older session": ((COG, "ORDER BY id DESC", "ORDER BY id ASC"), "older"),
    "Lua rows that are not found": (
        (SHADOW, "LOWER(LEFT(player_guid, 8)) AS prefix", "LEFT(player_guid, 32) AS prefix"),
        "mark",
    ),
}


@pytest.mark.parametrize("wrong", WRONG, ids=list(WRONG))
def test_a_display_that_is_wrong(start_bot: Start, evenings: Database, tmp_path: Path, wrong: str) -> None:
    edit, what = WRONG[wrong]
    sample = checked(start_bot(**tree(tmp_path, edit)), evenings, "new")
    assert not is_right(sample), sample
    if what == "older":
        assert (sample["session"], sample["fault"]) == ("older", "")
    else:
        assert ("error of unit by 60" in sample["fault"]) == (what == "unit") and sample["fault"], sample


def test_forty_players_in_one_field(start_bot: Start, database: Database, tmp_path: Path) -> None:
    with database.connect() as connection:
        play(connection, 7, "2026-02-20", "214503", 1, players=40)
    right = checked(start_bot(SHOW_TIMING_DUAL="true"), database, "both")
    assert is_right(right) and right["fields"] > 1 and right["compared"] == 40
    long = checked(start_bot(**tree(tmp_path, (COG, "FIELD_LIMIT = 1024", "FIELD_LIMIT = 9999"))), database, "new")
    assert long["violation_count"] == 1 and "allowed are 1 to 1024" in long["fault"], long


def test_the_sessions_are_those_that_were_played_last(database: Database) -> None:
    with database.connect() as connection:
        newest = play(connection, 9, "2026-02-21", "00:10:00", 2, names="[BOT]n", lua=2)
        first = play(connection, 9, "2026-02-20", "235500", 1, players=0, lua=0)
        play(connection, 9, "2026-02-21", "001000", 0)
        play(connection, 8, "2026-02-20", "214503", 1, spawns=False, status="cancelled")
        play(connection, None, "2026-02-18", "214503", 1)
        play(connection, 3, "2026-02-17", "214503", 1)
        play(connection, 99, "20.02.2026", "214503", 1)
        connection.execute("UPDATE rounds SET created_at = LOCALTIMESTAMP - interval '90 s' WHERE id = %s", (newest,))
        now = connection.execute("SELECT extract(epoch FROM now())::bigint AS now").fetchone()
    found = rows(database)
    assert [(row["rank"], row["session"]) for row in found if row["round_id"] in (newest, first)] == [(1, "9")] * 5
    assert {(row["rank"], row["session"]) for row in found} == {(1, "9"), (2, "8"), (3, "2026-02-18")}
    assert {row["round_number"] for row in found} == {1, 2}
    alone = next(row for row in found if row["round_id"] == first)
    assert (alone["player_guid"], alone["lua_links"], alone["started_unix"], alone["is_bot"]) == (None, 0, None, False)
    bots = [row for row in found if row["round_id"] == newest]
    assert len(bots) == 4 and all(row["is_bot"] and row["lua_links"] == 2 for row in bots)
    assert [row["new_dead_s"] for row in bots] == [67, 74, 81, 88] and {row["old_dead_s"] for row in bots} == {90.0}
    assert now is not None and abs(bots[0]["created_unix"] - (now["now"] - 90)) <= 1
    assert {row["new_dead_s"] for row in found if row["rank"] == 2} == {None}
    assert found == sorted(found, key=lambda row: (row["rank"], row["played_at"]))
