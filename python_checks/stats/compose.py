"""Write stats files as the game's writers do, for probing a parser and for tests: the format's other direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.slomix.timetracking.plugins.module_utils.stats_file import FIELDS, TENTHS, WEAPONS

DEFAULT_WEAPONS: Mapping[str, tuple[int, int, int, int, int]] = {"WS_MP40": (40, 120, 6, 3, 9)}


@dataclass(frozen=True)
class Line:
    """One player; ``weapons`` by name (hits, attempts, kills, deaths, headshots), ``fields`` by name, 0 where left
    out."""

    guid: str = "AABBCCDD"
    name: str = "^1Ana"
    rounds: int = 1
    team: int = 1
    weapons: Mapping[str, tuple[int, int, int, int, int]] = field(default_factory=lambda: DEFAULT_WEAPONS)
    fields: Mapping[str, object] = field(
        default_factory=lambda: {"damage_given": 3000, "time_played_minutes": 7.4, "time_dead_minutes": 1.2}
    )

    def text(self) -> str:
        """The line with its newline."""
        mask = sum(1 << WEAPONS.index(name) for name in self.weapons)
        numbers = [number for name in WEAPONS if name in self.weapons for number in self.weapons[name]]
        values = [_printed(self.fields.get(one.name, 0), one.kind) for one in FIELDS]
        head = f"{self.guid}\\{self.name}\\{self.rounds}\\{self.team}\\"
        return head + " ".join(map(str, [mask, *numbers])) + " \t" + "\t".join(values) + "\n"


@dataclass(frozen=True)
class Round:
    """One file; ``playtime`` None leaves the ninth field out. The defaults are an R1 completed by Axis in 7:22."""

    server: str = "^4Demo ^7Server"
    map: str = "supply"
    config: str = "legacy3"
    round: int = 1
    defender: int = 2
    winner: int = 1
    limit: str = "12:00"
    following: str = "7:22"
    playtime: str | None = None
    players: Sequence[Line] = (Line(),)

    def header(self) -> str:
        """The first line with its newline."""
        parts = [self.server, self.map, self.config, str(self.round), str(self.defender), str(self.winner)]
        parts += [self.limit, self.following] + ([] if self.playtime is None else [self.playtime])
        return "\\".join(parts) + "\n"

    def data(self) -> bytes:
        """The file's bytes."""
        return (self.header() + "".join(player.text() for player in self.players)).encode("utf-8", "surrogateescape")

    def name(self, stamp: str) -> str:
        """The file's name for a time ``YYYY-MM-DD-HHMMSS``."""
        return f"{stamp}-{self.map}-round-{self.round}.txt"

    def write(self, folder: Path, stamp: str) -> Path:
        """Write it into ``folder``."""
        path = folder / self.name(stamp)
        path.write_bytes(self.data())
        return path


def _printed(value: object, kind: str) -> str:
    return f"{value:.1f}" if kind == TENTHS and isinstance(value, (int, float)) else str(value)
