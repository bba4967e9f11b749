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
from importlib import resources

from tree_sitter import Node

from python_checks.lua.recipe import Plan, Refusal
from python_checks.lua.texts import Hole, conversions, format_parts, is_format
from python_checks.lua.tree import Binding, Function, LuaTree
from python_checks.lua.webhook_targets import GUARD, PLACES, Flag, name_of
from python_checks.lua.webhook_values import LISTS, WHOLE, Values

INTEGER = frozenset(b"diuxXo"[i : i + 1] for i in range(6))


def plan_webhook(tree: LuaTree) -> Plan:
    """Plan all edits of the recipe; raises Refusal when the payload, the send or what belongs to them cannot be told for sure."""
    return _Webhook(tree).plan()


class _Webhook(Values):
    """The edits."""

    def plan(self) -> Plan:
        if self.block is None and re.search(rb"\b" + GUARD + rb"\b", self.tree.source):
            raise Refusal(
                f"looked for a file without the name {GUARD.decode()}, found it in use by the file's own code"
            )
        builder, site = self.payload()
        target = self.protected_function(builder)
        self._format_calls()
        self._dates()
        slots = self.slots(target)
        self._values(slots)
        self._escapes(target)
        self._note(builder, site, slots)
        self._protect(target, slots)
        self._prelude()
        return self.result

    def _did(self, sentence: str) -> None:
        self.result.actions.append(sentence)

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
        wanted = [i for i, letter in enumerate(letters) if letter in INTEGER]
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
            if not self._is_integer(time) and not self.is_guarded(time):
                self.result.edits.wrap(time.start_byte, time.end_byte, GUARD + b".time(", b")")
                self._did(f"1.1 made the time of os.date whole (line {self.tree.line(call)})")

    def _values(self, slots: list[Hole]) -> None:
        """Numbers that reach the payload without a conversion of their own; lists that may not fit."""
        shown: list[str] = []
        done: set[int] = set()
        for slot in slots:
            node = self.inside_tostring(slot.node)
            if node.id in done or self.is_guarded(node):
                continue
            done.add(node.id)
            if slot.label in LISTS and slot.is_field:
                self.result.edits.wrap(node.start_byte, node.end_byte, GUARD + b".fit(", b")")
                self._did(
                    f"{slot.label.decode()} is cut to the 1024 characters that Discord takes (line {self.tree.line(node)})"
                )
            elif slot.label in WHOLE and slot.conversion in (b"", b"s") and not self.is_text(node, 3):
                self.result.edits.wrap(node.start_byte, node.end_byte, GUARD + b".whole(", b")")
                shown.append(f"{slot.label.decode()} (line {self.tree.line(node)})")
        if shown:
            self._did("1.1 made whole where they are shown without %d: " + ", ".join(shown))

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
        self._did(f"completed the JSON escaping of {name_of(function)} (line {self.tree.line(call)})")

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
        facts = self.facts(slots, at)
        entries = [
            b"limit = "
            + (self.limit(at) or dict(facts).get(b"Lua_Timelimit", b'tonumber(et.trap_Cvar_Get("timelimit"))'))
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

    def _protect(self, target: Function, slots: list[Hole]) -> None:
        """1.2 and 1.4."""
        self._protected_calls(target)
        if self._is_wrapped(target, b".protect"):
            return
        node, units = target.node, self.graph.reach(target)
        at = node.end_byte if target.is_statement else node.start_byte
        self.has_receiver = re.match(rb"\(\s*self\b", self._parameters(target)) is not None
        flags = [f for f in self.flags(target) if self._require_sight(f, target, at)]
        marks = [m for m in self.marks(units, at) if m not in {f.text for f in flags}]
        step = b"\t" if b"\n\t" in self.tree.source[node.start_byte : node.end_byte] else b"    "
        inner = self.eol + self._indent(node.start_byte) + step
        hooks: list[bytes] = []
        if flags:
            is_given = any(isinstance(f.key[0], Binding) and f.key[0].is_parameter for f in flags)
            is_given = is_given or any(f.text.startswith(b"self.") for f in flags)
            given = self._parameters(target) if is_given else b"()"
            up = b" or ".join(b"(%s or 0) ~= 0" % f.text if f.down == b"0" else f.text for f in flags)
            lowered = b", ".join(f.text for f in flags) + b" = " + b", ".join(f.down for f in flags)
            hooks.append(b"busy = function" + given + b" return " + up + b" end,")
            hooks.append(b"idle = function" + given + b" " + lowered + b" end,")
        if marks:
            places = b", ".join(marks)
            receiver = b"self" if any(m.startswith(b"self.") for m in marks) else b"_"
            hooks.append(b"save = function(" + receiver.strip(b"_") + b") return " + places + b" end,")
            hooks.append(b"restore = function(" + receiver + b", ...) " + places + b" = ... end,")
        facts = self.facts(slots, at)
        if facts:
            hooks.append(
                b"facts = function() return "
                + self._table([k + b" = " + v for k, v in facts], node.start_byte, step)
                + b" end,"
            )
        folder, enabled = self.gametimes(at)
        if folder:
            hooks.append(b"folder = function() return " + folder + b" end,")
        if enabled:
            hooks.append(b"enabled = function() return " + enabled + b" end,")
        table = b", {" + b"".join(inner + hook for hook in hooks) + self.eol + self._indent(node.start_byte) + b"})"
        self._rebind(target, b".protect(", table if hooks else b", {})")
        cleared = ", ".join(f.text.decode("latin-1") for f in flags) or "none in this file"
        kept = ", ".join(m.decode("latin-1") for m in marks) or "none in this file"
        self._did(
            f"1.2 protected {name_of(target)} (line {self.tree.line(node)}); busy flag cleared on every way out: {cleared}; "
            f"taken back after a failure: {kept}"
        )
        shown = folder.decode("latin-1") if folder else "<fs_homepath>/<fs_game>/gametimes"
        self._did(f"1.4 a failed build or send leaves a gametime file in {shown}")

    def _require_sight(self, flag: Flag, target: Function, at: int) -> bool:
        root = flag.key[0]
        if self.sees_key(flag.key, at) or (isinstance(root, Binding) and root.function is target and root.is_parameter):
            return True
        raise Refusal(
            f"looked for the busy flag {flag.text.decode('latin-1')} where {name_of(target)} is defined, found it out of sight"
        )

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
        builders_and_senders = {self.payload()[0]} | self.senders()
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
            if node.type in PLACES and (
                self.tree.key(node) in keys or self.tree.api(node) in ("os.execute", "io.popen")
            ):
                return True
        return False

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


def _list(lines: list[int]) -> str:
    return ", ".join(str(n) for n in sorted(set(lines)))
