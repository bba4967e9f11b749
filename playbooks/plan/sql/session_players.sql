-- Step 6.1: what the website's session graphs are computed from, one row per player and half. Parameter: days (int), how many of the newest days
-- on which a half with players was played. A site may leave cancelled halves or bots out, so round_status and is_bot (a bot by name or in a
-- bots' round) are told, and every half is given.
-- round_date is TEXT: only ISO dates are taken, and the website selects a day by the first ten characters. Days are found by going down the
-- index from text to text, each time below all texts that begin with the day before; undated texts among them are stepped over.
WITH RECURSIVE texts AS (
    SELECT newest.text, 0::bigint AS players, 0 AS found
    FROM (SELECT max(o.round_date) || ' ' AS text FROM rounds AS o) AS newest
    UNION ALL
    SELECT next.text, next.players, t.found + CASE WHEN next.players > 0 THEN 1 ELSE 0 END
    FROM texts AS t
    CROSS JOIN LATERAL (
        SELECT
            n.text,
            CASE
                WHEN n.text ~ '^[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]$' THEN (
                    SELECT sum((SELECT count(*) FROM player_comprehensive_stats AS p WHERE p.round_id = r.id))::bigint
                    FROM rounds AS r
                    WHERE
                        r.round_number IN (1, 2)
                        AND r.round_date >= n.text
                        AND r.round_date < left(n.text, 8) || lpad((substr(n.text, 9, 2)::integer + 1)::text, 2, '0')
                        AND left(r.round_date, 10) = n.text
                )
            END AS players
        FROM (
            SELECT
                CASE WHEN m.text ~ '^[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]' THEN left(m.text, 10) ELSE m.text END AS text
            FROM (SELECT max(o.round_date) AS text FROM rounds AS o WHERE o.round_date < t.text) AS m
        ) AS n
    ) AS next
    WHERE t.found < %(days)s::integer AND next.text IS NOT NULL
)
SELECT
    d.text AS day,
    p.player_guid AS guid,
    p.clean_name AS name,
    r.id AS round_id,
    r.round_status,
    COALESCE(r.is_bot_round, FALSE) OR COALESCE(p.clean_name, p.player_name) ~ '^\[BOT\]' AS is_bot,
    p.damage_given,
    p.damage_received,
    p.time_played_seconds,
    p.time_dead_minutes
FROM texts AS d
CROSS JOIN LATERAL (
    SELECT o.id, o.round_status, o.is_bot_round
    FROM rounds AS o
    WHERE
        o.round_number IN (1, 2)
        AND o.round_date >= d.text
        AND o.round_date < left(d.text, 8) || lpad((substr(d.text, 9, 2)::integer + 1)::text, 2, '0')
        AND left(o.round_date, 10) = d.text
    OFFSET 0
) AS r
CROSS JOIN LATERAL (
    SELECT *
    FROM player_comprehensive_stats AS q
    WHERE q.round_id = r.id
    OFFSET 0
) AS p
WHERE d.players > 0
ORDER BY r.id
