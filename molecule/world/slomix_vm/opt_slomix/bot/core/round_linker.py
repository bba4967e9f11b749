"""Finds the rounds row that belongs to data captured by Lua on the game server."""

import logging
from datetime import datetime, timedelta

logger = logging.getLogger("bot.round_linker")


def parse_round_datetime(round_date, round_time):
    """Local time of a rounds row; its time is "214503" or "21:45:03"."""
    try:
        return datetime.strptime(f"{round_date} {str(round_time).replace(':', '')}", "%Y-%m-%d %H%M%S")
    except (ValueError, TypeError):
        return None


class RoundLinker:
    def __init__(self, database, window_minutes=45):
        self.database = database
        self.window = timedelta(minutes=window_minutes)

    async def resolve(self, map_name, round_number, target_time=None, round_date=None):
        """Id of the nearest round of this map and half, or None."""
        rows = await self.database.fetch_all(
            "SELECT id, round_date, round_time FROM rounds WHERE map_name = %s AND round_number = %s ORDER BY id DESC",
            (map_name, round_number),
        )
        if not rows:
            return self._unresolved(map_name, round_number, "no_rows_for_map_round", 0)

        candidates = rows
        if round_date:
            candidates = [row for row in rows if row["round_date"] == round_date]
            if not candidates and target_time is None:
                return self._unresolved(map_name, round_number, "date_filter_excluded_rows", len(rows))
            candidates = candidates or rows

        if target_time is None:
            return self._resolved(map_name, round_number, candidates[0]["id"], "latest_row", len(candidates), None)

        timed = []
        for row in candidates:
            when = parse_round_datetime(row["round_date"], row["round_time"])
            if when is not None:
                timed.append((abs(when - target_time), row["id"]))
        if not timed:
            return self._unresolved(map_name, round_number, "time_parse_failed", len(candidates))

        diff, round_id = min(timed)
        if diff > self.window:
            return self._unresolved(
                map_name, round_number, "all_candidates_outside_window", len(timed), diff.total_seconds()
            )
        return self._resolved(map_name, round_number, round_id, "nearest_time", len(timed), diff.total_seconds())

    async def link_after_import(self, round_id, map_name, round_number, target_unix):
        """Give a freshly imported round the nearest Lua row that has none yet."""
        row = await self.database.fetch_one(
            """
            SELECT id, abs(round_end_unix - %(target)s) AS diff_s
            FROM lua_round_teams
            WHERE round_id IS NULL AND map_name = %(map)s AND round_number = %(round)s
              AND abs(round_end_unix - %(target)s) <= %(window)s
            ORDER BY diff_s, id
            LIMIT 1
            """,
            {
                "target": target_unix,
                "map": map_name,
                "round": round_number,
                "window": int(self.window.total_seconds()),
            },
        )
        if row is None:
            self._unresolved(map_name, round_number, "no_unlinked_lua_row", 0)
            return None
        await self.database.execute("UPDATE lua_round_teams SET round_id = %s WHERE id = %s", (round_id, row["id"]))
        return self._resolved(map_name, round_number, round_id, "import_with_metadata", 1, row["diff_s"])

    @staticmethod
    def _resolved(map_name, round_number, round_id, reason, candidates, diff_s):
        shown = "n/a" if diff_s is None else f"{float(diff_s):.0f}"
        logger.info(
            f"Round linker resolved: map={map_name} round={round_number} round_id={round_id} reason={reason} "
            f"candidates={candidates} diff_s={shown}"
        )
        return round_id

    @staticmethod
    def _unresolved(map_name, round_number, reason, candidates, diff_s=None):
        shown = "" if diff_s is None else f" diff_s={diff_s:.0f}"
        logger.warning(
            f"Round linker unresolved: map={map_name} round={round_number} reason={reason} "
            f"candidates={candidates}{shown}"
        )
