"""The stopwatch: warm-up, countdown, play, pauses, the end of a round and the intermission, frame by frame as measured (engine.md)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from .roster import ALLIES, AXIS, LOADOUT

if TYPE_CHECKING:
    from .server import Server

GS_INITIALIZE, GS_PLAYING, GS_COUNTDOWN, GS_WARMUP, GS_INTERMISSION, GS_WAITING, GS_RESET = -1, 0, 1, 2, 3, 4, 5
CS_WARMUP, CS_LEVEL_START_TIME, CS_INTERMISSION, CS_MULTI_INFO, CS_MULTI_MAPWINNER = 5, 11, 12, 13, 14
CS_REINFSEEDS, CS_SERVERTOGGLES, CS_INTERMISSION_START_TIME = 31, 32, 36
TOGGLES, PAUSE_BIT = 646, 16
PAUSE_STEP_MS = 500
UNPAUSE_MS = 10050
READY_MS = 1000
SETTLED_MS = 1000
"""Players are back by then; before it their number says nothing."""
WEAPON_STATS_MS = 350
FULL_INTERMISSION_MS = 60000
REINFORCEMENT_FACTORS = (11, 3, 13, 7, 2, 5, 1, 17)
BLUE_SHIFT, RED_SHIFT = 3, 2


class Rules:
    """State of the running half. ``defender`` is 0 (Axis) or 1 (Allies), as the engine counts."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.random = random.Random(seed)
        self.defender = 0
        self.intermission_ms = 6000
        self.limits_min: dict[str, str] = {}
        self.idle = False
        self.exit_logged = False
        self.start_ms = 0
        self.pause_at: int | None = None
        self.unpause_at: int | None = None
        self.pauses: list[tuple[int, int]] = []
        self.winner = -1
        self._begin()

    def _begin(self) -> None:
        self.exit_logged = False
        self.warmup_end = 0
        self.intermission_at: int | None = None
        self.pause_at = self.unpause_at = None
        self.pauses = []
        self.winner = -1
        self.ready_since: int | None = None
        self._shown_stats = False
        self._waves = {AXIS: 0, ALLIES: 0}
        self._offsets_ms = {AXIS: 0, ALLIES: 0}
        self._settled = 0

    # -- a new game module -----------------------------------------------------------------------------------------------------

    def init(self) -> None:
        """What the game sets before the Lua chunks run."""
        server, strings = self.server, self.server.configstrings
        self._begin()
        self.start_ms = server.time
        cvars = server.cvars
        cvars.set("g_restarted", "0")
        second = cvars.integer("g_currentRound") == 1
        cvars.set(
            "timelimit", cvars.full("g_nextTimeLimit") if second else self.limits_min.get(cvars.full("mapname"), "10")
        )
        strings[CS_LEVEL_START_TIME] = str(server.time)
        strings[CS_WARMUP] = ""
        strings[CS_MULTI_INFO] = "\\s\\0\\d\\0"
        strings[CS_MULTI_MAPWINNER] = f"\\w\\{self.defender}"
        strings[CS_SERVERTOGGLES] = str(TOGGLES)

    def seed_reinforcements(self) -> None:
        """New reinforcement offsets, published the engine's way: two shifted indexes, then offset x factor for each index."""
        blue, red = self.random.randrange(8), self.random.randrange(8)
        offsets = [self.random.randrange(16) for _ in REINFORCEMENT_FACTORS]
        values = [(blue << BLUE_SHIFT) + self.random.randrange(8), (red << RED_SHIFT) + self.random.randrange(4)]
        values += [offset * factor for offset, factor in zip(offsets, REINFORCEMENT_FACTORS, strict=True)]
        self.server.configstrings[CS_REINFSEEDS] = " ".join(map(str, values))
        self._offsets_ms = {ALLIES: offsets[blue] * 1000, AXIS: offsets[red] * 1000}

    # -- a frame ---------------------------------------------------------------------------------------------------------------

    def frame(self, step_ms: int, *, settling: bool) -> None:
        """One game frame, before et_RunFrame."""
        server, now = self.server, self.server.time
        state = server.gamestate
        if settling:
            self._settled += 1
            if self._settled == 2:
                # The map script names the defender in the game's second frame.
                server.configstrings[CS_MULTI_INFO] = f"\\d\\{self.defender}\\s\\2"
        if self.exit_logged and state != GS_INTERMISSION:
            state = server.gamestate = GS_INTERMISSION
            self.intermission_at = now
            server.configstrings[CS_INTERMISSION_START_TIME] = str(now - FULL_INTERMISSION_MS + self.intermission_ms)
        if state == GS_WARMUP and not self.idle:
            self._warmup(now, step_ms)
        elif state == GS_COUNTDOWN:
            self._countdown(now, step_ms)
        elif state == GS_PLAYING and not self.exit_logged:
            self._play(now, step_ms)
        elif state == GS_INTERMISSION:
            self._intermission(now)
        if state != GS_INTERMISSION and not settling:
            self._respawn(now, step_ms)

    def _warmup(self, now: int, step_ms: int) -> None:
        server = self.server
        if server.cvars.integer("g_doWarmup"):
            players = server.roster.playing()
            if not any(client.fields["pers.ready"] for client in players):
                self.ready_since = None
                return
            if self.ready_since is None:
                self.ready_since = now - step_ms
            all_ready = all(client.fields["pers.ready"] for client in players)
            enough = len(players) >= server.cvars.integer("match_minplayers")
            if not all_ready or not enough or now - self.ready_since <= READY_MS:
                return
        self.warmup_end = now + (max(10, server.cvars.integer("g_warmup")) + 1) * 1000
        server.gamestate = GS_COUNTDOWN
        server.configstrings[CS_WARMUP] = str(self.warmup_end)

    def _countdown(self, now: int, step_ms: int) -> None:
        if self.idle:
            self.warmup_end += (
                step_ms  # nobody there: the stand-in waits, where a real server plays the cycle to itself
            )
        elif now > self.warmup_end:
            self.warmup_end += 10000
            self.server.cvars.set("g_restarted", "1")
            self.server.pending.append("map_restart 0")

    def _play(self, now: int, step_ms: int) -> None:
        server = self.server
        if self.pause_at is not None:
            self._paused(now)
            return
        for client in server.roster.playing():
            fields = client.fields
            fields["sess.time_axis" if fields["sess.sessionTeam"] == AXIS else "sess.time_allies"] += step_ms
            if fields["health"] > 0:  # the game counts the time in the field, not the time in limbo
                fields["sess.time_played"] += step_ms
        limit_min = server.cvars.number("timelimit")
        if limit_min > 0 and now - self.start_ms >= limit_min * 60000:
            self.end_round(self.defender, timed=True)
        elif now - self.start_ms > SETTLED_MS and self._too_few():
            server.pending.append("reset_match")

    def _too_few(self) -> bool:
        """With warm-up, a half with fewer players than ``match_minplayers`` goes back to the first round's warm-up."""
        cvars = self.server.cvars
        return bool(cvars.integer("g_doWarmup")) and len(self.server.roster.playing()) < cvars.integer(
            "match_minplayers"
        )

    def _intermission(self, now: int) -> None:
        server = self.server
        assert self.intermission_at is not None
        if not self._shown_stats and now >= self.intermission_at + WEAPON_STATS_MS:
            self._shown_stats = True
            for client in server.roster.connected():
                server.gprint(f"WeaponStats: {server.roster.weapon_line(client)}\n")
        if now >= self.intermission_at + self.intermission_ms and not server.pending:
            for client in server.roster.connected():
                server.gprint(f"Writing session file session/client{client.slot:02d}.json\n")
            server.gprint("ExitLevel: executed\n")
            if not server.cvars.integer("g_currentRound"):
                server.cvars.set("g_nextTimeLimit", "0")
            server.pending.append("map_restart 0")

    def _respawn(self, now: int, step_ms: int) -> None:
        server = self.server
        waiting = [c for c in server.roster.playing() if c.fields["health"] <= 0]
        if server.gamestate != GS_PLAYING:
            for client in waiting:
                if now - client.fields["deathTime"] >= 2 * step_ms:
                    server.roster.spawn(client)
            return
        if self.pause_at is not None:
            return
        for team, cvar in ((AXIS, "g_redlimbotime"), (ALLIES, "g_bluelimbotime")):
            period = max(1000, server.cvars.integer(cvar))
            wave = (now - self.start_ms + self._offsets_ms[team]) // period
            if wave != self._waves[team]:
                self._waves[team] = wave
                for client in waiting:
                    if client.team == team:
                        server.roster.spawn(client)

    # -- pauses ----------------------------------------------------------------------------------------------------------------

    def pause(self) -> bool:
        """Set the pause bit; only a running half can be paused. False when it cannot."""
        if self.server.gamestate != GS_PLAYING or self.exit_logged or self.pause_at is not None:
            return False
        self.pause_at = self._stepped_at = self.server.time
        self._paused_start_ms = self.start_ms
        self.server.configstrings[CS_SERVERTOGGLES] = str(TOGGLES | PAUSE_BIT)
        return True

    def unpause(self) -> bool:
        """Begin the countdown of about ten seconds; the bit is cleared at its end. False when nothing is paused or it runs already."""
        if self.pause_at is None or self.unpause_at is not None:
            return False
        self.unpause_at = self.server.time
        return True

    def _paused(self, now: int) -> None:
        server = self.server
        assert self.pause_at is not None
        if self.unpause_at is not None and now - self.unpause_at >= UNPAUSE_MS:
            self.pauses.append((self.pause_at, now))
            self.start_ms = self._paused_start_ms + now - self.pause_at
            self.pause_at = self.unpause_at = None
            server.configstrings[CS_SERVERTOGGLES] = str(TOGGLES)
            server.configstrings[CS_LEVEL_START_TIME] = str(self.start_ms)
            server.broadcast("^1FIGHT!\\n")
        elif now - self._stepped_at >= PAUSE_STEP_MS:
            self._stepped_at = now
            self.start_ms = self._paused_start_ms + now - self.pause_at
            server.configstrings[CS_LEVEL_START_TIME] = str(self.start_ms)

    def elapsed_ms(self) -> int:
        """Play time of the running half without pauses."""
        if self.pause_at is not None:
            return self.pause_at - self._paused_start_ms
        return self.server.time - self.start_ms

    # -- the end ---------------------------------------------------------------------------------------------------------------

    def end_round(
        self, winner: int, *, timed: bool = False, announce: str = "", reason: str = "Wolf EndRound."
    ) -> None:
        """The round is decided: exit lines, winner, round flip and next limit. ``winner`` is 0 (Axis) or 1 (Allies)."""
        if self.exit_logged or self.server.gamestate != GS_PLAYING:
            return
        server, cvars = self.server, self.server.cvars
        elapsed_ms = self.elapsed_ms()
        self.exit_logged = True
        self.winner = winner
        if announce:
            server.gprint(f'legacy announce: "^7{announce}"\n')
        server.gprint(f"Exit: {reason}\n")
        server.configstrings[CS_MULTI_MAPWINNER] = f"\\w\\{winner}"
        server.configstrings[CS_INTERMISSION] = "1"
        for client in server.roster.connected():
            for skill in range(7):
                server.lua.call("et_SetPlayerSkill", client.slot, skill)
            score = client.fields["ps.persistant"][0]
            server.gprint(f"score: {score}  ping: 0  client: {client.slot} {client.name}\n")
        totals = {
            team: sum(c.fields["ps.persistant"][0] for c in server.roster.playing() if c.team == team)
            for team in LOADOUT
        }
        server.gprint(f"axis:{totals[AXIS]}  allies:{totals[ALLIES]}\n")
        if timed:
            server.broadcast("Timelimit hit.\\n")
            server.gprint("Exit: Timelimit hit. (already triggered)\n")
        held = winner == self.defender
        minutes = cvars.number("timelimit") if held else elapsed_ms / 60000
        cvars.set("g_nextTimeLimit", f"{minutes:f}")
        cvars.set("g_currentRound", "0" if cvars.integer("g_currentRound") else "1")
