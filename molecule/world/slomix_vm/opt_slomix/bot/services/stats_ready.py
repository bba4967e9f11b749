"""Messages of the trigger channel: who may trigger, how often, and what happens then."""

import asyncio
import logging
import re
import time
from collections import OrderedDict, defaultdict, deque

from bot.services.lua_metadata import parse_embed
from bot.services.stats_importer import round_file_time, split_round_file_name

logger = logging.getLogger("bot.webhook")

TRIGGER_WORD = "STATS_READY"
FILE_TRIGGER = re.compile(r"`([^`]+\.txt)`")
REMEMBERED_MESSAGES = 1000
FAR_FILE_SECONDS = 1800


class StatsReadyHandler:
    def __init__(self, config, source, lua_store, pending, poller, bot):
        self.config = config
        self.source = source
        self.lua_store = lua_store
        self.pending = pending
        self.poller = poller
        self.bot = bot
        self._seen = OrderedDict()
        self._accepted = defaultdict(deque)

    async def on_message(self, message):
        if message.webhook_id not in self.config.webhook_whitelist:
            logger.warning(f"Ignored message of unlisted webhook {message.webhook_id}")
            return
        if message.id in self._seen:
            logger.debug(f"Duplicate message {message.id} dropped")
            return
        self._seen[message.id] = True
        while len(self._seen) > REMEMBERED_MESSAGES:
            self._seen.popitem(last=False)

        if message.content == TRIGGER_WORD:
            await self._on_stats_ready(message)
            return
        named = FILE_TRIGGER.search(message.content)
        if named:
            await self._on_file_name(named.group(1))

    def _within_limit(self, webhook_id):
        now = time.monotonic()
        times = self._accepted[webhook_id]
        while times and now - times[0] >= self.config.stats_ready_window:
            times.popleft()
        if len(times) >= self.config.stats_ready_limit:
            return False
        times.append(now)
        return True

    async def _on_stats_ready(self, message):
        if message.author_name != self.config.webhook_username:
            logger.warning(f"STATS_READY from unexpected user name {message.author_name!r} ignored")
            return
        if not message.embeds:
            logger.warning("STATS_READY without embed ignored")
            return
        if not self._within_limit(message.webhook_id):
            logger.warning(f"STATS_READY rate limit reached for webhook {message.webhook_id}, dropped")
            return

        logger.info("Received STATS_READY webhook with metadata")
        try:
            lua_round = parse_embed(message.embeds[0])
        except ValueError as e:
            logger.error(f"STATS_READY embed unusable: {e}")
            return
        logger.info(f"📊 {TRIGGER_WORD}: {lua_round.summary()}")
        logger.info(f"   Axis: {self._names(lua_round.axis_players)}")
        logger.info(f"   Allies: {self._names(lua_round.allies_players)}")

        async with self.bot.import_lock:
            await self.lua_store.save(lua_round)
            self.pending.put(lua_round)
        await self._fetch_stats_file(lua_round)

    @staticmethod
    def _names(players):
        return ", ".join(str(player.get("name", "?")) for player in players if isinstance(player, dict)) or "-"

    async def _fetch_stats_file(self, lua_round):
        """Look for the file of this half, a few times, because the post comes before the file."""
        day = lua_round.ended_at.strftime("%Y-%m-%d")
        logger.info(f"Looking for stats file from {day} for {lua_round.map_name}")
        retries = self.config.search_attempts - 1
        for attempt in range(self.config.search_attempts):
            if attempt:
                logger.info(f"retry {attempt}/{retries} in {self.config.search_delay:g}s")
                await asyncio.sleep(self.config.search_delay)
            name = await self._closest_file(lua_round, day)
            if name:
                done = await self.poller.take_file(name)
                if done:
                    logger.info(f"Stats file {name} is in the database")
                else:
                    logger.error(f"Stats file {name} could not be imported")
                return
        logger.warning(f"No stats file for {lua_round.map_name} R{lua_round.round_number} after {retries} retries")

    async def _closest_file(self, lua_round, day):
        try:
            listing = await asyncio.to_thread(self.source.list_files, self.config.remote_stats_path)
        except Exception as e:
            logger.error(f"Cannot list the stats folder: {type(e).__name__}: {e}")
            return None
        candidates = []
        for entry in listing:
            parts = split_round_file_name(entry.name)
            if parts and parts[0] == day and parts[2] == lua_round.map_name and parts[3] == lua_round.round_number:
                delta = abs((round_file_time(entry.name) - lua_round.ended_at).total_seconds())
                candidates.append((delta, entry.name))
        if not candidates:
            return None
        delta, name = min(candidates)
        level = logging.WARNING if delta > FAR_FILE_SECONDS else logging.INFO
        logger.log(level, f"Selected closest file: {name} (delta {delta:.0f}s)")
        return name

    async def _on_file_name(self, name):
        if split_round_file_name(name) is None:
            logger.debug(f"File name trigger {name} is not a round file")
            return
        logger.info(f"File name trigger: {name}")
        await self.poller.take_file(name)
