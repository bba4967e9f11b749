-- Step 6.1: what the website's session graphs are computed from, one row per player and half. Parameter: days (int), how many of the newest days.
-- round_date is TEXT: only ISO dates are taken, and the website selects a day by the first ten characters.
WITH days AS (
    SELECT DISTINCT left(o.round_date, 10) AS day
    FROM rounds AS o
    JOIN player_comprehensive_stats AS q ON q.round_id = o.id
    WHERE o.round_number IN (1, 2) AND o.round_date ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}'
    ORDER BY day DESC
    LIMIT %(days)s
)
SELECT
    d.day,
    p.player_guid AS guid,
    p.clean_name AS name,
    r.id AS round_id,
    p.damage_given,
    p.damage_received,
    p.time_played_seconds,
    p.time_dead_minutes
FROM days AS d
JOIN rounds AS r ON left(r.round_date, 10) = d.day AND r.round_number IN (1, 2)
JOIN player_comprehensive_stats AS p ON p.round_id = r.id
ORDER BY d.day, r.id, p.player_guid
