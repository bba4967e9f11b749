"""Recipe ``portable``: the file loads and does the same on Lua 5.4 and on LuaJIT (domain facts 3.5).

The operators of Lua 5.3 become calls of helpers that use the operators where they exist, so that on 5.4 nothing changes; the library
``bit`` comes as a shim where an interpreter has none and the script does not bring its own; functions that only one side has are
added under their names. ``<const>`` goes; ``<close>`` is refused, since LuaJIT has nothing like it.
"""

from __future__ import annotations

import re

from tree_sitter import Node

from python_checks.lua.helpers import NAME, WriterRecipe
from python_checks.lua.interpreters import compile_errors
from python_checks.lua.recipe import Plan, Refusal
from python_checks.lua.tree import LuaTree

BINARY = {"&": b"band", "|": b"bor", "~": b"bxor", "<<": b"lshift", ">>": b"rshift", "//": b"idiv"}
#: Functions that ``writer_helpers/library.lua`` brings where they are missing.
LIBRARY = (
    "unpack", "table.unpack", "table.pack", "table.getn", "table.maxn", "loadstring", "math.pow", "math.mod", "math.log10",
    "math.tointeger", "math.type", "string.gfind",
)  # fmt: skip
#: What one side has and no helper can bring.
ONE_SIDED = {
    "setfenv": "LuaJIT", "getfenv": "LuaJIT", "module": "LuaJIT", "utf8": "Lua 5.4", "string.pack": "Lua 5.4",
    "string.unpack": "Lua 5.4", "jit": "LuaJIT", "ffi": "LuaJIT",
}  # fmt: skip


def plan_portable(tree: LuaTree) -> Plan:
    """Plan all edits of the recipe; raises Refusal when something has no counterpart on the other interpreter."""
    return _Portable(tree).plan()


class _Portable(WriterRecipe):
    def plan(self) -> Plan:
        self._attributes()
        self._operators()
        self._bit()
        self._library()
        plan = self.finish()
        still = {k: v for k, v in compile_errors(plan.edits.apply(self.source)).items() if v}
        if still:
            raise Refusal(
                "looked for a form that both interpreters load, found more than operators and libraries in the way: "
                + "; ".join(f"{k}: {v}" for k, v in still.items())
            )
        return plan

    def _attributes(self) -> None:
        for node in self.tree.descendants(self.tree.root):
            if node.type != "attribute":
                continue
            kind = self.tree.text(node).strip(b"<> \t")
            if kind != b"const":
                raise Refusal(
                    f"looked for attributes that LuaJIT can do without, found <{kind.decode('latin-1')}> in line "
                    f"{self.line(node)}; close the value by hand"
                )
            start = node.start_byte
            while self.source[start - 1 : start] in (b" ", b"\t"):
                start -= 1
            self.result.edits.replace(start, node.end_byte, b"")
            self.did(f"took <const> away (line {self.line(node)})")

    def _operators(self) -> None:
        lines: list[int] = []
        for node in self.tree.descendants(self.tree.root):
            if node.type == "binary_expression":
                self._binary(node, lines)
            elif node.type == "unary_expression" and self.tree.text(node)[:1] == b"~":
                operand = [c for c in node.children if c.is_named][-1]
                self.result.edits.replace(node.start_byte, operand.start_byte, NAME + b".bnot(")
                self.result.edits.wrap(operand.start_byte, operand.end_byte, b"", b")")
                lines.append(self.line(node))
        if lines:
            self.need("operators")
            shown = ", ".join(map(str, sorted(set(lines))))
            self.did(f"replaced {len(lines)} operators of Lua 5.3 by calls (lines {shown})")

    def _binary(self, node: Node, lines: list[int]) -> None:
        operator, left, right = (node.child_by_field_name(n) for n in ("operator", "left", "right"))
        if operator is None or left is None or right is None or operator.type not in BINARY:
            return
        self.result.edits.wrap(node.start_byte, node.end_byte, NAME + b"." + BINARY[operator.type] + b"(", b")")
        is_plain = not self.source[left.end_byte : operator.start_byte].strip(b" \t")
        start = left.end_byte if is_plain else operator.start_byte
        has_space = self.source[operator.end_byte : operator.end_byte + 1] in (b" ", b"\t", b"\r", b"\n")
        self.result.edits.replace(start, operator.end_byte, b"," if has_space else b", ")
        lines.append(self.line(node))

    def _bit(self) -> None:
        """``bit`` (and ``require "bit"``) where the script does not make it itself; ``bit32`` exists on neither side."""
        for call in self.tree.calls:
            arguments = self.tree.arguments(call)
            if (
                self.callee(call) == "require"
                and len(arguments) == 1
                and self.tree.constant(arguments[0]) in (b"bit", b"bit32")
            ):
                self.need("bit")
                self.replace(call, NAME + b".bit")
                self.did(f"replaced the loading of the bit library by a shim (line {self.line(call)})")
        globals_read = {self.tree.text(n) for n in self.tree.names if self.tree.binding(n) is None}
        made = {
            self.tree.text(a.target)
            for a in self.tree.assignments
            if a.target.type == "identifier" and self.tree.binding(a.target) is None
        }
        if b"bit" in globals_read - made:
            self._shim("bit", "bit", "brought the library bit where the interpreter has none")
        if b"bit32" in globals_read - made and b"bit" not in globals_read:
            raise Refusal("looked for the library bit, found bit32, which neither interpreter of the engine has")

    def _library(self) -> None:
        found: set[str] = set()
        for node in [*self.tree.names, *self.tree.indexes]:
            if node.type == "identifier" and self.tree.binding(node) is not None:
                continue
            path = self.tree.text(node).decode("latin-1") if node.type == "identifier" else self.api(node)
            if path in LIBRARY:
                found.add(path)
            elif path in ONE_SIDED and not self._is_guarded(node):
                raise Refusal(
                    f"looked for functions that both interpreters have, found {path} in line {self.line(node)}, which only "
                    f"{ONE_SIDED[path]} has"
                )
        if found - self._own():
            self._shim("library", "library", f"brought {', '.join(sorted(found))} where the interpreter has none")

    def _own(self) -> set[str]:
        """Functions that the script defines itself where they are missing."""
        return {
            self.tree.text(a.target).decode("latin-1")
            for a in self.tree.assignments
            if a.target.type in ("identifier", "dot_index_expression") and not a.is_declaration
        }

    def _is_guarded(self, node: Node) -> bool:
        """True where the script asks for the name before it uses it."""
        text = re.escape(self.tree.text(node))
        asked = (
            rb"(?:\bif\s+(?:not\s+)?|\btype\s*\(\s*|\band\s+|\bor\s+)"
            + text
            + rb"\b|\b"
            + text
            + rb"\s+(?:or|and|then)\b"
        )
        return re.search(asked, self.tree.source) is not None

    def _shim(self, section: str, name: str, sentence: str) -> None:
        if name not in self._sections:
            self.did(sentence)
        self.need(section)
