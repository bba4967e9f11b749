"""Regular look at the game server's folders."""

import asyncio
import logging
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg

from bot.services.gametimes import gametime_end
from bot.services.stats_importer import ImportFailed, file_hash, round_file_time

logger = logging.getLogger("bot.poller")

LOCAL_ZONE = "Europe/Paris"
# The file is fine, the way to it or to the database was not: tried again by the next poll.
TRANSIENT_ERRORS = (OSError, psycopg.OperationalError)


def in_quiet_hours(hours_text, now=None):
    """Whether polling rests now; the text is "02-11" (local hours of the community) or empty."""
    if not hours_text:
        return False
    first, _, last = hours_text.partition("-")
    hour = (now or datetime.now(ZoneInfo(LOCAL_ZONE))).hour
    return int(first) <= hour < int(last)


class ServerPoller:
    def __init__(self, config, source, importer, gametimes, bot):
        self.config = config
        self.source = source
        self.importer = importer
        self.gametimes = gametimes
        self.bot = bot
        self.files_seen = 0
        self.files_imported = 0
        self.last_poll_unix = 0.0
        # begin of the last poll that saw everything, on both clocks
        self.last_complete_start = 0.0
        self.last_poll_started_unix = 0.0
        self.ssh_ok = False
        self._processed = set()
        self._failed = {}
        self._last_file = 0.0
        self._cycle = 0

    async def start(self):
        self._processed = await self.importer.processed_names()
        logger.info(f"{len(self._processed)} files known as processed")

    async def run(self):
        while True:
            if self._due():
                await self.poll_once()
            await asyncio.sleep(self.config.ssh_check_interval)

    def _due(self):
        self._cycle += 1
        if in_quiet_hours(self.config.poll_quiet_hours):
            return False
        recent = time.monotonic() - self._last_file < self.config.monitoring_grace_minutes * 60
        return (self._last_file and recent) or (self._cycle - 1) % max(1, self.config.poll_idle_every) == 0

    async def poll_once(self):
        started, started_unix = time.monotonic(), time.time()
        try:
            listing = await asyncio.to_thread(self.source.list_files, self.config.remote_stats_path)
        except Exception as e:
            if self.ssh_ok or not self.last_poll_unix:
                logger.error(f"Cannot list {self.config.remote_stats_path}: {type(e).__name__}: {e}")
            self.ssh_ok = False
            self.last_poll_unix = time.time()
            return
        self.ssh_ok = True

        names = {f.name: f.size for f in listing if f.name.endswith(".txt") and not f.name.endswith("_ws.txt")}
        self.files_seen = len(names)
        rounds = sorted(name for name in names if not name.endswith("-endstats.txt"))
        endstats = sorted(name for name in names if name.endswith("-endstats.txt"))
        for name in rounds + endstats:
            if self._is_new(name, names[name], round_file_time(name), self.config.startup_lookback_hours):
                await self.take_file(name, names[name])
        if self.config.gametimes_enabled and self.config.remote_gametimes_path:
            await self._poll_gametimes()

        self.last_poll_unix = time.time()
        self.last_complete_start, self.last_poll_started_unix = started, started_unix

    def _is_new(self, name, size, stamp, lookback_hours):
        if name in self._processed or self._failed.get(name) == size or size == 0:
            return False
        if stamp is not None and lookback_hours > 0:
            return stamp >= datetime.now() - timedelta(hours=lookback_hours)
        return True

    async def take_file(self, name, size=None):
        """Download and import one file; True when it is in the database now."""
        async with self.bot.import_lock:
            if name in self._processed:
                return True
            self.bot.touch()
            try:
                path = await asyncio.to_thread(
                    self.source.download, self.config.remote_stats_path, name, self.config.local_stats_path
                )
                if name.endswith("-endstats.txt"):
                    await self.importer.import_endstats_file(path)
                else:
                    round_id, result = await self.importer.import_round_file(path)
                    await self.bot.announce_round(round_id, result)
            except ImportFailed as e:
                logger.warning(f"Skipping {name}: {e}")
                self._failed[name] = size
                return False
            except TRANSIENT_ERRORS as e:
                logger.error(f"Import of {name} put off: {type(e).__name__}: {e}")
                return False
            except Exception as e:
                logger.error(f"Import of {name} failed: {type(e).__name__}: {e}")
                self._failed[name] = size
                return False
            finally:
                self.bot.touch()
            self._processed.add(name)
            self._last_file = time.monotonic()
            self.files_imported += 1
            return True

    async def _poll_gametimes(self):
        folder = self.config.remote_gametimes_path
        try:
            listing = await asyncio.to_thread(self.source.list_files, folder)
        except FileNotFoundError:
            return
        except Exception as e:
            logger.error(f"Cannot list {folder}: {type(e).__name__}: {e}")
            self.ssh_ok = False
            return
        lookback = self.config.gametimes_lookback_hours
        new = [
            f
            for f in sorted(listing)
            if f.name.startswith("gametime-")
            and f.name.endswith(".json")
            and self._is_new(f.name, f.size, gametime_end(f.name), lookback)
        ]
        if not new:
            return
        logger.info(f"New gametimes files detected: {len(new)}")
        for entry in new:
            await self._take_gametime(folder, entry)

    async def _take_gametime(self, folder, entry):
        async with self.bot.import_lock:
            self.bot.touch()
            try:
                path = await asyncio.to_thread(
                    self.source.download, folder, entry.name, self.config.local_gametimes_path
                )
                await self.gametimes.ingest(path)
                await self.importer.mark_processed(entry.name, file_hash(path))
            except TRANSIENT_ERRORS as e:
                logger.error(f"Gametime file {entry.name} put off: {type(e).__name__}: {e}")
                return
            except Exception as e:
                logger.error(f"Gametime file skipped: {e}")
                self._failed[entry.name] = entry.size
                return
            finally:
                self.bot.touch()
            self._processed.add(entry.name)
            self.files_imported += 1
