-- Phase 5: OLD and NEW dead time of every player in every half, raw, one row per round and player.
-- Parameters: since (YYYY-MM-DD, round_date from then on), bot_name_regex (text, PostgreSQL syntax).
-- Round 0 is a summary and takes no part. round_date is TEXT: ISO dates compare correctly as text. Neither Lua table has a unique round_id:
-- lua_rows counts what is linked, and more than one is ambiguous, not a sum. Guids are 8 characters in one table and up to 32 in the other.
-- NEW is never filled up from OLD here, and nothing is clamped: that is what makes agreement worth something.
WITH halves AS (
    SELECT
        r.id,
        r.round_number,
        r.map_name,
        r.round_date,
        replace(r.round_time, ':', '') AS hms,
        COALESCE(r.gaming_session_id::text, r.round_date) AS session,
        r.round_status,
        r.is_bot_round
    FROM rounds AS r
    WHERE r.round_number IN (1, 2) AND r.round_date >= %(since)s AND r.round_date ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'
),
teams AS (
    SELECT
        l.round_id,
        count(*) AS linked,
        min(l.lua_version) AS lua_version,
        count(DISTINCT l.lua_version) AS versions,
        min(l.end_reason) AS end_reason,
        min(l.total_pause_seconds) AS pause_s,
        min(l.actual_duration_seconds) AS duration_s,
        min(l.round_end_unix - l.round_start_unix) AS span_s
    FROM lua_round_teams AS l
    INNER JOIN halves AS h ON h.id = l.round_id
    GROUP BY l.round_id
),
spawns AS (
    SELECT s.round_id, lower(left(s.player_guid, 8)) AS guid, count(*) AS linked, min(s.dead_seconds) AS dead_s
    FROM lua_spawn_stats AS s
    INNER JOIN halves AS h ON h.id = s.round_id
    GROUP BY s.round_id, lower(left(s.player_guid, 8))
),
names AS (
    SELECT p.round_id, bool_and(COALESCE(p.clean_name, p.player_name) ~ %(bot_name_regex)s) AS only_bots
    FROM player_comprehensive_stats AS p
    INNER JOIN halves AS h ON h.id = p.round_id
    GROUP BY p.round_id
)
SELECT
    h.id AS round_id,
    h.session,
    h.map_name AS map,
    h.round_number,
    h.round_date || '-' || COALESCE(h.hms, '') AS played_at,
    CASE
        WHEN h.round_status = 'cancelled' THEN 'cancelled'
        WHEN h.round_status IS DISTINCT FROM 'completed' THEN 'other_status'
        WHEN h.is_bot_round OR n.only_bots THEN 'bot'
        ELSE 'played'
    END AS class,
    lower(left(p.player_guid, 8)) AS player_guid,
    p.time_played_seconds AS played_s,
    round((p.time_dead_minutes * 60)::numeric, 1) AS old_dead_s,
    s.dead_s AS new_dead_s,
    CASE WHEN t.linked > 1 THEN t.linked ELSE COALESCE(s.linked, 0) END AS lua_rows,
    CASE WHEN t.versions = 1 THEN t.lua_version END AS lua_version,
    t.end_reason,
    COALESCE(t.pause_s, 0) AS pause_s,
    t.duration_s,
    t.span_s
FROM halves AS h
INNER JOIN player_comprehensive_stats AS p ON p.round_id = h.id
LEFT JOIN names AS n ON n.round_id = h.id
LEFT JOIN teams AS t ON t.round_id = h.id
LEFT JOIN spawns AS s ON s.round_id = h.id AND s.guid = lower(left(p.player_guid, 8))
ORDER BY h.round_date, h.hms, h.id, p.player_guid
