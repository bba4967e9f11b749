"""The players: slots, entity fields, joining and leaving, spawning, damage and death. Sequences follow the recorded traces."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .text import from_engine
from .weapons import HEADSHOT_DAMAGE, MOD_SUICIDE, WEAPON_SLOTS, WEAPONS, Weapon

if TYPE_CHECKING:
    from .server import Server

AXIS, ALLIES, SPECTATOR = 1, 2, 3
TEAM_LETTER = {AXIS: "r", ALLIES: "b", SPECTATOR: "s"}
LOADOUT = {AXIS: (3, 2), ALLIES: (8, 7)}  # MP 40 and Luger, Thompson and Colt
CS_PLAYERS = 689
CS_ROUNDSCORES1, CS_ROUNDSCORES2 = 23, 24
WORLD, MAX_ENTITIES = 1022, 1024
SKILLS, LIGHT_WEAPONS = 7, 4
PM_NORMAL, PM_SPECTATOR, PM_DEAD = 0, 2, 3
PMF_LIMBO = 1 << 14
XP_KILL, XP_HEADSHOT = 3, 2
DAMAGE_FLAGS = 64
_ARRAY_SIZE = {
    "pers.playerStats.hitRegions": 4,
    "sess.skill": 7,
    "sess.skillpoints": 7,
    "sess.startskillpoints": 7,
    "sess.medals": 7,
}
_SCORES = tuple(
    f"sess.{name}"
    for name in (
        *("kills", "deaths", "gibs", "self_kills", "team_kills", "team_gibs"),
        *("damage_given", "damage_received", "team_damage_given", "team_damage_received"),
        *("time_axis", "time_allies", "time_played", "rounds", "aWeaponStats"),
    )
)
_TOTALS = tuple(
    f"sess.{name}"
    for name in (
        *("damage_given", "damage_received", "team_damage_given", "team_damage_received"),
        *("gibs", "self_kills", "team_kills", "team_gibs"),
    )
)
_ALIAS = {
    "origin": "ps.origin",
    "client.inactivityTime": "inactivityTime",
    "client.inactivityWarning": "inactivityWarning",
    "sess.team_damage": "sess.team_damage_given",
    "sess.team_received": "sess.team_damage_received",
}


@cache
def field_table() -> dict[str, tuple[str, str, str]]:
    """Entity fields: name -> (kind, access, owner)."""
    rows = (Path(__file__).resolve().parent / "fields.tsv").read_text(encoding="utf-8").splitlines()[1:]
    table = {name: (kind, access, owner) for name, kind, access, owner in (row.split("\t") for row in rows)}
    table.update({alias: table[name] for alias, name in _ALIAS.items()})
    return table


def _blank(owner: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, (kind, _, held_by) in field_table().items():
        if held_by != owner or name in _ALIAS:
            continue
        if kind == "i":
            values[name] = 0
        elif kind == "f":
            values[name] = 0.0
        elif kind == "s":
            values[name] = ""
        elif kind == "v":
            values[name] = [0.0, 0.0, 0.0]
        elif kind == "ai":
            values[name] = [0] * _ARRAY_SIZE.get(name, 64 if "ammo" in name or "ignore" in name else 16)
        elif kind == "af":
            values[name] = [0.0] * _ARRAY_SIZE[name]
        elif kind == "w":
            values[name] = [[0, 0, 0, 0, 0] for _ in range(WEAPON_SLOTS)]
    return values


class Client:
    """One slot. ``fields`` holds every entity and client field by its Lua name."""

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.name = ""
        self.guid = ""
        self.ip = ""
        self.userinfo = ""
        self.fields: dict[str, Any] = {}
        self.reset()

    def reset(self) -> None:
        """An empty slot: every field at zero, as ``memset`` leaves it."""
        self.fields = {**_blank("entity"), **_blank("client")}
        self.fields["s.number"] = self.fields["s.clientNum"] = self.slot

    def restart(self) -> None:
        """A new game module: the session survives, the rest is zero."""
        session = {name: value for name, value in self.fields.items() if name.startswith("sess.")}
        self.reset()
        self.fields.update(session)
        self.fields["sess.startskillpoints"] = list(self.fields["sess.skillpoints"])

    def clear_scores(self) -> None:
        """Session counters back to zero (a new first round); team and class stay."""
        blank = _blank("client")
        for name in _SCORES:
            self.fields[name] = blank[name]

    @property
    def connected(self) -> bool:
        """Whether somebody sits in the slot (connecting counts)."""
        return bool(self.fields["pers.connected"])

    @property
    def team(self) -> int:
        """sess.sessionTeam."""
        return int(self.fields["sess.sessionTeam"])

    @property
    def alive(self) -> bool:
        """In the game with health left."""
        return self.fields["pers.connected"] == 2 and self.team in LOADOUT and self.fields["health"] > 0

    def loadout(self) -> str:
        """The weapon part of the published player string."""
        keys = (
            ("w", "playerWeapon"),
            ("lw", "latchPlayerWeapon"),
            ("sw", "playerWeapon2"),
            ("lsw", "latchPlayerWeapon2"),
        )
        return "".join(f"\\{key}\\{self.fields[f'sess.{name}']}" for key, name in keys if self.fields[f"sess.{name}"])


class Roster:
    """All slots of the server, 0 to ``sv_maxclients`` - 1."""

    def __init__(self, server: Server, slots: int) -> None:
        self.server = server
        self.clients = [Client(slot) for slot in range(slots)]
        self._world = {**_blank("entity"), "classname": "worldspawn", "inuse": 1, "s.number": WORLD}

    def resize(self, slots: int) -> None:
        """Another number of slots (``sv_maxclients`` acts at a map load); whoever sits above it is gone."""
        del self.clients[slots:]
        self.clients += [Client(slot) for slot in range(len(self.clients), slots)]

    def connected(self) -> list[Client]:
        """Connected clients in slot order."""
        return [c for c in self.clients if c.fields["pers.connected"]]

    def playing(self) -> list[Client]:
        """Clients in a team."""
        return [c for c in self.clients if c.fields["pers.connected"] == 2 and c.fields["sess.sessionTeam"] in LOADOUT]

    # -- fields ----------------------------------------------------------------------------------------------------------------

    def field(self, slot: int, name: str) -> Any:
        """A client's field for the host itself, 0 for a slot that does not exist."""
        return self.clients[slot].fields[name] if 0 <= slot < len(self.clients) else 0

    def gentity_get(self, slot: int, field: str, index: int) -> Any:
        """Lua's ``gentity_get``: value, or (None, problem), or (None, False, items…) for a table."""
        if 0 <= slot < len(self.clients):
            fields = self.clients[slot].fields
        elif slot == WORLD:
            fields = self._world
        elif 0 <= slot < MAX_ENTITIES:
            known = field_table().get(field)
            return None if known and known[2] == "entity" else (None, f'tried to get invalid gentity field "{field}"')
        else:
            return None, f"entity {slot} does not exist"
        value = fields.get(field)
        if value is None:
            value = fields.get(_ALIAS.get(field, ""))
            if value is None:
                return (
                    None
                    if field in field_table() and fields is not self._world
                    else (None, f'tried to get invalid gentity field "{field}"')
                )
        if type(value) is not list:
            return value
        kind = field_table()[field][0]
        if kind == "w":
            return (None, False, *value[int(index)]) if 0 <= index < len(value) else (None, False, 0, 0, 0, 0, 0)
        if kind == "v":
            return None, False, *value
        return value[int(index)] if 0 <= index < len(value) else 0

    def gentity_set(self, slot: int, field: str, index: int, *value: Any) -> str | None:
        """Lua's ``gentity_set``: None, or the problem's text."""
        known = field_table().get(field)
        if known is None or not (0 <= slot < len(self.clients) or (slot == WORLD and known[2] == "entity")):
            return f'tried to set invalid gentity field "{field}"'
        kind, access, _ = known
        if access == "r":
            return f'tried to set read-only gentity field "{field}"'
        fields = self.clients[slot].fields if slot < len(self.clients) else self._world
        name = _ALIAS.get(field, field)
        if kind == "v":
            fields[name] = [float(v) for v in value] if len(value) == 3 else fields[name]
        elif kind == "s":
            fields[name] = str(value[0])
        elif kind in ("ai", "af"):
            if 0 <= int(index) < len(fields[name]):
                fields[name][int(index)] = int(value[0]) if kind == "ai" else float(value[0])
        elif isinstance(value[0], (int, float)) and math.isfinite(value[0]):
            fields[name] = int(value[0]) if kind in ("i", "e") else float(value[0])
        else:
            return f'tried to set gentity field "{field}" to something that is no number'
        return None

    # -- userinfo --------------------------------------------------------------------------------------------------------------

    def publish(self, client: Client) -> None:
        """ClientUserinfoChanged: print the userinfo, call the hook, print and publish the player string."""
        server = self.server
        server.gprint(f"Userinfo: {client.userinfo}\n")
        server.lua.call("et_ClientUserinfoChanged", client.slot)
        older = "\\p\\0" if server.lua.interpreter == "lua54" else ""  # 2.83.1 publishes one key more than 2.85.0
        team = client.team or SPECTATOR
        text = f"n\\{client.name}\\t\\{team}\\c\\0\\lc\\0\\r\\0\\m\\0000000\\s\\0000000{older}\\dn\\-1{client.loadout()}\\u\\255"
        server.configstrings[CS_PLAYERS + client.slot] = text
        server.gprint(f"ClientUserinfoChanged: {client.slot} {text}\n")

    def rename(self, client: Client, name: str) -> None:
        """Give a client a name (engine text). The info string gets it without the characters that would break it."""
        client.name = name
        client.fields["pers.netname"] = name
        safe = "".join(char for char in name if char not in '\\";')
        client.userinfo = (
            f"\\name\\{safe}\\rate\\45000\\snaps\\20\\cl_guid\\{client.guid}\\protocol\\84\\etVersion\\{self.server.version}"
            f"\\cg_uinfo\\13 0 30\\cl_maxpackets\\125\\ip\\{client.ip}"
        )

    def _skills(self, client: Client) -> None:
        for skill in range(SKILLS):
            self.server.lua.call("et_SetPlayerSkill", client.slot, skill)

    # -- coming and going ------------------------------------------------------------------------------------------------------

    def connect(self, name: str, guid: str) -> Client | None:
        """A new client takes the lowest free slot; None when the server is full or a module rejects it."""
        server = self.server
        client = next((c for c in self.clients if not c.connected), None)
        if client is None:
            return None
        client.reset()
        client.guid, client.ip = guid, f"127.0.0.1:{40000 + client.slot}"
        self.rename(client, name)
        server.log.write(f"Client {client.slot} connecting with 0 challenge ping\n")
        server.gprint(f"Writing session file session/client{client.slot:02d}.json\n")
        rejected = server.lua.call("et_ClientConnect", client.slot, 1, 0)
        if isinstance(rejected, str):
            server.log.write(f"Game rejected a connection: {rejected}.\n")
            client.reset()
            return None
        client.fields.update(
            {"pers.connected": 1, "pers.connectTime": server.time, "sess.sessionTeam": SPECTATOR, "inuse": 1}
        )
        server.gprint(f"ClientConnect: {client.slot}\n")
        if server.lua.interpreter == "lua54":  # 2.85.0 goes without
            self._skills(client)
        self.publish(client)
        server.configstrings.setdefault(CS_ROUNDSCORES1, "0")
        server.configstrings.setdefault(CS_ROUNDSCORES2, "0")
        return client

    def begin(self, client: Client) -> None:
        """The client has loaded the map and enters as a spectator."""
        fields = client.fields
        fields["sess.playerWeapon"] = fields["sess.latchPlayerWeapon"] = LOADOUT[AXIS][0]
        fields.update({"pers.connected": 2, "pers.enterTime": self.server.time})
        self.publish(client)
        self.spawn(client, team_change=True)
        self.server.gprint(f"ClientBegin: {client.slot}\n")
        self.server.lua.call("et_ClientBegin", client.slot)

    def join(self, client: Client, team: int) -> None:
        """The client command ``team``."""
        weapon, sidearm = LOADOUT.get(team, (0, 0))
        if self.server.client_command(client, f"team {TEAM_LETTER[team]} 0 {weapon} 0"):
            return
        fields = client.fields
        if fields["health"] > 0 and client.team in LOADOUT and self.server.live:
            fields["health"] = 0
        fields["sess.sessionTeam"] = team
        if team in LOADOUT:
            fields.update({"sess.latchPlayerWeapon": weapon, "sess.latchPlayerWeapon2": sidearm})
        self.publish(client)
        if team in LOADOUT:
            fields.update({"sess.playerWeapon": weapon, "sess.playerWeapon2": sidearm})
        self.publish(client)
        self.spawn(client, team_change=True)
        self.server.broadcast(f"^7{client.name}^7 entered the game\\n")
        self.server.gprint(f"ClientBegin: {client.slot}\n")
        if team in LOADOUT:
            fields["ps.pm_type"], fields["health"] = PM_DEAD, 0  # waits in limbo for the next spawn
            fields["ps.pm_flags"] |= PMF_LIMBO
            fields["deathTime"] = self.server.time

    def reconnect(self, client: Client) -> None:
        """A client that stays through a map load or restart."""
        server, fields = self.server, client.fields
        server.gprint(f"Reading session file session/client{client.slot:02d}.json\n")
        self._skills(client)
        server.lua.call("et_ClientConnect", client.slot, 0, 0)
        server.gprint(f"ClientConnect: {client.slot}\n")
        if server.lua.interpreter == "lua54":  # 2.85.0 goes without
            self._skills(client)
        fields.update({"pers.connected": 1, "pers.connectTime": server.time, "inuse": 1, "pers.netname": client.name})
        team = client.team
        if team in LOADOUT:
            weapon, sidearm = LOADOUT[team]
            fields.update({"sess.playerWeapon": weapon, "sess.latchPlayerWeapon": weapon})
            fields.update({"sess.playerWeapon2": sidearm, "sess.latchPlayerWeapon2": sidearm})
        fields.update({"pers.connected": 2, "pers.enterTime": server.time})
        self.publish(client)
        self.spawn(client, team_change=True)
        server.broadcast(f"^7{client.name}^7 entered the game\\n")
        server.gprint(f"ClientBegin: {client.slot}\n")
        server.lua.call("et_ClientBegin", client.slot)

    def disconnect(self, client: Client) -> None:
        """The client leaves; its counters stay readable until the slot is used again."""
        self.server.lua.call("et_ClientDisconnect", client.slot)
        self.server.gprint(f"WeaponStats: {self.weapon_line(client)}\n")
        self.server.gprint(f"ClientDisconnect: {client.slot}\n")
        client.fields.update({"pers.connected": 0, "sess.sessionTeam": 0, "inuse": 0})
        self.server.configstrings.pop(CS_PLAYERS + client.slot, None)

    # -- life and death --------------------------------------------------------------------------------------------------------

    def spawn(self, client: Client, *, team_change: bool = False, revived: bool = False) -> None:
        """Put a client into the world and call et_ClientSpawn(slot, revived, teamChange, restoreHealth)."""
        fields = client.fields
        fields["pers.lastSpawnTime"] = self.server.time
        fields["ps.pm_flags"] &= ~PMF_LIMBO
        if client.team in LOADOUT:
            side = -512.0 if client.team == AXIS else 512.0
            fields.update(
                {
                    "health": 100,
                    "ps.pm_type": PM_NORMAL,
                    "ps.weapon": LOADOUT[client.team][0],
                    "ps.origin": [side, 0.0, 24.0],
                }
            )
            fields["r.currentOrigin"] = list(fields["ps.origin"])
            fields["ps.stats"][0] = 100
        else:
            fields.update({"health": 0, "ps.pm_type": PM_SPECTATOR})
        self.server.lua.call("et_ClientSpawn", client.slot, int(revived), int(team_change), int(not revived))

    def shoot(self, attacker: Client, weapon: Weapon, shots: int) -> None:
        """Shots that hit nobody."""
        for _ in range(shots):
            self.server.lua.call("et_WeaponFire", attacker.slot, weapon.wp)
            attacker.fields["sess.aWeaponStats"][weapon.stats][0] += 1

    def hit(self, victim: Client, attacker: Client, weapon: Weapon, damage: int, *, head: bool) -> bool:
        """One shot that hits: counters, et_Damage, and death when health is used up. True when it killed."""
        server, given, taken = self.server, attacker.fields, victim.fields
        self.shoot(attacker, weapon, 1)
        # The region is counted before the hook: scripts tell a head hit in et_Damage by the change of this counter.
        given["pers.playerStats.hitRegions"][0 if head else 2] += 1
        if server.lua.call("et_Damage", victim.slot, attacker.slot, damage, DAMAGE_FLAGS, weapon.mod) == 1:
            return False
        stats = given["sess.aWeaponStats"][weapon.stats]
        stats[3] += 1
        stats[2] += 1 if head else 0
        counted = min(damage, max(0, taken["health"]))
        friendly = attacker is not victim and attacker.team == victim.team
        if attacker is not victim:
            given["sess.team_damage_given" if friendly else "sess.damage_given"] += counted
            taken["sess.team_damage_received" if friendly else "sess.damage_received"] += counted
        taken["health"] -= damage
        taken.update({"lasthurt_client": attacker.slot, "lasthurt_mod": weapon.mod, "lasthurt_time": server.time})
        if taken["health"] > 0:
            return False
        stats[4] += 1
        taken["sess.aWeaponStats"][weapon.stats][1] += 1
        if not friendly:
            server.lua.call("et_SetPlayerSkill", attacker.slot, LIGHT_WEAPONS)
            given["sess.kills"] += 1
            points = XP_KILL + (XP_HEADSHOT if head else 0)
            given["ps.persistant"][0] += points
            given["sess.skillpoints"][LIGHT_WEAPONS] += points
        else:
            given["sess.team_kills"] += 1
        self._die(victim, attacker, weapon.mod, weapon.mod_name)
        return True

    def kill(self, victim: Client, attacker: Client, weapon: Weapon, *, head: bool) -> None:
        """As many hits as it takes; with ``head`` the last one is the killing blow to the head."""
        while victim.alive:
            last = head and victim.fields["health"] <= HEADSHOT_DAMAGE
            before = victim.fields["health"]
            self.hit(victim, attacker, weapon, HEADSHOT_DAMAGE if last else max(1, weapon.damage), head=last)
            if victim.alive and victim.fields["health"] == before:
                return  # a module blocks the damage

    def suicide(self, client: Client) -> None:
        """The client command ``kill``."""
        if self.server.client_command(client, "kill") or not client.alive:
            return
        client.fields["health"] = 0
        client.fields["sess.self_kills"] += 1
        self._die(client, client, MOD_SUICIDE, "MOD_SUICIDE")

    def _die(self, victim: Client, attacker: Client, mod: int, mod_name: str) -> None:
        server, fields = self.server, victim.fields
        fields["sess.deaths"] += 1
        fields.update(
            {
                "ps.pm_type": PM_DEAD,
                "deathTime": server.time,
                "pers.lastkiller_client": attacker.slot,
                "methodOfDeath": mod,
            }
        )
        fields["ps.stats"][0] = fields["health"]
        attacker.fields["pers.lastkilled_client"] = victim.slot
        attacker.fields["lastKillTime"] = server.time
        server.gprint(
            f"Kill: {attacker.slot} {victim.slot} {mod}: ^7{attacker.name}^7 killed {victim.name}^7 by {mod_name}\n"
        )
        server.lua.call("et_Obituary", victim.slot, attacker.slot, mod)

    def revive(self, victim: Client, medic: Client) -> None:
        """A medic's syringe on a dead team mate."""
        if victim.alive or victim.team not in LOADOUT:
            return
        self.shoot(medic, WEAPONS["syringe"], 1)
        medic.fields["sess.aWeaponStats"][WEAPONS["syringe"].stats][3] += 1
        victim.fields["pers.lastrevive_client"] = medic.slot
        self.server.gprint(f"Medic_Revive: {medic.slot} {victim.slot}\n")
        self.spawn(victim, revived=True)

    # -- talking and lists -----------------------------------------------------------------------------------------------------

    def chat(self, slot: int, text: str, *, team: bool) -> None:
        """Print a chat line and call et_Chat for each who may read it (sender, receiver, text)."""
        server = self.server
        if not 0 <= slot < len(self.clients):
            return
        sender = self.clients[slot]
        if team:
            server.gprint(f"sayteam: ^7{sender.name}^7: ^5{text}\n")
            server.gprint(f"^7({sender.name}^7): ^5{text}\n")
        else:
            server.gprint(f"say: ^7{sender.name}^7: ^2{text}\n")
            server.gprint(f"^7{sender.name}^7: ^2{text}\n")
        for reader in self.connected():
            if not team or reader.team == sender.team:
                server.lua.call("et_Chat", slot, reader.slot, text)

    def weapon_line(self, client: Client) -> str:
        """The game's weapon line: slot, rounds, mask, five numbers for each weapon used, totals, skill points of the round."""
        fields = client.fields
        mask, numbers = 0, []
        for bit, (attempts, deaths, headshots, hits, kills) in enumerate(fields["sess.aWeaponStats"]):
            if attempts or hits or deaths or kills:
                mask |= 1 << bit
                numbers += [hits, attempts, kills, deaths, headshots]
        parts: list[object] = [client.slot, fields["sess.rounds"], mask, *numbers]
        newer = self.server.lua.interpreter == "luajit"  # 2.85.0 has one total more, and one number less at the end
        if mask:
            team_ms = fields["sess.time_axis"] + fields["sess.time_allies"]
            parts += [fields[name] for name in _TOTALS] + [0] * newer
            parts.append(f"{100 * fields['sess.time_played'] / team_ms if team_ms else 0:.1f}")
        gained = [
            int(now - then)
            for now, then in zip(fields["sess.skillpoints"], fields["sess.startskillpoints"], strict=True)
        ]
        parts.append(sum(1 << skill for skill, points in enumerate(gained) if points))
        parts += [points for points in gained if points]
        parts += ["0.00", "0.00"] if newer else ["0.00", "0.00", 0]
        return " ".join(map(str, parts))

    def listing(self) -> list[dict[str, Any]]:
        """Players for results and queries: slot, name, guid, team."""
        return [{"slot": c.slot, "name": from_engine(c.name), "guid": c.guid, "team": c.team} for c in self.connected()]
