#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Find the newest complete stats file of a folder, read its header, and check what must hold in it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stats_header_info
short_description: Find and check the newest complete stats file
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - One look into the stats folder. The first line of a listing by time instead finds awards and weapon files,
    half-written files and copies with a fresh date.
  - The kind and the time of a file come from its name, the newest round file must be whole and the same in two reads,
    its header is resolved from the right, since a server's name may hold a backslash, and field 9 is milliseconds by
    contract and unknown when it is not a positive number.
  - The module says what it found; the gate decides.
options:
  path:
    description: The stats folder.
    type: path
    required: true
  settle_s:
    description: Seconds between the two reads.
    type: float
    default: 1.0
  gametimes:
    description: The folder of gametime files. With it, field 9 is compared with the gametime file of the same round.
    type: path
  since:
    description: A time as in the names, YYYY-MM-DD-HHMMSS. With it, RV(rounds) lists the round files saved after it.
    type: str
attributes:
  check_mode:
    support: full
    description: Only reads, and reads under check mode too.
"""

EXAMPLES = r"""
- name: Read the newest round's header
  slomix.timetracking.stats_header_info:
    path: /home/et/.etlegacy/legacy/gamestats
    gametimes: /home/et/.etlegacy/legacy/gametimes
  register: __stats_writer_newest_result

- name: Read every round saved since a load
  slomix.timetracking.stats_header_info:
    path: /home/et/.etlegacy/legacy/gamestats
    since: "{{ __lua_release_load_result.loaded_at_local }}"
"""

RETURN = r"""
found:
  description: Whether there is a complete round file.
  type: bool
  returned: always
name:
  description: Its name; null when there is none, as are the values below.
  type: str
  returned: always
stamp:
  description: The time in its name, YYYY-MM-DD-HHMMSS, the server's local time; sorts as text.
  type: str
  returned: always
map:
  description: The map in its name.
  type: str
  returned: always
round:
  description: The round in its name.
  type: int
  returned: always
header:
  description: The header; fields (8 or 9), server, map, config, round, defender, winner, timelimit, next_timelimit and
    playtime as text, timelimit_s, next_timelimit_s, playtime_ms (null when absent or unknown), playtime_unit,
    playtime_reason, duration_s, duration_source (field9, header or unknown) and doubts.
  type: dict
  returned: always
players:
  description: Player lines.
  type: int
  returned: always
verdict:
  description: clean, violations or unjudged.
  type: str
  returned: always
violations:
  description: Broken rules; rule, text and numbers.
  type: list
  elements: dict
  returned: always
unjudged:
  description: What could not be judged.
  type: list
  elements: str
  returned: always
notes:
  description: What a person should know of the judgement.
  type: list
  elements: str
  returned: always
first_half:
  description: For an R2, name and fields of its R1; null without one.
  type: dict
  returned: always
skipped:
  description: Newer round files that were passed over; name and reason.
  type: list
  elements: dict
  returned: always
counts:
  description: Files per kind (round, endstats, weapon_stats, engagements, gametime, other).
  type: dict
  returned: always
doubts:
  description: Where the times on disk contradict the names.
  type: list
  elements: str
  returned: always
size_bytes:
  description: Size of the file.
  type: int
  returned: always
mtime_unix:
  description: Its time on disk.
  type: float
  returned: always
sha256:
  description: Its digest.
  type: str
  returned: always
rounds:
  description: The newest 50 round files saved after O(since), oldest first; name, stamp, map, round, header, players,
    raw_guids (of an R2, whose time is not the difference to R1, because R1 has no line of them or they reconnected),
    longest_played_min (the most that a line of anybody else says, of both halves together in an R2; null without one), age_s
    (seconds since the file changed on disk, by this host's clock), complete, why_incomplete, verdict, violations,
    unjudged, notes and first_half, as above.
  type: list
  elements: dict
  returned: when O(since) is given
"""

import os
import re
import time
from typing import Any, Dict, List, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import (
    stats_checks,
    stats_file,
    stats_folder,
    stats_names,
)

MOST_ROUNDS = 50
STAMP = re.compile(r"\d{4}-\d\d-\d\d-\d{6}", re.ASCII)


def run(folder: str, settle_s: float, gametimes: Optional[str]) -> Dict[str, Any]:
    """Look, read, check. Raises OSError when a folder cannot be listed."""
    newest = stats_folder.newest_round(folder, settle_s)
    result = {**newest.as_dict(), "first_half": None, "verdict": "unjudged", "violations": [], "notes": []}
    if newest.found is None or newest.stats is None:
        return {**result, "unjudged": ["there is no complete round file"]}
    first, first_stats = first_half(folder, newest.found)
    if first is not None and first_stats is not None:
        header = first_stats.header
        result["first_half"] = {"name": first.name, "fields": header.fields if header else None}
    gametime, unjudged = None, []
    if gametimes is not None and newest.stats.header is not None and newest.found.saved is not None:
        known, unjudged = read_gametimes(gametimes, newest.found)
        # The module runs on the game server, so its zone at that moment is the one of the file's name.
        zone = newest.found.saved.astimezone().tzinfo
        gametime, why = stats_checks.find_gametime(newest.found, newest.stats.header, known, zone)
        unjudged += [why] if why else []
    done = stats_checks.check_stats(newest.found.name, newest.stats, first_stats, gametime)
    checked = stats_checks.Checked(done.name, done.violations, done.unjudged + tuple(unjudged), done.notes).as_dict()
    return {**result, **checked}


def rounds_since(folder: str, since: str) -> List[Dict[str, Any]]:
    """The round files whose names tell a later time, oldest first, each read and checked by itself."""
    found = []
    names = [name for name in stats_names.newest_first(stats_folder.list_files(folder)) if name.stamp > since]
    for name in reversed(names[:MOST_ROUNDS]):
        read = stats_folder.read_file(os.path.join(folder, name.name))
        stats = stats_file.parse_stats(read.data)
        first, first_stats = first_half(folder, name)
        checked = stats_checks.check_stats(name.name, stats, first_stats).as_dict()
        header = first_stats.header if first_stats is not None else None
        halves = stats_file.second_half(first_stats, stats) if first_stats is not None else []
        raw_guids = {half.player.guid.lower() for half in halves if half.how != "difference"}
        others = [player for player in stats.players if player.guid.lower() not in raw_guids]
        played = [player.fields["time_played_minutes"] for player in others]
        found.append(
            {
                **checked,
                "stamp": name.stamp,
                "map": name.map,
                "round": name.round,
                "header": stats.header.as_dict() if stats.header else None,
                "players": len(stats.players),
                "longest_played_min": max((one for one in played if one is not None), default=None),
                "raw_guids": sorted(raw_guids),
                "age_s": int(time.time() - read.mtime_unix) if not read.error else None,
                "complete": stats.complete and not read.error,
                "why_incomplete": read.error or stats.why_incomplete,
                "first_half": {"name": first.name, "stamp": first.stamp, "fields": header.fields if header else None}
                if first
                else None,
            }
        )
    return found


def first_half(folder: str, second: stats_names.Name) -> Any:
    """``(name, stats)`` of the R1 of ``second``; ``(None, None)`` when there is none or it cannot be read."""
    names = map(stats_names.parse_name, stats_folder.list_files(folder))
    first = stats_names.first_half_of(second, names)
    read = stats_folder.read_file(os.path.join(folder, first.name)) if first else None
    return (first, stats_file.parse_stats(read.data)) if read and not read.error else (None, None)


def read_gametimes(folder: str, name: stats_names.Name) -> Any:
    """``(gametimes, what cannot be read)`` of the files whose names tell the same round."""
    found: List[stats_checks.Gametime] = []
    bad: List[str] = []
    for entry in stats_folder.list_files(folder):
        parsed = stats_names.parse_name(entry)
        if parsed.kind != stats_names.GAMETIME or parsed.round != name.round:
            continue
        read = stats_folder.read_file(os.path.join(folder, entry))
        one, why = (None, read.error) if read.error else stats_checks.parse_gametime(entry, read.data)
        if one is not None:
            found.append(one)
        elif name.saved and parsed.end_unix and abs(name.saved.timestamp() - parsed.end_unix) < 3600:
            # A broken file of another evening says nothing about this round.
            bad.append(f"{entry}: {why}")
    return found, bad


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "settle_s": {"type": "float", "default": stats_folder.DEFAULT_SETTLE_S},
            "gametimes": {"type": "path"},
            "since": {"type": "str"},
        },
        supports_check_mode=True,
    )
    settle_s = module.params["settle_s"]
    if not 0 <= settle_s <= 60:
        module.fail_json(msg=f"settle_s is {settle_s:g}, required is 0 to 60 seconds")
    since = module.params["since"]
    if since is not None and not STAMP.fullmatch(since):
        module.fail_json(msg=f"since is {since!r}, required is a time as in the files' names, YYYY-MM-DD-HHMMSS")
    try:
        result = run(module.params["path"], settle_s, module.params["gametimes"])
        if since is not None:
            result["rounds"] = rounds_since(module.params["path"], since)
        module.exit_json(changed=False, **result)
    except OSError as error:
        module.fail_json(
            msg=f"{error.filename} cannot be listed ({error.strerror}); name the folder the server writes to, such as"
            " <fs_homepath>/legacy/gamestats, and a user who may read it"
        )


if __name__ == "__main__":
    main()
