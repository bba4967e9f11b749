"""Settings of the bot, read once from the environment (systemd feeds it from .env)."""

import os
from dataclasses import dataclass, field


def _flag(name, default=False):
    raw = os.getenv(name)
    return default if raw is None else raw.strip().lower() == "true"


def _number(name, default):
    raw = os.getenv(name, "").strip()
    return type(default)(raw) if raw else default


def _text(name, default=""):
    return os.getenv(name, default)


def _id_list(name):
    return frozenset(part.strip() for part in os.getenv(name, "").split(",") if part.strip())


@dataclass(frozen=True)
class BotConfig:
    postgres_host: str = field(default_factory=lambda: _text("POSTGRES_HOST", "localhost"))
    postgres_port: int = field(default_factory=lambda: _number("POSTGRES_PORT", 5432))
    postgres_database: str = field(default_factory=lambda: _text("POSTGRES_DATABASE", "etlegacy"))
    postgres_user: str = field(default_factory=lambda: _text("POSTGRES_USER", "etlegacy_user"))
    postgres_password: str = field(default_factory=lambda: _text("POSTGRES_PASSWORD"), repr=False)

    ssh_enabled: bool = field(default_factory=lambda: _flag("SSH_ENABLED"))
    # "directory" replays files from a local folder instead
    stats_source: str = field(default_factory=lambda: _text("STATS_SOURCE", "ssh"))
    ssh_host: str = field(default_factory=lambda: _text("SSH_HOST"))
    ssh_port: int = field(default_factory=lambda: _number("SSH_PORT", 22))
    ssh_user: str = field(default_factory=lambda: _text("SSH_USER", "et"))
    ssh_key_path: str = field(default_factory=lambda: _text("SSH_KEY_PATH", "~/.ssh/etlegacy_bot"))
    ssh_known_hosts: str = field(default_factory=lambda: _text("SSH_KNOWN_HOSTS", "~/.ssh/known_hosts"))
    ssh_check_interval: float = field(default_factory=lambda: _number("SSH_CHECK_INTERVAL", 60.0))
    remote_stats_path: str = field(default_factory=lambda: _text("REMOTE_STATS_PATH"))
    local_stats_path: str = field(default_factory=lambda: _text("LOCAL_STATS_PATH", "local_stats"))
    poll_quiet_hours: str = field(default_factory=lambda: _text("POLL_QUIET_HOURS", "02-11").strip())
    poll_idle_every: int = field(default_factory=lambda: _number("POLL_IDLE_EVERY", 10))
    startup_lookback_hours: float = field(default_factory=lambda: _number("STARTUP_LOOKBACK_HOURS", 168.0))

    gametimes_enabled: bool = field(default_factory=lambda: _flag("GAMETIMES_ENABLED"))
    remote_gametimes_path: str = field(default_factory=lambda: _text("REMOTE_GAMETIMES_PATH"))
    local_gametimes_path: str = field(default_factory=lambda: _text("LOCAL_GAMETIMES_PATH", "local_gametimes"))
    gametimes_lookback_hours: float = field(default_factory=lambda: _number("GAMETIMES_STARTUP_LOOKBACK_HOURS", 24.0))
    gametimes_name_allowed: bool = field(default_factory=lambda: _flag("GAMETIMES_NAME_ALLOWED"))

    round_match_window_minutes: int = field(default_factory=lambda: _number("ROUND_MATCH_WINDOW_MINUTES", 45))
    monitoring_grace_minutes: int = field(default_factory=lambda: _number("MONITORING_GRACE_PERIOD_MINUTES", 45))
    session_gap_minutes: int = field(default_factory=lambda: _number("SESSION_GAP_MINUTES", 60))

    webhook_host: str = field(default_factory=lambda: _text("WEBHOOK_LISTEN_HOST", "0.0.0.0"))
    webhook_port: int = field(default_factory=lambda: _number("WEBHOOK_LISTEN_PORT", 8089))
    webhook_token: str = field(default_factory=lambda: _text("WEBHOOK_TOKEN"), repr=False)
    webhook_whitelist: frozenset = field(default_factory=lambda: _id_list("WEBHOOK_TRIGGER_WHITELIST"))
    webhook_username: str = field(default_factory=lambda: _text("WEBHOOK_TRIGGER_USERNAME", "ET:Legacy Stats"))
    webhook_channel_id: str = field(default_factory=lambda: _text("WEBHOOK_TRIGGER_CHANNEL_ID"))
    channel_posts: int = field(default_factory=lambda: _number("WEBHOOK_BUCKET_POSTS", 5))
    channel_posts_seconds: float = field(default_factory=lambda: _number("WEBHOOK_BUCKET_SECONDS", 2.0))
    stats_ready_limit: int = field(default_factory=lambda: _number("STATS_READY_LIMIT", 4))
    stats_ready_window: float = field(default_factory=lambda: _number("STATS_READY_WINDOW_SECONDS", 30.0))
    search_attempts: int = field(default_factory=lambda: _number("STATS_SEARCH_ATTEMPTS", 4))
    search_delay: float = field(default_factory=lambda: _number("STATS_SEARCH_DELAY_SECONDS", 5.0))

    show_timing_dual: bool = field(default_factory=lambda: _flag("SHOW_TIMING_DUAL"))
    log_dir: str = field(default_factory=lambda: _text("LOG_DIR", "logs"))
    log_level: str = field(default_factory=lambda: _text("LOG_LEVEL", "INFO"))

    @property
    def dsn(self):
        return {
            "host": self.postgres_host,
            "port": self.postgres_port,
            "dbname": self.postgres_database,
            "user": self.postgres_user,
            "password": self.postgres_password or None,
        }
