"""`make bench`: the tools' times (scripts/bench_tools.py), then the plan's SQL on 10 000 and on 1 000 000 rounds.

Each statement runs the way pg_read_info runs it: login, read-only transaction, bound parameters, rows as plain data.
The time is the best of several runs on a warm cache. Generated rounds: three of a pair (R1, R2, summary), over ten
years up to now, two players each.

    python -m scripts.bench [--rounds 10000 --rounds 1000000] [--only coverage]
    python -m scripts.bench_tools

The SQL is measured with the schema's own indexes. ``--only`` leaves the tools out.
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
from ansible_collections.slomix.timetracking.plugins.module_utils import pg  # noqa: E402

from python_checks.tests.postgres import binaries, cluster  # noqa: E402
from scripts import bench_tools  # noqa: E402

SQL = ROOT / "playbooks" / "plan" / "sql"
SCHEMA = ROOT / "molecule" / "world" / "slomix_vm" / "schema.sql"
LIMIT_MS = 200.0
RUNS = 5
_TIMEOUT_MS = 60_000

# One pair every ten years / pairs seconds, the newest now; R1 and R2 of it 600 s apart. Lua rows for all R1 and the
# newest half of R2; spawn rows for the newest hundredth.
_FILL = (
    """
    CREATE TEMPORARY TABLE pairs AS
    SELECT n, floor(extract(epoch FROM now()))::bigint - 1200 - (%(pairs)s - n) * (315360000 / %(pairs)s) AS unix,
           (ARRAY['supply', 'goldrush', 'etl_adlernest', 'radar', 'te_escape2', 'braundorf_b4'])[1 + n %% 6] AS map
    FROM generate_series(1, %(pairs)s) AS n
    """,
    """
    INSERT INTO rounds (match_id, round_number, round_date, round_time, map_name, time_limit, actual_time, defender_team,
                        winner_team, gaming_session_id, is_bot_round, created_at)
    SELECT to_char(to_timestamp(unix), 'YYYY-MM-DD-HH24MISS'), k, to_char(to_timestamp(unix + 600 * k), 'YYYY-MM-DD'),
           to_char(to_timestamp(unix + 600 * k), 'HH24MISS'), map, '0', '8:' || lpad((n %% 60)::text, 2, '0'), 1,
           1 + (n %% 2), n / 10, n %% 50 = 0, to_timestamp(unix + 600 * k)::timestamp
    FROM pairs, generate_series(0, 2) AS k ORDER BY n, k
    """,
    """
    INSERT INTO player_comprehensive_stats (round_id, round_date, map_name, round_number, player_guid, player_name,
                                            clean_name, kills, headshot_kills, time_played_seconds, time_dead_minutes)
    SELECT r.id, r.round_date, r.map_name, r.round_number, lpad(to_hex((r.id * 2 + p) %% 300), 8, '0'), 'player' || p,
           'player' || p, 10, 2, 480, 1.5
    FROM rounds AS r, generate_series(1, 2) AS p
    """,
    """
    INSERT INTO lua_round_teams (match_id, round_number, round_start_unix, round_end_unix, actual_duration_seconds,
                                 winner_team, defender_team, map_name, time_limit_minutes, captured_at, lua_version, round_id)
    SELECT r.match_id, r.round_number, u.saved - 480, u.saved - 3, 477, r.winner_team, 1, r.map_name, 20,
           to_timestamp(u.saved), '1.6.1', r.id
    FROM rounds AS r,
         LATERAL (SELECT extract(epoch FROM to_timestamp(r.round_date || r.round_time, 'YYYY-MM-DDHH24MISS'))::bigint AS saved)
         AS u
    WHERE r.round_number = 1 OR (r.round_number = 2 AND r.id > (SELECT max(id) / 2 FROM rounds))
    """,
    """
    INSERT INTO lua_spawn_stats (match_id, round_number, round_id, map_name, player_guid, dead_seconds)
    SELECT r.match_id, r.round_number, r.id, r.map_name, p.player_guid, 90
    FROM rounds AS r JOIN player_comprehensive_stats AS p ON p.round_id = r.id
    WHERE r.round_number IN (1, 2) AND r.id > (SELECT max(id) * 0.99 FROM rounds)
    """,
)


def parameters(now: datetime) -> dict[str, dict[str, Any]]:
    """What each statement is bound to: an evening two hours long for what was played, a month for comparisons."""
    loaded = now - timedelta(hours=2)
    stamps = [(now - timedelta(minutes=20 * number)).strftime("%Y-%m-%d-%H%M%S") for number in range(4)]
    halves = [{"stamp": stamp, "map": "supply", "round": 1 + number % 2} for number, stamp in enumerate(stamps)]
    bots = {"bot_name_regex": r"^\[BOT\]"}
    return {
        "baseline": {"since": (now - timedelta(days=30)).strftime("%Y-%m-%d")},
        "coverage": {"window_days": 14, **bots},
        "pairs_since_load": {
            "loaded_at_unix": int(loaded.timestamp()),
            "loaded_at_local": loaded.strftime("%Y-%m-%d-%H%M%S"),
            "utc_offset_s": 0,
            "settle_s": 30,
            **bots,
        },
        "shadow_pairs": {"since": (now - timedelta(days=30)).strftime("%Y-%m-%d"), **bots},
        "writer_halves": {"halves": json.dumps(halves), "utc_offset_s": 0, **bots},
        "session_players": {"days": 3},
        "headshot_kills": {},
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


def measure(target: pg.Target, name: str, bound: Mapping[str, Any]) -> tuple[float, int]:
    """(best time in ms of one read as the module makes it, login included; number of rows)."""
    sql = (SQL / f"{name}.sql").read_text()
    best, rows = float("inf"), 0
    for _ in range(RUNS):
        started = time.perf_counter()
        try:
            rows = pg.read(target, sql, bound, statement_timeout_ms=_TIMEOUT_MS, max_rows=1_000_000)["row_count"]
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
    options.add_argument("--only", action="append", metavar="NAME", help="a statement, and no tools; may be repeated")
    arguments = options.parse_args(argv)
    if not arguments.only:
        bench_tools.show()
    programs = binaries()
    if programs is None:
        print("PostgreSQL's server binaries are missing under /usr/lib/postgresql; run `make setup` first")
        return 2
    sizes = sorted(arguments.rounds or [10_000, 1_000_000])
    bound = parameters(datetime.now(UTC))
    unbound = sorted({path.stem for path in SQL.glob("*.sql")} - set(bound))
    if unbound:
        print(f"not measured, since the bench has no parameters for it: {', '.join(unbound)}")
    names = sorted({path.stem for path in SQL.glob("*.sql")} & set(arguments.only or bound) & set(bound))
    times: dict[str, list[tuple[float, int]]] = {name: [] for name in names}
    with cluster(programs) as made:
        for size in sizes:
            started = time.perf_counter()
            database = made.database()
            fill(made.dsn(database), size)
            print(f"{size} rounds generated in {time.perf_counter() - started:.0f} s", flush=True)
            target = pg.Target(host=str(made.folder), port=made.port, dbname=database, user="postgres")
            for name in names:
                times[name].append(measure(target, name, bound[name]))
    print(
        f"\n{'statement':<20}{''.join(f'{size:>16,}' for size in sizes)}{'growth':>10}{'rows':>9}  limit {LIMIT_MS:g} ms"
    )
    slow = []
    for name, seen in times.items():
        first, last = seen[0][0], seen[-1][0]
        cells = "".join(f"{one:>13.1f} ms" for one, _ in seen)
        print(f"{name:<20}{cells}{last / first:>9.1f}x{seen[-1][1]:>9}  {'ok' if last <= LIMIT_MS else 'TOO SLOW'}")
        slow += [name] if last > LIMIT_MS else []
    if slow:
        print(f"\nover {LIMIT_MS:g} ms on {sizes[-1]} rounds: {', '.join(slow)}")
    return 1 if slow or unbound else 0


if __name__ == "__main__":
    sys.exit(main())
