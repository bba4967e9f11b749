-- Step 1.7: the halves played since a Lua load, as pairs of R1 and R2 on one map. Always at least one row; see `kind`.
-- Parameters: loaded_at_unix; loaded_at_local (YYYY-MM-DD-HHMMSS, the game server's own clock); utc_offset_s (that clock minus UTC then);
-- bot_name_regex (PostgreSQL syntax); settle_s (a pair that is incomplete and younger than this is not judged yet).
--
-- A stats file saved after the load belongs to a half that began after it, since a load throws the running half away; so `saved` against the
-- load decides, and round_start_unix too where there is a Lua row. Dates are TEXT: ISO texts compare like dates, also over midnight. Round 0 is
-- a summary and takes no part. Cancelled rounds take no part in the order, so an aborted half does not part a pair.
--
-- R2's limit is the time that R1 set, in minutes with a fraction. rounds.actual_time of R1 holds it as M:SS, cut to seconds (rounds.time_limit
-- is '0', lua_round_teams.time_limit_minutes an integer). So: attackers won R1 and SS is not 00 -> fractional; defenders kept it and SS is
-- 00 -> whole; anything else is unknown (NULL), since x:00 may hide a fraction and a kept limit should be whole.
WITH bounds AS (
    SELECT
        %(loaded_at_unix)s::bigint AS loaded_unix,
        %(loaded_at_local)s::text AS loaded_local,
        %(utc_offset_s)s::bigint AS offset_s,
        to_char(to_timestamp(%(loaded_at_unix)s::bigint - 2 * 86400), 'YYYY-MM-DD') AS first_day
),
recent AS (
    SELECT
        r.id,
        r.round_number,
        r.map_name,
        r.round_status,
        r.round_date,
        replace(r.round_time, ':', '') AS hms,
        r.actual_time,
        r.winner_team,
        r.defender_team,
        r.is_bot_round,
        r.created_at
    FROM rounds AS r
    CROSS JOIN bounds AS b
    WHERE r.round_date >= b.first_day
),
halves AS MATERIALIZED (
    -- materialized, so that no cast below sees a text that the patterns refuse; saved_s counts the local clock like a UTC one
    SELECT
        n.*,
        n.round_date || '-' || n.hms AS saved,
        extract(epoch FROM (substr(n.round_date, 1, 7) || '-01')::date)::bigint
        + (substr(n.round_date, 9, 2)::integer - 1) * 86400
        + substr(n.hms, 1, 2)::integer * 3600
        + substr(n.hms, 3, 2)::integer * 60
        + substr(n.hms, 5, 2)::integer AS saved_s
    FROM recent AS n
    WHERE
        n.round_number IN (1, 2)
        AND n.round_date ~ '^[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]$'
        AND n.hms ~ '^([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]$'
),
ordered AS (
    -- late_s: how long after the promptest half it was imported, so that zones and clocks drop out (an hour of clock change allowed)
    SELECT
        h.*,
        d.delay_s - least(min(d.delay_s) OVER (), 3600) AS late_s,
        lag(h.id) OVER play AS before_id,
        lead(h.id) OVER play AS after_id,
        lead(h.round_number) OVER play AS after_number,
        lead(h.map_name) OVER play AS after_map
    FROM halves AS h
    CROSS JOIN bounds AS b
    CROSS JOIN LATERAL (SELECT extract(epoch FROM h.created_at::timestamptz) - (h.saved_s - b.offset_s) AS delay_s) AS d
    WHERE h.round_status IS DISTINCT FROM 'cancelled'
    WINDOW play AS (ORDER BY h.saved, h.round_number, h.id)
),
told AS (
    -- each half with its Lua rows: linked to it, and those that fit it by map, half and end (an hour of clock change allowed)
    SELECT
        o.*,
        o.saved > b.loaded_local AND COALESCE(own.start_unix >= b.loaded_unix, TRUE) AS is_after_load,
        (SELECT count(*) FROM lua_round_teams AS l WHERE l.round_id = o.id) AS links,
        COALESCE(own.right_links, 0) AS right_links,
        COALESCE(own.wrong_links, 0) AS wrong_links,
        COALESCE(own.lua_rows, 0) AS lua_rows,
        own.match_id AS lua_match_id,
        own.start_unix,
        own.captured_at,
        COALESCE(own.winner, o.winner_team) AS winner,
        COALESCE(own.defender, o.defender_team) AS defender,
        -- The bot lists the files every 10 minutes (not from 02:00 to 11:00 in Paris): a half that came later came while it was down, and a
        -- post that nobody was there to take is none that was not sent. It was there if it took another post meanwhile.
        COALESCE(own.lua_rows, 0) = 0
        AND COALESCE(o.late_s > 900, FALSE)
        AND (to_timestamp(o.saved_s - b.offset_s) AT TIME ZONE 'Europe/Paris')::time NOT BETWEEN '01:45' AND '11:00'
        AND NOT EXISTS (
            SELECT FROM lua_round_teams AS l
            WHERE
                l.match_id >= b.first_day
                AND extract(epoch FROM l.captured_at) - (o.saved_s - b.offset_s) BETWEEN 0 AND 900
        ) AS is_late,
        COALESCE(o.is_bot_round, FALSE) OR COALESCE(names.only_bots, FALSE) AS is_bot
    FROM ordered AS o
    CROSS JOIN bounds AS b
    LEFT JOIN LATERAL (
        SELECT
            count(*) AS lua_rows,
            count(*) FILTER (WHERE l.round_id = o.id) AS right_links,
            count(*) FILTER (WHERE l.round_id <> o.id) AS wrong_links,
            min(l.match_id) AS match_id,
            min(l.round_start_unix) AS start_unix,
            max(l.captured_at) AS captured_at,
            min(l.winner_team) AS winner,
            min(l.defender_team) AS defender
        FROM lua_round_teams AS l
        WHERE
            l.match_id >= b.first_day
            AND l.map_name = o.map_name
            AND l.round_number = o.round_number
            AND EXISTS (
                SELECT FROM (VALUES (-3600), (0), (3600)) AS change (s)
                WHERE
                    o.saved_s - (l.round_end_unix + b.offset_s + change.s) BETWEEN -5 AND 120
                    -- off by an hour is only what fits no half as it stands: the map may have been played an hour before
                    AND (
                        change.s = 0
                        OR NOT EXISTS (
                            SELECT FROM halves AS h
                            WHERE
                                h.map_name = l.map_name
                                AND h.round_number = l.round_number
                                AND h.saved_s - (l.round_end_unix + b.offset_s) BETWEEN -5 AND 120
                        )
                    )
            )
    ) AS own ON TRUE
    LEFT JOIN LATERAL (
        SELECT bool_and(COALESCE(p.clean_name, p.player_name) ~ %(bot_name_regex)s) AS only_bots
        FROM player_comprehensive_stats AS p
        WHERE p.round_id = o.id
    ) AS names ON TRUE
),
pairs AS (
    SELECT
        r2.id AS r2_id,
        r1.id AS r1_id,
        r2.map_name AS map,
        r1.saved AS r1_saved,
        r2.saved AS r2_saved,
        r1.start_unix AS r1_start_unix,
        r2.start_unix AS r2_start_unix,
        r1.lua_rows AS r1_lua_rows,
        r2.lua_rows AS r2_lua_rows,
        r1.links AS r1_links,
        r2.links AS r2_links,
        r1.right_links AS r1_right_links,
        r2.right_links AS r2_right_links,
        r1.lua_match_id AS r1_lua_match_id,
        r2.lua_match_id AS r2_lua_match_id,
        r1.actual_time AS r1_time,
        CASE
            WHEN r1.winner NOT IN (1, 2) OR r1.defender NOT IN (1, 2) OR r1.actual_time !~ '^[0-9]+:[0-5][0-9]$' THEN NULL
            WHEN r1.winner <> r1.defender AND r1.actual_time !~ ':00$' THEN TRUE
            WHEN r1.winner = r1.defender AND r1.actual_time ~ ':00$' THEN FALSE
        END AS r2_limit_fractional,
        CASE
            WHEN r1.id IS NULL OR r1.round_number <> 1 OR r1.map_name IS DISTINCT FROM r2.map_name THEN 'NO_R1'
            -- the bot pairs files within 45 minutes; the halves' starts are kept without a zone's change of clocks
            WHEN COALESCE(r2.start_unix - r1.start_unix, r2.saved_s - r1.saved_s) > 45 * 60 THEN 'NO_R1'
            WHEN NOT r1.is_after_load THEN 'MIXED'
            WHEN r1.is_bot OR r2.is_bot THEN 'BOT'
            WHEN r1.round_status IS DISTINCT FROM 'completed' OR r2.round_status IS DISTINCT FROM 'completed' THEN 'STATUS'
            WHEN
                (r1.right_links <> 1 OR r2.right_links <> 1)
                AND r1.wrong_links + r2.wrong_links = 0
                AND greatest(r1.created_at, r2.created_at) > LOCALTIMESTAMP - make_interval(secs => %(settle_s)s)
                THEN 'UNSETTLED'
            WHEN r1.is_late OR r2.is_late THEN 'LATE'
            ELSE ''
        END AS code,
        -- the linker takes the nearest round of that map and half: an older one, if the map was played within its 45 minutes
        CASE
            WHEN r1.wrong_links + r2.wrong_links > 0 THEN 'MISLINKED'
            WHEN r1.lua_rows > 0 AND r1.right_links = 0 OR r2.lua_rows > 0 AND r2.right_links = 0 THEN 'UNLINKED'
            -- both rows came and are linked right; the row of a later play of the map, or of an aborted half, is linked here too
            WHEN r1.right_links = 1 AND r2.right_links = 1 AND (r1.links > 1 OR r2.links > 1) THEN 'CLAIMED'
            ELSE ''
        END AS link_code
    FROM told AS r2
    LEFT JOIN told AS r1 ON r1.id = r2.before_id
    WHERE r2.round_number = 2 AND r2.is_after_load
),
open_r1 AS (
    SELECT t.id, t.map_name, t.saved, t.start_unix, t.lua_rows, t.links, t.right_links, t.lua_match_id, t.actual_time
    FROM told AS t
    WHERE
        t.round_number = 1
        AND t.is_after_load
        AND (t.after_number IS DISTINCT FROM 2 OR t.after_map IS DISTINCT FROM t.map_name)
),
counts AS (
    SELECT
        (SELECT count(*) FROM recent AS n, bounds AS b WHERE n.round_number = 0 AND n.round_date || '-' || n.hms > b.loaded_local)
            AS summaries,
        (
            SELECT count(*) FROM recent AS n, bounds AS b
            WHERE n.round_number IN (1, 2) AND n.round_status = 'cancelled' AND n.round_date || '-' || n.hms > b.loaded_local
        ) AS cancelled,
        (
            SELECT count(*) FROM recent AS n
            WHERE
                n.round_number IN (1, 2)
                AND (n.hms IS NULL OR n.hms !~ '^([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]$')
        ) AS unreadable_times,
        (
            SELECT count(*) FROM lua_round_teams AS l, bounds AS b
            WHERE l.captured_at >= to_timestamp(b.loaded_unix) AND l.round_start_unix < b.loaded_unix
        ) AS captured_late,
        (
            SELECT count(*) FROM lua_round_teams AS l, bounds AS b
            WHERE l.match_id >= b.first_day AND l.round_start_unix >= b.loaded_unix AND l.round_id IS NULL
        ) AS lua_unlinked
)
SELECT 'counts' AS kind, c.*, NULL::integer AS r1_id, NULL::integer AS r2_id, NULL AS map, NULL AS r1_saved, NULL AS r2_saved,
    NULL::bigint AS r1_start_unix, NULL::bigint AS r2_start_unix, NULL::bigint AS r1_lua_rows, NULL::bigint AS r2_lua_rows,
    NULL::bigint AS r1_links, NULL::bigint AS r2_links, NULL::bigint AS r1_right_links, NULL::bigint AS r2_right_links,
    NULL AS r1_lua_match_id, NULL AS r2_lua_match_id, NULL AS r1_time, NULL::boolean AS r2_limit_fractional, NULL AS code, NULL AS link_code
FROM counts AS c
UNION ALL
SELECT 'pair', NULL, NULL, NULL, NULL, NULL, p.r1_id, p.r2_id, p.map, p.r1_saved, p.r2_saved, p.r1_start_unix, p.r2_start_unix,
    p.r1_lua_rows, p.r2_lua_rows, p.r1_links, p.r2_links, p.r1_right_links, p.r2_right_links, p.r1_lua_match_id,
    p.r2_lua_match_id, p.r1_time, p.r2_limit_fractional, p.code, p.link_code
FROM pairs AS p
UNION ALL
SELECT 'open_r1', NULL, NULL, NULL, NULL, NULL, o.id, NULL, o.map_name, o.saved, NULL, o.start_unix, NULL, o.lua_rows, NULL, o.links,
    NULL, o.right_links, NULL, o.lua_match_id, NULL, o.actual_time, NULL, 'R2_MISSING', NULL
FROM open_r1 AS o
ORDER BY kind, r2_saved, r1_saved
