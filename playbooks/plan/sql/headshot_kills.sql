-- Step 6.2: headshot kills and kills of every player, one row each, from the player table alone: joined with the weapons' rows, both would count
-- once per weapon. Halves only; round 0 is a match summary that holds the same kills again.
SELECT
    p.player_guid AS guid,
    string_agg(DISTINCT p.clean_name, E'\n') AS names,
    sum(p.headshot_kills) AS headshot_kills,
    sum(p.kills) AS kills,
    count(DISTINCT p.round_id) AS rounds
FROM player_comprehensive_stats AS p
WHERE p.round_number IN (1, 2)
GROUP BY p.player_guid
HAVING sum(p.kills) > 0
ORDER BY p.player_guid
