-- Sixty halves of three players with known numbers, so that the leaderboard's thresholds are met and the formulas have something to say.
-- Ana's dead time exceeds her played time in every tenth half, as recorded dead time does; each player uses a different number of weapons.
INSERT INTO rounds (match_id, round_number, round_date, round_time, map_name, gaming_session_id, winner_team, round_outcome)
SELECT 'seed-' || n, 1 + n % 2, '2026-01-' || lpad((10 + n / 20)::text, 2, '0'), '2000' || lpad((n % 60)::text, 2, '0'), 'supply', 900 + n / 20, 1, 'Completed'
FROM generate_series(0, 59) AS n;
INSERT INTO player_comprehensive_stats (round_id, round_date, map_name, round_number, player_guid, player_name, clean_name, kills, deaths, headshot_kills,
    headshots, damage_given, damage_received, time_played_seconds, time_dead_minutes, dpm, accuracy, kill_assists)
SELECT r.id, r.round_date, r.map_name, r.round_number, p.guid, p.name, p.name, p.kills, p.deaths, p.headshots, p.headshots * 9, p.given, p.received, 540,
    CASE WHEN p.name = 'Ana' AND r.id % 10 = 0 THEN 30.5 ELSE p.dead END, p.given / 9.0, 33.3, 2
FROM rounds AS r
CROSS JOIN (VALUES ('SEED0001', 'Ana', 20, 11, 3, 3100, 2500, 1.7), ('SEED0002', 'Bor', 15, 14, 6, 2400, 2600, 2.4), ('SEED0003', 'Cene', 11, 9, 1, 0, 0, 0.0))
    AS p (guid, name, kills, deaths, headshots, given, received, dead)
WHERE r.match_id LIKE 'seed-%';
INSERT INTO weapon_comprehensive_stats (round_id, round_date, map_name, round_number, player_guid, player_name, weapon_name, kills, headshots, shots, hits)
SELECT p.round_id, p.round_date, p.map_name, p.round_number, p.player_guid, p.player_name, w.name, 3, 20, 300, 70
FROM player_comprehensive_stats AS p
CROSS JOIN (VALUES (1, 'WS_MP40'), (2, 'WS_LUGER'), (3, 'WS_GRENADE'), (4, 'WS_KNIFE')) AS w (place, name)
WHERE p.player_guid LIKE 'SEED%' AND w.place <= CASE p.clean_name WHEN 'Ana' THEN 4 WHEN 'Bor' THEN 2 ELSE 3 END;
