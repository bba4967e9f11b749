-- The plan's pre-deployment counts, corrected: one row. Parameters: since (text, ISO date; the plan's day is 2026-02-20); newest_rows (int):
-- that many rows of each table are counted, the newest by primary key. left_out names the tables that hold older rows too (empty: none does),
-- counted_from_day is the first day among the rounds counted.
-- The plan counts rounds of every number; round 0 is a match summary and stands apart here. round_date is TEXT and compared as text, which is right
-- for ISO dates only: other texts are counted as undated, not silently in or out.
WITH newest AS MATERIALIZED (
    SELECT o.id, o.round_number, o.round_date, o.round_date ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' AS dated
    FROM rounds AS o
    ORDER BY o.id DESC
    LIMIT %(newest_rows)s::integer
),
teams AS MATERIALIZED (
    SELECT l.id, l.round_number, l.round_id FROM lua_round_teams AS l ORDER BY l.id DESC LIMIT %(newest_rows)s::integer
),
spawns AS MATERIALIZED (
    SELECT s.id, s.round_id FROM lua_spawn_stats AS s ORDER BY s.id DESC LIMIT %(newest_rows)s::integer
)
SELECT
    t.lua_round_teams,
    t.lua_round_teams_r1,
    t.lua_round_teams_r2,
    t.lua_round_teams_unlinked,
    s.lua_spawn_stats,
    s.lua_spawn_stats_unlinked,
    r.rounds_r1,
    r.rounds_r2,
    r.rounds_summary,
    r.rounds_since_r1,
    r.rounds_since_r2,
    r.rounds_undated,
    r.newest_round_id,
    (SELECT max(l.captured_at) FROM lua_round_teams AS l) AS newest_lua_captured_at,
    r.counted_from_day,
    concat_ws(
        ', ',
        CASE WHEN (SELECT min(o.id) FROM rounds AS o) < r.first_id THEN 'rounds' END,
        CASE WHEN (SELECT min(o.id) FROM lua_round_teams AS o) < t.first_id THEN 'lua_round_teams' END,
        CASE WHEN (SELECT min(o.id) FROM lua_spawn_stats AS o) < s.first_id THEN 'lua_spawn_stats' END
    ) AS left_out
FROM (
    SELECT
        count(*) FILTER (WHERE x.round_number = 1) AS rounds_r1,
        count(*) FILTER (WHERE x.round_number = 2) AS rounds_r2,
        count(*) FILTER (WHERE x.round_number = 0) AS rounds_summary,
        count(*) FILTER (WHERE x.round_number = 1 AND x.dated AND x.round_date >= %(since)s) AS rounds_since_r1,
        count(*) FILTER (WHERE x.round_number = 2 AND x.dated AND x.round_date >= %(since)s) AS rounds_since_r2,
        count(*) FILTER (WHERE x.dated IS NOT TRUE) AS rounds_undated,
        max(x.id) AS newest_round_id,
        min(x.id) AS first_id,
        min(x.round_date) FILTER (WHERE x.dated) AS counted_from_day
    FROM newest AS x
) AS r
CROSS JOIN (
    SELECT
        count(*) AS lua_round_teams,
        count(*) FILTER (WHERE l.round_number = 1) AS lua_round_teams_r1,
        count(*) FILTER (WHERE l.round_number = 2) AS lua_round_teams_r2,
        count(*) FILTER (WHERE l.round_id IS NULL) AS lua_round_teams_unlinked,
        min(l.id) AS first_id
    FROM teams AS l
) AS t
CROSS JOIN (
    SELECT count(*) AS lua_spawn_stats, count(*) FILTER (WHERE x.round_id IS NULL) AS lua_spawn_stats_unlinked, min(x.id) AS first_id
    FROM spawns AS x
) AS s
