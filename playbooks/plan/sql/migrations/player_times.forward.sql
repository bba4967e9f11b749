-- Per-player times (the plan's outline for later; nothing in phases 0 to 6 needs it). One column per statement: the
-- module runs those whose column is missing, and refuses a column that is there with another type. No IF NOT EXISTS:
-- it would pass over a column of the wrong type.
ALTER TABLE player_comprehensive_stats ADD COLUMN time_alive_seconds INTEGER;
ALTER TABLE player_comprehensive_stats ADD COLUMN avg_respawn_seconds DOUBLE PRECISION;
ALTER TABLE player_comprehensive_stats ADD COLUMN longest_life_seconds INTEGER;
ALTER TABLE player_comprehensive_stats ADD COLUMN longest_death_seconds INTEGER;
