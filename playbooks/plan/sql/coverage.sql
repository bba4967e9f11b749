-- Step 0.4: how many of the newest rounds have Lua data, one row per round number (0, 1 and 2 always, others when they occur).
-- Parameters: newest_rounds (int): that many rows of rounds, and of lua_round_teams, are counted, the newest by primary key, that is in the order
-- in which they came in; is_all says whether that is every row, counted_from_day the first day among them. window_days (int): the last days
-- among those. bot_name_regex (text, PostgreSQL syntax).
--
-- Round 0 is a match summary and never has Lua data. round_date is TEXT: ISO dates compare correctly as text, other texts are counted as undated.
-- A bot round is marked, or all its players have bots' names: the mark was not stored before 2026-08. Each round falls into one class only, so
-- rounds = played + bot + cancelled + other_status. Only played rounds enter the coverage. What a row is linked to is looked up in whole tables.
-- Each look-up is a subquery of its own, so that it goes by an index and no table is read whole, whatever the planner knows of the tables.
WITH newest AS MATERIALIZED (
    SELECT r.id, r.round_number, r.round_status, r.is_bot_round, r.round_date, r.round_date ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' AS dated
    FROM rounds AS r
    ORDER BY r.id DESC
    LIMIT %(newest_rounds)s::integer
),
classed AS MATERIALIZED (
    SELECT
        n.round_number,
        n.dated,
        CASE
            WHEN n.round_status = 'cancelled' THEN 'cancelled'
            WHEN n.round_status IS DISTINCT FROM 'completed' THEN 'other_status'
            WHEN n.is_bot_round THEN 'bot'
            WHEN (
                SELECT bool_and(COALESCE(p.clean_name, p.player_name) ~ %(bot_name_regex)s)
                FROM player_comprehensive_stats AS p
                WHERE p.round_id = n.id
            ) THEN 'bot'
            ELSE 'played'
        END AS class,
        n.dated AND n.round_date >= to_char(CURRENT_DATE - %(window_days)s::integer, 'YYYY-MM-DD') AS in_window,
        (SELECT count(*) FROM lua_round_teams AS l WHERE l.round_id = n.id) AS lua_rows
    FROM newest AS n
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
        count(*) FILTER (WHERE c.class = 'played' AND c.in_window) AS window_played,
        count(*) FILTER (WHERE c.class = 'played' AND c.in_window AND c.lua_rows > 0) AS window_with_lua,
        count(*) FILTER (WHERE c.class = 'played' AND c.in_window AND c.lua_rows = 0) AS window_without_lua
    FROM classed AS c
    GROUP BY c.round_number
),
newest_lua AS MATERIALIZED (
    SELECT l.id, l.round_number, l.round_id
    FROM lua_round_teams AS l
    ORDER BY l.id DESC
    LIMIT %(newest_rounds)s::integer
),
lua_counts AS (
    SELECT
        l.round_number,
        count(*) AS lua_rows,
        count(*) FILTER (WHERE l.round_id IS NULL) AS lua_unlinked,
        count(*) FILTER (WHERE l.round_id IS NOT NULL AND r.found = 0) AS lua_dangling,
        count(*) FILTER (WHERE k.lua_rows > 1) AS lua_ambiguous,
        count(*) FILTER (WHERE r.found = 1 AND r.round_number IS DISTINCT FROM l.round_number) AS lua_crossed
    FROM newest_lua AS l
    CROSS JOIN LATERAL (SELECT count(*) AS found, min(o.round_number) AS round_number FROM rounds AS o WHERE o.id = l.round_id) AS r
    CROSS JOIN LATERAL (SELECT count(*) AS lua_rows FROM lua_round_teams AS o WHERE o.round_id = l.round_id) AS k
    GROUP BY l.round_number
),
bounds AS (
    SELECT
        (SELECT min(n.round_date) FROM newest AS n WHERE n.dated) AS counted_from_day,
        COALESCE((SELECT min(o.id) FROM rounds AS o) = (SELECT min(n.id) FROM newest AS n), TRUE)
        AND COALESCE((SELECT min(o.id) FROM lua_round_teams AS o) = (SELECT min(l.id) FROM newest_lua AS l), TRUE) AS is_all
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
    COALESCE(u.lua_crossed, 0) AS lua_crossed,
    b.counted_from_day,
    b.is_all
FROM numbers AS n
CROSS JOIN bounds AS b
LEFT JOIN round_counts AS c ON c.round_number IS NOT DISTINCT FROM n.round_number
LEFT JOIN lua_counts AS u ON u.round_number IS NOT DISTINCT FROM n.round_number
ORDER BY n.round_number
