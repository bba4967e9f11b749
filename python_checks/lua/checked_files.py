"""Recipe ``files``: the opening of a file is checked (domain facts 3.1: the deployed writer goes on with a file that is not open).

The engine answers two values; a length of -1 or a handle of 0 means that there is no file. The helper says so once on the console and
gives a handle that the engine ignores, so that the writer neither raises in each frame nor tries for ever.
"""

from __future__ import annotations

from python_checks.lua.helpers import NAME, NothingFound, WriterRecipe
from python_checks.lua.recipe import Plan
from python_checks.lua.tree import LuaTree


def plan_files(tree: LuaTree) -> Plan:
    """Plan all edits of the recipe; raises Refusal when the script opens no file by the engine's function."""
    return _Files(tree).plan()


class _Files(WriterRecipe):
    def plan(self) -> Plan:
        found = NAME + b".open" in self.tree.source
        for node in self.tree.descendants(self.tree.root):
            is_place = node.type in ("dot_index_expression", "bracket_index_expression")
            if is_place and self.api(node) == "et.trap_FS_FOpenFile":
                found = True
                self.replace(node, NAME + b".open")
                self.did(f"the opening of a file is checked (line {self.line(node)})")
        if not found:
            raise NothingFound("looked for et.trap_FS_FOpenFile, found no use of it")
        self.need("files")
        return self.finish()
