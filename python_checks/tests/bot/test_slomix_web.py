"""The February website and leaderboard: their wrong numbers are the ones that Phase 6 is about."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from slomix_process import OPT_SLOMIX, Bot, Database

pytestmark = pytest.mark.postgres

SYSTEM_PYTHON = "/usr/bin/python3"


def add_round(database: Database, number: int, half: int = 1, **player: Any) -> None:
    """One round with one player; ``player`` overrides columns of the player's row."""
    values = {
        "round_date": "2026-02-20",
        "map_name": "supply",
        "round_number": half,
        "player_guid": "AABBCCDD",
        "player_name": "Ana",
        "clean_name": "Ana",
        **player,
    }
    with database.connect() as connection:
        row = connection.execute(
            "INSERT INTO rounds (match_id, round_number, round_date, round_time, map_name, gaming_session_id) "
            "VALUES (%s, %s, '2026-02-20', %s, 'supply', 1) RETURNING id",
            (f"m{number}", half, f"21{number % 60:02d}00"),
        ).fetchone()
        assert row is not None
        connection.execute(
            f"INSERT INTO player_comprehensive_stats (round_id, {', '.join(values)}) "
            f"VALUES (%s, {', '.join(['%s'] * len(values))})",
            (row["id"], *values.values()),
        )


def add_weapons(database: Database, *hits: int) -> None:
    """Weapon rows for every player row: one weapon per number of hits."""
    with database.connect() as connection:
        for index, number in enumerate(hits):
            connection.execute(
                "INSERT INTO weapon_comprehensive_stats (round_id, round_date, map_name, round_number, player_guid, "
                "player_name, weapon_name, hits, shots) SELECT round_id, round_date, map_name, round_number, "
                "player_guid, clean_name, %s, %s, %s FROM player_comprehensive_stats",
                (f"WS_{index}", number, number * 3),
            )


def test_headshot_leaderboard_counts_kills_once_per_weapon(start_bot: Callable[..., Bot], database: Database) -> None:
    for number in range(51):
        add_round(database, number, kills=10, headshot_kills=2, headshots=9)
    add_round(database, 51, half=0, kills=1000, headshot_kills=1000)
    add_weapons(database, 30, 10)
    bot = start_bot()
    status, embed, _ = bot.request("/commands/leaderboard?stat=headshots")
    assert status == 200
    # 51 rounds, 2 headshot kills each: 102. The join with two weapons makes 204 of them, over 2040 hits.
    assert embed["description"] == "🥇 **Ana** - 10.0% HS (204 HS / 2040 hits)"
    assert bot.request("/commands/leaderboard?stat=hs")[1] == embed
    assert "510 kills (51 rounds)" in bot.request("/commands/leaderboard?stat=kills")[1]["description"]
    status, answer, _ = bot.request("/commands/leaderboard?stat=cheese")
    assert status == 400 and "headshots" in answer["message"]
    assert "leaderboard headshots: 1 players" in bot.log("commands")


def test_headshot_leaderboard_wants_many_rounds(start_bot: Callable[..., Bot], database: Database) -> None:
    for number in range(50):
        add_round(database, number, kills=10, headshot_kills=2)
    add_weapons(database, 900)
    bot = start_bot()
    for stat in ("headshots", "kills", "kd", "dpm", "accuracy"):
        assert "Nobody" in bot.request(f"/commands/leaderboard?stat={stat}")[1]["description"], stat


class Website:
    """The backend as its unit starts it."""

    def __init__(self, database: Database, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = folder / "web.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [SYSTEM_PYTHON, "-m", "uvicorn", "backend.main:app", "--host", "127.0.0.1", "--port", str(self.port)],
                cwd=OPT_SLOMIX / "website",
                env={**os.environ, **database.environment(), "PYTHONDONTWRITEBYTECODE": "1"},
                stdout=log,
                stderr=log,
            )

    def get(self, path: str) -> tuple[int, Any]:
        """One request: (status, JSON)."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def wait(self) -> None:
        """Wait until the port answers."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.get("/health")
                return
            except OSError:
                time.sleep(0.1)
        pytest.fail(f"the website did not come up:\n{self.log.read_text()}")


@pytest.fixture
def website(database: Database, tmp_path: Path) -> Iterator[Website]:
    """The website on this test's database."""
    needed = "import fastapi, psycopg, uvicorn"
    if subprocess.run([SYSTEM_PYTHON, "-c", needed], capture_output=True).returncode:
        pytest.skip("Debian's python3-fastapi, python3-uvicorn and python3-psycopg are not installed on this machine")
    site = Website(database, tmp_path)
    try:
        site.wait()
        yield site
    finally:
        site.process.terminate()
        site.process.wait(timeout=10)


def test_graphs_show_the_wrong_formulas(website: Website, database: Database) -> None:
    add_round(
        database,
        1,
        kills=20,
        deaths=4,
        kill_assists=10,
        damage_given=6000,
        damage_received=3000,
        time_played_seconds=900,
        time_dead_minutes=3.0,
        denied_playtime=45,
        headshots=7,
        headshot_kills=2,
        dpm=400,
    )
    add_round(database, 1, half=2, player_guid="11223344", clean_name="Bor")
    add_round(database, 1, half=0, kills=999, damage_given=99999)
    status, body = website.get("/api/sessions/2026-02-20/graphs")
    assert status == 200 and body["player_count"] == 2
    ana, bor = body["players"]
    assert ana["advanced_metrics"] == {
        "frag_potential": 16.7,  # right would be 500.0
        "damage_efficiency": 66.7,  # right would be 2.0
        "survival_rate": 30.0,  # right would be 80.0
        "time_denied": 3.0,
        "time_denied_raw_seconds": 45,
        "time_dead_raw_seconds": 180,
    }
    assert bor["advanced_metrics"]["damage_efficiency"] == 50 and bor["advanced_metrics"]["frag_potential"] == 0
    assert ana["combat_offense"]["headshots"] == 7
    assert ana["dpm_timeline"] == [{"round_id": 1, "label": "supply R1", "dpm": 400.0}]
    assert website.get("/api/sessions/2026-02-20/graphs?gaming_session_id=1")[1]["players"] == body["players"]
    assert website.get("/api/sessions/2026-02-20/graphs?gaming_session_id=9")[0] == 404


def test_other_endpoints(website: Website, database: Database) -> None:
    assert website.get("/health") == (200, {"status": "ok", "database": "ok"})
    assert website.get("/api/sessions") == (200, [])
    assert website.get("/api/status")[1]["rounds"] == 0
    add_round(database, 1, kills=5, damage_given=500, time_played_seconds=600, headshots=3)
    sessions = website.get("/api/sessions?limit=5")[1]
    assert set(sessions[0]) == {
        "date",
        "session_id",
        "rounds",
        "maps",
        "players",
        "total_kills",
        "maps_played",
        "wins",
        "draws",
        "time_ago",
        "formatted_date",
    }
    assert (sessions[0]["total_kills"], sessions[0]["maps_played"]) == (5, ["supply"])
    assert website.get("/api/sessions/2026-02-20")[1]["players"][0]["name"] == "Ana"
    assert website.get("/api/sessions/2026-02-21")[0] == 404
    assert website.get("/api/sessions/yesterday")[0] == 400
    assert website.get("/api/stats/leaderboard?stat=headshots")[1][0]["value"] == 3.0
    assert website.get("/api/stats/leaderboard?stat=cheese")[0] == 400
    assert website.get("/api/stats/overview")[1] == {"rounds": 1, "sessions": 1, "players": 1, "kills": 5}
