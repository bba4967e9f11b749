"""Weapons by the names that a match file uses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Weapon:
    """``mod``: means of death as in ``et.MOD_*``; ``wp``: ``et.WP_*``; ``stats``: index of sess.aWeaponStats; ``damage``: of one hit."""

    mod_name: str
    mod: int
    wp: int
    stats: int
    damage: int


WEAPONS: dict[str, Weapon] = {
    "knife": Weapon("MOD_KNIFE", 5, 1, 0, 10),
    "luger": Weapon("MOD_LUGER", 6, 2, 2, 18),
    "colt": Weapon("MOD_COLT", 7, 7, 3, 18),
    "mp40": Weapon("MOD_MP40", 8, 3, 4, 18),
    "thompson": Weapon("MOD_THOMPSON", 9, 8, 5, 18),
    "sten": Weapon("MOD_STEN", 10, 10, 6, 14),
    "fg42": Weapon("MOD_FG42", 13, 32, 7, 16),
    "panzerfaust": Weapon("MOD_PANZERFAUST", 15, 5, 8, 400),
    "grenade": Weapon("MOD_GRENADE", 4, 4, 11, 250),
    "mortar": Weapon("MOD_MORTAR", 52, 34, 12, 400),
    "dynamite": Weapon("MOD_DYNAMITE", 22, 15, 14, 400),
    "airstrike": Weapon("MOD_AIRSTRIKE", 23, 55, 15, 400),
    "artillery": Weapon("MOD_ARTY", 26, 13, 16, 400),
    "satchel": Weapon("MOD_SATCHEL", 42, 27, 17, 250),
    "landmine": Weapon("MOD_LANDMINE", 41, 26, 19, 250),
    "mg42": Weapon("MOD_MOBILE_MG42", 44, 30, 20, 18),
    "carbine": Weapon("MOD_CARBINE", 37, 24, 22, 34),
    "kar98": Weapon("MOD_KAR98", 38, 23, 23, 34),
    "garand": Weapon("MOD_GARAND", 11, 25, 24, 34),
    "k43": Weapon("MOD_K43", 50, 31, 25, 34),
    "syringe": Weapon("MOD_SYRINGE", 24, 11, 27, 0),
}
WEAPON_SLOTS = 28
MOD_SUICIDE = 33
HEADSHOT_DAMAGE = 50
"""A head hit of an automatic weapon, as in the recorded trace."""
