-- Step 6.2: headshot kills and kills of players over all their halves, one row each, from the player table alone: joined with the weapons'
-- rows, both would count once per weapon. Halves only; round 0 is a match summary that holds the same kills again.
-- A site may leave halves or bots out: played_ sums are without halves that are cancelled or of an unknown status, completed_ sums also without
-- substituted ones; is_bot tells who appears as a bot (by name, or in a bots' round) and never otherwise. Of a table that is not summed whole
-- these sums are not known (NULL), since the status of a half is in a table that would have to be read whole.
-- Parameters: shown (JSON text: the names that the leaderboard shows); max_player_rows (int).
--
-- A table of at most max_player_rows is summed whole: every player (is_all). Of a larger one, only the players who bear or bore a shown name,
-- those with the fewest rows first, as many as have max_player_rows together. A player is summed over all history or not at all, and who is
-- not is given with NULL sums: a bearer left out in silence would make another one's numbers look wrong.
-- A chat line escapes marks in a name by a backslash, so names are asked for with and without. Bearers are found by going up an index from guid
-- to guid; which indexes a larger table needs says playbooks/plan/indexes.yml.
WITH RECURSIVE size AS MATERIALIZED (
    SELECT count(*) <= %(max_player_rows)s::integer AS is_small
    FROM (SELECT FROM player_comprehensive_stats LIMIT %(max_player_rows)s::integer + 1) AS counted
),
every AS (
    SELECT
        n.player_guid AS guid,
        string_agg(n.clean_name, E'\n' ORDER BY n.clean_name) AS names,
        sum(n.headshot_kills)::bigint AS headshot_kills,
        sum(n.kills)::bigint AS kills,
        sum(n.rounds)::bigint AS rounds,
        COALESCE(sum(n.played_headshot_kills), 0)::bigint AS played_headshot_kills,
        COALESCE(sum(n.played_kills), 0)::bigint AS played_kills,
        sum(n.played_rounds)::bigint AS played_rounds,
        COALESCE(sum(n.completed_headshot_kills), 0)::bigint AS completed_headshot_kills,
        COALESCE(sum(n.completed_kills), 0)::bigint AS completed_kills,
        sum(n.completed_rounds)::bigint AS completed_rounds,
        bool_and(n.is_bot) AS is_bot
    FROM (
        SELECT
            p.player_guid,
            p.clean_name,
            sum(p.headshot_kills) AS headshot_kills,
            sum(p.kills) AS kills,
            count(*) AS rounds,
            sum(p.headshot_kills) FILTER (WHERE r.is_played) AS played_headshot_kills,
            sum(p.kills) FILTER (WHERE r.is_played) AS played_kills,
            count(*) FILTER (WHERE r.is_played) AS played_rounds,
            sum(p.headshot_kills) FILTER (WHERE r.is_completed) AS completed_headshot_kills,
            sum(p.kills) FILTER (WHERE r.is_completed) AS completed_kills,
            count(*) FILTER (WHERE r.is_completed) AS completed_rounds,
            COALESCE(p.clean_name ~ '^\[BOT\]', FALSE)
                OR bool_and(r.is_bot_round OR (p.clean_name IS NULL AND p.player_name ~ '^\[BOT\]')) AS is_bot
        FROM player_comprehensive_stats AS p
        INNER JOIN (
            SELECT
                o.id,
                COALESCE(o.round_status, 'completed') IN ('completed', 'substitution') AS is_played,
                COALESCE(o.round_status, 'completed') = 'completed' AS is_completed,
                COALESCE(o.is_bot_round, FALSE) AS is_bot_round
            FROM rounds AS o
            OFFSET 0
        ) AS r ON r.id = p.round_id
        WHERE p.round_number IN (1, 2) AND (SELECT z.is_small FROM size AS z)
        GROUP BY p.player_guid, p.clean_name
    ) AS n
    GROUP BY n.player_guid
),
asked AS (
    SELECT DISTINCT v.name
    FROM jsonb_array_elements_text(%(shown)s::jsonb) AS j (name)
    CROSS JOIN LATERAL (VALUES (j.name), (regexp_replace(j.name, '\\(.)', '\1', 'g'))) AS v (name)
    WHERE NOT (SELECT z.is_small FROM size AS z)
),
bearers AS (
    SELECT a.name, (SELECT min(p.player_guid) FROM player_comprehensive_stats AS p WHERE p.clean_name = a.name) AS guid
    FROM asked AS a
    UNION ALL
    SELECT b.name, (SELECT min(p.player_guid) FROM player_comprehensive_stats AS p WHERE p.clean_name = b.name AND p.player_guid > b.guid)
    FROM bearers AS b
    WHERE b.guid IS NOT NULL
),
listed AS MATERIALIZED (
    SELECT c.guid, c.names, row_number() OVER (ORDER BY c.rows, c.guid) AS place
    FROM (
        SELECT
            b.guid,
            string_agg(b.name, E'\n' ORDER BY b.name) AS names,
            -- counted no further than needed to put the small ones first
            (
                SELECT count(*)
                FROM (SELECT FROM player_comprehensive_stats AS p WHERE p.player_guid = b.guid LIMIT %(max_player_rows)s::integer / 10) AS counted
            ) AS rows
        FROM bearers AS b
        WHERE b.guid IS NOT NULL
        GROUP BY b.guid
    ) AS c
),
summed AS (
    SELECT 0::bigint AS place, NULL::text AS guid, NULL::text AS shown_names, %(max_player_rows)s::bigint AS left_rows, NULL::text AS names,
        NULL::bigint AS headshot_kills, NULL::bigint AS kills, NULL::bigint AS rounds
    UNION ALL
    SELECT l.place, l.guid, l.names, s.left_rows - t.rows, t.names, t.headshot_kills, t.kills, t.halves
    FROM summed AS s
    INNER JOIN listed AS l ON l.place = s.place + 1
    CROSS JOIN LATERAL (
        SELECT
            string_agg(n.clean_name, E'\n' ORDER BY n.clean_name) FILTER (WHERE n.halves > 0) AS names,
            sum(n.headshot_kills)::bigint AS headshot_kills,
            sum(n.kills)::bigint AS kills,
            sum(n.halves)::bigint AS halves,
            sum(n.rows)::bigint AS rows
        FROM (
            SELECT
                q.clean_name,
                count(*) AS rows,
                count(*) FILTER (WHERE q.round_number IN (1, 2)) AS halves,
                sum(q.kills) FILTER (WHERE q.round_number IN (1, 2)) AS kills,
                sum(q.headshot_kills) FILTER (WHERE q.round_number IN (1, 2)) AS headshot_kills
            FROM (
                SELECT p.clean_name, p.round_number, p.kills, p.headshot_kills
                FROM player_comprehensive_stats AS p
                WHERE p.player_guid = l.guid
                LIMIT greatest(s.left_rows, 0) + 1
            ) AS q
            GROUP BY q.clean_name
        ) AS n
    ) AS t
)
SELECT
    e.guid,
    e.names,
    e.headshot_kills,
    e.kills,
    e.rounds,
    e.played_headshot_kills,
    e.played_kills,
    e.played_rounds,
    e.completed_headshot_kills,
    e.completed_kills,
    e.completed_rounds,
    e.is_bot,
    TRUE AS is_all
FROM every AS e
WHERE e.kills > 0
UNION ALL
SELECT
    s.guid,
    CASE WHEN s.left_rows >= 0 THEN s.names ELSE s.shown_names END,
    CASE WHEN s.left_rows >= 0 THEN s.headshot_kills END,
    CASE WHEN s.left_rows >= 0 THEN s.kills END,
    CASE WHEN s.left_rows >= 0 THEN s.rounds END,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    FALSE,
    FALSE
FROM summed AS s
WHERE s.guid IS NOT NULL AND (s.left_rows < 0 OR s.kills > 0)
ORDER BY guid
