"""`make bench`: the tools' times (scripts/bench_tools.py), then the plan's SQL on 10 000 and on 1 000 000 rounds.

Each statement runs the way pg_read_info runs it: login, read-only transaction, bound parameters, rows as plain data.
The time is the best of several runs on a warm cache. Generated rounds: three of a pair (R1, R2, summary), over ten
years up to now, six players each and eight in the newest.

    python -m scripts.bench [--rounds 10000 --rounds 1000000] [--only coverage]
    python -m scripts.bench_tools

The SQL is measured with the schema's own indexes, and with those that the plan declares for large tables
(playbooks/plan/indexes.yml). ``--only`` leaves the tools out.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
for _folder in (ROOT / ".collections", ROOT):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

import psycopg  # noqa: E402
import yaml  # noqa: E402
from ansible_collections.slomix.timetracking.plugins.module_utils import pg  # noqa: E402

from python_checks.tests.postgres import binaries, cluster  # noqa: E402
from scripts import bench_tools  # noqa: E402

SQL = ROOT / "playbooks" / "plan" / "sql"
INDEXES = ROOT / "playbooks" / "plan" / "indexes.yml"
SCHEMA = ROOT / "molecule" / "world" / "slomix_vm" / "schema.sql"
LIMIT_MS = 200.0
RUNS = 10
_TIMEOUT_MS = 60_000

# One pair every ten years / pairs seconds, the newest now; R1 and R2 of it 600 s apart. The newest twentieth has what a window sees:
# eight players a half and spawn rows, the time before it six players. One of them is of ten regulars with a tenth of all rounds each, the
# others are of 3000. Lua rows for all R1 and the newest half of R2; some rounds cancelled, undated, of bots, linked twice or not at all.
_FILL = (
    """
    CREATE TEMPORARY TABLE pairs AS
    SELECT n, floor(extract(epoch FROM now()))::bigint - 1200 - (%(pairs)s - n) * (315360000 / %(pairs)s) AS unix,
           (ARRAY['supply', 'goldrush', 'etl_adlernest', 'radar', 'te_escape2', 'braundorf_b4'])[1 + n %% 6] AS map
    FROM generate_series(1, %(pairs)s) AS n
    """,
    """
    INSERT INTO rounds (match_id, round_number, round_date, round_time, map_name, time_limit, actual_time, defender_team,
                        winner_team, gaming_session_id, is_bot_round, round_status, created_at)
    SELECT to_char(to_timestamp(unix), 'YYYY-MM-DD-HH24MISS'), k,
           CASE WHEN n %% 3331 = 1 THEN to_char(to_timestamp(unix), 'DD.MM.YYYY')
                ELSE to_char(to_timestamp(unix + 600 * k), 'YYYY-MM-DD') END,
           to_char(to_timestamp(unix + 600 * k), 'HH24MISS'), map, '0', '8:' || lpad((n %% 60)::text, 2, '0'), 1,
           1 + (n %% 2), n / 10, n %% 50 = 0, CASE WHEN n %% 41 = 7 AND k = 1 THEN 'cancelled' ELSE 'completed' END,
           to_timestamp(unix + 600 * k)::timestamp
    FROM pairs, generate_series(0, 2) AS k ORDER BY n, k
    """,
    """
    INSERT INTO player_comprehensive_stats (round_id, round_date, map_name, round_number, player_guid, player_name, clean_name, kills,
                                            headshot_kills, damage_given, damage_received, time_played_seconds, time_dead_minutes)
    SELECT r.id, COALESCE(r.round_date, ''), r.map_name, r.round_number, g.guid, n.name, n.name, 10 + r.id %% 5, 1 + r.id %% 3, 900, 800,
           480, 1.5
    FROM rounds AS r,
         LATERAL (SELECT CASE WHEN r.id > (SELECT max(id) * 0.95 FROM rounds) THEN 8 ELSE 6 END AS players) AS w,
         LATERAL generate_series(1, w.players) AS p,
         LATERAL (SELECT CASE WHEN p = 1 THEN r.id %% 10 ELSE 10 + (r.id * 7 + p * 401) %% 3000 END AS number) AS q,
         LATERAL (SELECT 'AB' || lpad(to_hex(q.number), 6, '0') AS guid) AS g,
         LATERAL (
             SELECT CASE WHEN r.is_bot_round THEN '[BOT]' ELSE '' END || 'player' || q.number
                 || CASE WHEN q.number %% 5 = 0 AND r.id %% 100000 < 2000 THEN 'x' || r.id / 100000 ELSE '' END AS name
         ) AS n
    """,
    """
    INSERT INTO lua_round_teams (match_id, round_number, round_start_unix, round_end_unix, actual_duration_seconds,
                                 winner_team, defender_team, map_name, time_limit_minutes, captured_at, lua_version, round_id)
    SELECT to_char(to_timestamp(u.saved - 3), 'YYYY-MM-DD-HH24MISS'), r.round_number, u.saved - 480, u.saved - 3, 477, r.winner_team, 1,
           r.map_name, 20, to_timestamp(u.saved), '1.7.0', CASE WHEN r.id %% 97 <> 3 THEN r.id END
    FROM rounds AS r,
         LATERAL (SELECT extract(epoch FROM r.created_at AT TIME ZONE current_setting('TimeZone'))::bigint AS saved) AS u
    WHERE r.round_number = 1 OR (r.round_number = 2 AND r.id > (SELECT max(id) / 2 FROM rounds))
    """,
    """
    INSERT INTO lua_round_teams (match_id, round_number, round_start_unix, round_end_unix, map_name, captured_at, lua_version, round_id)
    SELECT match_id || '-again', round_number, round_start_unix, round_end_unix, map_name, captured_at, lua_version, round_id
    FROM lua_round_teams WHERE id %% 1009 = 5
    """,
    """
    INSERT INTO lua_spawn_stats (match_id, round_number, round_id, map_name, player_guid, dead_seconds)
    SELECT r.match_id, r.round_number, r.id, r.map_name, p.player_guid || repeat('F', 24), 90
    FROM rounds AS r JOIN player_comprehensive_stats AS p ON p.round_id = r.id
    WHERE r.round_number IN (1, 2) AND r.id > (SELECT max(id) * 0.95 FROM rounds)
    """,
)


def defaults(role: str) -> dict[str, Any]:
    """A role's variables as it is shipped: what a site is asked with."""
    found: dict[str, Any] = yaml.safe_load(
        (ROOT / "roles" / role / "defaults" / "main.yml").read_text(encoding="utf-8")
    )
    return {name.removeprefix(f"{role}_"): value for name, value in found.items()}


def parameters(now: datetime, rounds: int) -> dict[str, dict[str, Any]]:
    """What each statement is bound to: an evening two hours long for what was played, a month for comparisons, the
    regulars (the most rows) for the leaderboard."""
    loaded = now - timedelta(hours=2)
    stamps = [(now - timedelta(minutes=20 * number)).strftime("%Y-%m-%d-%H%M%S") for number in range(4)]
    halves = [{"stamp": stamp, "map": "supply", "round": 1 + number % 2} for number, stamp in enumerate(stamps)]
    coverage, leaderboard = defaults("lua_coverage"), defaults("leaderboard_source")
    bots = {"bot_name_regex": coverage["bot_name_regex"]}
    month = (now - timedelta(days=30)).strftime("%Y-%m-%d")
    most = {"max_player_rows": leaderboard["max_player_rows"]}
    return {
        "baseline": {"since": month, "newest_rows": coverage["newest_rows"]},
        "coverage": {"newest_rounds": coverage["newest_rounds"], "window_days": coverage["window_d"], **bots},
        "pairs_since_load": {
            "loaded_at_unix": int(loaded.timestamp()),
            "loaded_at_local": loaded.strftime("%Y-%m-%d-%H%M%S"),
            "utc_offset_s": 0,
            "settle_s": 30,
            **bots,
        },
        "shadow_pairs": {"since": month, "newest_halves": defaults("timing_shadow")["newest_halves"], **bots},
        "writer_halves": {"halves": json.dumps(halves), "utc_offset_s": 0, **bots},
        "spawn_rows": {"round_ids": json.dumps(list(range(rounds - 12, rounds)))},
        "session_players": {"days": defaults("web_source")["days"]},
        "session_display": {"sessions": defaults("timing_cutover")["sessions"], **bots},
        "player_indexes": {"indexes": json.dumps(yaml.safe_load(INDEXES.read_text())["headshot_kills"]), **most},
        "headshot_kills": {"shown": json.dumps([f"player{number}" for number in range(10)]), **most},
    }


def fill(dsn: str, rounds: int) -> None:
    """Schema and data of one size in an empty database."""
    with psycopg.connect(dsn) as connection:
        connection.execute(SCHEMA.read_text())
        # The rows are consistent by construction; checking each reference would take most of the time.
        connection.execute("SET session_replication_role = replica")
        for statement in _FILL:
            connection.execute(statement, {"pairs": max(1, rounds // 3)})
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def make_indexes(dsn: str, target: pg.Target, bound: Mapping[str, Any]) -> list[str]:
    """Make the indexes that a statement declares for a table of this size, by the catalogue's own answer; their names."""
    missing = [row for row in ask(target, "player_indexes", bound)["rows"] if row["is_missing"]]
    with psycopg.connect(dsn, autocommit=True) as connection:
        for row in missing:
            connection.execute(row["create_sql"])
    return [row["name"] for row in missing]


def ask(target: pg.Target, name: str, bound: Mapping[str, Any]) -> dict[str, Any]:
    """One read as the module makes it. Raises pg.PgError."""
    sql = (SQL / f"{name}.sql").read_text(encoding="utf-8")
    return pg.read(target, sql, bound, statement_timeout_ms=_TIMEOUT_MS, max_rows=1_000_000)


def measure(target: pg.Target, name: str, bound: Mapping[str, Any]) -> tuple[float, int]:
    """(best time in ms of one read as the module makes it, login included; number of rows)."""
    best, rows = float("inf"), 0
    for _ in range(RUNS):
        started = time.perf_counter()
        try:
            rows = ask(target, name, bound)["row_count"]
        except pg.PgError as error:
            print(f"  {name}: {error}", file=sys.stderr)
            return float("inf"), 0
        best = min(best, (time.perf_counter() - started) * 1000)
        if best > 10 * LIMIT_MS:
            break
    return best, rows


def main(argv: Sequence[str] | None = None) -> int:
    """Fill, measure, print; exit code 0 when every statement is within the limit on the largest size."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, action="append", metavar="COUNT")
    options.add_argument(
        "--limit-ms", type=float, default=LIMIT_MS, metavar="MS", help=f"what is too slow ({LIMIT_MS:g})"
    )
    options.add_argument("--only", action="append", metavar="NAME", help="a statement, and no tools; may be repeated")
    arguments = options.parse_args(argv)
    limit_ms = arguments.limit_ms
    if not arguments.only:
        bench_tools.show()
    programs = binaries()
    if programs is None:
        print("PostgreSQL's server binaries are missing under /usr/lib/postgresql; run `make setup` first")
        return 2
    sizes = sorted(arguments.rounds or [10_000, 1_000_000])
    bound = set(parameters(datetime.now(UTC), max(sizes)))
    unbound = sorted({path.stem for path in SQL.glob("*.sql")} - bound)
    if unbound:
        print(f"not measured, since the bench has no parameters for it: {', '.join(unbound)}")
    names = sorted({path.stem for path in SQL.glob("*.sql")} & set(arguments.only or bound) & bound)
    times: dict[str, list[tuple[float, int]]] = {name: [] for name in names}
    with cluster(programs) as made:
        for size in sizes:
            started = time.perf_counter()
            database = made.database()
            fill(made.dsn(database), size)
            print(f"{size} rounds generated in {time.perf_counter() - started:.0f} s", flush=True)
            target = pg.Target(host=str(made.folder), port=made.port, dbname=database, user="postgres")
            asked = parameters(datetime.now(UTC), size)
            declared = make_indexes(made.dsn(database), target, asked["player_indexes"])
            if declared:
                print(f"with the indexes that plan/indexes.yml declares for so many rows: {', '.join(declared)}")
            for name in names:
                times[name].append(measure(target, name, asked[name]))
    print(
        f"\n{'statement':<20}{''.join(f'{size:>16,}' for size in sizes)}{'growth':>10}{'rows':>9}  limit {limit_ms:g} ms"
    )
    slow = []
    for name, seen in times.items():
        first, last = seen[0][0], seen[-1][0]
        cells = "".join(f"{one:>13.1f} ms" for one, _ in seen)
        print(f"{name:<20}{cells}{last / first:>9.1f}x{seen[-1][1]:>9}  {'ok' if last <= limit_ms else 'TOO SLOW'}")
        slow += [name] if last > limit_ms else []
    if slow:
        print(f"\nover {limit_ms:g} ms on {sizes[-1]} rounds: {', '.join(slow)}")
    return 1 if slow or unbound else 0


if __name__ == "__main__":
    sys.exit(main())
