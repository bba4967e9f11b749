"""`!leaderboard <stat>`: all-time rankings."""

import logging

import discord
from discord.ext import commands

logger = logging.getLogger("bot.commands")

TOP = 10
MIN_ROUNDS = 50
MIN_HITS = 1000
ALIASES = {"hs": "headshots", "headshot": "headshots", "damage": "dpm", "acc": "accuracy"}
MEDALS = ("🥇", "🥈", "🥉")


class LeaderboardCog(commands.Cog):
    def __init__(self, bot):
        self.bot = bot

    @commands.command(name="leaderboard", aliases=["lb", "top"])
    async def leaderboard(self, ctx, stat="kills"):
        """Top ten players by kills, kd, dpm, accuracy or headshots."""
        try:
            embed = await self.build_embed(stat)
        except LookupError as e:
            await ctx.send(str(e))
            return
        await ctx.send(embed=embed)

    async def build_embed(self, stat):
        stat = ALIASES.get(stat.lower(), stat.lower())
        builders = {
            "kills": self._kills,
            "kd": self._kd,
            "dpm": self._dpm,
            "accuracy": self._accuracy,
            "headshots": self._headshots,
        }
        if stat not in builders:
            raise LookupError(f"Unknown leaderboard {stat!r}; try one of: {', '.join(builders)}")
        title, lines = await builders[stat]()
        logger.info(f"leaderboard {stat}: {len(lines)} players")
        embed = discord.Embed(title=title, color=0xF1C40F)
        embed.description = "\n".join(lines) if lines else "Nobody has played enough rounds yet."
        return embed

    @staticmethod
    def _ranked(rows, describe):
        lines = []
        for place, row in enumerate(rows):
            mark = MEDALS[place] if place < len(MEDALS) else f"{place + 1}."
            lines.append(f"{mark} **{row['name']}** - {describe(row)}")
        return lines

    async def _kills(self):
        rows = await self.bot.db_adapter.fetch_all(
            """
            SELECT MAX(clean_name) AS name, SUM(kills) AS kills, COUNT(DISTINCT round_id) AS rounds
            FROM player_comprehensive_stats
            WHERE round_number IN (1, 2)
            GROUP BY player_guid
            HAVING COUNT(DISTINCT round_id) > %s
            ORDER BY kills DESC
            LIMIT %s
            """,
            (MIN_ROUNDS, TOP),
        )
        return "Most kills", self._ranked(rows, lambda row: f"{row['kills']} kills ({row['rounds']} rounds)")

    async def _kd(self):
        rows = await self.bot.db_adapter.fetch_all(
            """
            SELECT MAX(clean_name) AS name, SUM(kills) AS kills, SUM(deaths) AS deaths,
                   SUM(kills)::float / NULLIF(SUM(deaths), 0) AS kd
            FROM player_comprehensive_stats
            WHERE round_number IN (1, 2)
            GROUP BY player_guid
            HAVING COUNT(DISTINCT round_id) > %s AND SUM(deaths) > 0
            ORDER BY kd DESC
            LIMIT %s
            """,
            (MIN_ROUNDS, TOP),
        )
        return "Best K/D", self._ranked(rows, lambda row: f"{row['kd']:.2f} K/D ({row['kills']}/{row['deaths']})")

    async def _dpm(self):
        rows = await self.bot.db_adapter.fetch_all(
            """
            SELECT MAX(clean_name) AS name,
                   SUM(damage_given) * 60.0 / NULLIF(SUM(time_played_seconds), 0) AS dpm,
                   COUNT(DISTINCT round_id) AS rounds
            FROM player_comprehensive_stats
            WHERE round_number IN (1, 2)
            GROUP BY player_guid
            HAVING COUNT(DISTINCT round_id) > %s AND SUM(time_played_seconds) > 0
            ORDER BY dpm DESC
            LIMIT %s
            """,
            (MIN_ROUNDS, TOP),
        )
        return "Damage per minute", self._ranked(rows, lambda row: f"{row['dpm']:.0f} DPM ({row['rounds']} rounds)")

    async def _accuracy(self):
        rows = await self.bot.db_adapter.fetch_all(
            """
            SELECT MAX(w.player_name) AS name, SUM(w.hits) AS hits, SUM(w.shots) AS shots,
                   SUM(w.hits) * 100.0 / NULLIF(SUM(w.shots), 0) AS accuracy
            FROM weapon_comprehensive_stats w
            WHERE w.round_number IN (1, 2)
            GROUP BY w.player_guid
            HAVING COUNT(DISTINCT w.round_id) > %s AND SUM(w.hits) > %s
            ORDER BY accuracy DESC
            LIMIT %s
            """,
            (MIN_ROUNDS, MIN_HITS, TOP),
        )
        return "Best accuracy", self._ranked(rows, lambda row: f"{row['accuracy']:.1f}% ({row['hits']}/{row['shots']})")

    async def _headshots(self):
        rows = await self.bot.db_adapter.fetch_all(
            """
            SELECT MAX(p.clean_name) AS name,
                   SUM(p.headshot_kills) AS headshots,
                   SUM(w.hits) AS hits,
                   SUM(p.headshot_kills) * 100.0 / NULLIF(SUM(w.hits), 0) AS hs_percent,
                   COUNT(DISTINCT p.round_id) AS rounds
            FROM player_comprehensive_stats p
            JOIN weapon_comprehensive_stats w
              ON w.round_id = p.round_id AND w.player_guid = p.player_guid
            WHERE p.round_number IN (1, 2)
            GROUP BY p.player_guid
            HAVING COUNT(DISTINCT p.round_id) > %s AND SUM(w.hits) > %s
            ORDER BY hs_percent DESC
            LIMIT %s
            """,
            (MIN_ROUNDS, MIN_HITS, TOP),
        )
        return "Headshot accuracy", self._ranked(
            rows, lambda row: f"{row['hs_percent']:.1f}% HS ({row['headshots']} HS / {row['hits']} hits)"
        )
