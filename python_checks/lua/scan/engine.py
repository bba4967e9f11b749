"""What the engine offers to a script: names, entity fields, callbacks. The recorded tables are the source of names and fields."""

from __future__ import annotations

from functools import cache

from python_checks.engine import api, roster

ENGINE = "ET:Legacy 2.83.1"

#: Callbacks with the kinds of their parameters: level (ms of the level clock), slot, entity (may be no client), int, text.
CALLBACKS: dict[str, tuple[str, ...]] = {
    "et_InitGame": ("level", "int", "int"),
    "et_ShutdownGame": ("int",),
    "et_RunFrame": ("level",),
    "et_Quit": (),
    "et_ClientConnect": ("slot", "int", "int"),
    "et_ClientDisconnect": ("slot",),
    "et_ClientBegin": ("slot",),
    "et_ClientUserinfoChanged": ("slot",),
    "et_ClientSpawn": ("slot", "int", "int", "int"),
    "et_ClientCommand": ("slot", "text"),
    "et_ConsoleCommand": ("text",),
    "et_UpgradeSkill": ("slot", "int"),
    "et_SetPlayerSkill": ("slot", "int"),
    "et_Print": ("text",),
    "et_Obituary": ("slot", "entity", "int"),
    "et_Damage": ("entity", "entity", "int", "int", "int"),
    "et_SpawnEntitiesFromString": (),
    "et_Chat": ("slot", "int", "text"),
    "et_IPCReceive": ("int", "text"),
    "et_WeaponFire": ("slot", "int"),
    "et_FixedMGFire": ("slot",),
    "et_MountedMGFire": ("slot",),
    "et_AAGunFire": ("slot",),
}

#: Cvars that the engine itself keeps whole; in lower case, because the engine does not tell cases apart.
WHOLE_CVARS = frozenset(
    {
        "gamestate", "g_currentround", "g_gametype", "sv_maxclients", "sv_privateclients", "sv_fps", "net_port", "protocol",
        "g_redlimbotime", "g_bluelimbotime", "g_dowarmup", "g_warmup", "omnibot_enable",
    }
)  # fmt: skip

#: Cvars that the engine always has as a number, which may be fractional.
NUMBER_CVARS = frozenset(
    {"timelimit", "g_nexttimelimit", "g_usertimelimit", "g_speed", "g_gravity", "g_knockback", "timescale"}
)

SLOT_CVAR = "sv_maxclients"


def names() -> dict[str, tuple[str, str]]:
    """The members of ``et``: name -> (type, value)."""
    return api.recorded()


@cache
def fields() -> dict[str, tuple[str, bool]]:
    """Entity fields: name -> (kind letter of the recorded table, True when only a client has it)."""
    return {name: (kind, owner == "client") for name, (kind, _, owner) in roster.field_table().items()}
