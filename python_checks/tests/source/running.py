"""Runs whole backends and cogs against real PostgreSQL; only the names of FastAPI and Discord are inert."""

from __future__ import annotations

import asyncio
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg

from python_checks import formulas
from python_checks.source.players import generated_players

DAY = "2026-02-20"


class Record:
    """A row as drivers give it: by index, by key, by attribute, unpacked."""

    def __init__(self, names: Sequence[str], values: Sequence[Any]) -> None:
        self._names, self._values = list(names), list(values)

    def __getitem__(self, key: Any) -> Any:
        return self._values[self._names.index(key) if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._names:
            raise AttributeError(name)
        return self[name]

    def keys(self) -> list[str]:
        return self._names

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self._names else default


class Database:
    """``fetch_all(sql, (values))``, ``fetch(sql, *values)`` and ``acquire()``, with ``$1`` or ``?`` as in the site's adapters."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)

    def close(self) -> None:
        self._connection.close()

    async def fetch_all(self, sql: str, values: Sequence[Any] = ()) -> list[Record]:
        order = [int(n) - 1 for n in re.findall(r"\$(\d+)", sql)] or list(range(len(values)))
        text = re.sub(r"\$\d+|\?", "%s", sql.replace("%", "%%"))
        cursor = self._connection.execute(text, [values[i] for i in order])  # type: ignore[arg-type]
        names = [column.name for column in cursor.description or ()]
        return [Record(names, row) for row in cursor.fetchall()]

    async def fetch(self, sql: str, *values: Any) -> list[Record]:
        return await self.fetch_all(sql, values)

    @asynccontextmanager
    async def acquire(self) -> Any:
        yield self


class Anything:
    """Stands for every name of a foreign library: called, decorated with, inherited from or read."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __init_subclass__(cls, **_: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __call__(self, *given: Any, **_: Any) -> Any:
        return given[0] if given and callable(given[0]) else self


class Embed:
    """What Discord would show."""

    def __init__(self, title: str = "", description: str = "", **_: Any) -> None:
        self.title, self.description, self.fields, self.footer = title, description, list[tuple[str, str]](), ""

    def add_field(self, name: str, value: str, **_: Any) -> None:
        self.fields.append((name, value))

    def set_footer(self, text: str) -> None:
        self.footer = text

    def text(self) -> str:
        return "\n".join([self.title, self.description or "", *(f"{n}: {v}" for n, v in self.fields), self.footer])


class Model:
    """As far as pydantic's BaseModel matters here."""

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    def dict(self) -> dict[str, Any]:
        return {name: v.dict() if isinstance(v, Model) else v for name, v in vars(self).items()}


class _Library(types.ModuleType):
    """A foreign module: known names as given, every other one inert."""

    def __init__(self, name: str, known: dict[str, Any]) -> None:
        super().__init__(name)
        vars(self).update(known)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything


@contextmanager
def foreign(endpoints: dict[str, Callable[..., Any]] | None = None) -> Iterator[None]:
    """The libraries that the files import, inert; what a router decorates is put into ``endpoints`` by its path."""
    seen = {} if endpoints is None else endpoints

    class Router:
        def __init__(self, **_: Any) -> None:
            pass

        def get(self, path: str, **_: Any) -> Callable[[Any], Any]:
            return lambda function: seen.setdefault(path, function)

        post = put = delete = get

    class View(Anything):
        pass

    def decorator(*_: Any, **__: Any) -> Callable[[Any], Any]:
        return lambda function: function

    ui = _Library("discord.ui", {"View": View, "button": decorator})
    commands = _Library(
        "discord.ext.commands", {"Cog": Anything, "command": decorator, "hybrid_command": decorator, "Bot": Anything}
    )
    stubs: dict[str, Any] = {
        "fastapi": _Library(
            "fastapi", {"APIRouter": Router, "HTTPException": Exception, "Query": lambda *a, default=None, **_: default}
        ),
        "pydantic": _Library("pydantic", {"BaseModel": Model}),
        "discord": _Library("discord", {"Embed": Embed, "ui": ui, "ButtonStyle": Anything()}),
        "discord.ui": ui,
        "discord.app_commands": _Library("discord.app_commands", {}),
        "discord.ext": _Library("discord.ext", {"commands": commands}),
        "discord.ext.commands": commands,
        "site": _Library("site", {}),
    }
    for name in (
        "bot",
        "bot.config",
        "backend",
        "backend.dependencies",
        "backend.db",
        "app",
        "app.database",
        "pkg",
        "pkg.api.deps",
        "pkg.db",
    ):
        stubs[name] = _Library(name, {})
    stubs["pkg.api"] = _Library("pkg.api", {})
    before = {name: sys.modules.get(name) for name in stubs}
    sys.modules.update(stubs)
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name) if module is None else sys.modules.update({name: module})


def loaded(source: bytes, endpoints: dict[str, Callable[..., Any]] | None = None) -> dict[str, Any]:
    """A file's names after it ran."""
    module = types.ModuleType("site_file")
    vars(module).update(__name__="pkg.api.site_file", __package__="pkg.api")
    sys.modules["pkg.api.site_file"] = module
    try:
        with foreign(endpoints):
            exec(compile(source, "site_file.py", "exec"), vars(module))
    finally:
        sys.modules.pop("pkg.api.site_file", None)
    return vars(module)


def graphs(source: bytes, dsn: str) -> dict[str, dict[str, Any]]:
    """What the session graphs' endpoint answers, by guid."""
    endpoints: dict[str, Callable[..., Any]] = {}
    space = loaded(source, endpoints)
    database = Database(dsn)
    path = next(path for path in endpoints if path.endswith("/{date}/graphs"))
    try:
        with foreign():
            answer = asyncio.run(endpoints[path](DAY, None, database))
    finally:
        database.close()
        space.clear()
    players: list[dict[str, Any]] = answer["players"]
    return {player["guid"]: player for player in players}


def shown(source: bytes, dsn: str, command: str) -> str:
    """What a cog's command sends for the headshot board."""
    space = loaded(source)
    database, sent = Database(dsn), list[Embed]()

    class Context:
        async def send(self, content: str = "", embed: Any = None, **_: Any) -> None:
            sent.append(embed if embed is not None else Embed(description=content))

    bot = types.SimpleNamespace(db=database, db_adapter=database, pool=database)
    cog = next(v for v in space.values() if isinstance(v, type) and command in vars(v))(bot)
    run = getattr(cog, command)
    try:
        arguments = ["headshots"] if command == "leaderboard" else []
        asyncio.run(run(Context(), *arguments))
    finally:
        database.close()
    return "\n".join(embed.text() for embed in sent)


def session(connection: Any, count: int, seed: int = 11) -> dict[str, tuple[formulas.PlayerRound, ...]]:
    """Fill a database with one session of ``count`` generated players; guid -> his rounds as the database gives them back."""
    rounds = [
        connection.execute(
            "INSERT INTO rounds (match_id, round_number, round_date, map_name, gaming_session_id) VALUES (%s, %s, %s, %s, 1) RETURNING id",
            (f"m{i}", number, DAY, "supply" if i < 3 else "radar"),
        ).fetchone()[0]
        for i, number in enumerate((1, 2, 0, 1, 2))
    ]
    columns = ["damage_given", "damage_received", "time_played_seconds", "time_dead_minutes"]
    columns += ["kills", "deaths", "kill_assists", "denied_playtime"]
    fields = [
        "round_id",
        "round_date",
        "map_name",
        "round_number",
        "player_guid",
        "player_name",
        "clean_name",
        *columns,
    ]
    with connection.cursor().copy(f"COPY player_comprehensive_stats ({', '.join(fields)}) FROM STDIN") as copy:
        for number, player in enumerate(generated_players(count, seed)):
            guid = f"{number:08X}"
            played = [rounds[i] for i in (0, 1, 3, 4)]
            for at, one in zip(played, player, strict=False):
                half = 2 - (played.index(at) + 1) % 2
                values = [one[c] if c == "time_dead_minutes" else int(one[c]) for c in columns]
                copy.write_row([at, DAY, "supply", half, guid, guid, guid, *values])
            # The match summary, which must not be counted.
            copy.write_row([rounds[2], DAY, "supply", 0, guid, guid, guid, *(99 for _ in columns)])
    rows: Iterable[Any] = connection.execute(
        "SELECT player_guid, damage_given, damage_received, time_played_seconds, time_dead_minutes FROM player_comprehensive_stats "
        "WHERE round_number IN (1, 2) ORDER BY player_guid, round_id"
    ).fetchall()
    truth: dict[str, list[formulas.PlayerRound]] = {}
    for guid, *values in rows:
        truth.setdefault(guid, []).append(formulas.PlayerRound(*values))
    return {guid: tuple(found) for guid, found in truth.items()}
