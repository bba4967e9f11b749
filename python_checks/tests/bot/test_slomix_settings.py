"""Settings: the defaults are the live bot's, the template keeps the traps that the rollout has to see through."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from bot.automation.poller import in_quiet_hours
from bot.config import BotConfig
from slomix_composed import player_line, stats_file
from slomix_process import SLOMIX_VM, TOKEN, WEBHOOK_ID, Bot, Database

TEMPLATE = (SLOMIX_VM / "env.template").read_text()
PLACEHOLDERS = {
    "POSTGRES_PASSWORD",
    "SSH_HOST",
    "SSH_PORT",
    "SSH_USER",
    "SSH_KEY_PATH",
    "SSH_KNOWN_HOSTS",
    "WEBHOOK_ID",
    "WEBHOOK_TOKEN",
}


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any of the bot's settings."""
    for key in list(os.environ):
        if key in TEMPLATE:
            monkeypatch.delenv(key)
    return monkeypatch


def test_defaults_are_the_live_ones(bare: pytest.MonkeyPatch) -> None:
    config = BotConfig()
    assert (config.stats_ready_limit, config.stats_ready_window) == (4, 30)
    assert (config.search_attempts, config.search_delay, config.ssh_check_interval) == (4, 5, 60)
    assert (config.channel_posts, config.channel_posts_seconds) == (5, 2)
    assert (config.poll_quiet_hours, config.poll_idle_every, config.round_match_window_minutes) == ("02-11", 10, 45)
    assert (config.gametimes_enabled, config.gametimes_name_allowed, config.show_timing_dual) == (False, False, False)
    assert (config.startup_lookback_hours, config.gametimes_lookback_hours) == (168, 24)
    assert config.webhook_username == "ET:Legacy Stats" and not config.webhook_whitelist


@pytest.mark.parametrize(
    ("text", "dual"), [("true", True), ("TRUE", True), (" True ", True), ("1", False), ("yes", False), ("", False)]
)
def test_only_the_word_true_switches_on(bare: pytest.MonkeyPatch, text: str, dual: bool) -> None:
    bare.setenv("SHOW_TIMING_DUAL", text)
    assert BotConfig().show_timing_dual is dual


def test_secrets_are_not_printed(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("POSTGRES_PASSWORD", "canary-1")
    bare.setenv("WEBHOOK_TOKEN", "canary-2")
    assert "canary" not in repr(BotConfig())


def test_template_has_the_traps() -> None:
    keys = re.findall(r"^([A-Z_]+)=", TEMPLATE, re.MULTILINE)
    assert len(keys) == len(set(keys)) == 46
    assert re.search(r"^# SHOW_TIMING_DUAL=true\nSHOW_TIMING_DUAL=false$", TEMPLATE, re.MULTILINE)
    assert "GAMETIMES_NAME_ALLOWED=false" in TEMPLATE
    assert set(re.findall(r"@([A-Z_]+)@", TEMPLATE)) == PLACEHOLDERS


def test_rendered_template_makes_the_worlds_settings(bare: pytest.MonkeyPatch) -> None:
    rendered = re.sub(r"@([A-Z_]+)@", lambda found: "48101" if "PORT" in found[1] else found[1].lower(), TEMPLATE)
    for key, value in re.findall(r"^([A-Z_]+)=(.*)$", rendered, re.MULTILINE):
        bare.setenv(key, value.strip("\"'"))
    config = BotConfig()
    assert config.dsn == {
        "host": "127.0.0.1",
        "port": 5432,
        "dbname": "etlegacy",
        "user": "etlegacy_user",
        "password": "postgres_password",
    }
    assert (config.ssh_enabled, config.ssh_port, config.stats_source) == (True, 48101, "ssh")
    assert (config.webhook_port, config.webhook_whitelist) == (8089, {"webhook_id"})
    assert (config.ssh_check_interval, config.poll_quiet_hours, config.poll_idle_every) == (1, "", 1)
    assert config.webhook_username == "ET:Legacy Stats"
    assert re.compile(os.environ["BOT_NAME_REGEX"]).search("[BOT]Ana")
    assert not re.compile(os.environ["BOT_NAME_REGEX"]).search("Bor")


@pytest.mark.parametrize(
    ("text", "hour", "rests"),
    [("02-11", 1, False), ("02-11", 2, True), ("02-11", 10, True), ("02-11", 11, False), ("", 5, False)],
)
def test_quiet_hours(text: str, hour: int, rests: bool) -> None:
    assert in_quiet_hours(text, datetime(2026, 2, 20, hour)) is rests


@pytest.mark.postgres
def test_bot_players_are_known_but_not_stored(start_bot: Callable[..., Bot], database: Database) -> None:
    bot = start_bot(BOT_NAME_REGEX=r"^\[BOT\]")
    bot.put("2026-02-20-213003-supply-round-1.txt", stats_file(player_line(name="^3[BOT]Max")))
    bot.wait_idle()
    rows = database.rows("SELECT is_bot_round, bot_player_count FROM rounds")
    assert rows == [{"is_bot_round": False, "bot_player_count": 0}]


@pytest.mark.postgres
def test_second_import_of_a_file_keeps_the_first_clock(start_bot: Callable[..., Bot], database: Database) -> None:
    name = "2026-02-20-213003-supply-round-1.txt"
    bot = start_bot()
    bot.put(name, stats_file(clock="7:22"))
    bot.wait_idle()
    bot.stop()
    with database.connect() as connection:
        connection.execute("DELETE FROM processed_files")
    bot.put(name, stats_file(clock="5:00", winner="2"))
    start_bot().wait_idle()
    assert database.rows("SELECT actual_time, winner_team FROM rounds") == [{"actual_time": "7:22", "winner_team": 2}]
    assert database.rows("SELECT time_played_seconds FROM player_comprehensive_stats") == [{"time_played_seconds": 300}]


@pytest.mark.postgres
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_as_the_webhook_calls_it(start_bot: Callable[..., Bot], tmp_path: Path) -> None:
    """The options of the webhook script; a 429 is waited out by curl's own retry."""
    bot = start_bot(WEBHOOK_BUCKET_POSTS="1", WEBHOOK_BUCKET_SECONDS="2")
    (tmp_path / "post.json").write_text('{"content": "hello"}')
    argv = [
        "curl",
        "-s",
        "-X",
        "POST",
        "-H",
        "Content-Type: application/json",
        "--data-binary",
        f"@{tmp_path}/post.json",
    ]
    argv += ["--compressed", "--connect-timeout", "2", "--max-time", "10", "--retry", "3", "--retry-delay", "1"]
    argv += ["--retry-max-time", "15", f"http://127.0.0.1:{bot.port}/api/webhooks/{WEBHOOK_ID}/{TOKEN}"]
    for _ in range(2):
        assert subprocess.run(argv, capture_output=True, timeout=30).returncode == 0
    assert bot.health()["accepted"] == 2 and bot.health()["posts"] == 3
