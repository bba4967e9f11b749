-- The plan's pre-deployment counts, corrected: one row. Parameter: since (text, ISO date; the plan's day is 2026-02-20).
-- The plan counts rounds of every number; round 0 is a match summary and stands apart here. round_date is TEXT and compared as text, which is right
-- for ISO dates only: other texts are counted as undated, not silently in or out.
SELECT
    (SELECT count(*) FROM lua_round_teams) AS lua_round_teams,
    (SELECT count(*) FROM lua_round_teams AS l WHERE l.round_number = 1) AS lua_round_teams_r1,
    (SELECT count(*) FROM lua_round_teams AS l WHERE l.round_number = 2) AS lua_round_teams_r2,
    (SELECT count(*) FROM lua_round_teams AS l WHERE l.round_id IS NULL) AS lua_round_teams_unlinked,
    (SELECT count(*) FROM lua_spawn_stats) AS lua_spawn_stats,
    (SELECT count(*) FROM lua_spawn_stats AS s WHERE s.round_id IS NULL) AS lua_spawn_stats_unlinked,
    r.rounds_r1,
    r.rounds_r2,
    r.rounds_summary,
    r.rounds_since_r1,
    r.rounds_since_r2,
    r.rounds_undated,
    r.newest_round_id,
    (SELECT max(l.captured_at) FROM lua_round_teams AS l) AS newest_lua_captured_at
FROM (
    SELECT
        count(*) FILTER (WHERE x.round_number = 1) AS rounds_r1,
        count(*) FILTER (WHERE x.round_number = 2) AS rounds_r2,
        count(*) FILTER (WHERE x.round_number = 0) AS rounds_summary,
        count(*) FILTER (WHERE x.round_number = 1 AND x.dated AND x.round_date >= %(since)s) AS rounds_since_r1,
        count(*) FILTER (WHERE x.round_number = 2 AND x.dated AND x.round_date >= %(since)s) AS rounds_since_r2,
        count(*) FILTER (WHERE x.dated IS NOT TRUE) AS rounds_undated,
        max(x.id) AS newest_round_id
    FROM (
        SELECT o.id, o.round_number, o.round_date, o.round_date ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' AS dated FROM rounds AS o
    ) AS x
) AS r
