"""Recipe ``integers``: whole numbers for %d (domain facts 3.5).

On Lua 5.4 an integer conversion raises for a number that is not whole, and then there is no file; LuaJIT cuts it. Format calls whose
values cannot be told to be whole go through a helper that cuts on both.
"""

from __future__ import annotations

from tree_sitter import Node

from python_checks.lua.helpers import NAME, WriterRecipe
from python_checks.lua.recipe import Plan
from python_checks.lua.texts import conversions, format_parts, is_format
from python_checks.lua.tree import LuaTree

INTEGER = frozenset(b"diuxXoc"[i : i + 1] for i in range(7))
_WHOLE_CALLS = (
    "math.floor", "math.ceil", "string.len", "et.trap_Milliseconds", "rollout_stats.milliseconds", "rollout_stats.playtime",
    "rollout_stats.to_int", "rollout_stats.ensure_max_clients",
)  # fmt: skip


def plan_integers(tree: LuaTree) -> Plan:
    """Plan all edits of the recipe; a file without such format calls is right as it is."""
    return _Integers(tree).plan()


class _Integers(WriterRecipe):
    def plan(self) -> Plan:
        lines: list[int] = []
        for call in self.tree.calls:
            name = call.child_by_field_name("name")
            if name is None or not is_format(self.tree, call):
                continue
            template, values = format_parts(self.tree, call)
            text = self.tree.constant(template) if template is not None else None
            if text is None or self._is_safe(text, values):
                continue
            if self.tree.receiver(call) is None:
                self.replace(name, NAME + b".format")
            else:
                self._unmethod(call, name, bool(values))
            lines.append(self.line(call))
        if lines:
            self.need("integers")
            self.did(f"%d takes any number in {len(lines)} format calls (lines {', '.join(map(str, lines))})")
        elif NAME + b".format(" in self.tree.source:
            self.need("integers")
        return self.finish()

    def _unmethod(self, call: Node, name: Node, has_values: bool) -> None:
        """``("…"):format(a)`` becomes ``rollout_stats.format("…", a)``."""
        template, arguments = name.child_by_field_name("table"), call.child_by_field_name("arguments")
        assert template is not None and arguments is not None
        is_bare = self.tree.text(arguments)[:1] != b"("
        self.result.edits.insert(call.start_byte, NAME + b".format(")
        end = arguments.start_byte if is_bare else arguments.start_byte + 1
        self.result.edits.replace(template.end_byte, end, b", " if has_values else b"")
        if is_bare:
            self.result.edits.insert(arguments.end_byte, b")")

    def _is_safe(self, template: bytes, values: list[Node]) -> bool:
        letters = [letter for _, letter in conversions(template)]
        wanted = [i for i, letter in enumerate(letters) if letter in INTEGER]
        return all(i < len(values) and self.is_whole(values[i]) for i in wanted)

    def is_whole(self, node: Node | None, depth: int = 5) -> bool:
        """True when the value is a whole number whatever happens."""
        if node is None or depth == 0:
            return False
        if node.type == "number":
            return self.tree.text(node).isdigit()
        if node.type == "parenthesized_expression":
            inner = [c for c in node.children if c.is_named]
            return len(inner) == 1 and self.is_whole(inner[0], depth)
        if node.type == "unary_expression":
            return self.tree.text(node).startswith(b"#")
        if node.type == "identifier":
            binding = self.tree.binding(node)
            values = binding.values if binding is not None and not binding.is_parameter else []
            return len(values) == 1 and self.is_whole(values[0], depth - 1)
        if node.type == "binary_expression":
            operator = node.child_by_field_name("operator")
            sides = [node.child_by_field_name("left"), node.child_by_field_name("right")]
            return (
                operator is not None
                and operator.type in ("+", "-", "*", "%")
                and all(self.is_whole(side, depth - 1) for side in sides)
                and (operator.type != "%" or (self.number(sides[1]) or 0) != 0)
            )
        if node.type == "function_call":
            return self.callee(node) in _WHOLE_CALLS or self._answers_whole(node, depth)
        return False

    def _answers_whole(self, call: Node, depth: int) -> bool:
        """True for a call of one of the script's functions all of whose answers are whole."""
        name = call.child_by_field_name("name")
        key = self.tree.key(name) if name is not None else None
        functions = [f for f in self.tree.functions if f.key is not None and f.key == key]
        if len(functions) != 1:
            return False
        answers = [
            [c for e in n.children if e.type == "expression_list" for c in e.children if c.is_named]
            for n in self.tree.descendants(functions[0].node)
            if n.type == "return_statement"
        ]
        return bool(answers) and all(len(a) == 1 and self.is_whole(a[0], depth - 1) for a in answers)
