"""Byte-transparent text: inside the engine every text is the bytes of the game, held as a latin-1 ``str`` (one character = one byte)."""

from __future__ import annotations


def to_engine(text: str) -> str:
    """Operator's text (Unicode) to engine text: its UTF-8 bytes, one character per byte."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def from_engine(text: str) -> str:
    """Engine text to Unicode; bytes that are not UTF-8 become surrogates and survive a round trip through :func:`to_engine`."""
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


def clean(text: str) -> str:
    """``Q_CleanStr``: drop colour codes (``^`` and one character) and every byte outside 0x20..0x7e."""
    out: list[str] = []
    i = 0
    while i < len(text):
        char = text[i]
        if char == "^" and i + 1 < len(text) and text[i + 1] != "^":
            i += 2
            continue
        if " " <= char <= "~":
            out.append(char)
        i += 1
    return "".join(out)


def info_pairs(info: str) -> list[tuple[str, str]]:
    """Split an info string (``\\key\\value…``) into pairs, in order."""
    parts = info[1:].split("\\") if info.startswith("\\") else info.split("\\")
    return list(zip(parts[0::2], parts[1::2], strict=False))


def info_value(info: str, key: str) -> str:
    """``Info_ValueForKey``: the value of ``key`` (case-insensitive), ``""`` if absent."""
    wanted = key.lower()
    for name, value in info_pairs(info):
        if name.lower() == wanted:
            return value
    return ""


def info_remove(info: str, key: str) -> str:
    """``Info_RemoveKey``: the info string without ``key``."""
    wanted = key.lower()
    return "".join(f"\\{name}\\{value}" for name, value in info_pairs(info) if name.lower() != wanted)


def info_set(info: str, key: str, value: str) -> str:
    """``Info_SetValueForKey``: an old pair is removed and the new one put in front, an empty value only removes."""
    rest = info_remove(info, key)
    if any(mark in key or mark in value for mark in '\\;"'):
        return info
    return f"\\{key}\\{value}{rest}" if value else rest


def tokenize(command: str) -> list[str]:
    """Split a console or client command the engine's way: blanks separate, double quotes hold together, no escapes."""
    tokens: list[str] = []
    i = 0
    while i < len(command):
        if command[i] <= " ":
            i += 1
        elif command[i] == '"':
            end = command.find('"', i + 1)
            end = len(command) if end < 0 else end
            tokens.append(command[i + 1 : end])
            i = end + 1
        else:
            end = i
            while end < len(command) and command[end] > " " and command[end] != '"':
                end += 1
            tokens.append(command[i:end])
            i = end
    return tokens
