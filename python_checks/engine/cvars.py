"""Console variables: case-insensitive names, texts as values, ``""`` for a missing one."""

from __future__ import annotations

from dataclasses import dataclass

READ_LIMIT_BYTES = 255  # a buffer of 256 with its closing NUL (engine.md)

DEFAULTS: dict[str, str] = {
    "bot_enable": "0",
    "dedicated": "2",
    "fs_game": "legacy",
    "g_allowVote": "1",
    "g_bluelimbotime": "20000",
    "g_currentCampaignMap": "0",
    "g_currentRound": "0",
    "g_customConfig": "",
    "g_doWarmup": "1",
    "g_gametype": "3",
    "g_log": "",
    "g_needpass": "0",
    "g_nextTimeLimit": "0",
    "g_redlimbotime": "30000",
    "g_restarted": "0",
    "g_swapteams": "0",
    "g_userTimeLimit": "0",
    "g_warmup": "10",
    "gamename": "legacy",
    "gamestate": "-1",
    "lua_allowedModules": "",
    "lua_modules": "",
    "g_luaModuleList": "",
    "mapname": "",
    "match_minplayers": "0",
    "match_timeoutcount": "3",
    "match_timeoutlength": "180",
    "mod_version": "v2.83.1",
    "omnibot_enable": "0",
    "protocol": "84",
    "sv_fps": "20",
    "sv_hostname": "ETLHost",
    "sv_maxclients": "20",
    "sv_privateclients": "0",
    "timelimit": "10",
    "version": "ET Legacy v2.83.1 linux-x86_64",
}

#: What ``getstatus`` and CS_SERVERINFO publish.
SERVERINFO = (
    "gamename",
    "g_gametype",
    "mapname",
    "mod_version",
    "g_needpass",
    "protocol",
    "sv_fps",
    "sv_hostname",
    "sv_maxclients",
    "sv_privateclients",
    "timelimit",
    "version",
    "omnibot_enable",
    "g_customConfig",
)


@dataclass
class Cvar:
    """One console variable as ``rcon <name>`` shows it."""

    name: str
    value: str
    default: str


class Cvars:
    """All cvars of the server."""

    def __init__(self, values: dict[str, str]) -> None:
        self._all: dict[str, Cvar] = {n.lower(): Cvar(n, v, v) for n, v in DEFAULTS.items()}
        for name, value in values.items():
            self.set(name, value)

    def get(self, name: str) -> str:
        """The value, cut at 255 bytes; ``""`` when the cvar does not exist."""
        found = self._all.get(name.lower())
        return found.value[:READ_LIMIT_BYTES] if found else ""

    def full(self, name: str) -> str:
        """The value as the server itself holds it (never cut)."""
        found = self._all.get(name.lower())
        return found.value if found else ""

    def find(self, name: str) -> Cvar | None:
        """The cvar's record, or None."""
        return self._all.get(name.lower())

    def set(self, name: str, value: str) -> None:
        """Set a cvar, creating it when it is new (its default is then the value, as the console shows it)."""
        found = self._all.get(name.lower())
        if found:
            found.value = value
        else:
            self._all[name.lower()] = Cvar(name, value, value)

    def integer(self, name: str) -> int:
        """C's ``atoi`` of the value: leading digits, else 0."""
        text = self.full(name).strip()
        end = 1 if text[:1] in "+-" and text else 0
        while end < len(text) and text[end].isdigit():
            end += 1
        try:
            return int(text[:end])
        except ValueError:
            return 0

    def number(self, name: str) -> float:
        """C's ``atof`` of the value for plain decimal texts, else 0."""
        try:
            return float(self.full(name))
        except ValueError:
            return 0.0

    def infostring(self, names: tuple[str, ...]) -> str:
        """An info string of the named cvars in the given order, empty ones left out."""
        return "".join(f"\\{name}\\{self.full(name)}" for name in names if self.full(name) != "")
