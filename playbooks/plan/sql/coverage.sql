-- Step 0.4: how many rounds have Lua data, one row per round number (0, 1 and 2 always, others when they occur).
-- Parameters: window_days (int), bot_name_regex (text, PostgreSQL syntax).
-- Round 0 is a match summary and never has Lua data. round_date is TEXT: ISO dates compare correctly as text, other texts are counted as undated.
-- A bot round is marked, or all its players have bots' names: the mark was not stored before 2026-08. Each round falls into one class only, so
-- rounds = played + bot + cancelled + other_status. Only played rounds enter the coverage.
WITH bot_names AS (
    SELECT p.round_id, bool_and(COALESCE(p.clean_name, p.player_name) ~ %(bot_name_regex)s) AS only_bots
    FROM player_comprehensive_stats AS p
    GROUP BY p.round_id
),
links AS (
    SELECT l.round_id, count(*) AS lua_rows
    FROM lua_round_teams AS l
    WHERE l.round_id IS NOT NULL
    GROUP BY l.round_id
),
-- materialized, so that a round is classed once and not once for every count below
classed AS MATERIALIZED (
    SELECT
        r.id,
        r.round_number,
        CASE
            WHEN r.round_status = 'cancelled' THEN 'cancelled'
            WHEN r.round_status IS DISTINCT FROM 'completed' THEN 'other_status'
            WHEN r.is_bot_round OR b.only_bots THEN 'bot'
            ELSE 'played'
        END AS class,
        r.round_date ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' AS dated,
        r.round_date >= (SELECT to_char(CURRENT_DATE - %(window_days)s::integer, 'YYYY-MM-DD')) AS in_window,
        COALESCE(k.lua_rows, 0) AS lua_rows
    FROM rounds AS r
    LEFT JOIN bot_names AS b ON b.round_id = r.id
    LEFT JOIN links AS k ON k.round_id = r.id
),
round_counts AS (
    SELECT
        c.round_number,
        count(*) AS rounds,
        count(*) FILTER (WHERE c.class = 'played') AS played,
        count(*) FILTER (WHERE c.class = 'bot') AS bot,
        count(*) FILTER (WHERE c.class = 'cancelled') AS cancelled,
        count(*) FILTER (WHERE c.class = 'other_status') AS other_status,
        count(*) FILTER (WHERE c.dated IS NOT TRUE) AS undated,
        count(*) FILTER (WHERE c.class = 'played' AND c.lua_rows > 0) AS with_lua,
        count(*) FILTER (WHERE c.class = 'played' AND c.lua_rows = 0) AS without_lua,
        count(*) FILTER (WHERE c.class = 'played' AND c.lua_rows > 1) AS linked_more_than_once,
        count(*) FILTER (WHERE c.class = 'played' AND c.dated AND c.in_window) AS window_played,
        count(*) FILTER (WHERE c.class = 'played' AND c.dated AND c.in_window AND c.lua_rows > 0) AS window_with_lua,
        count(*) FILTER (WHERE c.class = 'played' AND c.dated AND c.in_window AND c.lua_rows = 0) AS window_without_lua
    FROM classed AS c
    GROUP BY c.round_number
),
lua_counts AS (
    SELECT
        l.round_number,
        count(*) AS lua_rows,
        count(*) FILTER (WHERE l.round_id IS NULL) AS lua_unlinked,
        count(*) FILTER (WHERE l.round_id IS NOT NULL AND r.id IS NULL) AS lua_dangling,
        count(*) FILTER (WHERE k.lua_rows > 1) AS lua_ambiguous,
        count(*) FILTER (WHERE r.round_number IS DISTINCT FROM l.round_number AND r.id IS NOT NULL) AS lua_crossed
    FROM lua_round_teams AS l
    LEFT JOIN rounds AS r ON r.id = l.round_id
    LEFT JOIN links AS k ON k.round_id = l.round_id
    GROUP BY l.round_number
),
numbers AS (
    SELECT v.round_number FROM (VALUES (0), (1), (2)) AS v (round_number)
    UNION
    SELECT c.round_number FROM round_counts AS c
    UNION
    SELECT u.round_number FROM lua_counts AS u
)
SELECT
    n.round_number,
    COALESCE(c.rounds, 0) AS rounds,
    COALESCE(c.played, 0) AS played,
    COALESCE(c.bot, 0) AS bot,
    COALESCE(c.cancelled, 0) AS cancelled,
    COALESCE(c.other_status, 0) AS other_status,
    COALESCE(c.undated, 0) AS undated,
    COALESCE(c.with_lua, 0) AS with_lua,
    COALESCE(c.without_lua, 0) AS without_lua,
    COALESCE(c.linked_more_than_once, 0) AS linked_more_than_once,
    COALESCE(c.window_played, 0) AS window_played,
    COALESCE(c.window_with_lua, 0) AS window_with_lua,
    COALESCE(c.window_without_lua, 0) AS window_without_lua,
    COALESCE(u.lua_rows, 0) AS lua_rows,
    COALESCE(u.lua_unlinked, 0) AS lua_unlinked,
    COALESCE(u.lua_dangling, 0) AS lua_dangling,
    COALESCE(u.lua_ambiguous, 0) AS lua_ambiguous,
    COALESCE(u.lua_crossed, 0) AS lua_crossed
FROM numbers AS n
LEFT JOIN round_counts AS c ON c.round_number IS NOT DISTINCT FROM n.round_number
LEFT JOIN lua_counts AS u ON u.round_number IS NOT DISTINCT FROM n.round_number
ORDER BY n.round_number
