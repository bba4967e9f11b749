"""Recipe ``headshot-leaderboard``: headshot kills over kills, without the join that repeats them (domain.md 8).

The target is the one query that sums ``headshot_kills`` and the hits of joined weapon rows. The join goes, hits become kills, the
threshold in hits becomes half as many kills (1000 -> 500), the output columns keep their order, and labels that say "hits" follow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import libcst as cst

from python_checks.source import sqltext
from python_checks.source.boards import run_board, wrong_board
from python_checks.source.evaluate import class_of
from python_checks.source.players import generated_players
from python_checks.source.querytext import Query, queries
from python_checks.source.tree import Plan, Refusal, SourceTree, called, number_value, string_value, tree_of

ABOUT = re.compile("headshot_kills|weapon_comprehensive_stats|headshots")
WEAPONS = "weapon_comprehensive_stats"
PLAYERS = "player_comprehensive_stats"
_HEADSHOTS = re.compile(r"\bSUM\s*\([^()]*\bheadshot_kills\b[^()]*\)", re.IGNORECASE)
_SUM = r"\bSUM\s*\("
_HEAD_HITS = re.compile(r"\bSUM\s*\(\s*(?:\w+\.)?(?P<column>headshots)\s*\)", re.IGNORECASE)
_CROSSED = re.compile(
    r"\bORDER\s+BY\b.*\bSUM\s*\(\s*(?:\w+\.)?headshots\s*\)[^,;]*/[^,;]*\bSUM\s*\(\s*(?:\w+\.)?kills\s*\)",
    re.IGNORECASE | re.DOTALL,
)
_RANKED = re.compile(r"\bORDER\s+BY\b.*\bLIMIT\b", re.IGNORECASE | re.DOTALL)
_END = re.compile(
    r"\b(WHERE|GROUP\s+BY|ORDER\s+BY|HAVING|LIMIT|OFFSET|UNION|(?:(?:LEFT|RIGHT|FULL|INNER|CROSS)\s+(?:OUTER\s+)?)?JOIN)\b",
    re.IGNORECASE,
)
_SHARED = ("round_id", "player_guid", "player_name", "round_number", "round_date", "map_name")
_PLACEHOLDER = r"%s|\?|\$\d+|%\(\w+\)s|:\w+|\{[^{}]*\}"
_COUNTED = re.compile(r"\b(\d[\d,]*)(?=\+?\s+(?:\w+\s+)?hits\b)", re.IGNORECASE)
_SPEAKS_OF_HITS = re.compile(r"accura|\bhits?\b|treffer|genauigkeit", re.IGNORECASE)
_ACCURACY = re.compile(r"\b([Hh]eadshot|HS) (?:[Aa]ccuracy|[Pp]ercentage)")
_ABOUT_HEADSHOTS = re.compile(r"^hs$|head_?shot", re.IGNORECASE)


def wrong_boards(tree: SourceTree) -> list[Query]:
    """Queries that sum headshot_kills over joined weapon rows. A player's own page may join the same tables; the board is the one
    that ranks all players, so where one does, no other query counts."""
    about = [q for q in queries(tree) if _HEADSHOTS.search(q.text)]
    ranked = [q for q in about if re.search(r"\bGROUP\s+BY\b", q.text, re.IGNORECASE) and _RANKED.search(q.text)]
    return [q for q in ranked or about if re.search(rf"\b{WEAPONS}\b", q.text, re.IGNORECASE)]


def plan_headshots(tree: SourceTree) -> Plan:
    """Plan the edits. Raises Refusal."""
    wrong = wrong_boards(tree)
    if not wrong:
        return _without_join(tree)
    if len(wrong) > 1:
        lines = ", ".join(str(tree.line(q.node)) for q in wrong)
        raise Refusal(
            f"looked for one query that sums headshot_kills over joined weapon rows, found {len(wrong)} (lines {lines})"
        )
    query = wrong[0]
    plan = Plan()
    line = tree.line(query.node)
    if not re.search(rf"\b{PLAYERS}\b", query.text, re.IGNORECASE):
        raise Refusal(f"line {line}: looked for {PLAYERS} in the query's FROM, found none")
    joined = _join(query, line)
    summed = re.search(_SUM + r"[^()]*?(?P<dot>\b\w+\.)?headshot_kills", query.text, re.IGNORECASE)
    dot = (summed["dot"] if summed else None) or ""
    for start, end, new in joined.cuts if not joined.scalars else ():
        query.edit(plan.edits, start, end, new)
    rest = _mask(query.text, joined.cuts)
    replaced = _single_rows(query, plan, rest, joined)
    kills = f"SUM({dot}kills)"
    if replaced is None:
        replaced = _hits_to_kills(query, plan, rest, joined, dot, kills, line)
    _nothing_left(tree, query, joined)
    constants = _threshold(tree, query, plan, rest, replaced)
    renamed, unsure = _labels(tree, query, plan, constants)
    plan.actions[:0] = [
        f"line {line}: the join with {WEAPONS} is gone, so headshot kills and kills count once per round",
        f"line {line}: {len(replaced)} uses of the weapons' hits are {kills} now: headshot kill rate = headshot kills / kills",
    ]
    if renamed:
        plan.actions.append(f"labels that said hits say kills: lines {', '.join(map(str, renamed))}")
    plan.actions += unsure
    return plan


def _without_join(tree: SourceTree) -> Plan:
    """A file whose board joins no weapon rows: right already, or head hits over kills, or not known."""
    about = [q for q in queries(tree) if _HEADSHOTS.search(q.text)]
    if any(_is_right(q) for q in about):
        return Plan()
    crossed = crossed_boards(tree)
    if len(crossed) > 1:
        lines = ", ".join(str(tree.line(q.node)) for q in crossed)
        raise Refusal(f"looked for one board that divides headshots by kills, found {len(crossed)} (lines {lines})")
    if crossed:
        query, plan = crossed[0], Plan()
        for match in _HEAD_HITS.finditer(query.text):
            query.edit(plan.edits, match.start("column"), match.end("column"), "headshot_kills")
        plan.actions.append(
            f"line {tree.line(query.node)}: the board divides headshot_kills by kills now; headshots are head hits, several to a kill"
        )
        plan.actions += _unsure(tree, query, {})
        return plan
    hits = [q for q in queries(tree) if re.search(rf"\b{WEAPONS}\b", q.text) and re.search(r"\bhits\b", q.text)]
    for one in about:
        beside = [q for q in hits if tree.function(q.node) is tree.function(one.node)]
        if beside:
            raise Refusal(
                f"line {tree.line(one.node)}: looked for the headshot leaderboard in one query, found headshot_kills there and the hits "
                f"in another query (line {tree.line(beside[0].node)}), divided in Python; select SUM(kills) beside SUM(headshot_kills), "
                "divide by that, and leave the second query out"
            )
    by_hand = "divide SUM(headshot_kills) by SUM(kills) there by hand, without the weapon rows"
    wanted = "looked for the headshot leaderboard's query (it sums headshot_kills and joins weapon_comprehensive_stats for hits)"
    covered = set[int]().union(*(one.offsets for one in queries(tree)))
    for node in tree.nodes:
        spoken = isinstance(node, (cst.SimpleString, cst.FormattedStringText)) and _HEADSHOTS.search(tree.raw(node))
        if spoken and sum(tree.span(node)) // 2 not in covered:
            raise Refusal(
                f"line {tree.line(node)}: {wanted}, found {tree.raw(node)[:60]} there, put into a query in a way that is not known; "
                f"{by_hand}"
            )
    raise Refusal(
        f"{wanted}, found none among {len(queries(tree))} queries; if the board is put together elsewhere, name that file, or {by_hand}"
    )


def crossed_boards(tree: SourceTree) -> list[Query]:
    """Boards that rank by head hits over kills, and are right once the column is."""
    found = []
    for query in queries(tree):
        fixed = _HEAD_HITS.sub(lambda m: m[0].replace(m["column"], "headshot_kills"), query.text)
        if _CROSSED.search(query.text) and fixed != query.text and not wrong_numbers(fixed):
            found.append(query)
    return found


def _single_rows(query: Query, plan: Plan, rest: str, joined: _Join) -> list[tuple[int, int]] | None:
    """Where the join's own SELECT sums nothing and hands ``w.hits`` on to one that does: kills are handed on under that name.
    None for a SELECT that sums."""
    column = re.compile(rf"\b{re.escape(joined.alias)}\.hits\b", re.IGNORECASE)
    for items in sqltext.select_spans(query.text):
        mine = [(item, a, b) for item, a, b in items if column.search(rest[a:b])]
        if len(mine) == 1 and not any(sqltext.is_aggregate(item.expression) for item, _, _ in items):
            item, start, end = mine[0]
            players = re.search(
                rf"\b{PLAYERS}(?:\s+AS)?\s+(?!JOIN\b|INNER\b|LEFT\b|ON\b|USING\b)(\w+)", query.text, re.IGNORECASE
            )
            if item.name != "hits" and not re.search(r"\bAS\s", query.text[start:end], re.IGNORECASE):
                return None
            query.edit(plan.edits, start, end, f"{players[1] + '.' if players else ''}kills AS {item.name}")
            return [(start, end)]
    return None


def _nothing_left(tree: SourceTree, query: Query, joined: _Join) -> None:
    """Raise Refusal when a text that is appended to the query still reads the weapon rows."""
    covered = set[int]().union(*(q.offsets for q in queries(tree)))
    reads = re.compile(rf"\b{re.escape(joined.alias)}\.\w+") if joined.alias else None
    for node in tree.below(tree.function(query.node)) if reads else ():
        if not isinstance(node, (cst.SimpleString, cst.FormattedStringText)) or reads is None:
            continue
        text = tree.raw(node)
        if (
            (tree.span(node)[0] + len(text) // 2) not in covered
            and reads.search(text)
            and re.search(r"\b(AND|OR|HAVING|WHERE|ORDER BY|GROUP BY)\b", text)
        ):
            raise Refusal(
                f"line {tree.line(node)}: looked for the whole query in one text, found {text!r} appended to it, which reads the weapon "
                "rows; put it into the query and run this again"
            )


@dataclass(frozen=True)
class _Join:
    """What goes: ``cuts`` as (start, end, replacement), the weapons' ``alias`` in the query, the columns that hold hits."""

    cuts: tuple[tuple[int, int, str], ...]
    alias: str
    hits: tuple[str, ...]
    scalars: tuple[tuple[int, int], ...] = ()
    """Scalar subqueries on the hits: no join, they become kills themselves."""


def _scalar_subqueries(text: str) -> list[tuple[int, int]]:
    """``(SELECT SUM(w.hits) FROM weapon_comprehensive_stats w WHERE ...)`` as a value."""
    found = []
    for match in re.finditer(r"\(\s*SELECT\s+(?:COALESCE\s*\(\s*)?SUM\s*\(\s*(?:\w+\.)?hits\s*\)", text, re.IGNORECASE):
        close = _closing(text, match.start())
        ahead = re.search(r"(\bJOIN|\bLATERAL|\bFROM|\bAS)\s*$", text[: match.start()], re.IGNORECASE)
        if ahead is None and re.search(rf"\bFROM\s+{WEAPONS}\b", text[match.start() : close], re.IGNORECASE):
            found.append((match.start(), close + 1))
    return found


def _join(query: Query, line: int) -> _Join:
    """Find the join with weapon rows: of the table, of a subquery on it, or of a CTE on it."""
    text = query.text
    name = rf"(?:{WEAPONS})"
    cuts: list[tuple[int, int, str]] = []
    hits = {"hits"}
    scalar = _scalar_subqueries(text)
    if scalar:
        return _Join(tuple((start, end, "") for start, end in scalar), "", (), tuple(scalar))
    for cte in re.finditer(r"(?:\bWITH\s+|,\s*)(?P<name>\w+)\s+AS\s*\(", text, re.IGNORECASE):
        close = _closing(text, cte.end() - 1)
        body = text[cte.end() : close]
        if re.search(name, body, re.IGNORECASE) and not re.search(rf"\b{PLAYERS}\b", body, re.IGNORECASE):
            hits |= _hit_columns(body)
            name = rf"(?:{WEAPONS}|{cte['name']})"
            behind = re.compile(r"\s*,\s*").match(text, close + 1)
            if text[cte.start() : cte.start() + 4].upper() == "WITH":
                # Alone: WITH goes too; followed by others: WITH stays for them.
                end = behind.end() if behind else re.compile(r"\s*").match(text, close + 1).end()  # type: ignore[union-attr]
                cuts.append((cte.start("name") if behind else cte.start(), end, ""))
            else:
                cuts.append((cte.start(), close + 1, ""))
    masked = _mask(text, cuts)
    table = rf"(?:\w+\.)?\"?{name}\"?"
    swapped = re.search(
        rf"\bFROM\s+{table}(?:\s+AS)?\s+(?P<w>\w+)\s+(?:INNER\s+)?JOIN\s+(?=(?:\w+\.)?{PLAYERS}\b)",
        masked,
        re.IGNORECASE,
    )
    if swapped:
        players = re.compile(rf"(?:\w+\.)?{PLAYERS}(?:\s+AS)?\s+\w+\s+(?P<on>ON|USING)\b", re.IGNORECASE).match(
            masked, swapped.end()
        )
        if players:
            cuts.append((swapped.start(), swapped.end(), "FROM "))
            cuts.append((players.start("on"), _clause_end(masked, players.end()), ""))
            return _Join(tuple(cuts), swapped["w"], tuple(sorted(hits)))
    join = r"(?:\b(?:LEFT|RIGHT|FULL|INNER|CROSS)\s+(?:OUTER\s+)?)?\bJOIN\s+(?:LATERAL\s+)?"
    for match in re.finditer(join, masked, re.IGNORECASE):
        at = match.end()
        if masked[at : at + 1] == "(":
            close = _closing(masked, at)
            body = masked[at:close]
            if not re.search(WEAPONS, body, re.IGNORECASE):
                continue
            hits |= _hit_columns(body)
            at = close + 1
        else:
            found = re.compile(table, re.IGNORECASE).match(masked, at)
            if not found:
                continue
            at = found.end()
        alias = re.compile(r"(?:\s+AS)?\s+(?!ON\b|USING\b)(?P<a>\w+)", re.IGNORECASE).match(masked, at)
        named = alias["a"] if alias else masked[match.end() : at].strip('" ')
        after = re.compile(r"\s+(?:ON\b|USING\b)", re.IGNORECASE).match(masked, alias.end() if alias else at)
        if not after:
            continue
        cuts.append((match.start(), _clause_end(masked, after.end()), ""))
        return _Join(tuple(cuts), named, tuple(sorted(hits)))
    listed = _listed(masked, table, hits)
    if listed is not None:
        return listed
    raise Refusal(
        f"line {line}: looked for JOIN {WEAPONS} (or a subquery on it) with ON or USING, found another way of joining; "
        "take the weapon rows out by hand"
    )


def _listed(text: str, table: str, hits: set[str]) -> _Join | None:
    """``FROM player_comprehensive_stats p, weapon_comprehensive_stats w WHERE w.round_id = p.round_id AND ...``"""
    match = re.search(
        rf"(?P<before>,\s*)?{table}(?:\s+AS)?\s+(?P<w>(?!WHERE\b)\w+)(?P<behind>\s*,\s*)?", text, re.IGNORECASE
    )
    where = re.compile(r"\bWHERE\b", re.IGNORECASE).search(text, match.end()) if match else None
    if match is None or where is None or not (match["before"] or match["behind"]):
        return None
    end = match.end("w") if match["before"] else match.end()
    cuts = [(match.start(), end, "")]
    stop = _clause_end(text, where.end())
    terms = [part for part in re.split(r"(\bAND\b)", text[where.end() : stop], flags=re.IGNORECASE)]
    if any(part.count("(") != part.count(")") or re.search(r"\bOR\b", part, re.IGNORECASE) for part in terms):
        return None
    kept = [part for part in terms[::2] if not re.search(rf"\b{re.escape(match['w'])}\.", part)]
    cuts.append((where.start(), stop, f"WHERE {' AND '.join(part.strip() for part in kept)} " if kept else ""))
    return _Join(tuple(cuts), match["w"], tuple(sorted(hits)))


def _hit_columns(body: str) -> set[str]:
    """Names under which a subquery hands the sum of hits on."""
    return {
        i.name
        for items in sqltext.selects(body)
        for i in items
        if re.search(r"\bhits\b", i.expression, re.IGNORECASE) and i.name
    }


def _clause_end(text: str, at: int) -> int:
    """Where a join's condition ends: at the next clause on the same depth, or at a closing parenthesis."""
    depth = 0
    while at < len(text):
        if text[at] == "(":
            depth += 1
        elif text[at] == ")":
            depth -= 1
            if depth < 0:
                return at
        elif depth == 0 and _END.match(text, at) and not text[at - 1].isalnum():
            return at
        at += 1
    return at


def _closing(text: str, at: int) -> int:
    depth = 0
    for index in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return index
    return len(text)


def _mask(text: str, cuts: list[tuple[int, int, str]] | tuple[tuple[int, int, str], ...]) -> str:
    """The text with what goes blanked, so that positions stay."""
    for start, end, _ in cuts:
        text = text[:start] + " " * (end - start) + text[end:]
    return text


def _hits_to_kills(
    query: Query, plan: Plan, rest: str, joined: _Join, dot: str, kills: str, line: int
) -> list[tuple[int, int]]:
    if joined.scalars:
        for start, end in joined.scalars:
            query.edit(plan.edits, start, end, kills)
        return list(joined.scalars)
    columns = "|".join(map(re.escape, joined.hits))
    prefix = rf"(?:{re.escape(joined.alias)}\.)"
    replaced: list[tuple[int, int]] = []
    for match in re.finditer(rf"\b(?:SUM|MAX|MIN|AVG)\s*\(\s*{prefix}?(?:{columns})\s*\)", rest, re.IGNORECASE):
        query.edit(plan.edits, match.start(), match.end(), kills)
        replaced.append(match.span())
    rest = _mask(rest, [(a, b, "") for a, b in replaced])
    for match in re.finditer(rf"(?P<comma>,\s*)?\b{prefix}(?P<column>\w+)", rest):
        if match["column"] in joined.hits:
            grouped = re.search(r"GROUP\s+BY[^()]*$", rest[: match.start()], re.IGNORECASE) and match["comma"]
            start = match.start() if grouped else match.end("comma") if match["comma"] else match.start()
            query.edit(plan.edits, start, match.end(), "" if grouped else kills)
            if not grouped:
                replaced.append((start, match.end()))
        elif match["column"] in _SHARED:
            start = match.end() - len(match["column"]) - len(joined.alias) - 1
            query.edit(plan.edits, start, start + len(joined.alias) + 1, dot)
        else:
            raise Refusal(
                f"line {line}: looked for a query that takes only hits from {WEAPONS}, found {joined.alias}.{match['column']} too; "
                "what it should become is not known"
            )
    if not replaced:
        raise Refusal(f"line {line}: looked for the sum of the weapons' hits, found none")
    return replaced


def _threshold(
    tree: SourceTree, query: Query, plan: Plan, rest: str, replaced: list[tuple[int, int]]
) -> dict[str, str]:
    """``HAVING SUM(w.hits) > 1000`` becomes half as many kills, wherever the number stands; gives the constants that it replaced."""
    carriers = {
        item.name
        for items in sqltext.select_spans(query.text)
        for item, start, end in items
        if item.name not in ("", "kills") and any(start <= at < end for at, _ in replaced)
    }
    compared = rf"(?:\s*,\s*0(?:\.0)?)?\s*\)?\s*>=?\s*(?P<limit>\d+|{_PLACEHOLDER})"
    found = [re.compile(compared).match(rest, end) for _, end in replaced]
    if carriers:
        names = "|".join(map(re.escape, sorted(carriers)))
        found += list(re.finditer(rf"\b(?:SUM\s*\(\s*)?(?:\w+\.)?\b(?:{names})\s*\)?{compared}", rest, re.IGNORECASE))
    constants: dict[str, str] = {}
    for match in {m.start("limit"): m for m in found if m is not None}.values():
        limit, start = match["limit"], match.start("limit")
        if limit.isdigit():
            # ``> 0`` guards a division.
            if int(limit) > 1:
                query.edit(plan.edits, start, match.end("limit"), str(int(limit) // 2))
                constants[limit] = str(int(limit) // 2)
                plan.actions.append(f"the threshold of {limit} hits is {int(limit) // 2} kills now")
            continue
        node = _bound_value(tree, query, rest, limit, start)
        if node is None:
            plan.actions.append(
                f"the threshold {limit} was counted in hits and is compared with kills now: look at its value"
            )
            continue
        number, source = _number_behind(tree, node), tree.text(node)
        new = str(max(1, number // 2)) if number else f"{source} // 2"
        if not isinstance(node, cst.Integer):
            constants[_last_name(node)] = new
        plan.edits.replace(*tree.span(node), new.encode())
        plan.actions.append(f"line {tree.line(node)}: the threshold {source} was in hits, it is {new} kills now")
    return constants


def _last_name(node: cst.BaseExpression) -> str:
    return node.value if isinstance(node, cst.Name) else node.attr.value if isinstance(node, cst.Attribute) else ""


def _bound_value(tree: SourceTree, query: Query, rest: str, limit: str, start: int) -> cst.BaseExpression | None:
    """The Python expression behind a placeholder."""
    if limit.startswith("{"):
        return query.holes.get(start)
    call = next((h for h in tree.ancestors(query.node) if isinstance(h, cst.Call)), None)
    if call is None:
        call = _call_with_name(tree, query.node)
    if call is None:
        return None
    behind = [argument.value for argument in call.args[1:] if argument.keyword is None]
    if len(behind) == 1 and isinstance(behind[0], (cst.Tuple, cst.List)):
        behind = [element.value for element in behind[0].elements]
    if limit.startswith("$"):
        index = int(limit[1:]) - 1
    elif limit in ("%s", "?"):
        index = len(re.findall(re.escape(limit), rest[:start]))
    else:
        return None
    return behind[index] if index < len(behind) else None


def _call_with_name(tree: SourceTree, node: cst.CSTNode) -> cst.Call | None:
    """The call that is given the query through a name: ``query = "..."`` and then ``fetch_all(query, ...)``."""
    assign = next((h for h in tree.ancestors(node) if isinstance(h, cst.Assign)), None)
    target = assign.targets[0].target if assign is not None else None
    if not isinstance(target, cst.Name):
        return None
    at = tree.span(node)[1]
    for call in tree.within(tree.function(node), cst.Call):
        if (
            tree.span(call)[0] > at
            and call.args
            and isinstance(call.args[0].value, cst.Name)
            and call.args[0].value.value == target.value
        ):
            return call
    return None


def _number_behind(tree: SourceTree, node: cst.BaseExpression) -> int:
    """The number that an expression stands for, following a constant's name in this file; 0 when there is none."""
    number = number_value(node)
    name = _last_name(node)
    if number is None and name:
        for one in tree.nodes:
            if isinstance(one, cst.Assign) and len(one.targets) == 1:
                target = one.targets[0].target
                if (
                    getattr(target, "value", None) == name
                    or getattr(getattr(target, "attr", None), "value", None) == name
                ):
                    number = number_value(one.value)
    return int(number or 0)


def _labels(tree: SourceTree, query: Query, plan: Plan, constants: Mapping[str, str]) -> tuple[list[int], list[str]]:
    """Texts shown to people that say hits, where the headshot board is shown: lines of the changed ones, and sentences on those that
    may be wrong now."""
    lines, said = [], dict[int, str]()
    for start, end, node in _texts(tree, query, constants):
        text = tree.body[start:end].decode()
        new = _COUNTED.sub(lambda m: constants.get(m[1].replace(",", ""), m[1]), text)
        new = re.sub(r"\bhits\b", "kills", new)
        new = re.sub(r"\bHits\b", "Kills", new)
        new = _ACCURACY.sub(r"\1 kill rate", new)
        said[start] = new
        if new != text:
            plan.edits.replace(start, end, new.encode())
            lines.append(tree.line(node))
    own = {id(node) for node in tree.below(query.node)}
    for region in _regions(tree, query) if constants else ():
        for node in tree.within(region, cst.FormattedStringExpression):
            if id(node) not in own and (new := constants.get(_last_name(node.expression), "")):
                plain = node.format_spec is None and node.conversion is None and new.isdigit()
                plan.edits.replace(*tree.span(node if plain else node.expression), new.encode())
                lines.append(tree.line(node))
    renamed = _rename_column(tree, query, plan)
    return sorted(set(lines + renamed)), _unsure(tree, query, said)


def _unsure(tree: SourceTree, query: Query, said: Mapping[int, str]) -> list[str]:
    """Sentences on texts where the board is shown that speak of hits or accuracy; ``said`` is what was looked at and how it reads
    now. The two names are never crossed (domain.md 8), and what else a text is about is for people to judge."""
    sql = {id(node) for one in queries(tree) for node in tree.below(one.node)}
    fragments = set[int]().union(*(one.offsets for one in queries(tree)))
    found: dict[int, str] = {}
    for home in [*_regions(tree, query), *_users(tree, query)]:
        for node in tree.within(home, cst.BaseString):  # type: ignore[type-abstract]
            start, end = tree.span(node)
            if (
                id(node) in sql
                or (start + end) // 2 in fragments
                or isinstance(tree.parent(node), cst.ConcatenatedString)
                or _names_something(tree, node)
                or _of_another_board(tree, query, node)
            ):
                continue
            pieces = [n for n in _parts(node) if isinstance(n, (cst.SimpleString, cst.FormattedStringText))]
            if any(_SPEAKS_OF_HITS.search(said.get(tree.span(n)[0], tree.raw(n))) for n in pieces):
                found[start] = (
                    f"line {tree.line(node)}: read the label {(string_value(node) or tree.raw(node)).strip()[:80]!r}: it stands where "
                    "the board is shown and speaks of hits or accuracy; the values are headshot kills, kills and their rate now"
                )
    return [found[start] for start in sorted(found)]


def _parts(node: cst.BaseString) -> list[cst.CSTNode]:
    """A text's own pieces, without what its expressions hold."""
    if isinstance(node, cst.ConcatenatedString):
        return [*_parts(node.left), *_parts(node.right)]
    return list(node.parts) if isinstance(node, cst.FormattedString) else [node]


def _names_something(tree: SourceTree, node: cst.CSTNode) -> bool:
    """Whether a string is a key, an option, a docstring or something compared, which is no label."""
    parent = tree.parent(node)
    if isinstance(parent, cst.Arg):
        call = tree.parent(parent)
        named = parent.keyword.value if parent.keyword is not None else ""
        return named == "name" or (call is not None and called(call) in ("get", "getattr", "pop", "setdefault"))
    if isinstance(parent, cst.DictElement):
        return parent.key is node or (string_value(node) or "").isidentifier()
    if isinstance(parent, (cst.MatchValue, cst.Expr)):
        return True
    return any(isinstance(one, (cst.Index, cst.Comparison)) for one in tree.ancestors(node))


def _of_another_board(tree: SourceTree, query: Query, node: cst.CSTNode) -> bool:
    """Whether a text stands in a branch that asks for something else, or in the function of other queries only."""
    if any(
        isinstance(h, cst.If) and _asks_for(tree, h) is False and any(node is n for n in tree.below(h.body))
        for h in tree.ancestors(node)
    ):
        return True
    function = tree.function(node)
    here = [q for q in queries(tree) if isinstance(function, cst.FunctionDef) and tree.function(q.node) is function]
    return bool(here) and query not in here


def _reads_head_hits(tree: SourceTree) -> bool:
    """Whether any query of the file may be about head hits: then a headshot accuracy may be meant where one is named."""
    return any(re.search(r"(?<!\bAS )\bheadshots\b", q.text, re.IGNORECASE) for q in queries(tree))


def _texts(tree: SourceTree, query: Query, constants: Mapping[str, str]) -> list[tuple[int, int, cst.CSTNode]]:
    found: dict[int, tuple[int, int, cst.CSTNode]] = {}
    sql = {id(node) for one in queries(tree) for node in tree.below(one.node)}
    fragments = set[int]().union(*(one.offsets for one in queries(tree)))
    texts = [node for region in _regions(tree, query) for node in tree.below(region)]
    for node in [*texts, *_spoken_beside_it(tree, query, constants)]:
        if not isinstance(node, (cst.SimpleString, cst.FormattedStringText)) or id(node) in sql:
            continue
        parent = tree.parent(node)
        if (
            isinstance(parent, cst.Index)
            or called((tree.parent(parent) if parent is not None else None) or node) == "get"
        ):
            continue
        if isinstance(parent, cst.DictElement) and parent.key is node:
            continue
        start, end = tree.span(node)
        if (start + end) // 2 not in fragments:
            found[start] = (start, end, node)
    return list(found.values())


def _regions(tree: SourceTree, query: Query) -> list[cst.CSTNode]:
    """The code that is about headshots: the query's function when it holds no other query, branches and functions named so."""
    regions: list[cst.CSTNode] = []
    function = tree.function(query.node)
    others = [q for q in queries(tree) if tree.function(q.node) is function]
    if len(others) == 1 and isinstance(function, cst.FunctionDef):
        regions.append(function)
    for node in tree.nodes:
        if isinstance(node, cst.If) and _asks_for(tree, node) is True:
            regions.append(node.body)
        elif isinstance(node, cst.FunctionDef) and _ABOUT_HEADSHOTS.search(node.name.value):
            regions.append(node)
        elif isinstance(node, cst.DictElement) and _ABOUT_HEADSHOTS.search(string_value(node.key) or ""):
            regions.append(node.value)
    return regions


def _asks_for(tree: SourceTree, node: cst.If) -> bool | None:
    """Whether a branch's condition names headshots (True), something else (False) or no text at all (None)."""
    named = [string_value(one) or "" for one in tree.within(node.test, cst.SimpleString)]
    return any(_ABOUT_HEADSHOTS.search(one) for one in named) if named else None


def _spoken_beside_it(tree: SourceTree, query: Query, constants: Mapping[str, str]) -> list[cst.CSTNode]:
    """Pieces of texts that speak of headshots and hits at once, or of the threshold in hits, in what uses the query and what that
    calls."""
    found: list[cst.CSTNode] = []
    others = " ".join(one.text for one in queries(tree) if one is not query)
    own = {number for number in constants if not re.search(rf"\b{number}\b", others)}
    only_kills = not _reads_head_hits(tree)
    for function in _users(tree, query):
        for node in tree.within(function, cst.BaseString):  # type: ignore[type-abstract]
            if isinstance(tree.parent(node), cst.ConcatenatedString):
                continue
            text = string_value(node) or ""
            elsewhere = any(
                isinstance(h, cst.If) and _asks_for(tree, h) is False and any(node is n for n in tree.below(h.body))
                for h in tree.ancestors(node)
            )
            spoken = re.search(r"\bHS\b|head-?\s?shot", text, re.IGNORECASE) and re.search(
                r"\bhits\b", text, re.IGNORECASE
            )
            crossed = only_kills and _ACCURACY.search(text)
            limits = {number.replace(",", "") for number in _COUNTED.findall(text)}
            if (spoken or crossed or limits & own) and not elsewhere:
                found += tree.below(node)
    return found


def _users(tree: SourceTree, query: Query) -> list[cst.FunctionDef]:
    """Functions that name the query's constant or function, and what they call in this file."""
    functions = tree.within(tree.module, cst.FunctionDef)
    names = {
        target
        for holder in tree.ancestors(query.node)
        for target in (
            [_last_name(t.target) for t in holder.targets]
            if isinstance(holder, cst.Assign)
            else [_last_name(holder.target)]
            if isinstance(holder, cst.AnnAssign)
            else [holder.name.value]
            if isinstance(holder, cst.FunctionDef)
            else []
        )
    } - {""}
    spoken = {id(f): _named(tree, f) for f in functions}
    around = set(map(id, tree.ancestors(query.node)))
    used = [f for f in functions if names & spoken[id(f)] or id(f) in around]
    seen, more = set(map(id, used)), list(used)
    while more:
        called_here = set[str]().union(*(spoken[id(f)] for f in more))
        more = [
            f
            for f in functions
            if id(f) not in seen
            and (
                f.name.value in called_here
                or getattr(getattr(class_of(tree, f), "name", None), "value", "") in called_here
            )
        ]
        seen |= set(map(id, more))
        used += more
    return used


def _named(tree: SourceTree, node: cst.CSTNode) -> set[str]:
    return {one.value for one in tree.within(node, cst.Name)}


def _rename_column(tree: SourceTree, query: Query, plan: Plan) -> list[int]:
    """``AS hits`` read as ``row["hits"]`` in the same function becomes ``kills`` in both places."""
    function = tree.function(query.node)
    alias = re.search(r"\bAS\s+(hits)\b", query.text, re.IGNORECASE)
    reads = [
        n
        for n in tree.within(function, cst.SimpleString)
        if isinstance(tree.parent(n), cst.Index) and string_value(n) == "hits"
    ]
    if alias is None or not reads or len([q for q in queries(tree) if tree.function(q.node) is function]) != 1:
        return []
    if re.search(r"\bAS\s+kills\b", query.text, re.IGNORECASE):
        return []
    outside = sum(1 for n in tree.nodes if isinstance(n, cst.SimpleString) and string_value(n) == "hits") - len(reads)
    per_alias = len(re.findall(r"\bhits\b", query.text))
    if per_alias != len(re.findall(r"\bAS\s+hits\b|\.hits\b", query.text)) or (
        outside and not isinstance(function, cst.FunctionDef)
    ):
        return []
    query.edit(plan.edits, alias.start(1), alias.end(1), "kills")
    for node in reads:
        start, end = tree.span(node)
        plan.edits.replace(start, end, tree.body[start:end].replace(b"hits", b"kills"))
    return [tree.line(n) for n in reads]


def _is_right(query: Query) -> bool:
    return not wrong_numbers(query.text)


def wrong_numbers(text: str) -> list[str]:
    """What is wrong with a headshot leaderboard's SQL, as sentences: its output is evaluated for generated players."""
    if re.search(rf"\b{WEAPONS}\b", text, re.IGNORECASE):
        return [f"it joins {WEAPONS}, which repeats a player's kills once per weapon"]
    ran = run_board(text)
    told = wrong_board(ran) if ran is not None else []
    if told:
        return told
    calculator = sqltext.Calculator()
    lists = sqltext.selects(text)
    items = [i for i in (lists[0] if lists else []) if re.search(_SUM, i.expression, re.IGNORECASE)]
    having = re.search(r"\bHAVING\b(.*)", text, re.IGNORECASE | re.DOTALL)
    wrong, seen = [], set()
    for player in generated_players(40, seed=3):
        rows = [dict(r, headshot_kills=min(r["headshot_kills"], r["kills"])) for r in player]
        heads, kills = (sum(r[k] for r in rows) for k in ("headshot_kills", "kills"))
        goals = {"heads": heads, "kills": kills}
        if kills:
            goals |= {"rate": 100 * heads / kills, "share": heads / kills}
        for item in items:
            try:
                value = calculator.value(item.expression, rows)
            except ValueError as problem:
                if ran is not None:
                    continue
                return [f"its column {item.name or item.expression} cannot be evaluated: {problem}"]
            if re.search(r"\bOVER\s*\(", item.expression, re.IGNORECASE):
                continue  # a rank
            if not re.search(r"\b(headshot_kills|kills|hits|headshots)\b", item.expression, re.IGNORECASE):
                continue
            names = {
                n
                for n, goal in goals.items()
                if isinstance(value, (int, float)) and math.isclose(value, goal, abs_tol=0.051)
            }
            if not names and kills:
                wrong.append(
                    f"its column {item.name or item.expression} is {value}, required are headshot kills, kills or their ratio"
                )
                return wrong
            seen |= names if len(names) == 1 else set()
    if ran is not None:
        return wrong
    if "heads" not in seen and "rate" not in seen and "share" not in seen:
        wrong.append("it gives no headshot kills")
    if not ({"kills", "rate", "share"} & seen):
        wrong.append("it gives no kills to divide by")
    if having and not re.search(r"\bkills\b", having[1].split("ORDER")[0], re.IGNORECASE):
        wrong.append("its threshold does not look at kills")
    return wrong


def leaderboard_query(source: bytes) -> str:
    """The board's query of a file, wrong or right. Raises Refusal."""
    tree = tree_of(source, ABOUT)
    found = wrong_boards(tree) or crossed_boards(tree) or [q for q in queries(tree) if _HEADSHOTS.search(q.text)]
    if len(found) > 1:
        found = [q for q in found if _RANKED.search(q.text)]
    if len(found) != 1:
        raise Refusal(f"looked for one query that sums headshot_kills, found {len(found)}")
    return found[0].text


def prove_headshots(before: bytes, after: bytes) -> list[str]:
    """Raise Refusal unless the patched query counts once, in kills, and keeps its number of columns."""
    old, new = leaderboard_query(before), None
    tree = tree_of(after, ABOUT)
    candidates = [q.text for q in queries(tree) if _HEADSHOTS.search(q.text)]
    width = len(sqltext.selects(old)[0]) if sqltext.selects(old) else 0
    for text in candidates:
        if not wrong_numbers(text) and len(sqltext.selects(text)[0]) == width:
            new = text
    if new is None:
        told = "; ".join(s for text in candidates for s in wrong_numbers(text)) or "its columns changed in number"
        raise Refusal(f"the patched query was evaluated and is not right: {told}")
    return ["evaluated for generated players: headshot kills and kills are counted once per round"]
