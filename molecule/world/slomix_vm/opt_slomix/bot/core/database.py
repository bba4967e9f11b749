"""Thin asynchronous access to PostgreSQL: one connection, reopened when it was lost."""

import asyncio
import logging
from contextlib import asynccontextmanager

import psycopg
from psycopg.rows import dict_row

logger = logging.getLogger("bot.database")


class DatabaseAdapter:
    def __init__(self, dsn):
        self._dsn = dsn
        self._connection = None
        self._lock = asyncio.Lock()

    async def connect(self):
        self._connection = await psycopg.AsyncConnection.connect(
            **self._dsn, autocommit=True, row_factory=dict_row, application_name="slomix-bot", connect_timeout=5
        )
        logger.info(f"Connected to {self._dsn['dbname']} on {self._dsn['host']}:{self._dsn['port']}")

    async def close(self):
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _ready(self):
        if self._connection is None or self._connection.closed:
            await self.connect()
        return self._connection

    async def fetch_all(self, query, params=()):
        async with self._lock:
            connection = await self._ready()
            logger.debug(f"fetch: {' '.join(query.split())[:200]}")
            return await (await connection.execute(query, params)).fetchall()

    async def fetch_one(self, query, params=()):
        rows = await self.fetch_all(query, params)
        return rows[0] if rows else None

    async def execute(self, query, params=()):
        async with self._lock:
            connection = await self._ready()
            logger.debug(f"execute: {' '.join(query.split())[:200]}")
            return (await connection.execute(query, params)).rowcount

    @asynccontextmanager
    async def transaction(self):
        """A connection inside a transaction; everything in the block is kept or dropped together."""
        async with self._lock:
            connection = await self._ready()
            async with connection.transaction():
                yield connection
