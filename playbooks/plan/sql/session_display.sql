-- Step 5.3: the newest sessions with what a display of them is made of, one row per player and half (one row without a player for a half that
-- has none). Parameters: sessions (int, how many of the newest), bot_name_regex (text, PostgreSQL syntax).
-- rank 1 is the session of the half that was played last by date and time (TEXT: ISO texts order like dates). Round 0 is a summary and takes no
-- part. started_unix is the webhook's time of the half's start, created_unix the database's time of its import. OLD and NEW dead time are raw.
WITH recent AS (
    SELECT
        r.id,
        r.round_number,
        r.map_name,
        r.round_status,
        r.is_bot_round,
        r.created_at,
        r.round_date || '-' || COALESCE(replace(r.round_time, ':', ''), '') AS played_at,
        COALESCE(r.gaming_session_id::text, r.round_date) AS session
    FROM rounds AS r
    WHERE r.round_number IN (1, 2) AND r.round_date ~ '^[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]$'
    ORDER BY r.round_date DESC, replace(r.round_time, ':', '') DESC NULLS LAST, r.id DESC
    LIMIT 300
),
newest AS (
    SELECT s.session, s.rank
    FROM (SELECT n.session, row_number() OVER (ORDER BY max(n.played_at) DESC, max(n.id) DESC) AS rank FROM recent AS n GROUP BY n.session) AS s
    WHERE s.rank <= %(sessions)s
)
SELECT
    w.rank,
    n.session,
    n.id AS round_id,
    n.round_number,
    n.map_name AS map,
    n.played_at,
    n.round_status,
    COALESCE(n.is_bot_round, FALSE) OR COALESCE(names.only_bots, FALSE) AS is_bot,
    floor(extract(epoch FROM now() - (LOCALTIMESTAMP - n.created_at)))::bigint AS created_unix,
    lua.links AS lua_links,
    lua.started_unix,
    lua.duration_s,
    p.player_guid,
    COALESCE(p.clean_name, p.player_name) AS name,
    p.time_played_seconds AS played_s,
    round((p.time_dead_minutes * 60)::numeric, 1) AS old_dead_s,
    spawns.dead_s AS new_dead_s
FROM newest AS w
INNER JOIN recent AS n ON n.session = w.session
LEFT JOIN player_comprehensive_stats AS p ON p.round_id = n.id
CROSS JOIN LATERAL (
    SELECT bool_and(COALESCE(q.clean_name, q.player_name) ~ %(bot_name_regex)s) AS only_bots
    FROM player_comprehensive_stats AS q
    WHERE q.round_id = n.id
) AS names
CROSS JOIN LATERAL (
    SELECT count(*) AS links, min(l.round_start_unix) AS started_unix, max(l.actual_duration_seconds) AS duration_s
    FROM lua_round_teams AS l
    WHERE l.round_id = n.id
) AS lua
CROSS JOIN LATERAL (
    SELECT sum(s.dead_seconds)::bigint AS dead_s
    FROM lua_spawn_stats AS s
    WHERE s.round_id = n.id AND lower(left(s.player_guid, 8)) = lower(left(p.player_guid, 8))
) AS spawns
ORDER BY w.rank, n.played_at, n.id, p.player_guid
