-- Integration proof, item 3: per round how many of its players have a row in lua_spawn_stats. Parameter: round_ids (JSON list of rounds.id).
-- The February bot links spawn rows only when they come after the round's import and never later, so rows that carry the end time of the round's
-- own webhook row and no link are counted apart. Guids have 8 characters in one table and up to 32 in the other.
WITH wanted AS (
    SELECT r.id, r.map_name, r.round_number
    FROM json_array_elements_text(%(round_ids)s::json) AS v (id)
    JOIN rounds AS r ON r.id = v.id::bigint
)
SELECT
    w.id AS round_id,
    w.map_name AS map,
    w.round_number,
    (SELECT count(DISTINCT lower(left(p.player_guid, 8))) FROM player_comprehensive_stats AS p WHERE p.round_id = w.id) AS players,
    (
        SELECT count(DISTINCT lower(left(p.player_guid, 8)))
        FROM player_comprehensive_stats AS p
        JOIN lua_spawn_stats AS s ON s.round_id = p.round_id AND lower(left(s.player_guid, 8)) = lower(left(p.player_guid, 8))
        WHERE p.round_id = w.id
    ) AS with_spawn_row,
    (
        SELECT count(*)
        FROM lua_round_teams AS l
        JOIN lua_spawn_stats AS s ON s.match_id = l.match_id AND s.round_number = l.round_number
        WHERE l.round_id = w.id AND s.round_id IS NULL
    ) AS unlinked
FROM wanted AS w
ORDER BY w.id
