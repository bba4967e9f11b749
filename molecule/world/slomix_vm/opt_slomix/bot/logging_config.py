"""Log files of the bot."""

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

LINE = "%(asctime)s | %(levelname)-8s | %(name)-25s | %(message)s"
STAMP = "%Y-%m-%d %H:%M:%S"
MAX_BYTES = 50 * 1024 * 1024
BACKUPS = 3


def setup_logging(log_dir, level="INFO"):
    """bot.log and the console take INFO and up, errors.log WARNING and up, the others everything of theirs."""
    folder = Path(log_dir)
    folder.mkdir(parents=True, exist_ok=True)
    formatter = logging.Formatter(LINE, STAMP)
    threshold = max(logging.INFO, getattr(logging, level.upper(), logging.INFO))

    def to_file(name, file_level):
        handler = RotatingFileHandler(folder / name, maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8")
        handler.setLevel(file_level)
        handler.setFormatter(formatter)
        return handler

    console = logging.StreamHandler()
    console.setLevel(threshold)
    console.setFormatter(formatter)

    root = logging.getLogger("bot")
    root.setLevel(logging.DEBUG)
    root.handlers = [to_file("bot.log", threshold), to_file("errors.log", logging.WARNING), console]
    for name in ("webhook", "commands", "database"):
        logging.getLogger(f"bot.{name}").handlers = [to_file(f"{name}.log", logging.DEBUG)]
