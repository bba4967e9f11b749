"""The bot: trigger channel, server polling, import, commands. Start with `python3 -m bot.ultimate_bot`."""

import asyncio
import logging
import signal
import threading
import time

from bot.automation.channel_gateway import ChannelGateway
from bot.automation.file_sources import make_source
from bot.automation.poller import ServerPoller
from bot.cogs.last_session_cog import LastSessionCog
from bot.cogs.leaderboard_cog import LeaderboardCog
from bot.community_stats_parser import build_round_embed
from bot.config import BotConfig
from bot.core.database import DatabaseAdapter
from bot.core.round_linker import RoundLinker
from bot.logging_config import setup_logging
from bot.services.gametimes import GametimeIngester
from bot.services.lua_metadata import LuaRoundStore, PendingMetadata
from bot.services.session_timing_shadow import SessionTimingShadowService
from bot.services.stats_importer import StatsImporter
from bot.services.stats_ready import StatsReadyHandler

logger = logging.getLogger("bot.main")

COMMAND_TIMEOUT_SECONDS = 10


class UltimateBot:
    def __init__(self, config):
        self.config = config
        self.db_adapter = DatabaseAdapter(config.dsn)
        self.import_lock = asyncio.Lock()
        self.source = make_source(config)
        pending = PendingMetadata()
        linker = RoundLinker(self.db_adapter, config.round_match_window_minutes)
        lua_store = LuaRoundStore(self.db_adapter, linker)
        importer = StatsImporter(self.db_adapter, linker, pending, config)
        gametimes = GametimeIngester(self.db_adapter, linker, lua_store, pending)
        self.poller = ServerPoller(config, self.source, importer, gametimes, self)
        self.handler = StatsReadyHandler(config, self.source, lua_store, pending, self.poller, self)
        self.leaderboard = LeaderboardCog(self)
        self.last_session = LastSessionCog(self, SessionTimingShadowService(self.db_adapter))
        self.gateway = ChannelGateway(config, self._deliver, self.health, self._run_command)
        self._loop = None
        self._tasks = set()
        self._queue = 0
        self._queue_lock = threading.Lock()
        self._last_activity = time.monotonic()

    # ------------------------------------------------------------ state

    def touch(self):
        """Something happened: the bot is not at rest before another full poll."""
        self._last_activity = time.monotonic()

    def _count(self, change):
        with self._queue_lock:
            self._queue += change
        self.touch()

    def health(self):
        """What /health shows; idle needs an empty queue and a full poll begun after the last activity."""
        polled = not self.config.ssh_enabled or (
            self.poller.ssh_ok and self.poller.last_complete_start > self._last_activity
        )
        return {
            "idle": self._queue == 0 and polled,
            "posts": self.gateway.posts,
            "accepted": self.gateway.accepted,
            "files_seen": self.poller.files_seen,
            "files_imported": self.poller.files_imported,
            "queue": self._queue,
            "last_poll_unix": round(self.poller.last_poll_unix, 3),
            "last_poll_started_unix": round(self.poller.last_poll_started_unix, 3),
            "ssh_ok": self.poller.ssh_ok,
        }

    # ------------------------------------------------------------ messages

    def _deliver(self, message):
        """Called in a thread of the gateway; counted before the post is answered."""
        self._count(+1)
        self._loop.call_soon_threadsafe(self._spawn, message)

    def _spawn(self, message):
        task = self._loop.create_task(self._handle(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, message):
        try:
            await self.handler.on_message(message)
        except Exception:
            logger.exception("Message handling failed")
        finally:
            self._count(-1)

    def _run_command(self, name, options):
        builders = {
            "leaderboard": lambda: self.leaderboard.build_embed(options.get("stat", "kills")),
            "last_session": self.last_session.build_embed,
        }
        if name not in builders:
            raise LookupError(f"Unknown command {name!r}")
        future = asyncio.run_coroutine_threadsafe(builders[name](), self._loop)
        return future.result(COMMAND_TIMEOUT_SECONDS).to_dict()

    async def announce_round(self, round_id, result):
        """Round summary for the stats channel; without a channel it goes to the log."""
        embed = build_round_embed(result)
        logger.info(f"Round summary {round_id}: {embed.title} | {embed.description} | {embed.footer.text}")

    # ------------------------------------------------------------ life

    async def _connect_database(self):
        while True:
            try:
                await self.db_adapter.connect()
                return
            except Exception as e:
                logger.error(f"Database not reachable: {e}")
                await asyncio.sleep(2)

    async def run(self):
        self._loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(signum, stopping.set)

        await self._connect_database()
        await self.poller.start()
        self.gateway.start()
        polling = self._loop.create_task(self._poll()) if self.config.ssh_enabled else None
        mode = "OLD and NEW" if self.config.show_timing_dual else "OLD"
        logger.info(f"Bot is ready (timing display: {mode}, gametimes: {self.config.gametimes_enabled})")
        try:
            await stopping.wait()
        finally:
            logger.info("Bot is stopping")
            if polling is not None:
                polling.cancel()
            await asyncio.to_thread(self.gateway.stop)
            await asyncio.to_thread(self.source.close)
            await self.db_adapter.close()

    async def _poll(self):
        while True:
            try:
                await self.poller.run()
            except Exception:
                logger.exception("Polling failed, starting over")
                await asyncio.sleep(self.config.ssh_check_interval)


def main():
    config = BotConfig()
    setup_logging(config.log_dir, config.log_level)
    asyncio.run(UltimateBot(config).run())


if __name__ == "__main__":
    main()
