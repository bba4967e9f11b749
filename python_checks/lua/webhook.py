"""Recipe ``webhook``: phase 1 of the plan for any stats webhook (domain facts 4.2 to 4.4, traps 10.17 to 10.22).

1.1  every integer conversion of ``string.format`` gets a whole number (nil, NaN, infinity become 0); the limit itself stays exact
1.2  the function that builds and sends runs protected; its busy flag is down on every way out; a failed attempt takes the score and
     the last signature back and is logged
1.3  ``[stats_discord_webhook] timelimit=<value> type=<type>`` is printed before the payload is formatted
1.4  a failed attempt still leaves a gametime file, made from sanitised metadata
and so that what is sent is JSON that Discord takes: control bytes, bytes that are no UTF-8, nested quotes, player lists over 1024.

Targets are found by meaning: the payload by its text ``STATS_READY``, the send by curl or by the process it starts, the function to
protect as the smallest one that reaches both, values by the JSON name that they are shown under, the limit by its cvar.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from importlib import resources

from tree_sitter import Node

from python_checks.lua.graph import CallGraph
from python_checks.lua.recipe import Plan, Refusal
from python_checks.lua.texts import Hole, conversions, format_parts, holes, is_format
from python_checks.lua.tree import Binding, Function, Key, LuaTree

GUARD = b"rollout_guard"
_BLOCK = re.compile(rb"-- >>> rollout webhook guard:.*?-- <<< rollout webhook guard <<<\r?\n?", re.DOTALL)
_INTEGER = frozenset(b"diuxXo"[i : i + 1] for i in range(6))
_LISTS = (b"Axis_JSON", b"Allies_JSON", b"Lua_Pauses_JSON")
_WHOLE = {
    b"Round", b"Winner", b"Defender", b"Lua_Playtime", b"Lua_Timelimit", b"Lua_Pauses", b"Lua_Warmup", b"Lua_WarmupStart",
    b"Lua_RoundStart", b"Lua_RoundEnd", b"Lua_SurrenderTeam", b"Lua_AxisScore", b"Lua_AlliesScore",
    b"round", b"round_start_unix", b"round_end_unix", b"actual_duration_seconds", b"warmup_seconds", b"pause_seconds", b"pause_count",
}  # fmt: skip
_FACTS = {name for name in _WHOLE if name[:1].isupper()} | {b"Map", b"Lua_EndReason"}
_LABELS = _FACTS | set(_LISTS)
_ATTEMPT = re.compile(rb"attempt|retr|tries|fail|err", re.IGNORECASE)
_BUSY = re.compile(rb"busy|progress|sending|lock|flight", re.IGNORECASE)
_CURL = re.compile(rb"\bcurl\s")
_SCORE = re.compile(rb"score|wins|points", re.IGNORECASE)
_LOGGER = re.compile(rb"(^|[._:])(log\w*|print\w*|debug\w*|G_Print|G_LogPrint|warn\w*|say)$", re.IGNORECASE)
_TEXT_MAKER = re.compile(rb"esc|text|str|json|fmt|format|quote|gsub|concat", re.IGNORECASE)


def plan_webhook(tree: LuaTree) -> Plan:
    """Plan all edits of the recipe; raises Refusal when the payload, the send or what belongs to them cannot be told for sure."""
    return _Webhook(tree).plan()


def watched_state(tree: LuaTree) -> tuple[list[bytes], list[bytes]]:
    """``(busy flags, marks)`` of a webhook as expressions that are valid at the end of the file.

    Marks are what a failed attempt must take back: score and last signature. Raises Refusal like the recipe.
    """
    return _Webhook(tree).watched()


@dataclass(frozen=True)
class _Flag:
    """A place that is true while a send is under way."""

    text: bytes
    key: Key
    down: bytes


class _Webhook:
    def __init__(self, tree: LuaTree) -> None:
        block = _BLOCK.search(tree.source)
        self.block = (block.start(), block.end()) if block else None
        if block is not None:
            blank = re.sub(rb"[^\n]", b" ", block.group())
            inner = LuaTree(tree.source[: block.start()] + blank + tree.source[block.end() :])
            inner.source = tree.source
            tree = inner
        self.tree = tree
        self.graph = CallGraph(tree)
        self.result = Plan()
        self.work: list[Node] = []
        self.eol = b"\r\n" if tree.source.count(b"\r\n") * 2 > tree.source.count(b"\n") else b"\n"

    def plan(self) -> Plan:
        if self.block is None and re.search(rb"\b" + GUARD + rb"\b", self.tree.source):
            raise Refusal(
                f"looked for a file without the name {GUARD.decode()}, found it in use by the file's own code"
            )
        builder, site = self._payload()
        target = self._protected_function(builder)
        self._format_calls()
        self._dates()
        slots = self._slots(target)
        self._values(slots)
        self._escapes(target)
        self._note(builder, site, slots)
        self._protect(target, slots)
        self._prelude()
        return self.result

    def watched(self) -> tuple[list[bytes], list[bytes]]:
        """See ``watched_state``."""
        builder, _ = self._payload()
        target = self._protected_function(builder)
        units = self.graph.reach(target)
        at = len(self.tree.source)
        flags = [f.text for f in self._flags(target) if self._sees_key(f.key, at)]
        return flags, [m for m in self._marks(units, at) if m not in flags]

    def _did(self, sentence: str) -> None:
        self.result.actions.append(sentence)

    # --- finding the payload and the function around it

    def _payload(self) -> tuple[Function, Node]:
        """The one function that builds the payload, and the place in it that holds the text STATS_READY."""
        sites: list[Node] = []
        for node in self.tree.strings:
            if b"STATS_READY" in (self.tree.constant(node) or b"") and not self._is_logged(node):
                sites += [node] if self.graph.unit_of(node) else self._uses_of(node)
        found: dict[Function, Node] = {}
        for site in sites:
            unit = self.graph.unit_of(site)
            if unit is not None and not self._is_compared(site):
                found.setdefault(unit, site)
        if len(found) != 1:
            where = ", ".join(f"{_name(f)} (line {self.tree.line(n)})" for f, n in found.items()) or "none"
            raise Refusal(
                f"looked for the one function that builds the payload with the text STATS_READY, found {where}"
            )
        builder, site = next(iter(found.items()))
        self.work = [site, *self._sends()]
        return builder, site

    def _uses_of(self, constant: Node, depth: int = 4) -> list[Node]:
        """Where a file-level text is used: the references to the local, global or field that holds it."""
        for assignment in self.tree.assignments:
            value = assignment.value
            if value is None or not depth or not value.start_byte <= constant.start_byte < value.end_byte:
                continue
            key = self.tree.key(assignment.target)
            if key is None:
                return []
            if value.type == "table_constructor":
                steps = [self.tree.field_name(a) for a in self.tree.ancestors(constant) if a.type == "field"]
                key = (*key, *reversed([s for s in steps if s is not None]))
            uses: list[Node] = []
            for name in [*self.tree.names, *self.tree.indexes]:
                if name != assignment.target and self.tree.key(name) == key:
                    uses += [name] if self.graph.unit_of(name) else self._uses_of(name, depth - 1)
            return uses
        return []

    def _is_logged(self, node: Node) -> bool:
        for ancestor in self.tree.ancestors(node):
            if ancestor.type == "function_call":
                name = ancestor.child_by_field_name("name")
                if name is not None and _LOGGER.search(self.tree.text(name)):
                    return True
            if ancestor.type == "block":
                return False
        return False

    def _is_compared(self, node: Node) -> bool:
        parent = self.tree.parent(node)
        return parent is not None and parent in self.tree.comparisons

    def _sends(self) -> list[Node]:
        """Where curl is started; where no text says curl, where any process is started."""
        texts = [s for s in self.tree.strings if _CURL.search(self.tree.constant(s) or b"") and not self._is_logged(s)]
        nodes = [n for s in texts for n in ([s] if self.graph.unit_of(s) else self._uses_of(s))]
        if nodes:
            return nodes
        names = [(c, c.child_by_field_name("name")) for c in self.tree.calls if self.graph.unit_of(c) is not None]
        return [c for c, name in names if name is not None and self.tree.api(name) in ("os.execute", "io.popen")]

    def _senders(self) -> set[Function]:
        return {unit for node in self._sends() if (unit := self.graph.unit_of(node)) is not None}

    def _protected_function(self, builder: Function) -> Function:
        """The smallest function that reaches both the payload and the send, widened to the one that holds the busy flag."""
        senders = self._senders()
        if not senders:
            raise Refusal("looked for the send (curl, os.execute or io.popen), found none")
        both = self.graph.reaching([builder]) & self.graph.reaching(senders)
        both = {f for f in both if not self.graph.is_callback(f)}
        smallest = {f for f in both if not (self.graph.reach(f) - {f}) & both}
        if len(smallest) != 1:
            where = ", ".join(sorted(_name(f) for f in smallest)) or "none outside of the engine's callbacks"
            raise Refusal(f"looked for the one function that builds the payload and sends it, found {where}")
        target = smallest.pop()
        wider = [f for f in both if f is not target and target in self.graph.reach(f) and self._busy_flags(f)]
        return max(wider, key=lambda f: len(self.graph.reach(f)), default=target)

    # --- the busy flag, the score, the signature

    def _busy_flags(self, unit: Function) -> list[_Flag]:
        """Places that are up exactly while this function works.

        Asked first, raised in front of the work (payload, send, or a call that leads there) in a block that holds the work, and
        lowered behind it in the same block; where the name itself says busy, lowered anywhere.
        """
        work = sorted(n.start_byte for n in self._work_of(unit))
        changes = self._changes(unit)
        asked = [(self.tree.key(n), n.start_byte) for n in self._asked(self._helpers(unit) | {unit})]
        found: dict[Key, _Flag] = {}
        for key, text, down, raised in changes:
            block = self.tree.parent(raised)
            held = [w for w in work if block is not None and raised.end_byte <= w < block.end_byte]
            if down or not held or not any(k == key for k, _ in asked):
                continue
            lowered = [
                (d, self.tree.parent(at)) for k, _, d, at in changes if k == key and d and at.start_byte > held[0]
            ]
            is_kept = any(b is not None and b.start_byte <= raised.start_byte < b.end_byte for _, b in lowered)
            if is_kept or (lowered and _BUSY.search(text)):
                found[key] = _Flag(self._source_of(key, text), key, lowered[-1][0])
        return list(found.values())

    def _work_of(self, unit: Function) -> list[Node]:
        """Where a function builds the payload, starts a process, or calls what does."""
        nodes = [n for n in self.work if self.graph.unit_of(n) is unit]
        leading = self.graph.reaching({u for n in self.work if (u := self.graph.unit_of(n)) is not None}) - {unit}
        keys = {u.key for u in leading}
        return nodes + [
            n
            for n in [*self.tree.names, *self.tree.indexes]
            if self.graph.unit_of(n) is unit and self.tree.key(n) in keys
        ]

    def _helpers(self, unit: Function) -> set[Function]:
        """Functions that a function calls and that do not lead to the work: they may raise or lower its flag for it."""
        leading = self.graph.reaching({u for n in self.work if (u := self.graph.unit_of(n)) is not None})
        called = {self._unit_called(c) for c in self.tree.calls if self.graph.unit_of(c) is unit}
        return {h for h in called if h is not None and h not in leading}

    def _changes(self, unit: Function) -> list[tuple[Key, bytes, bytes, Node]]:
        """``(place, its text, value that lowers it or empty, statement)`` for what a function switches itself or through a helper."""
        own = [
            (a, self.tree.statement_of(a.target)) for a in self.tree.assignments if self.graph.unit_of(a.target) is unit
        ]
        helpers = self._helpers(unit)
        for call in self.tree.calls:
            helper = self._unit_called(call) if self.graph.unit_of(call) is unit else None
            if helper in helpers:
                at = self.tree.statement_of(call)
                own += [(a, at) for a in self.tree.assignments if self.graph.unit_of(a.target) is helper]
        changes: list[tuple[Key, bytes, bytes, Node]] = []
        for assignment, statement in own:
            key, value, text = self.tree.key(assignment.target), assignment.value, self.tree.text(assignment.target)
            if assignment.is_declaration or value is None or key is None:
                continue
            is_named = _BUSY.search(text) is not None
            if value.type in ("false", "nil") or (is_named and self.tree.text(value) == b"0"):
                changes.append((key, text, self.tree.text(value), statement))
            elif value.type == "true" or is_named:
                changes.append((key, text, b"", statement))
        return changes

    def _asked(self, units: Set[Function]) -> list[Node]:
        nodes: list[Node] = []
        for condition in self.tree.conditions:
            if self.graph.unit_of(condition) in units:
                nodes += [n for n in self.tree.descendants(condition) if n.type in _PLACES]
        return nodes

    def _is_own_local(self, key: Key, units: Set[Function]) -> bool:
        """True for locals and parameters of these functions: they are gone when the call ends."""
        function = key[0].function if isinstance(key[0], Binding) else None
        while function is not None:
            if function in units:
                return True
            function = function.parent
        return False

    def _marks(self, units: Set[Function], at: int) -> list[bytes]:
        """What a failed attempt must take back: counted scores, and remembered values that are compared with later ones."""
        asked = {self.tree.key(n) for n in self._asked(units)}
        for comparison in self.tree.comparisons:
            if self.graph.unit_of(comparison) in units:
                asked |= {self.tree.key(n) for n in self.tree.descendants(comparison) if n.type in _PLACES}
        found: dict[Key, bytes] = {}
        for assignment in self.tree.assignments:
            if (
                assignment.is_declaration
                or self.graph.unit_of(assignment.statement) not in units
                or assignment.value is None
            ):
                continue
            target, value = assignment.target, assignment.value
            key = self.tree.key(target)
            is_table = False
            if key is None and target.type == "bracket_index_expression":
                table = target.child_by_field_name("table")
                target = table if table is not None else target
                key, is_table = self.tree.key(target), True
            if key is None or self._is_own_local(key, units):
                continue
            text = self.tree.text(target)
            is_switch = value.type in ("true", "false", "nil")
            if self._is_count(assignment.target, value):
                is_mark = _ATTEMPT.search(text) is None
            elif key in asked:
                is_mark = is_table or not (is_switch or value.type == "number")
            else:
                is_mark = _SCORE.search(text) is not None and not is_switch
            if is_mark:
                found[key] = self._source_of(key, text)
        return sorted(text for key, text in found.items() if self._sees_key(key, at))

    def _source_of(self, key: Key, text: bytes) -> bytes:
        """The place's text through its owner: ``state.axis`` for ``local s = state; s.axis``."""
        root = key[0].name if isinstance(key[0], Binding) else key[0]
        if isinstance(root, bytes) and all(isinstance(k, bytes) and re.fullmatch(rb"[A-Za-z_]\w*", k) for k in key[1:]):
            return b".".join([root, *[k for k in key[1:] if isinstance(k, bytes)]])
        return text

    def _is_count(self, target: Node, value: Node) -> bool:
        """``x = x + 1`` in any order, also ``x = (x or 0) + 1``."""
        operator = value.child_by_field_name("operator")
        if value.type != "binary_expression" or operator is None or operator.type != "+":
            return False
        text = self.tree.text(target)
        return any(self.tree.text(n) == text for n in self.tree.descendants(value) if n.type in _PLACES)

    # --- edits

    def _format_calls(self) -> None:
        """1.1: integer conversions take any value."""
        lines: list[int] = []
        for call in self.tree.calls:
            name = call.child_by_field_name("name")
            if name is None or not is_format(self.tree, call) or self.tree.text(name).startswith(GUARD):
                continue
            template, values = format_parts(self.tree, call)
            if template is None or self._is_safe_format(template, values):
                continue
            lines.append(self.tree.line(call))
            receiver = self.tree.receiver(call)
            if receiver is None:
                self.result.edits.replace(name.start_byte, name.end_byte, GUARD + b".format")
                continue
            self._unmethod(call, receiver[0], bool(values))
        for node in self.tree.indexes:
            parent = self.tree.parent(node)
            if parent is not None and parent.type in ("arguments", "field") and self.tree.api(node) == "string.format":
                lines.append(self.tree.line(node))
                self.result.edits.replace(node.start_byte, node.end_byte, GUARD + b".format")
        if lines:
            self._did(f"1.1 made the numbers whole in {len(lines)} format calls (lines {_list(lines)})")

    def _unmethod(self, call: Node, template: Node, has_values: bool) -> None:
        """``("…"):format(a)`` becomes ``rollout_guard.format(("…"), a)``; the template stays where it is."""
        arguments = call.child_by_field_name("arguments")
        assert arguments is not None
        is_text = self.tree.constant(template) is not None or len(self.tree.concat_pieces(template)) > 1
        callee = GUARD + (b".format(" if is_text else b".method_format(")
        start, end = template.start_byte, template.end_byte
        if is_text and template.type == "parenthesized_expression":
            self.result.edits.replace(start, start + 1, b"")
            end -= 1
        self.result.edits.insert(start, callee)
        is_bare = self.tree.text(arguments)[:1] != b"("
        opening = arguments.start_byte if is_bare else arguments.start_byte + 1
        self.result.edits.replace(end, opening, b", " if has_values else b"")
        if is_bare:
            self.result.edits.insert(arguments.end_byte, b")")

    def _is_safe_format(self, template: Node, values: list[Node]) -> bool:
        """True when no integer conversion can meet anything but an integer."""
        text = self.tree.constant(template)
        if text is None:
            return False
        letters = [letter for _, letter in conversions(text)]
        wanted = [i for i, letter in enumerate(letters) if letter in _INTEGER]
        return all(i < len(values) and self._is_integer(values[i]) for i in wanted)

    def _is_integer(self, node: Node) -> bool:
        text = self.tree.text(node)
        if node.type == "number":
            return re.fullmatch(rb"\d+", text) is not None
        if node.type == "unary_expression":
            return text.startswith(b"#")
        if node.type == "function_call":
            name = node.child_by_field_name("name")
            api = self.tree.api(name) if name is not None else ""
            return api in ("rollout_guard.int", "et.trap_Milliseconds") or (
                api == "os.time" and not self.tree.arguments(node)
            )
        return False

    def _dates(self) -> None:
        """os.date refuses a fractional time on Lua 5.4 the way %d does."""
        for call in self.tree.calls:
            name, arguments = call.child_by_field_name("name"), self.tree.arguments(call)
            if name is None or self.tree.api(name) != "os.date" or len(arguments) != 2:
                continue
            time = arguments[1]
            if not self._is_integer(time) and not self._is_guarded(time):
                self.result.edits.wrap(time.start_byte, time.end_byte, GUARD + b".time(", b")")
                self._did(f"1.1 made the time of os.date whole (line {self.tree.line(call)})")

    def _is_guarded(self, node: Node) -> bool:
        name = node.child_by_field_name("name")
        return node.type == "function_call" and name is not None and self.tree.text(name).startswith(GUARD + b".")

    def _slots(self, target: Function) -> list[Hole]:
        """Every value that the send function, or what it calls, shows under a JSON name."""
        units = self.graph.reach(target)
        slots: list[Hole] = []
        roots: set[int] = set()
        for call in self.tree.calls:
            if self.graph.unit_of(call) in units:
                slots += self._argument_slots(call)
                if is_format(self.tree, call):
                    roots.add(self._text_root(call).id)
        nodes = {n.id: n for unit in units for n in self.tree.descendants(unit.node)}
        for node in nodes.values():
            if node.type == "table_constructor" and self.graph.unit_of(node) in units:
                slots += self._table_slots(node)
            elif node.type == "binary_expression" and self._text_root(node).id == node.id:
                roots.add(node.id)
        for identity in roots:
            if identity in nodes:
                slots += holes(self.tree, nodes[identity])
        own = [c for c in self.tree.calls if self.tree.text(c).startswith((GUARD + b".note(", GUARD + b".protect("))]
        ranges = [(a.start_byte, a.end_byte) for c in own for a in self.tree.arguments(c) if a.type != "identifier"]
        slots = [s for s in slots if not any(start <= s.node.start_byte < end for start, end in ranges)]
        slots.sort(key=lambda slot: slot.node.start_byte)
        return slots

    def _text_root(self, node: Node) -> Node:
        """The outermost ``..`` chain that holds a text expression."""
        root = node
        for ancestor in self.tree.ancestors(node):
            if ancestor.type == "parenthesized_expression":
                continue
            operator = ancestor.child_by_field_name("operator")
            if ancestor.type != "binary_expression" or operator is None or operator.type != "..":
                break
            root = ancestor
        return root

    def _argument_slots(self, call: Node) -> list[Hole]:
        """``add(fields, "Round", round)``."""
        arguments = self.tree.arguments(call)
        for index, argument in enumerate(arguments[:-1]):
            label = self.tree.constant(argument)
            if label in _LABELS:
                return self._value_slots(label, arguments[index + 1])
        return []

    def _table_slots(self, table: Node) -> list[Hole]:
        """``{ name = "Round", value = round }``, ``{ "Round", round }`` and ``{ Round = round }``."""
        fields = [c for c in table.children if c.type == "field"]
        named = {self.tree.field_name(f): f.child_by_field_name("value") for f in fields}
        name, value = named.get(b"name"), named.get(b"value")
        if name is not None and value is not None:
            label = self.tree.constant(name)
            return self._value_slots(label, value) if label in _LABELS else []
        values = [f.child_by_field_name("value") for f in fields]
        if (
            len(values) >= 2
            and values[0] is not None
            and values[1] is not None
            and self.tree.field_name(fields[0]) is None
        ):
            label = self.tree.constant(values[0])
            if label in _LABELS:
                return self._value_slots(label, values[1])
        slots: list[Hole] = []
        for key, node in named.items():
            if (key in _LABELS or (key in _WHOLE and b"_" in key)) and node is not None:
                slots += self._value_slots(key, node)
        return slots

    def _value_slots(self, label: bytes | None, value: Node) -> list[Hole]:
        """The values inside one field's expression: the numbers of a text, or the expression itself."""
        assert label is not None
        if len(self.tree.concat_pieces(value)) > 1 or (value.type == "function_call" and is_format(self.tree, value)):
            inner: list[Hole] = []
            for piece in self.tree.concat_pieces(value):
                if piece.type == "function_call" and is_format(self.tree, piece):
                    template, values = format_parts(self.tree, piece)
                    text = self.tree.constant(template) if template is not None else None
                    letters = [letter for _, letter in conversions(text or b"")]
                    inner += [Hole(label, 0, v, c, True) for v, c in zip(values, letters, strict=False)]
                elif self.tree.constant(piece) is None:
                    inner.append(Hole(label, 0, piece, b"", True))
            return [Hole(label, i, hole.node, hole.conversion, True) for i, hole in enumerate(inner)]
        return [Hole(label, 0, value, b"", True)]

    def _values(self, slots: list[Hole]) -> None:
        """Numbers that reach the payload without a conversion of their own; lists that may not fit."""
        shown: list[str] = []
        done: set[int] = set()
        for slot in slots:
            node = self._inside_tostring(slot.node)
            if node.id in done or self._is_guarded(node):
                continue
            done.add(node.id)
            if slot.label in _LISTS and slot.is_field:
                self.result.edits.wrap(node.start_byte, node.end_byte, GUARD + b".fit(", b")")
                self._did(
                    f"{slot.label.decode()} is cut to the 1024 characters that Discord takes (line {self.tree.line(node)})"
                )
            elif slot.label in _WHOLE and slot.conversion in (b"", b"s") and not self._is_text(node, 3):
                self.result.edits.wrap(node.start_byte, node.end_byte, GUARD + b".whole(", b")")
                shown.append(f"{slot.label.decode()} (line {self.tree.line(node)})")
        if shown:
            self._did("1.1 made whole where they are shown without %d: " + ", ".join(shown))

    def _inside_tostring(self, node: Node) -> Node:
        name, arguments = (
            node.child_by_field_name("name"),
            self.tree.arguments(node) if node.type == "function_call" else [],
        )
        if name is not None and len(arguments) == 1 and self.tree.api(name) == "tostring":
            return arguments[0]
        return node

    def _is_text(self, node: Node, depth: int) -> bool:
        """True when the expression is a text already, so that it is left alone."""
        if node.type == "string" or len(self.tree.concat_pieces(node)) > 1:
            return True
        if node.type == "function_call":
            name = node.child_by_field_name("name")
            return name is not None and _TEXT_MAKER.search(self.tree.text(name)) is not None
        if node.type == "identifier" and depth:
            binding = self.tree.binding(node)
            values = [v for v in binding.values if v is not None] if binding is not None else []
            return bool(values) and all(self._is_text(v, depth - 1) for v in values)
        return False

    def _escapes(self, target: Function) -> None:
        """JSON escaping: what is missing in the script's own functions, and nested texts whose backslashes stayed bare."""
        escapers: dict[Function, Node] = {}
        quotes_only: list[tuple[Node, Node]] = []
        for call in self.tree.calls:
            found = self._substitution(call)
            if found is None:
                continue
            subject, pattern, replacement = found
            unit = self.tree.function_of(call)
            if b"\\" in pattern and b"$" not in pattern and (replacement is None or b"\\" in replacement):
                if unit is not None:
                    escapers.setdefault(unit, call)
            elif pattern.strip(b"[]%()") == b'"' and replacement is not None and replacement.startswith(b"\\"):
                quotes_only.append((call, subject))
        for function, call in escapers.items():
            self._complete_escaper(function, call)
        for call, subject in quotes_only:
            if self.tree.function_of(call) in escapers:
                continue
            self.result.edits.wrap(subject.start_byte, subject.end_byte, GUARD + b".quote(", b")")
            if call.start_byte < subject.start_byte:
                self.result.edits.replace(call.start_byte, subject.start_byte, b"")
            self.result.edits.replace(subject.end_byte, call.end_byte, b"")
            self._did(f"escaped backslashes as well as quotes (line {self.tree.line(call)})")

    def _substitution(self, call: Node) -> tuple[Node, bytes, bytes | None] | None:
        """``(subject, pattern, replacement)`` of a gsub; the replacement is None when it is a table or a function."""
        receiver, arguments, name = (
            self.tree.receiver(call),
            self.tree.arguments(call),
            call.child_by_field_name("name"),
        )
        if receiver is not None and receiver[1] == b"gsub":
            arguments = [receiver[0], *arguments]
        elif name is None or self.tree.api(name) != "string.gsub":
            return None
        if len(arguments) < 3:
            return None
        pattern, replacement = self.tree.constant(arguments[1]), self.tree.constant(arguments[2])
        if pattern is None:
            return None
        if replacement is None and arguments[2].type not in ("table_constructor", "function_definition", "identifier"):
            return None
        return arguments[0], pattern, replacement

    def _complete_escaper(self, function: Function, call: Node) -> None:
        if function.key is None:
            return
        if self._is_wrapped(function, b".escaper"):
            return
        self._rebind(function, b".escaper(", b")")
        self._did(f"completed the JSON escaping of {_name(function)} (line {self.tree.line(call)})")

    def _is_wrapped(self, function: Function, wrapper: bytes) -> bool:
        """True when a guard function already stands around this one."""
        for call in self.tree.calls:
            name, arguments = call.child_by_field_name("name"), self.tree.arguments(call)
            if name is None or self.tree.text(name) != GUARD + wrapper or not arguments:
                continue
            if arguments[0] == function.node or self.tree.key(arguments[0]) == function.key:
                return True
        return False

    def _rebind(self, function: Function, before: bytes, after: bytes) -> None:
        """Put a guard function around a definition: ``f = guard(f)`` behind a statement, ``guard(function … end)`` in place."""
        node = function.node
        if not function.is_statement:
            self.result.edits.wrap(node.start_byte, node.end_byte, GUARD + before, after)
            return
        name = function.name.replace(b":", b".")
        text = name + b" = " + GUARD + before + name + after
        at, is_line_end = self._line_end(node.end_byte)
        indent = self._indent(node.start_byte)
        closing = b";" if self._next_byte(at) == b"(" else b""
        self.result.edits.insert(at, self.eol + indent + text + closing + (b"" if is_line_end else self.eol + indent))

    def _line_end(self, position: int) -> tuple[int, bool]:
        """Behind a comment on the same line when nothing else follows there, else the position itself."""
        rest = re.match(rb"[ \t;]*(--(?!\[=*\[)[^\r\n]*)?(?=\r?\n|$)", self.tree.source[position:])
        return (position + rest.end(), True) if rest else (position, False)

    def _next_byte(self, position: int) -> bytes:
        rest = re.match(rb"(?:\s+|--(?!\[=*\[)[^\n]*)*", self.tree.source[position:])
        at = position + (rest.end() if rest else 0)
        return self.tree.source[at : at + 1]

    def _indent(self, position: int) -> bytes:
        line = self.tree.source[self.tree.source.rfind(b"\n", 0, position) + 1 : position]
        match = re.match(rb"[ \t]*", line)
        return match.group() if match else b""

    def _note(self, builder: Function, site: Node, slots: list[Hole]) -> None:
        """1.3: the guard line, right before the statement that builds the payload; 1.4: what that statement knows."""
        for call in self.tree.calls:
            name = call.child_by_field_name("name")
            if name is not None and self.tree.text(name) == GUARD + b".note" and self.graph.unit_of(call) is builder:
                return
        statement = self.tree.statement_of(site)
        at = statement.start_byte
        facts = self._facts(slots, at)
        entries = [
            b"limit = "
            + (self._limit(at) or dict(facts).get(b"Lua_Timelimit", b'tonumber(et.trap_Cvar_Get("timelimit"))'))
        ]
        entries += [label + b" = " + text for label, text in facts]
        said = self._said_already(builder)
        call_text = (
            GUARD + b".note(function() return " + self._table(entries, at) + b" end" + (b", true)" if said else b")")
        )
        if self.tree.source[at : at + 1] == b"(":
            call_text += b";"
        line_start = self.tree.source.rfind(b"\n", 0, at) + 1
        if self.tree.source[line_start:at].strip(b" \t"):
            self.result.edits.insert(at, call_text.rstrip(b";") + b"; ")
        else:
            self.result.edits.insert(at, call_text + self.eol + self.tree.source[line_start:at])
        self._did(
            f"1.3 {'noted' if said else 'logged'} the time limit and its type before the payload (line {self.tree.line(statement)})"
        )

    def _table(self, entries: list[bytes], at: int, step: bytes = b"") -> bytes:
        """A table constructor, broken into lines of some 100 columns."""
        lines: list[bytes] = [b""]
        for entry in entries:
            if len(lines[-1]) + len(entry) > 96:
                lines.append(b"")
            lines[-1] += (b" " if lines[-1] else b"") + entry + b","
        if len(lines) == 1:
            return b"{ " + lines[0].rstrip(b",") + b" }"
        indent = self.eol + self._indent(at) + step
        inner = b"\t" if self._indent(at).startswith(b"\t") or step == b"\t" else b"    "
        return b"{" + b"".join(indent + inner + line for line in lines) + indent + b"}"

    def _said_already(self, builder: Function) -> bool:
        """True when the file prints the plan's guard line itself; a missing newline is added to it."""
        for node in self.tree.strings:
            if b"timelimit=" not in (self.tree.constant(node) or b"") or self.graph.unit_of(node) is not builder:
                continue
            call = next((a for a in self.tree.ancestors(node) if a.type == "function_call"), None)
            arguments = self.tree.arguments(call) if call is not None else []
            if call is None or not arguments or b"type=" not in self.tree.text(arguments[0]):
                continue
            name = call.child_by_field_name("name")
            if name is not None and self.tree.api(name) == "et.G_Print":
                last = self.tree.concat_pieces(arguments[0])[-1]
                if not (self.tree.constant(last) or b"").endswith(b"\n"):
                    self.result.edits.insert(arguments[0].end_byte, b' .. "\\n"')
                    self._did(f"1.3 ended the guard line with a newline (line {self.tree.line(call)})")
            return True
        return False

    def _limit(self, at: int) -> bytes:
        """The variable that holds the cvar's number at a position; empty when none is in sight."""
        makers = {self.graph.unit_of(c) for c in self.tree.calls if self._reads_limit(c)}
        for binding in reversed(self.tree.bindings):
            if self.tree.visible(binding.name, at) is not binding:
                continue
            for value in binding.values:
                if value is None or value.type in ("function_definition", "function_declaration"):
                    continue
                calls = [n for n in self.tree.descendants(value) if n.type == "function_call"]
                if any(self._reads_limit(c) or self._unit_called(c) in makers - {None} for c in calls):
                    return binding.name
        return b""

    def _reads_limit(self, call: Node) -> bool:
        name, arguments = call.child_by_field_name("name"), self.tree.arguments(call)
        is_read = name is not None and self.tree.api(name) == "et.trap_Cvar_Get"
        return is_read and bool(arguments) and self.tree.constant(arguments[0]) == b"timelimit"

    def _unit_called(self, call: Node) -> Function | None:
        name = call.child_by_field_name("name")
        key = self.tree.key(name) if name is not None else None
        return next((u for u in self.graph.units if key is not None and u.key == key), None)

    def _facts(self, slots: list[Hole], at: int) -> list[tuple[bytes, bytes]]:
        """``(label, expression)`` for what the payload shows and a position can see, by plain names only."""
        facts: dict[bytes, bytes] = {}
        for slot in slots:
            label = (
                slot.label
                if slot.nth == 0
                else b"Lua_Pauses_sec"
                if slot.label == b"Lua_Pauses" and slot.nth == 1
                else b""
            )
            if not label or slot.label not in _FACTS or label in facts or not slot.is_field:
                continue
            place = self._plain(slot.node, 4)
            if place is not None and self._sees(place, at):
                facts[label] = self.tree.text(place)
        return sorted(facts.items())

    def _plain(self, node: Node, depth: int) -> Node | None:
        """The name inside ``tostring(x)``, ``x or 0``, ``(x)``; None for anything that does something."""
        if node.type in _PLACES:
            return node
        if not depth:
            return None
        inner: list[Node] = []
        if node.type == "function_call":
            inner = self.tree.arguments(node)
            receiver = self.tree.receiver(node)
            if receiver is not None and receiver[1] in (b"gsub", b"lower", b"upper"):
                inner = [receiver[0]]
        elif node.type == "parenthesized_expression":
            inner = [c for c in node.children if c.is_named]
        elif node.type == "binary_expression":
            operator = node.child_by_field_name("operator")
            left = node.child_by_field_name("left")
            if operator is not None and operator.type == "or" and left is not None:
                inner = [left]
        return self._plain(inner[0], depth - 1) if len(inner) == 1 else None

    def _sees(self, place: Node, at: int) -> bool:
        root = next(n for n in self.tree.descendants(place) if n.type == "identifier")
        binding = self.tree.binding(root)
        return self.tree.visible(self.tree.text(root), at) is binding

    def _protect(self, target: Function, slots: list[Hole]) -> None:
        """1.2 and 1.4."""
        self._protected_calls(target)
        if self._is_wrapped(target, b".protect"):
            return
        node, units = target.node, self.graph.reach(target)
        at = node.end_byte if target.is_statement else node.start_byte
        flags = [f for f in self._flags(target) if self._require_sight(f, target, at)]
        marks = [m for m in self._marks(units, at) if m not in {f.text for f in flags}]
        step = b"\t" if b"\n\t" in self.tree.source[node.start_byte : node.end_byte] else b"    "
        inner = self.eol + self._indent(node.start_byte) + step
        hooks: list[bytes] = []
        if flags:
            is_given = any(isinstance(f.key[0], Binding) and f.key[0].is_parameter for f in flags)
            given = self._parameters(target) if is_given else b"()"
            up = b" or ".join(b"(%s or 0) ~= 0" % f.text if f.down == b"0" else f.text for f in flags)
            lowered = b", ".join(f.text for f in flags) + b" = " + b", ".join(f.down for f in flags)
            hooks.append(b"busy = function" + given + b" return " + up + b" end,")
            hooks.append(b"idle = function" + given + b" " + lowered + b" end,")
        if marks:
            places = b", ".join(marks)
            hooks.append(b"save = function() return " + places + b" end,")
            hooks.append(b"restore = function(...) " + places + b" = ... end,")
        facts = self._facts(slots, at)
        if facts:
            hooks.append(
                b"facts = function() return "
                + self._table([k + b" = " + v for k, v in facts], node.start_byte, step)
                + b" end,"
            )
        folder, enabled = self._gametimes(at)
        if folder:
            hooks.append(b"folder = function() return " + folder + b" end,")
        if enabled:
            hooks.append(b"enabled = function() return " + enabled + b" end,")
        table = b", {" + b"".join(inner + hook for hook in hooks) + self.eol + self._indent(node.start_byte) + b"})"
        self._rebind(target, b".protect(", table if hooks else b", {})")
        cleared = ", ".join(f.text.decode("latin-1") for f in flags) or "none in this file"
        kept = ", ".join(m.decode("latin-1") for m in marks) or "none in this file"
        self._did(
            f"1.2 protected {_name(target)} (line {self.tree.line(node)}); busy flag cleared on every way out: {cleared}; "
            f"taken back after a failure: {kept}"
        )
        shown = folder.decode("latin-1") if folder else "<fs_homepath>/<fs_game>/gametimes"
        self._did(f"1.4 a failed build or send leaves a gametime file in {shown}")

    def _flags(self, target: Function) -> list[_Flag]:
        """The busy flags of the function to protect and of all that it reaches."""
        found = {f.key: f for unit in self.graph.reach(target) for f in self._busy_flags(unit)}
        return sorted((f for f in found.values() if self._outlives(f.key)), key=lambda f: f.text)

    def _outlives(self, key: Key) -> bool:
        """False for a local that a function makes for itself; a parameter's field belongs to the caller."""
        root = key[0]
        return (
            not isinstance(root, Binding)
            or root.function is None
            or not self._is_own_local(key, {root.function})
            or (root.is_parameter and len(key) > 1)
        )

    def _require_sight(self, flag: _Flag, target: Function, at: int) -> bool:
        root = flag.key[0]
        if self._sees_key(flag.key, at) or (
            isinstance(root, Binding) and root.function is target and root.is_parameter
        ):
            return True
        raise Refusal(
            f"looked for the busy flag {flag.text.decode('latin-1')} where {_name(target)} is defined, found it out of sight"
        )

    def _sees_key(self, key: Key, at: int) -> bool:
        """True when a place's name means the same at a position: its root is in sight there, or global and not hidden."""
        root = key[0]
        if isinstance(root, Binding):
            return self.tree.visible(root.name, at) is root
        return isinstance(root, bytes) and self.tree.visible(root, at) is None

    def _parameters(self, function: Function) -> bytes:
        """The parameter list of a function in source form; a method's receiver is its first parameter."""
        node = function.node.child_by_field_name("parameters")
        text = self.tree.text(node) if node is not None else b"()"
        if b":" not in function.name:
            return text
        return b"(self" + (b", " if text[1:-1].strip() else b"") + text[1:]

    def _protected_calls(self, target: Function) -> None:
        """The script's own pcall around build or send reports to the guard; io.open tells it of the gametime file."""
        units = self.graph.reach(target)
        builders_and_senders = {self._payload()[0]} | self._senders()
        wanted = self.graph.reaching(builders_and_senders)
        for call in self.tree.calls:
            name = call.child_by_field_name("name")
            if name is None or self.graph.unit_of(call) not in units:
                continue
            api = self.tree.api(name)
            if api in ("pcall", "xpcall") and self._holds(call, wanted):
                self.result.edits.replace(name.start_byte, name.end_byte, GUARD + b"." + api.encode())
                self._did(
                    f"1.2 a failure caught by the script's own {api} is logged as well (line {self.tree.line(call)})"
                )
            elif api == "io.open":
                self.result.edits.replace(name.start_byte, name.end_byte, GUARD + b".open")

    def _holds(self, call: Node, wanted: set[Function]) -> bool:
        """True when the arguments of a pcall hold the payload, the start of a process, or a function that does either."""
        arguments = call.child_by_field_name("arguments")
        if arguments is None:
            return False
        keys = {f.key for f in wanted}
        for node in self.tree.descendants(arguments):
            if node.type == "string" and re.search(rb"STATS_READY|\bcurl\s", self.tree.constant(node) or b""):
                return True
            if node.type in _PLACES and (
                self.tree.key(node) in keys or self.tree.api(node) in ("os.execute", "io.popen")
            ):
                return True
        return False

    def _gametimes(self, at: int) -> tuple[bytes, bytes]:
        """``(folder, enabled)`` as expressions: the setting that holds the folder's text, and its switch beside it."""
        for assignment in self.tree.assignments:
            value = assignment.value
            if value is None:
                continue
            owner, key = self.tree.text(assignment.target), self.tree.key(assignment.target)
            if key is None or not self._sees_key(key, at):
                continue
            if value.type == "table_constructor":
                found = self._gametimes_in(owner, value)
                if found[0]:
                    return found
            elif self._is_folder(value, owner):
                return owner, b""
        return b"", b""

    def _gametimes_in(self, owner: bytes, table: Node) -> tuple[bytes, bytes]:
        folder = enabled = b""
        for item in (c for c in table.children if c.type == "field"):
            name, value = self.tree.field_name(item), item.child_by_field_name("value")
            if name is None or value is None or not re.fullmatch(rb"[A-Za-z_]\w*", name):
                continue
            path = owner + b"." + name
            if value.type == "table_constructor":
                inner = self._gametimes_in(path, value)
                folder, enabled = folder or inner[0], enabled or inner[1]
            elif self._is_folder(value, name):
                folder = path
            elif value.type in ("true", "false") and b"gametime" in path.lower() and b"failure" not in name.lower():
                enabled = path
        return folder, enabled

    def _is_folder(self, value: Node, name: bytes) -> bool:
        text = self.tree.constant(value)
        if text is None:
            return False
        is_named = b"gametime" in name.lower() and re.search(rb"dir|path|folder", name.lower()) is not None
        return is_named or re.search(rb"[/\\]gametimes[/\\]?$", text) is not None or text.strip(b"/\\") == b"gametimes"

    def _prelude(self) -> None:
        """The guard's own code, once, before the first statement; an older one is renewed."""
        text = resources.files("python_checks.lua").joinpath("webhook_guard.lua").read_bytes().replace(b"\n", self.eol)
        if self.block is not None:
            start, end = self.block
            if self.tree.source[start:end].rstrip(b"\r\n") != text.rstrip(b"\r\n"):
                self.result.edits.replace(start, end, text)
                self._did("renewed the guard's code")
            return
        first = next(
            (c for c in self.tree.root.children if c.is_named and c.type not in ("comment", "hash_bang_line")), None
        )
        at = first.start_byte if first is not None else len(self.tree.source)
        line_start = self.tree.source.rfind(b"\n", 0, at) + 1
        if not self.tree.source[line_start:at].strip(b" \t"):
            at = line_start
        self.result.edits.insert(at, text + self.eol)
        self._did("added the guard's code before the first statement")


_PLACES = ("identifier", "dot_index_expression", "bracket_index_expression")


def _name(function: Function) -> str:
    return function.name.decode("latin-1") or "an unnamed function"


def _list(lines: list[int]) -> str:
    return ", ".join(str(n) for n in sorted(set(lines)))
