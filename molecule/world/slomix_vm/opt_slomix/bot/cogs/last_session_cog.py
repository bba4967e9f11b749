"""`!last_session`: the newest gaming session, with dead and denied time per player."""

import logging

import discord
from discord.ext import commands

logger = logging.getLogger("bot.commands")

FIELD_LIMIT = 1024


def _clock(seconds):
    return f"{seconds // 60}:{seconds % 60:02d}"


def _pair(old_seconds, new_seconds):
    delta = new_seconds - old_seconds
    sign = "-" if delta < 0 else "+"
    return f"O {_clock(old_seconds)} / N {_clock(new_seconds)} ({sign}{_clock(abs(delta))})"


class LastSessionCog(commands.Cog):
    def __init__(self, bot, timing_shadow):
        self.bot = bot
        self.timing_shadow = timing_shadow

    @commands.command(name="last_session", aliases=["last", "ls"])
    async def last_session(self, ctx):
        """Players of the newest session and their times."""
        try:
            embed = await self.build_embed()
        except LookupError as e:
            await ctx.send(str(e))
            return
        await ctx.send(embed=embed)

    async def build_embed(self):
        round_ids = await self._newest_round_ids()
        if not round_ids:
            raise LookupError("No session has been played yet.")
        timing = await self.timing_shadow.compare_session(round_ids)
        lines = [f"{player.name}: {self.timing_text(player)}" for player in timing.players]
        embed = discord.Embed(title=f"Last session ({timing.rounds} rounds)", color=0x3498DB)
        for number, text in enumerate(self._pages(lines)):
            embed.add_field(name="Timing" if number == 0 else "\u200b", value=text, inline=False)
        if self.bot.config.show_timing_dual:
            embed.set_footer(text=self._footer(timing))
        logger.info(f"last_session: {timing.rounds} rounds, {len(timing.players)} players")
        return embed

    def timing_text(self, player):
        """Dead and denied time of one player the way the settings want it."""
        if self.bot.config.show_timing_dual:
            dead = _pair(player.old_dead_seconds, player.new_dead_seconds)
            denied = _pair(player.old_denied_seconds, player.new_denied_seconds)
            return f"dead {dead}, denied {denied}{player.note}"
        return f"dead {_clock(player.old_dead_seconds)}, denied {_clock(player.old_denied_seconds)}"

    @staticmethod
    def _footer(timing):
        if not timing.lua_rounds:
            return "Lua timing missing (N=O)"
        return f"Lua timing {timing.lua_rounds}/{timing.rounds}"

    @staticmethod
    def _pages(lines):
        """Lines joined into texts that fit a field."""
        pages = [""]
        for line in lines:
            line = line[:FIELD_LIMIT]
            if len(pages[-1]) + len(line) + 1 > FIELD_LIMIT:
                pages.append("")
            pages[-1] += ("\n" if pages[-1] else "") + line
        return [page for page in pages if page]

    async def _newest_round_ids(self):
        rows = await self.bot.db_adapter.fetch_all(
            """
            SELECT id FROM rounds
            WHERE round_number IN (1, 2)
              AND gaming_session_id = (
                  SELECT gaming_session_id FROM rounds
                  WHERE gaming_session_id IS NOT NULL AND round_number IN (1, 2)
                  ORDER BY id DESC LIMIT 1
              )
            ORDER BY id
            """
        )
        return [row["id"] for row in rows]
