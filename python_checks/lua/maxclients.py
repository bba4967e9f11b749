"""Recipe ``maxclients``: a safe number of client slots (domain facts 3.4).

Client fields are unknown for any slot from sv_maxclients on, and asking for one raises an error. The number is read when it is needed
and is always 1 to 64; a start value of 64 and loops over all 64 slots follow it, so that a script that is loaded by lua_restart, which
does not call et_InitGame, has it as well.
"""

from __future__ import annotations

from tree_sitter import Node

from python_checks.lua.helpers import NAME, NothingFound, WriterRecipe
from python_checks.lua.recipe import Plan
from python_checks.lua.tree import Binding, LuaTree

MOST = 64
COUNT = NAME + b".ensure_max_clients()"


def plan_maxclients(tree: LuaTree) -> Plan:
    """Plan all edits of the recipe; raises Refusal when the script nowhere asks for the number of slots."""
    return _MaxClients(tree).plan()


class _MaxClients(WriterRecipe):
    def plan(self) -> Plan:
        found = self._reads() + self._loops()
        if not found and NAME + b".ensure_max_clients" not in self.tree.source:
            raise NothingFound("looked for the cvar sv_maxclients or a loop over all 64 slots, found neither")
        self.need("slots")
        return self.finish()

    def _reads(self) -> int:
        direct, others = self.redirect(
            "et.trap_Cvar_Get", b"cvar", lambda node: (self.tree.constant(node) or b"").lower() == b"sv_maxclients"
        )
        for call in [*direct, *others]:
            self.did(f"the number of slots is always 1 to 64 (line {self.line(call)})")
        for call in direct:
            self._start_value(call)
        return len(direct) + len(others)

    def _start_value(self, call: Node) -> None:
        """``local max_clients = 64`` that is set from the cvar later."""
        for assignment in self.tree.assignments:
            value = assignment.value
            if value is None or not value.start_byte <= call.start_byte < value.end_byte:
                continue
            key = self.tree.key(assignment.target)
            if key is None or not isinstance(key[0], Binding) or len(key) != 1:
                continue
            for first in self.tree.assignments:
                start = first.value
                if not first.is_declaration or start is None or start.type != "number" or self.number(start) in (0, 1):
                    continue
                if self.tree.key(first.target) == key:
                    self.replace(start, COUNT)
                    self.did(f"the number of slots is right from the start (line {self.line(start)})")

    def _loops(self) -> int:
        """``for slot = 0, 63 do`` and ``0, 64 - 1`` around a question for a client's field."""
        found = 0
        for node in self.tree.descendants(self.tree.root):
            if node.type != "for_numeric_clause":
                continue
            start, end = node.child_by_field_name("start"), node.child_by_field_name("end")
            if end is None or self.number(start) != 0:
                continue
            loop = self.tree.parent(node)
            if COUNT in self.tree.text(end):
                found += 1
            elif self.number(end) in (MOST - 1, MOST) and loop is not None and self._asks_clients(loop):
                found += 1
                self.replace(end, COUNT + b" - 1")
                self.did(f"the loop over all slots ends at the last one there is (line {self.line(node)})")
        return found

    def _asks_clients(self, loop: Node) -> bool:
        """True when the loop's body calls something with the loop's variable."""
        clause = next(c for c in loop.children if c.type == "for_numeric_clause")
        name = clause.child_by_field_name("name")
        if name is None:
            return False
        variable = self.tree.text(name)
        return any(
            variable == self.tree.text(argument)
            for call in self.tree.calls
            if loop.start_byte <= call.start_byte < loop.end_byte
            for argument in self.tree.arguments(call)
        )
