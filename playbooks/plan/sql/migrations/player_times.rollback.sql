-- The way back of player_times. The module runs the statements of those columns only that the migration made itself,
-- newest first. RESTRICT: what somebody built on a column is not dropped with it.
ALTER TABLE player_comprehensive_stats DROP COLUMN longest_death_seconds RESTRICT;
ALTER TABLE player_comprehensive_stats DROP COLUMN longest_life_seconds RESTRICT;
ALTER TABLE player_comprehensive_stats DROP COLUMN avg_respawn_seconds RESTRICT;
ALTER TABLE player_comprehensive_stats DROP COLUMN time_alive_seconds RESTRICT;
