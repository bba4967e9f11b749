"""Posts and files become rows; links follow quirk 4 of the facts, wrong ones included."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slomix_composed import player_line, stats_file, stats_ready, unix
from slomix_process import Bot, Database

pytestmark = pytest.mark.postgres

R1_TEXT = stats_file(player_line(), player_line("11223344", "Bor", 2))
R2_TEXT = stats_file(
    player_line(mp40=(70, 220, 10, 5, 15), tabs={0: 5000, 1: 2600, 20: 220, 22: "14.8"}),
    player_line("11223344", "Bor", 2, tabs={22: "14.8"}),
    round_number=2,
    limit="7:22",
    clock="7:22",
)
LINKS = """
    SELECT l.match_id, l.round_number AS half, r.match_id AS file
    FROM lua_round_teams l LEFT JOIN rounds r ON r.id = l.round_id
    ORDER BY l.match_id
"""


def play(bot: Bot, end: str, file_stamp: str, *, half: int = 1, map_name: str = "supply", **post: Any) -> None:
    """A half as the game server does it: the post first, the stats file a moment later."""
    assert bot.post(stats_ready(end, map_name=map_name, round_number=half, **post))[0] == 204
    text = (R1_TEXT if half == 1 else R2_TEXT).replace("\\supply\\", f"\\{map_name}\\")
    bot.put(f"{file_stamp}-{map_name}-round-{half}.txt", text)
    bot.wait_idle()


def links(database: Database) -> list[tuple[str, int, str | None]]:
    """(match id of the Lua row, half, file its round came from)."""
    return [(row["match_id"], row["half"], row["file"]) for row in database.rows(LINKS)]


def test_a_pair_becomes_linked_rows_and_a_summary(start_bot: Callable[..., Bot], database: Database) -> None:
    bot = start_bot()
    play(bot, "2026-02-20-213000", "2026-02-20-213003")
    play(bot, "2026-02-20-214500", "2026-02-20-214503", half=2, limit="7.375 min", winner=2)
    assert links(database) == [
        ("2026-02-20-213000", 1, "2026-02-20-213003-supply-round-1"),
        ("2026-02-20-214500", 2, "2026-02-20-214503-supply-round-2"),
    ]

    rounds = database.rows("SELECT * FROM rounds ORDER BY match_id, round_number")
    assert [(r["match_id"][-7:], r["round_number"]) for r in rounds] == [("round-1", 1), ("round-2", 0), ("round-2", 2)]
    first, summary, second = rounds
    assert (first["round_date"], first["round_time"], first["time_limit"], first["actual_time"]) == (
        "2026-02-20",
        "213003",
        "0",
        "7:22",
    )
    assert (first["round_end_unix"], first["actual_duration_seconds"]) == (unix("2026-02-20-213000"), 442)
    assert (first["end_reason"], second["winner_team"], summary["end_reason"]) == ("NORMAL", 2, None)
    assert {r["gaming_session_id"] for r in rounds} == {1}

    players = database.rows(
        "SELECT p.*, r.round_number AS half FROM player_comprehensive_stats p JOIN rounds r ON r.id = p.round_id "
        "WHERE p.player_guid = 'AABBCCDD' ORDER BY half"
    )
    assert [(p["half"], p["damage_given"], p["time_played_seconds"]) for p in players] == [
        (0, 5000, 442),
        (1, 3000, 442),
        (2, 2000, 444),
    ]
    weapons = database.rows("SELECT round_number, kills FROM weapon_comprehensive_stats WHERE player_guid = 'AABBCCDD'")
    assert sorted((w["round_number"], w["kills"]) for w in weapons) == [(0, 10), (1, 6), (2, 4)]

    lua = database.rows("SELECT * FROM lua_round_teams ORDER BY match_id")
    assert [row["time_limit_minutes"] for row in lua] == [12, 0]  # quirk 7: a fractional limit is stored as 0
    assert lua[0]["axis_players"] == [{"guid": "AABBCCDD" * 4, "name": "Ana"}]
    assert (lua[0]["lua_version"], lua[0]["lua_warmup_seconds"]) == ("1.6.0", 31)
    files = database.rows("SELECT filename, success, length(file_hash) AS digits FROM processed_files ORDER BY 1")
    assert [(f["success"], f["digits"]) for f in files] == [(True, 64), (True, 64)]


def test_logs_have_the_known_form(start_bot: Callable[..., Bot]) -> None:
    bot = start_bot()
    play(bot, "2026-02-20-213000", "2026-02-20-213003")
    stamp = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \| (DEBUG|INFO|WARNING|ERROR|CRITICAL) {0,4} \| .{25} \| ")
    for name in ("bot", "webhook", "database"):
        lines = bot.log(name).splitlines()
        assert lines and all(stamp.match(line) for line in lines), name
        assert all(line.split(" | ")[1] == line.split(" | ")[1].strip().ljust(8) for line in lines)
    assert " | DEBUG " not in bot.log("bot") and " | DEBUG " in bot.log("database")

    webhook = [line.split(" | ", 3)[3] for line in bot.log("webhook").splitlines()]
    assert webhook[0] == "Received STATS_READY webhook with metadata"
    assert webhook[1].endswith(
        "STATS_READY: supply R1 (winner=1, playtime=442s, warmup=31s, pauses=0, score=1-0)"
    ) and not webhook[1].startswith("STATS")
    assert webhook[2:4] == ["   Axis: Ana", "   Allies: Bor"]
    assert webhook[4] == "Stored Lua round data: 2026-02-20-213000 R1 (Axis: 1, Allies: 1)"
    assert webhook[5] == "Looking for stats file from 2026-02-20 for supply"
    assert "Round linker unresolved: map=supply round=1 reason=no_rows_for_map_round" in bot.log("bot")
    assert re.search(
        r"Round linker resolved: map=supply round=1 round_id=\d+ reason=\S+ candidates=1 diff_s=3", bot.log("bot")
    )
    assert "[TIME DEBUG] Ana RAW from Lua:" in bot.log("bot")
    assert "Round time source" not in bot.log("bot")


def test_post_after_the_import_is_linked_at_insert(start_bot: Callable[..., Bot], database: Database) -> None:
    bot = start_bot()
    bot.put("2026-02-20-213003-supply-round-1.txt", R1_TEXT)
    bot.wait_idle()
    bot.post(stats_ready("2026-02-20-213000"))
    bot.wait_idle()
    assert links(database) == [("2026-02-20-213000", 1, "2026-02-20-213003-supply-round-1")]
    assert "Selected closest file: 2026-02-20-213003-supply-round-1.txt (delta 3s)" in bot.log("webhook")


def test_second_play_of_a_map_is_linked_to_the_first(start_bot: Callable[..., Bot], database: Database) -> None:
    """Quirk 4: at insert the old round is the nearest one, and nothing corrects it."""
    bot = start_bot()
    play(bot, "2026-02-20-213000", "2026-02-20-213003")
    play(bot, "2026-02-20-220000", "2026-02-20-220003")
    assert links(database) == [
        ("2026-02-20-213000", 1, "2026-02-20-213003-supply-round-1"),
        ("2026-02-20-220000", 1, "2026-02-20-213003-supply-round-1"),
    ]


def test_second_play_after_the_window_is_linked_rightly(start_bot: Callable[..., Bot], database: Database) -> None:
    bot = start_bot()
    play(bot, "2026-02-20-213000", "2026-02-20-213003")
    play(bot, "2026-02-20-223000", "2026-02-20-223003")
    assert [row[2] for row in links(database)] == [
        "2026-02-20-213003-supply-round-1",
        "2026-02-20-223003-supply-round-1",
    ]


def test_row_stays_unlinked_when_the_bot_restarts_between_post_and_file(
    start_bot: Callable[..., Bot], database: Database
) -> None:
    bot = start_bot()
    bot.post(stats_ready("2026-02-20-213000"))
    bot.wait_idle()
    assert "retry 3/3 in 0.3s" in bot.log("webhook")
    assert bot.stop() == 0
    again = start_bot()
    again.put("2026-02-20-213003-supply-round-1.txt", R1_TEXT)
    again.wait_idle()
    assert links(database) == [("2026-02-20-213000", 1, None)]
    assert len(database.rows("SELECT 1 FROM rounds")) == 1


def test_restarted_bot_does_not_import_again(start_bot: Callable[..., Bot], database: Database) -> None:
    bot = start_bot()
    play(bot, "2026-02-20-213000", "2026-02-20-213003")
    bot.put("2026-02-20-213004-supply-round-1-endstats.txt", "Most damage\tAna\t3000\nAna\tBor\t3\t1\n")
    bot.put("2026-02-20-213004-supply-round-1_ws.txt", "old weapon stats")
    assert bot.wait_idle()["files_seen"] == 2
    bot.stop()
    report = start_bot().wait_idle()
    assert (report["files_seen"], report["files_imported"]) == (2, 0)
    row = database.rows(
        "SELECT e.filename, r.round_number FROM processed_endstats_files e JOIN rounds r ON r.id = e.round_id"
    )
    assert row == [{"filename": "2026-02-20-213004-supply-round-1-endstats.txt", "round_number": 1}]


def test_half_written_file_is_read_again_when_it_has_grown(start_bot: Callable[..., Bot], database: Database) -> None:
    bot = start_bot()
    bot.put("2026-02-20-213003-supply-round-1.txt", R1_TEXT.splitlines()[0] + "\n")
    bot.wait_idle()
    failed = database.rows("SELECT success, error_message FROM processed_files")
    assert failed == [{"success": False, "error_message": "insufficient lines"}]
    bot.put("2026-02-20-213003-supply-round-1.txt", R1_TEXT)
    bot.wait_idle()
    assert database.rows("SELECT success, error_message FROM processed_files") == [
        {"success": True, "error_message": None}
    ]
    assert bot.log("bot").count("insufficient lines") == 1


def test_lost_database_connection_costs_no_file(start_bot: Callable[..., Bot], database: Database) -> None:
    bot = start_bot()
    bot.wait_idle()
    database.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'slomix-bot'")
    bot.put("2026-02-20-213003-supply-round-1.txt", R1_TEXT)
    deadline = time.monotonic() + 10
    while not database.rows("SELECT 1 FROM processed_files WHERE success") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "put off: " in bot.log("errors")
    assert len(database.rows("SELECT 1 FROM rounds")) == 1
    assert bot.wait_idle()["files_imported"] == 1


def test_who_may_trigger(start_bot: Callable[..., Bot], database: Database) -> None:
    bot = start_bot(WEBHOOK_BUCKET_POSTS="100", STATS_SEARCH_ATTEMPTS="1")
    bot.post(stats_ready("2026-02-20-213000", username="Somebody"))
    bot.post({"username": "ET:Legacy Stats", "content": "STATS_READY"})
    bot.post({**stats_ready("2026-02-20-213000"), "content": "stats_ready"})
    bot.wait_idle()
    assert database.rows("SELECT 1 FROM lua_round_teams") == []
    for minute in range(6):
        bot.post(stats_ready(f"2026-02-20-21{30 + minute}00"))
    bot.wait_idle()
    assert len(database.rows("SELECT 1 FROM lua_round_teams")) == 4  # four in 30 s, the rest is dropped
    assert bot.log("webhook").count("rate limit reached") == 2


def test_file_name_in_backticks_triggers_the_import(start_bot: Callable[..., Bot], database: Database) -> None:
    bot = start_bot(POLL_IDLE_EVERY="1000000")
    time.sleep(0.3)  # the first poll is over, the next is far away
    bot.put("2026-02-20-213003-supply-round-1.txt", R1_TEXT)
    bot.post({"username": "Watcher", "content": "New stats: `2026-02-20-213003-supply-round-1.txt`"})
    deadline = time.monotonic() + 10
    while not database.rows("SELECT 1 FROM rounds") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(database.rows("SELECT 1 FROM rounds")) == 1
    assert "File name trigger: 2026-02-20-213003-supply-round-1.txt" in bot.log("webhook")


def gametime(end: str) -> tuple[str, str]:
    """Name and text of a gametime file for a first half."""
    spawn = {
        "guid": "AABBCCDD" * 4,
        "name": "Ana",
        "spawns": 5,
        "deaths": 3,
        "dead_seconds": 41,
        "avg_respawn": 13,
        "max_respawn": 0,
    }
    meta = {"map": "supply", "round": 1, "round_end_unix": unix(end), "match_id": str(unix(end))}
    body = {"meta": {**meta, "spawn_stats": [spawn]}, "payload": stats_ready(end)}
    return f"gametime-supply-R1-{unix(end)}.json", json.dumps(body)


def put_gametime(bot: Bot, end: str) -> None:
    """Place a gametime file on the server."""
    name, text = gametime(end)
    (bot.gametimes / name).write_text(text)


def test_gametime_files_are_refused_by_their_name(start_bot: Callable[..., Bot], database: Database) -> None:
    bot = start_bot(GAMETIMES_ENABLED="true")
    put_gametime(bot, "2026-02-20-213000")
    bot.wait_idle()
    assert "New gametimes files detected: 1" in bot.log("bot")
    assert "Unexpected stats filename format: gametime-supply-R1-" in bot.log("errors")
    assert database.rows("SELECT 1 FROM lua_spawn_stats") == database.rows("SELECT 1 FROM lua_round_teams") == []


def test_allowed_gametime_files_bring_spawn_rows(start_bot: Callable[..., Bot], database: Database) -> None:
    bot = start_bot(GAMETIMES_ENABLED="true", GAMETIMES_NAME_ALLOWED="true")
    bot.put("2026-02-20-213003-supply-round-1.txt", R1_TEXT)
    bot.wait_idle()
    put_gametime(bot, "2026-02-20-213000")
    (bot.gametimes / "gametime-supply-R1-1.json").write_text("{half")
    bot.wait_idle()
    rows = database.rows(
        "SELECT s.match_id, s.dead_seconds, s.spawn_count, s.player_guid, r.round_number "
        "FROM lua_spawn_stats s JOIN rounds r ON r.id = s.round_id"
    )
    assert rows == [
        {
            "match_id": "2026-02-20-213000",
            "dead_seconds": 41,
            "spawn_count": 5,
            "player_guid": "AABBCCDD" * 4,
            "round_number": 1,
        }
    ]
    assert links(database) == [("2026-02-20-213000", 1, "2026-02-20-213003-supply-round-1")]
    assert "Stored Lua spawn stats: 2026-02-20-213000 R1 (players: 1)" in bot.log("bot")
    assert "GAMETIME: supply R1 (winner=1, playtime=442s, warmup=31s, pauses=0)" in bot.log("bot")


def test_nine_fields_poison_the_rows(start_bot: Callable[..., Bot], database: Database) -> None:
    bot = start_bot()
    bot.put("2026-02-20-213003-supply-round-1.txt", stats_file(field9="441250"))
    bot.wait_idle()
    row = database.rows("SELECT time_played_seconds, dpm FROM player_comprehensive_stats")[0]
    assert row["time_played_seconds"] == 441250 and row["dpm"] < 1


def test_recorded_files_are_imported(start_bot: Callable[..., Bot], database: Database, data: Path) -> None:
    bot = start_bot()
    for path in sorted((data / "bot" / "gamestats").iterdir()):
        bot.put(path.name, path.read_text())
    bot.wait_idle()
    outcome = database.rows("SELECT filename, success FROM processed_files ORDER BY filename")
    assert [row["success"] for row in outcome] == [False, False, True, True, True, True]
    rounds = database.rows("SELECT round_number FROM rounds ORDER BY match_id, round_number")
    assert [row["round_number"] for row in rounds] == [1, 0, 2, 1, 0, 2]


def test_idle_needs_a_source_that_answers(start_bot: Callable[..., Bot]) -> None:
    bot = start_bot(REMOTE_STATS_PATH="/nonexistent/gamestats")
    time.sleep(0.5)
    report = bot.health()
    assert (report["idle"], report["ssh_ok"]) == (False, False)
    assert bot.log("errors").count("Cannot list /nonexistent/gamestats") == 1
