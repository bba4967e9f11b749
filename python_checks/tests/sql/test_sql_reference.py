"""The fast statements give what the plain form of the same question gives, on random databases; mutants of them do not."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import pg as door

from python_checks.formulas import PlayerRound, session_metrics
from python_checks.shown_values import METRICS, READINGS, STATUSES, compare_graphs, compare_headshots
from python_checks.tests.sql import reference
from python_checks.tests.sql.random_site import NAMES, Row, Site

pytestmark = pytest.mark.postgres
BOTS = {"bot_name_regex": r"^\[BOT\]"}
SITES = 30
STATEMENTS = ("coverage", "baseline", "session_players", "shadow_pairs", "headshot_kills")
WINDOW_FROM = "2026-03-09"
MUTANTS = [
    ("coverage", "ORDER BY r.id DESC", "ORDER BY r.id"),
    ("coverage", "ORDER BY l.id DESC", "ORDER BY l.id"),
    ("coverage", "bool_and(", "bool_or("),
    ("coverage", "IS DISTINCT FROM 'completed'", "<> 'completed'"),
    ("coverage", "r.round_number IS DISTINCT FROM l.round_number", "r.round_number <> l.round_number"),
    ("coverage", "n.dated AND n.round_date >=", "n.round_date >="),
    ("baseline", "ORDER BY s.id DESC", "ORDER BY s.id"),
    ("baseline", "= 1 AND x.dated AND", "= 1 AND"),
    ("session_players", "left(m.text, 10) ELSE", "m.text ELSE"),
    ("session_players", "CASE WHEN next.players > 0 THEN 1 ELSE 0 END", "1"),
    ("session_players", "COALESCE(r.is_bot_round, FALSE) OR COALESCE(p.clean_name, p.player_name)", "p.clean_name"),
    ("session_players", "COALESCE(p.clean_name, p.player_name) ~", "p.clean_name ~"),
    ("shadow_pairs", "ORDER BY r.round_date DESC, replace(r.round_time, ':', '') DESC", "ORDER BY r.round_date DESC"),
    ("shadow_pairs", "count(*) FROM found) >", "count(*) FROM found) >="),
    ("shadow_pairs", "lower(left(o.player_guid, 8))", "left(o.player_guid, 8)"),
    ("shadow_pairs", "CASE WHEN t.linked > 1 THEN t.linked ELSE s.linked END", "s.linked"),
    ("headshot_kills", "WHERE p.round_number IN (1, 2) AND (", "WHERE ("),
    ("headshot_kills", "sum(p.headshot_kills)", "sum(p.headshots)"),
    ("headshot_kills", "COALESCE(o.round_status, 'completed') =", "o.round_status ="),
    ("headshot_kills", "COALESCE(o.round_status, 'completed') IN", "o.round_status IN"),
    ("headshot_kills", "COALESCE(p.clean_name ~ '^\\[BOT\\]', FALSE)", "FALSE"),
    ("headshot_kills", "sum(p.kills) FILTER (WHERE r.is_completed)", "sum(p.kills)"),
    ("headshot_kills", "count(*) FILTER (WHERE r.is_played)", "count(*)"),
    ("headshot_kills", "bool_and(n.is_bot)", "bool_or(n.is_bot)"),
    ("headshot_kills", "bool_and(r.is_bot_round OR", "bool_or(r.is_bot_round OR"),
    ("headshot_kills", "sum(q.kills) FILTER (WHERE q.round_number IN (1, 2))", "sum(q.kills)"),
    ("headshot_kills", ", (regexp_replace(j.name, '\\\\(.)', '\\1', 'g'))", ""),
    ("headshot_kills", "FROM bearers AS b\n    WHERE b.guid IS NOT NULL", "FROM bearers AS b\n    WHERE FALSE"),
    ("headshot_kills", "ORDER BY c.rows, c.guid", "ORDER BY c.guid"),
    ("headshot_kills", "LIMIT greatest(s.left_rows, 0) + 1", "LIMIT greatest(s.left_rows, 1)"),
]  # fmt: skip


class Bench:
    """One database that is filled anew for each site."""

    def __init__(self, cluster: Any, root: Path, locale: str = "") -> None:
        self.target = door.Target(str(cluster.folder), cluster.port, cluster.database(), "postgres")
        if locale:
            self.target = door.Target(str(cluster.folder), cluster.port, f"{self.target.dbname}_icu", "postgres")
            with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{self.target.dbname}" TEMPLATE template0 {locale}')
        self.sql = root / "playbooks" / "plan" / "sql"
        self.connection = psycopg.connect(cluster.dsn(self.target.dbname), autocommit=True)
        self.connection.execute((root / "molecule/world/slomix_vm/schema.sql").read_bytes())

    def asked(self, seed: int) -> list[tuple[str, dict[str, Any], list[Row]]]:
        """Fill anew; each statement with what it is bound to and the right answer."""
        site = Site(seed)
        site.store(self.connection)
        return questions(site)

    def read(self, name: str, bound: dict[str, Any], mutant: tuple[str, str, str] | None = None) -> list[Row]:
        sql = (self.sql / f"{name}.sql").read_text()
        if mutant:
            assert mutant[1] in sql, mutant
            sql = sql.replace(*mutant[1:])
        rows: list[Row] = door.read(self.target, sql, bound)["rows"]
        for row in rows:
            row.pop("newest_lua_captured_at", None)
            if name == "headshot_kills":
                row["names"] = set(row["names"].split("\n")) if row["names"] else set()
        return rows


def questions(site: Site) -> list[tuple[str, dict[str, Any], list[Row]]]:
    """Statements with what each is bound to and the right answer."""
    choose = site.random.choice
    few, since, days = choose([1, 7, 20, 500]), choose(["2026-03-02", "2026-03-31"]), choose([1, 3, 50])
    window = {"window_days": (date.today() - date.fromisoformat(WINDOW_FROM)).days}
    halves = choose([1, 3, 7, len({row["round_id"] for row in reference.shadow_pairs(site, since, 500)})])
    told = [
        ("coverage", {"newest_rounds": few, **window, **BOTS}, reference.coverage(site, few, WINDOW_FROM)),
        ("baseline", {"newest_rows": few, "since": since}, reference.baseline(site, few, since)),
        ("session_players", {"days": days}, reference.session_players(site, days)),
        (
            "shadow_pairs",
            {"since": since, "newest_halves": halves, **BOTS},
            reference.shadow_pairs(site, since, halves),
        ),
    ]
    players = len(site.players)
    for rows in (players, players - 1, players // choose([2, 3, 10])):
        shown = site.random.sample([name for name in NAMES if name] + [r"Bor\*old", "Nobody"], choose([0, 1, 4]))
        bound = {"shown": json.dumps(shown), "max_player_rows": max(0, rows)}
        told.append(("headshot_kills", bound, reference.headshot_kills(site, shown, max(0, rows))))
    return told


def same(found: list[Row], expected: list[Row]) -> bool:
    """Whether both hold the same rows, in whatever order; 90 and 90.0 are one number."""

    def plain(value: Any) -> Any:
        if isinstance(value, set):
            return sorted(value)
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    def order(rows: list[Row]) -> list[str]:
        return sorted(repr(sorted((key, plain(value)) for key, value in row.items())) for row in rows)

    return order(found) == order(expected)


def test_the_fast_form_answers_as_the_plain_one(pg: Any, root: Path) -> None:
    bench = Bench(pg, root)
    alive, told = set(MUTANTS), dict.fromkeys(STATEMENTS, 0)
    for seed in range(SITES):
        for name, bound, expected in bench.asked(seed):
            assert same(bench.read(name, bound), expected), (seed, name, bound)
            told[name] += len(expected)
            mine = {mutant for mutant in alive if mutant[0] == name}
            alive -= {mutant for mutant in mine if not same(bench.read(name, bound, mutant), expected)}
    assert not alive, "these changes were not noticed"
    assert min(told.values()) >= SITES, "sites too empty to prove anything"


def test_another_order_of_texts_changes_nothing(pg: Any, root: Path) -> None:
    """Dates and names are TEXT, so ranges and steps of an index go by the database's collation; a site's is not C."""
    bench = Bench(pg, root, "LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
    for seed in range(SITES, SITES + 10):
        for name, bound, expected in bench.asked(seed):
            assert same(bench.read(name, bound), expected), (seed, name, bound)


def test_rows_of_the_database_hold_every_reading_of_what_a_site_shows(pg: Any, root: Path) -> None:
    """The statements' columns are those that the comparison takes: a site may count any of these halves, one of them for all."""
    bench, told = Bench(pg, root), dict.fromkeys(READINGS, 0)
    bench.asked(5)
    players = bench.read("session_players", {"days": 50})
    board = [
        {**row, "names": row["guid"]} for row in bench.read("headshot_kills", {"shown": "[]", "max_player_rows": 10**6})
    ]
    assert {row["round_status"] for row in players} == {"completed", "cancelled", "substitution", None}
    for name, (status, people) in READINGS.items():
        statuses, prefix = STATUSES[status], "" if status == "all" else f"{status}_"
        counted = [
            row
            for row in players
            if (statuses is None or row["round_status"] in statuses) and not (people and row["is_bot"])
        ]
        answers: dict[str, Any] = {row["day"]: {"status": 200, "body": {"players": []}} for row in players}
        for day, guid in sorted({(row["day"], row["guid"]) for row in counted}):
            halves = [row for row in counted if (row["day"], row["guid"]) == (day, guid)]
            keys = ("damage_given", "damage_received", "time_played_seconds", "time_dead_minutes")
            found = session_metrics(PlayerRound(*(row[key] for key in keys)) for row in halves)
            shown = {key: round(getattr(found, key), 2) for key in METRICS}
            answers[day]["body"]["players"].append({"guid": guid, **shown})
        sample = compare_graphs(players, answers)
        assert sample["reading"] == name and not any(day["unequal"] + day["unmatched"] for day in sample["days"]), (
            sample
        )
        rows = [row for row in board if row[f"{prefix}kills"] and not (people and row["is_bot"])]
        rates = sorted(
            ((100 * row[f"{prefix}headshot_kills"] / row[f"{prefix}kills"], row["guid"]) for row in rows), reverse=True
        )
        lines = "\n".join(f"**{guid}** {rate:.2f}%" for rate, guid in rates)
        leaderboard = compare_headshots(board, {"status": 200, "body": {"description": lines}})
        assert name.startswith(leaderboard["reading"]) and not leaderboard["unequal"] and not leaderboard["missing"]
        told[name] += leaderboard["proven"]
    assert all(told.values())
