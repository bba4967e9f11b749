"""Recipe ``pause``: the test of the pause bit in CS_SERVERTOGGLES (domain facts 3.1, 3.3).

The masked value is 0 or 16, so a comparison with 1 is never true, and as a condition even 0 counts as true. Both become a comparison
with 0, whether the mask is taken by an operator, a library function or a helper of the script's own.
"""

from __future__ import annotations

from tree_sitter import Node

from python_checks.lua.helpers import NothingFound, WriterRecipe
from python_checks.lua.recipe import Plan, Refusal
from python_checks.lua.tree import LuaTree

PAUSE_BIT = 16


def plan_pause(tree: LuaTree) -> Plan:
    """Plan all edits of the recipe; raises Refusal when no test of the pause bit is found."""
    return _Pause(tree).plan()


class _Pause(WriterRecipe):
    def plan(self) -> Plan:
        right = 0
        for node in self.tree.comparisons:
            right += self._compare(node)
        for condition in self.tree.conditions:
            right += self._truth(condition)
        if not right and not self._asks_the_engine():
            raise NothingFound(
                "looked for a test of the pause bit (a value masked with 16, or et.isBitSet(16, …)), found none"
            )
        return self.finish()

    def _compare(self, node: Node) -> int:
        left, operator, right = (node.child_by_field_name(n) for n in ("left", "operator", "right"))
        if left is None or operator is None or right is None:
            return 0
        mask, value = (left, right) if self._is_masked(left) else (right, left)
        if not self._is_masked(mask):
            return 0
        wanted = self.number(value)
        if wanted is None:
            raise Refusal(
                f"looked for a pause bit compared with a number (line {self.line(node)}), found "
                f"{self.tree.text(value).decode('latin-1')}"
            )
        if wanted not in (0, PAUSE_BIT):
            self.replace(operator, b"~=" if operator.type == "==" else b"==")
            self.replace(value, b"0")
            shown = self.tree.text(node).decode("latin-1")
            self.did(f"the pause bit is compared with 0, not with {wanted:g} (line {self.line(node)}: {shown})")
        return 1

    def _truth(self, condition: Node) -> int:
        """``if toggles & 16 then``: 0 is true in Lua."""
        found = 0
        for node in self._operands(condition):
            if self._is_masked(node):
                found += 1
                parent = self.tree.parent(node)
                negated = parent is not None and parent.type == "unary_expression"
                self.result.edits.wrap(
                    node.start_byte, node.end_byte, b"(" if negated else b"", b" ~= 0" + b")" * negated
                )
                self.did(f"the pause bit is compared with 0 where it stood as a condition (line {self.line(node)})")
        return found

    def _operands(self, node: Node) -> list[Node]:
        """What a condition asks for: through and, or, not and brackets."""
        if node.type == "parenthesized_expression" and not self._is_masked(node):
            return [n for c in node.children if c.is_named for n in self._operands(c)]
        operator = node.child_by_field_name("operator")
        if node.type == "binary_expression" and operator is not None and operator.type in ("and", "or"):
            return [n for side in ("left", "right") for n in self._operands(node.child_by_field_name(side) or node)]
        if node.type == "unary_expression" and self.tree.text(node).startswith(b"not"):
            return [n for c in node.children if c.is_named for n in self._operands(c)]
        return [node]

    def _is_masked(self, node: Node | None, depth: int = 3) -> bool:
        """True for ``x & 16``, ``bit.band(x, 16)``, any function named like band and ``floor(x / 16) % 2 * 16``, also behind a local."""
        if node is None or depth == 0:
            return False
        if node.type == "parenthesized_expression":
            inner = [c for c in node.children if c.is_named]
            return len(inner) == 1 and self._is_masked(inner[0], depth)
        if node.type == "identifier":
            binding = self.tree.binding(node)
            values = binding.values if binding is not None and not binding.is_parameter else []
            return len(values) == 1 and self._is_masked(values[0], depth - 1)
        if node.type == "binary_expression":
            operator = node.child_by_field_name("operator")
            sides = [node.child_by_field_name("left"), node.child_by_field_name("right")]
            if operator is None or not any(self.number(side) == PAUSE_BIT for side in sides):
                return False
            return operator.type == "&" or (
                operator.type == "*" and any(side is not None and self._is_arithmetic_test(side) for side in sides)
            )
        if node.type == "function_call":
            name = node.child_by_field_name("name")
            callee = self.tree.text(name).lower() if name is not None else b""
            is_mask = callee.endswith((b"band", b"bitand", b"bit_and"))
            return is_mask and any(self.number(a) == PAUSE_BIT for a in self.tree.arguments(node))
        return False

    def _asks_the_engine(self) -> bool:
        """Tests that are right without a mask: et.isBitSet(16, …), or floor(x / 16) % 2."""
        for call in self.tree.calls:
            arguments = self.tree.arguments(call)
            if self.callee(call) == "et.isBitSet" and arguments and self.number(arguments[0]) == PAUSE_BIT:
                return True
        return any(self._is_arithmetic_test(node) for node in self.tree.descendants(self.tree.root))

    def _is_arithmetic_test(self, node: Node) -> bool:
        operator, left = node.child_by_field_name("operator"), node.child_by_field_name("left")
        if node.type != "binary_expression" or operator is None or left is None or operator.type != "%":
            return False
        if self.number(node.child_by_field_name("right")) != 2:
            return False
        inner = [n for n in self.tree.descendants(left) if n.type == "binary_expression"]
        return any(
            (n.child_by_field_name("operator") or n).type in ("/", "//")
            and self.number(n.child_by_field_name("right")) == PAUSE_BIT
            for n in inner
        )
