"""Recipe ``reinforcements``: the reinforcement seeds modulo 8 (domain facts 3.1).

The first two numbers of CS_REINFSEEDS hold, shifted by 3 and by 2, which of eight seeds is used; a number of 64 (32) or more would
name a seed that does not exist, and every later use of its offset raises. The text is read with those bits cut off.
"""

from __future__ import annotations

from python_checks.lua.helpers import CONSTANTS, NothingFound, WriterRecipe
from python_checks.lua.recipe import Plan
from python_checks.lua.tree import LuaTree

_SEEDS = "et.CS_REINFSEEDS"


def plan_reinforcements(tree: LuaTree) -> Plan:
    """Plan all edits of the recipe; raises Refusal when the seeds are not read, or not in a way that can be told."""
    return _Reinforcements(tree).plan()


class _Reinforcements(WriterRecipe):
    def plan(self) -> Plan:
        direct, others = self.redirect(
            "et.trap_GetConfigstring", b"configstring", lambda node: self.number(node) == CONSTANTS[_SEEDS]
        )
        if not direct and not others:
            raise NothingFound("looked for et.trap_GetConfigstring(et.CS_REINFSEEDS), found no such call")
        lines = ", ".join(str(self.line(call)) for call in [*direct, *others])
        self.did(f"the reinforcement seeds are taken modulo 8 (lines {lines})")
        self.need("reinforcements")
        return self.finish()
