"""Recipe ``timetracking``: the ninth header field and its clocks, for any stats writer (domain facts 2.2, 2.4, 3.2, 3.3).

The header line gets (or, where it has nine fields, keeps) a ninth field that is ``rollout_stats.playtime()``: whole milliseconds of
play without pauses, an open pause included, never negative, also where the half is broken off. The script's own clock becomes one that
stands still in pauses, so that nothing measured with it holds one. ``g_currentRound`` reads right in a save at shutdown.
"""

from __future__ import annotations

import re

from tree_sitter import Node

from python_checks.lua.helpers import NAME, WriterRecipe
from python_checks.lua.recipe import Plan, Refusal
from python_checks.lua.texts import conversions, format_parts
from python_checks.lua.tree import LuaTree, decode_string
from python_checks.lua.writer_text import HeaderText, find_header, is_format_call, table_items

PLAYTIME = NAME + b".playtime()"


def plan_timetracking(tree: LuaTree) -> Plan:
    """Plan all edits of the recipe; raises Refusal when the header line cannot be told for sure."""
    return _TimeTracking(tree).plan()


class _TimeTracking(WriterRecipe):
    def plan(self) -> Plan:
        header = find_header(self.tree)
        self.need("clock")
        if header.fields == 9:
            self._replace_ninth(header)
        else:
            self._add_ninth(header)
        use_clock(self)
        self._round_number()
        return self.finish()

    # --- the header

    def _replace_ninth(self, header: HeaderText) -> None:
        count, ninth = 0, list[Node]()
        for piece in header.pieces:
            if piece.text is None:
                ninth += [piece.node] if count == 8 else []
            else:
                count += piece.text.count(b"\\")
        if len(ninth) != 1:
            raise Refusal(
                f"looked for one value in the header's ninth field (line {self.line(header.node)}), found {len(ninth)}"
            )
        if self.tree.text(ninth[0]) != PLAYTIME:
            old = self.tree.text(ninth[0]).decode("latin-1")
            self.replace(ninth[0], PLAYTIME)
            self.did(f"the ninth header field is the clock's time instead of {old} (line {self.line(ninth[0])})")

    def _add_ninth(self, header: HeaderText) -> None:
        if self._is_wrapped(header.node):
            return
        how = {"format": self._add_to_format, "concat": self._add_to_concat, "table": self._add_to_table}[header.kind]
        if not how(header.node):
            self.result.edits.wrap(header.node.start_byte, header.node.end_byte, NAME + b".header(", b")")
        self.did(f"added the ninth header field: played ms without pauses (line {self.line(header.node)})")

    def _is_wrapped(self, node: Node) -> bool:
        parent = self.tree.parent(node)
        call = self.tree.parent(parent) if parent is not None else None
        return call is not None and call.type == "function_call" and self.callee(call) == "rollout_stats.header"

    def _add_to_format(self, call: Node) -> bool:
        template, values = format_parts(self.tree, call)
        if template is None or not values or values[-1].type in ("function_call", "vararg_expression"):
            # The last value may be several; one that is put behind it would cut them down to one.
            if not values or self.callee(values[-1]) not in ("", "tostring", "tonumber", "math.floor"):
                return False
            if template is None or values[-1].type == "vararg_expression":
                return False
        literal = template
        if literal.type == "parenthesized_expression":
            inner = [c for c in literal.children if c.is_named]
            literal = inner[0] if len(inner) == 1 else literal
        text = decode_string(self.tree.text(literal)) if literal.type == "string" else None
        if text is None or len(conversions(text)) != len(values):
            return False
        at = self._behind_last_conversion(literal)
        self.result.edits.insert(at, b"\\%d" if self.tree.text(literal)[:1] == b"[" else b"\\\\%d")
        self.result.edits.insert(values[-1].end_byte, b", " + PLAYTIME)
        return True

    def _behind_last_conversion(self, literal: Node) -> int:
        """The byte position in the source behind the template's last conversion."""
        source = self.tree.text(literal)
        if source[:1] == b"[":
            matches = list(re.finditer(rb"%%|%[-+ #0-9.]*[a-zA-Z]", source))
        else:
            matches = list(re.finditer(rb"%%|%[-+ #0-9.]*[a-zA-Z]|\\.", source, re.DOTALL))
        return literal.start_byte + [m for m in matches if m.group()[:1] == b"%" and m.group() != b"%%"][-1].end()

    def _add_to_concat(self, chain: Node) -> bool:
        pieces = self.tree.concat_pieces(chain)
        last = pieces[-1]
        added = b'"\\\\" .. ' + PLAYTIME
        constant = self.tree.constant(last)
        if constant is not None and constant.strip(b"\r\n") == b"" and last.type in ("string", "identifier"):
            self.result.edits.insert(last.start_byte, added + b" .. ")
            return True
        if constant is None and not (last.type == "function_call" and is_format_call(self.tree, last)):
            self.result.edits.insert(last.end_byte, b" .. " + added)
            return True
        return False

    def _add_to_table(self, call: Node) -> bool:
        table = self.tree.arguments(call)[0]
        items = table_items(self.tree, table)
        if items and items[-1].type not in ("function_call", "vararg_expression"):
            self.result.edits.insert(items[-1].end_byte, b", " + PLAYTIME)
            return True
        return False

    # --- the half's number

    def _round_number(self) -> None:
        """Reads of ``g_currentRound``, also through a function of the script's own, go by way of the clock."""
        direct, others = self.redirect(
            "et.trap_Cvar_Get", b"cvar", lambda node: (self.tree.constant(node) or b"").lower() == b"g_currentround"
        )
        if direct or others:
            shown = ", ".join(str(self.line(call)) for call in [*direct, *others])
            self.did(f"the round's number is right in a save at shutdown (g_currentRound, lines {shown})")


def use_clock(recipe: WriterRecipe) -> None:
    """Every use of et.trap_Milliseconds in the script becomes the clock that stands still in pauses."""
    tree = recipe.tree
    lines: list[int] = []
    for node in tree.descendants(tree.root):
        if node.type not in ("dot_index_expression", "bracket_index_expression"):
            continue
        if recipe.api(node) == "et.trap_Milliseconds":
            recipe.replace(node, NAME + b".milliseconds")
            lines.append(recipe.line(node))
    recipe.need("clock")
    if lines:
        shown = ", ".join(map(str, lines))
        recipe.did(f"the script's clock stands still in pauses (et.trap_Milliseconds, lines {shown})")
