"""Recipe ``reinforcements``: the reinforcement seeds modulo 8 (domain facts 3.1).

The first two numbers of CS_REINFSEEDS hold, shifted by 3 and by 2, which of eight seeds is used; a number of 64 (32) or more would
name a seed that does not exist, and every later use of its offset raises. The text is read with those bits cut off.
"""

from __future__ import annotations

from python_checks.lua.helpers import CONSTANTS, NAME, NothingFound, WriterRecipe
from python_checks.lua.recipe import Plan
from python_checks.lua.tree import LuaTree

_SEEDS = "et.CS_REINFSEEDS"


def plan_reinforcements(tree: LuaTree) -> Plan:
    """Plan all edits of the recipe; raises Refusal when the seeds are not read, or not in a way that can be told."""
    return _Reinforcements(tree).plan()


class _Reinforcements(WriterRecipe):
    def plan(self) -> Plan:
        found = 0
        for call in self.tree.calls:
            callee, arguments = self.callee(call), self.tree.arguments(call)
            if callee == "rollout_stats.reinforcement_seeds":
                found += 1
            elif callee == "et.trap_GetConfigstring" and arguments and self.number(arguments[0]) == CONSTANTS[_SEEDS]:
                found += 1
                self.replace(call, NAME + b".reinforcement_seeds()")
                self.did(f"the reinforcement seeds are taken modulo 8 (line {self.line(call)})")
        if not found:
            raise NothingFound("looked for et.trap_GetConfigstring(et.CS_REINFSEEDS), found no such call")
        self.need("reinforcements")
        return self.finish()
