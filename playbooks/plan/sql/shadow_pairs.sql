-- Phase 5: OLD and NEW dead time of every player in every half, raw, one row per round and player.
-- Parameters: since (YYYY-MM-DD, round_date from then on); newest_halves (int): no more than so many halves, the newest as they were played,
-- and is_cut says whether there were more since that day; bot_name_regex (text, PostgreSQL syntax).
-- Round 0 is a summary and takes no part. round_date is TEXT: ISO dates compare correctly as text. Neither Lua table has a unique round_id:
-- lua_rows counts what is linked, and more than one is ambiguous, not a sum. Guids are 8 characters in one table and up to 32 in the other.
-- NEW is never filled up from OLD here, and nothing is clamped: that is what makes agreement worth something.
-- What belongs to a half is looked up half by half (OFFSET 0 keeps the planner from reading whole tables instead).
WITH found AS MATERIALIZED (
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
    ORDER BY r.round_date DESC, replace(r.round_time, ':', '') DESC, r.id DESC
    LIMIT %(newest_halves)s::integer + 1
),
halves AS MATERIALIZED (
    SELECT f.*, (SELECT count(*) FROM found) > %(newest_halves)s::integer AS is_cut
    FROM found AS f
    ORDER BY f.round_date DESC, f.hms DESC, f.id DESC
    LIMIT %(newest_halves)s::integer
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
    p.guid AS player_guid,
    p.time_played_seconds AS played_s,
    round((p.time_dead_minutes * 60)::numeric, 1) AS old_dead_s,
    s.dead_s AS new_dead_s,
    CASE WHEN t.linked > 1 THEN t.linked ELSE s.linked END AS lua_rows,
    CASE WHEN t.versions = 1 THEN t.lua_version END AS lua_version,
    t.end_reason,
    COALESCE(t.pause_s, 0) AS pause_s,
    t.duration_s,
    t.span_s,
    h.is_cut
FROM halves AS h
CROSS JOIN LATERAL (
    SELECT
        count(*) AS linked,
        min(l.lua_version) AS lua_version,
        count(DISTINCT l.lua_version) AS versions,
        min(l.end_reason) AS end_reason,
        min(l.total_pause_seconds) AS pause_s,
        min(l.actual_duration_seconds) AS duration_s,
        min(l.round_end_unix - l.round_start_unix) AS span_s
    FROM lua_round_teams AS l
    WHERE l.round_id = h.id
) AS t
CROSS JOIN LATERAL (
    SELECT bool_and(COALESCE(q.clean_name, q.player_name) ~ %(bot_name_regex)s) AS only_bots
    FROM player_comprehensive_stats AS q
    WHERE q.round_id = h.id
) AS n
CROSS JOIN LATERAL (
    SELECT lower(left(q.player_guid, 8)) AS guid, q.player_guid, q.time_played_seconds, q.time_dead_minutes
    FROM player_comprehensive_stats AS q
    WHERE q.round_id = h.id
    OFFSET 0
) AS p
CROSS JOIN LATERAL (
    SELECT count(*) AS linked, min(o.dead_seconds) AS dead_s
    FROM lua_spawn_stats AS o
    WHERE o.round_id = h.id AND lower(left(o.player_guid, 8)) = p.guid
) AS s
ORDER BY h.round_date, h.hms, h.id, p.player_guid
