"""A server's configuration files: ``set``, ``seta``, ``sets``, ``exec`` and bare ``name value`` lines."""

from __future__ import annotations

from pathlib import Path

from .text import tokenize

MAX_EXEC_DEPTH = 8


class ConfigError(ValueError):
    """A configuration file that cannot be read: which, and what refers to it."""


def read_config(path: Path, folders: list[Path], depth: int = 0) -> dict[str, str]:
    """Cvars from ``path`` in order, later lines winning; ``exec`` names are looked up in ``folders``."""
    try:
        text = path.read_bytes().decode("latin-1")
    except OSError as problem:
        raise ConfigError(f"config {path} cannot be read: {problem.strerror}") from problem
    values: dict[str, str] = {}
    for line in text.splitlines():
        words = tokenize(line.partition("//")[0] if '"' not in line else line)
        if len(words) < 2 or words[0].startswith("//"):
            continue
        verb = words[0].lower()
        if verb in ("set", "seta", "sets", "setl", "setu"):
            values[words[1]] = words[2] if len(words) > 2 else ""
        elif verb == "exec":
            if depth >= MAX_EXEC_DEPTH:
                raise ConfigError(f"config {path}: exec goes deeper than {MAX_EXEC_DEPTH} files")
            candidates = [Path(words[1])] if words[1].startswith("/") else [folder / words[1] for folder in folders]
            found = next((candidate for candidate in candidates if candidate.is_file()), None)
            if found is None:
                raise ConfigError(f"config {path}: exec {words[1]} is in none of {', '.join(map(str, folders))}")
            values.update(read_config(found, folders, depth + 1))
        elif verb not in ("map", "vstr", "echo"):
            values[words[0]] = words[1]
    return values
