"""Database sessions of the website."""

import os
from contextlib import asynccontextmanager

import psycopg
from psycopg.rows import dict_row


def connection_arguments():
    return {
        "host": os.getenv("POSTGRES_HOST", "localhost"),
        "port": int(os.getenv("POSTGRES_PORT", "5432")),
        "dbname": os.getenv("POSTGRES_DATABASE", "etlegacy"),
        "user": os.getenv("POSTGRES_USER", "etlegacy_user"),
        "password": os.getenv("POSTGRES_PASSWORD") or None,
    }


class Database:
    def __init__(self, connection):
        self._connection = connection

    async def fetch_all(self, query, params=()):
        return await (await self._connection.execute(query, params)).fetchall()

    async def fetch_one(self, query, params=()):
        return await (await self._connection.execute(query, params)).fetchone()


@asynccontextmanager
async def open_database():
    connection = await psycopg.AsyncConnection.connect(
        **connection_arguments(),
        autocommit=True,
        row_factory=dict_row,
        application_name="slomix-web",
        connect_timeout=5,
    )
    try:
        yield Database(connection)
    finally:
        await connection.close()


async def get_db():
    """FastAPI dependency: one connection for one request."""
    async with open_database() as database:
        yield database
