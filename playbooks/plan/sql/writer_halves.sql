-- Phase 4: what the database made of stats files. One row per file, always.
-- Parameters: halves (JSON text: [{"stamp": "YYYY-MM-DD-HHMMSS", "map": ..., "round": 1 | 2, "raw_guids": [...]}], from the files); utc_offset_s
-- (the game server's local clock minus UTC); bot_name_regex (PostgreSQL syntax). raw_guids (lower case) are the players of an R2 whose time
-- the importer takes as the file has it, both halves together: what they have is no half's time, so longest_s leaves them out.
--
-- A round belongs to a file by date, time, map and number, which the importer takes from the file's name; match_id has had two formats.
-- The webhook's row belongs to it by map, number and end: the file is saved 3 s after the end (an hour of clock change allowed). Its match_id is
-- the end as text, so two days around it find the row by the index and leave nothing out.
-- Round 0 is the match summary that comes with an R2; its times are told apart, since field 9 reaches it by another way.
WITH given AS (
    SELECT h.stamp, h.map, h.round, COALESCE(h.raw_guids, '{}') AS raw_guids
    FROM jsonb_to_recordset(%(halves)s::jsonb) AS h (stamp text, map text, round integer, raw_guids text [])
),
timed AS (
    -- counts the local clock like a UTC one
    SELECT
        g.*,
        extract(epoch FROM (substr(g.stamp, 1, 7) || '-01')::date)::bigint
        + (substr(g.stamp, 9, 2)::integer - 1) * 86400
        + substr(g.stamp, 12, 2)::integer * 3600
        + substr(g.stamp, 14, 2)::integer * 60
        + substr(g.stamp, 16, 2)::integer AS saved_s
    FROM given AS g
)
SELECT
    t.stamp,
    t.map,
    t.round,
    own.rounds,
    own.round_id,
    own.round_status,
    to_char(own.created_at, 'YYYY-MM-DD HH24:MI:SS') AS created_at,
    floor(extract(epoch FROM LOCALTIMESTAMP - own.created_at))::bigint AS age_s,
    players.players,
    players.longest_s,
    players.shortest_s,
    COALESCE(own.is_bot, FALSE) OR COALESCE(players.only_bots, FALSE) AS is_bot,
    summary.longest_s AS summary_longest_s,
    lua.lua_rows,
    lua.lua_right_links,
    lua.lua_start_unix,
    lua.lua_end_unix,
    lua.lua_pauses_s,
    lua.lua_duration_s,
    lua.lua_version
FROM timed AS t
CROSS JOIN LATERAL (
    SELECT
        count(*) AS rounds,
        min(r.id) AS round_id,
        min(r.round_status) AS round_status,
        min(r.created_at) AS created_at,
        bool_or(r.is_bot_round) AS is_bot
    FROM rounds AS r
    WHERE
        r.round_date = substr(t.stamp, 1, 10)
        AND replace(r.round_time, ':', '') = substr(t.stamp, 12, 6)
        AND r.map_name = t.map
        AND r.round_number = t.round
) AS own
CROSS JOIN LATERAL (
    SELECT
        count(*) AS players,
        max(p.time_played_seconds) FILTER (WHERE lower(left(p.player_guid, 8)) <> ALL (t.raw_guids)) AS longest_s,
        min(p.time_played_seconds) AS shortest_s,
        bool_and(COALESCE(p.clean_name, p.player_name) ~ %(bot_name_regex)s) AS only_bots
    FROM player_comprehensive_stats AS p
    WHERE p.round_id = own.round_id
) AS players
CROSS JOIN LATERAL (
    SELECT max(p.time_played_seconds) AS longest_s
    FROM rounds AS r
    INNER JOIN player_comprehensive_stats AS p ON p.round_id = r.id
    WHERE
        t.round = 2
        AND r.round_number = 0
        AND r.round_date = substr(t.stamp, 1, 10)
        AND replace(r.round_time, ':', '') = substr(t.stamp, 12, 6)
        AND r.map_name = t.map
) AS summary
CROSS JOIN LATERAL (
    SELECT
        count(*) AS lua_rows,
        count(*) FILTER (WHERE l.round_id = own.round_id) AS lua_right_links,
        min(l.round_start_unix) AS lua_start_unix,
        min(l.round_end_unix) AS lua_end_unix,
        min(l.total_pause_seconds) AS lua_pauses_s,
        min(l.actual_duration_seconds) AS lua_duration_s,
        min(l.lua_version) AS lua_version
    FROM lua_round_teams AS l
    WHERE
        l.match_id BETWEEN to_char(substr(t.stamp, 1, 10)::date - 2, 'YYYY-MM-DD')
        AND to_char(substr(t.stamp, 1, 10)::date + 2, 'YYYY-MM-DD')
        AND l.map_name = t.map
        AND l.round_number = t.round
        AND EXISTS (
            SELECT FROM (VALUES (-3600), (0), (3600)) AS change (s)
            WHERE t.saved_s - (l.round_end_unix + %(utc_offset_s)s::bigint + change.s) BETWEEN -5 AND 120
        )
) AS lua
ORDER BY t.stamp, t.round
