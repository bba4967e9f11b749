"""Fixtures: a fresh statistics database and the VM's bot as a process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from slomix_process import OPT_SLOMIX, PACKAGES, Bot, Database

for path in (str(OPT_SLOMIX), str(PACKAGES)):
    if path not in sys.path:
        sys.path.insert(0, path)


@pytest.fixture
def database(pg: Any) -> Database:
    """A fresh database with the VM's schema."""
    return Database(pg)


@pytest.fixture
def start_bot(database: Database, tmp_path: Path) -> Iterator[Callable[..., Bot]]:
    """Start a bot with settings of your own; it is stopped at the end."""
    running: list[Bot] = []

    def start(**settings: str) -> Bot:
        running.append(Bot(database, tmp_path, settings))
        return running[-1]

    yield start
    for bot in running:
        bot.stop()
