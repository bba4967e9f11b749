"""Plays a :class:`Match` on a :class:`Server`: brings the players, delivers events between frames, ends halves, takes the result."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .match import TEAMS, Event, Half, HalfResult, Match, MatchError, MatchResult, Player
from .roster import ALLIES, AXIS, Client
from .rules import GS_INTERMISSION, GS_PLAYING
from .text import to_engine
from .weapons import WEAPONS, Weapon

if TYPE_CHECKING:
    from .server import Server

CS_VOTE_TIME, CS_VOTE_STRING, CS_VOTE_YES, CS_VOTE_NO = 6, 7, 8, 9
VOTE_PASSES_MS, VOTE_FAILS_MS = 3000, 30000
AUTO_READY_MS = 3000
PATIENCE_MS = 120_000
LEAVE_MS = 1000
_WEAPON_OF_TEAM = {AXIS: "mp40", ALLIES: "thompson"}


class MatchStuck(RuntimeError):
    """The match cannot go on: what was waited for and how long."""


@dataclass(order=True)
class _Due:
    at_ms: int
    number: int
    action: Callable[[], None]


class Director:
    """One play of one match."""

    def __init__(self, server: Server, match: Match, on_frame: Callable[[Server], None] | None) -> None:
        self.server = server
        self.match = match
        self.half_number = 0
        self._on_frame = on_frame
        self._random = random.Random(match.seed)
        self._due: list[_Due] = []
        self._count = 0
        self._clients: dict[str, Client] = {}
        self._players = {player.name: player for player in match.players}

    # -- schedule --------------------------------------------------------------------------------------------------------------

    def _at(self, at_ms: int, action: Callable[[], None]) -> None:
        self._count += 1
        self._due.append(_Due(at_ms, self._count, action))
        self._due.sort()

    def _frame(self) -> None:
        while self._due and self._due[0].at_ms <= self.server.time:
            self._due.pop(0).action()
        self.server.frame()
        if self._on_frame:
            self._on_frame(self.server)

    def _run(self, until: Callable[[], bool], what: str, patience_ms: int = PATIENCE_MS) -> None:
        deadline = self.server.time + patience_ms
        while not until():
            if self.server.time > deadline:
                raise MatchStuck(
                    f"match {self.match.name}: waited {patience_ms / 1000:.0f} s of server time for {what}"
                )
            self._frame()

    # -- the match -------------------------------------------------------------------------------------------------------------

    def run(self) -> MatchResult:
        """Play everything; afterwards nobody is left on the server."""
        cvars = self.server.cvars
        before = {name: cvars.full(name) for name in self._wanted() if cvars.find(name)}
        try:
            return self._run_all()
        finally:
            for name, value in before.items():
                self.server.set_cvar(name, value)

    def _wanted(self) -> dict[str, str]:
        match = self.match
        pace = {} if match.sv_fps is None else {"sv_fps": str(match.sv_fps)}
        return {"g_doWarmup": "1" if match.warmup else "0", **pace, **match.cvars}

    def _run_all(self) -> MatchResult:
        server, match = self.server, self.match
        self._prepare()
        load_ms = server.rules.start_ms
        for player in match.players:
            if not player.later:
                self._bring(player, load_ms)
        halves = []
        for self.half_number, half in enumerate(match.halves):
            halves.append(self._half(half))
        self._due.clear()
        leaving = list(reversed(server.roster.connected()))
        if leaving:
            for client in leaving:
                server.roster.disconnect(client)
            stop = server.time + LEAVE_MS
            self._run(lambda: server.time >= stop, "the end")
        return MatchResult(match.name, tuple(half for half in halves if half is not None))

    def _prepare(self) -> None:
        server, match = self.server, self.match
        wanted = self._wanted()
        same = all(server.cvars.full(name) == value for name, value in wanted.items())
        same = (
            same and server.cvars.full("timelimit") == match.timelimit_min and server.cvars.full("mapname") == match.map
        )
        server.rules.idle = False
        server.rules.random.seed(f"match {match.seed}")
        server.rules.intermission_ms = round(match.intermission_s * 1000)
        server.rules.limits_min[match.map] = match.timelimit_min
        defender = TEAMS[match.defender] - 1
        same = same and defender == server.rules.defender
        server.rules.defender = defender
        for name, value in wanted.items():
            server.set_cvar(name, value)
        if match.starts_at_s is not None:
            try:
                server.clock.jump_to(match.starts_at_s)
            except ValueError as problem:
                raise MatchError(f"match {match.name}: starts_at: {problem}") from problem
            same = False
        if not server.booted:
            server.boot(match.map)
        elif not (same and server.fresh):
            server.load_map(match.map)

    def _bring(self, player: Player, load_ms: int) -> None:
        self._at(load_ms + round(player.connect_s * 1000), lambda: self._connect(player))
        self._at(load_ms + round(player.begin_s * 1000), lambda: self._with(player.name, self.server.roster.begin))
        if TEAMS[player.team] in (AXIS, ALLIES):
            self._at(
                load_ms + round(player.team_s * 1000),
                lambda: self._with(player.name, lambda c: self.server.roster.join(c, TEAMS[player.team])),
            )

    def _connect(self, player: Player) -> None:
        client = self.server.roster.connect(to_engine(player.name), player.guid)
        if client is not None:
            self._clients[player.name] = client

    def _with(self, name: str, action: Callable[[Client], None]) -> None:
        client = self._clients.get(name)
        if client is not None and client.connected:
            action(client)

    # -- a half ----------------------------------------------------------------------------------------------------------------

    def _half(self, half: Half) -> HalfResult | None:
        server, rules = self.server, self.server.rules
        level_ms = rules.start_ms
        for event in half.before:
            self._at(level_ms + round(event.at_s * 1000), lambda event=event: self._do(event))  # type: ignore[misc]
        if half.end == "stop_s":
            stop = level_ms + round((half.at_s or 0) * 1000)
            self._run(lambda: server.time >= stop, "its own end", 24 * 3600 * 1000)
            return None
        if self.match.warmup and not any(e.verb == "command" and e.options["text"] == "ready" for e in half.before):
            self._at(level_ms + AUTO_READY_MS, self._ready_all)
        if self.match.warmup and not self.match.players:
            raise MatchStuck(f"match {self.match.name}: nobody can ready up, for it has warm-up and no players")
        self._run(lambda: server.gamestate == GS_PLAYING, "the half to begin")
        return self._play(half)

    def _ready_all(self) -> None:
        for client in self.server.roster.playing():
            if not self.server.client_command(client, "ready"):
                client.fields["pers.ready"] = 1

    def _play(self, half: Half) -> HalfResult:
        server, rules = self.server, self.server.rules
        start_ms = rules.start_ms
        start_unix_ms = server.clock.now_ms - (server.time - start_ms - 700)
        round_number = 2 if server.cvars.integer("g_currentRound") else 1
        map_name = server.cvars.full("mapname")
        for event in half.events:
            self._at(start_ms + round(event.at_s * 1000), lambda event=event: self._do(event))  # type: ignore[misc]
        self._action(half, start_ms)
        load = server.loads
        snapshot: dict[str, Any] = {}

        def remember() -> None:
            pauses = list(rules.pauses)
            if rules.pause_at is not None:
                pauses.append((rules.pause_at, server.time))
            snapshot.update(
                end_level_ms=server.time,
                end_unix_ms=server.clock.now_ms,
                play_ms=rules.elapsed_ms(),
                pauses=tuple(pauses),
                limits=(server.cvars.full("timelimit"), server.cvars.full("g_nextTimeLimit")),
                players=tuple(server.roster.listing()),
            )

        if half.at_s is not None:
            self._at(start_ms + round(half.at_s * 1000), lambda: self._finish(half, remember))
        limit_ms = round(server.cvars.number("timelimit") * 60000)
        patience = (
            PATIENCE_MS
            + limit_ms
            + round(sum(e.options.get("for_s", 0) or 0 for e in half.events) * 1000)
            + round((half.at_s or 0) * 1000)
        )
        while not rules.exit_logged and server.loads == load:
            if server.time > start_ms + patience:
                raise MatchStuck(
                    f"match {self.match.name}: half {self.half_number + 1} did not end by {half.end} "
                    f"in {patience / 1000:.0f} s of server time"
                )
            self._frame()
            if rules.exit_logged and not snapshot:
                remember()
        if not snapshot:
            remember()
        completed = server.loads == load
        winner = rules.winner + 1 if completed else 0
        limits = (
            (server.cvars.full("timelimit"), server.cvars.full("g_nextTimeLimit")) if completed else snapshot["limits"]
        )
        self._due.clear()
        if completed:
            self._run(lambda: server.gamestate == GS_INTERMISSION or server.loads != load, "the intermission")
            self._run(lambda: server.loads != load, "the end of the intermission", PATIENCE_MS + rules.intermission_ms)
        return HalfResult(
            round=round_number,
            map=map_name,
            end=half.end,
            completed=completed,
            winner=winner,
            defender=rules.defender + 1,
            limit_min=limits[0],
            next_limit_min=limits[1],
            start_level_ms=start_ms,
            end_level_ms=snapshot["end_level_ms"],
            start_unix_ms=start_unix_ms,
            end_unix_ms=snapshot["end_unix_ms"],
            play_ms=snapshot["play_ms"],
            pauses=snapshot["pauses"],
            players=snapshot["players"],
        )

    def _finish(self, half: Half, remember: Callable[[], None]) -> None:
        """The half's written end, between two frames."""
        server, rules = self.server, self.server.rules
        if rules.exit_logged:
            return
        attackers = 1 - rules.defender
        if half.end == "objective_s":
            remember()
            side = "axis" if attackers == 0 else "allies"
            rules.end_round(
                attackers, announce=to_engine(str(half.options.get("announce", f"{side} reached the flag")))
            )
        elif half.end == "surrender_s":
            self._vote(str(half.options["by"]), "surrender", passes=True)
        elif half.end == "map_s":
            remember()
            server.rules.limits_min.setdefault(str(half.options["to"]), self.match.timelimit_min)
            server.execute_now(f"map {half.options['to']}")
        elif half.end == "map_restart_s":
            remember()
            server.execute_now("map_restart 0")
        elif half.end == "reset_match_s":
            remember()
            server.execute_now("reset_match")
        elif half.end == "empty_team_s":
            remember()
            for client in [c for c in server.roster.playing() if c.team == TEAMS[str(half.options["team"])]]:
                server.roster.disconnect(client)

    # -- events ----------------------------------------------------------------------------------------------------------------

    def _do(self, event: Event) -> None:
        getattr(self, f"_do_{event.verb}")(event)

    def _pair(self, event: Event) -> tuple[Client, Client] | None:
        who, by = self._clients.get(event.who), self._clients.get(str(event.options["by"]))
        return (who, by) if who and by and who.connected and by.connected else None

    def _weapon(self, event: Event, shooter: Client) -> Weapon:
        return WEAPONS[str(event.options.get("weapon") or _WEAPON_OF_TEAM.get(shooter.team, "mp40"))]

    def _do_kill(self, event: Event) -> None:
        pair = self._pair(event)
        if pair and pair[0].alive:
            self.server.roster.kill(
                pair[0], pair[1], self._weapon(event, pair[1]), head=bool(event.options.get("headshot"))
            )

    def _do_damage(self, event: Event) -> None:
        pair = self._pair(event)
        if pair and pair[0].alive:
            weapon = self._weapon(event, pair[1])
            amount = int(event.options.get("amount", weapon.damage))
            self.server.roster.hit(pair[0], pair[1], weapon, amount, head=bool(event.options.get("headshot")))

    def _do_miss(self, event: Event) -> None:
        self._with(
            event.who, lambda c: self.server.roster.shoot(c, self._weapon(event, c), int(event.options.get("shots", 1)))
        )

    def _do_revive(self, event: Event) -> None:
        pair = self._pair(event)
        if pair:
            self.server.roster.revive(*pair)

    def _do_suicide(self, event: Event) -> None:
        self._with(event.who, self.server.roster.suicide)

    def _do_pause(self, event: Event) -> None:
        server, rules = self.server, self.server.rules
        for_s = event.options.get("for_s")
        if event.who == "referee":
            server.execute_now("ref pause")
            ending: Callable[[], None] = lambda: server.execute_now("ref unpause")  # noqa: E731
        else:
            caller = next((c for c in server.roster.playing() if c.team == TEAMS[event.who]), None)
            if caller is None or server.client_command(caller, "pause") or not rules.pause():
                return
            side = "Axis" if caller.team == AXIS else "Allies"
            server.broadcast(
                f"^3Match is ^1PAUSED^3!\\n^7[by {caller.name} ^7for ^$ {side}^7^7: - 2 Timeouts Remaining]\\n".replace(
                    "^$ ", "^$"
                )
            )

            def ending() -> None:
                if rules.unpause():
                    server.broadcast("^3Match resuming in 10 seconds!\\n")

        if for_s is not None:
            self._at(server.time + round(float(for_s) * 1000), ending)

    def _do_chat(self, event: Event) -> None:
        team = bool(event.options.get("team"))
        text = to_engine(str(event.options["text"]))

        def say(client: Client) -> None:
            if not self.server.client_command(client, f"{'say_team' if team else 'say'} {text}"):
                self.server.roster.chat(client.slot, text, team=team)

        self._with(event.who, say)

    def _do_callvote(self, event: Event) -> None:
        self._vote(event.who, str(event.options["vote"]), passes=bool(event.options.get("passes")))

    def _vote(self, name: str, vote: str, *, passes: bool) -> None:
        server, rules = self.server, self.server.rules
        caller = self._clients.get(name)
        if caller is None or not caller.connected or server.client_command(caller, f"callvote {vote}"):
            return
        team = caller.team
        strings = server.configstrings
        strings.update({CS_VOTE_TIME: str(server.time), CS_VOTE_STRING: vote, CS_VOTE_YES: "1", CS_VOTE_NO: "0"})

        def over() -> None:
            strings.update({CS_VOTE_TIME: "", CS_VOTE_STRING: ""})
            if passes:
                server.broadcast("^5Vote passed!\\n")
            else:
                server.broadcast("^2Vote FAILED! ^3(" + vote + ")\\n")
            if passes and vote == "surrender":
                side = "Axis" if team == AXIS else "Allies"
                rules.end_round(1 - (team - 1), reason=f"{side} Surrender.")

        self._at(server.time + (VOTE_PASSES_MS if passes else VOTE_FAILS_MS), over)

    def _do_team(self, event: Event) -> None:
        self._with(event.who, lambda c: self.server.roster.join(c, TEAMS[str(event.options["to"])]))

    def _do_join(self, event: Event) -> None:
        player = self._players[event.who]
        client = self._clients.get(event.who)
        if client is not None and client.connected and client.guid == player.guid:
            return
        now = self.server.time
        self._connect(player)
        self._at(now + 150, lambda: self._with(event.who, self.server.roster.begin))
        # Teams have changed sides in the second round; a latecomer joins his own side's team of now.
        team = TEAMS[player.team]
        if team != TEAMS["spectator"]:
            if self.server.cvars.integer("g_currentRound"):
                team = ALLIES if team == AXIS else AXIS
            self._at(now + 250, lambda: self._with(event.who, lambda c: self.server.roster.join(c, team)))

    def _do_leave(self, event: Event) -> None:
        self._with(event.who, self.server.roster.disconnect)

    def _do_reconnect(self, event: Event) -> None:
        self._with(event.who, self.server.roster.disconnect)
        after_ms = round(float(event.options.get("after_s", 5)) * 1000)
        self._at(self.server.time + after_ms, lambda: self._do_join(event))

    def _do_rename(self, event: Event) -> None:
        def rename(client: Client) -> None:
            self.server.roster.rename(client, to_engine(str(event.options["to"])))
            self.server.roster.publish(client)

        self._with(event.who, rename)

    def _do_command(self, event: Event) -> None:
        text = to_engine(str(event.options["text"]))

        def command(client: Client) -> None:
            if not self.server.client_command(client, text) and text == "ready":
                client.fields["pers.ready"] = 1

        self._with(event.who, command)

    def _do_console(self, event: Event) -> None:
        self.server.execute_now(to_engine(event.who))

    def _do_print(self, event: Event) -> None:
        self.server.gprint(to_engine(event.who) + "\n")

    # -- background action -----------------------------------------------------------------------------------------------------

    def _action(self, half: Half, start_ms: int) -> None:
        """Random but repeatable fights: ``kills_per_min`` for the length of the half."""
        if half.kills_per_min <= 0:
            return
        limit_s = self.server.cvars.number("timelimit") * 60
        length_s = min(half.at_s if half.at_s is not None else limit_s, limit_s or 1e9)
        for _ in range(int(half.kills_per_min * length_s / 60)):
            self._at(start_ms + 1000 + int(self._random.random() * max(0.0, length_s - 2) * 1000), self._fight)

    def _fight(self) -> None:
        server, rng = self.server, self._random
        if server.rules.pause_at is not None or not server.live:
            return
        alive = [c for c in server.roster.playing() if c.alive]
        if not alive:
            return
        shooter = rng.choice(alive)
        targets = [c for c in alive if c.team != shooter.team]
        if not targets:
            return
        victim, weapon = rng.choice(targets), WEAPONS[_WEAPON_OF_TEAM[shooter.team]]
        server.roster.shoot(shooter, weapon, rng.randrange(8))
        server.roster.kill(victim, shooter, weapon, head=rng.random() < 0.3)
        if rng.random() < 0.2:
            medics = [c for c in alive if c.team == victim.team and c is not victim]
            if medics:
                medic = rng.choice(medics)
                self._at(
                    server.time + 2500,
                    lambda: server.roster.revive(victim, medic) if not victim.alive and server.live else None,
                )
