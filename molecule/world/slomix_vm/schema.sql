-- The statistics database as it stood on 2026-02-20 (PostgreSQL 15).
-- Dates and times of rounds are TEXT, the Lua tables have no foreign key to rounds, and round_id is not unique there:
-- these are the shapes the rollout has to live with, so nothing is tidied up here.

CREATE TABLE IF NOT EXISTS rounds (
    id                      SERIAL PRIMARY KEY,
    match_id                TEXT,
    round_number            INTEGER,
    round_date              TEXT,
    round_time              TEXT,
    map_name                TEXT,
    time_limit              TEXT,
    actual_time             TEXT,
    defender_team           INTEGER DEFAULT 0,
    winner_team             INTEGER DEFAULT 0,
    is_tied                 BOOLEAN DEFAULT FALSE,
    round_outcome           TEXT,
    gaming_session_id       INTEGER,
    round_status            VARCHAR(20) DEFAULT 'completed',
    round_start_unix        BIGINT,
    round_end_unix          BIGINT,
    actual_duration_seconds INTEGER,
    total_pause_seconds     INTEGER DEFAULT 0,
    pause_count             INTEGER DEFAULT 0,
    end_reason              VARCHAR(20),
    is_bot_round            BOOLEAN DEFAULT FALSE,
    bot_player_count        INTEGER DEFAULT 0,
    human_player_count      INTEGER DEFAULT 0,
    created_at              TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (match_id, round_number)
);

CREATE TABLE IF NOT EXISTS player_comprehensive_stats (
    id                   SERIAL PRIMARY KEY,
    round_id             INTEGER NOT NULL REFERENCES rounds (id) ON DELETE CASCADE,
    round_date           TEXT NOT NULL,
    map_name             TEXT NOT NULL,
    round_number         INTEGER NOT NULL,
    player_guid          TEXT NOT NULL,
    player_name          TEXT NOT NULL,
    clean_name           TEXT,
    team                 INTEGER DEFAULT 0,
    kills                INTEGER DEFAULT 0,
    deaths               INTEGER DEFAULT 0,
    damage_given         INTEGER DEFAULT 0,
    damage_received      INTEGER DEFAULT 0,
    team_damage_given    INTEGER DEFAULT 0,
    team_damage_received INTEGER DEFAULT 0,
    gibs                 INTEGER DEFAULT 0,
    self_kills           INTEGER DEFAULT 0,
    full_selfkills       INTEGER DEFAULT 0,
    team_kills           INTEGER DEFAULT 0,
    team_gibs            INTEGER DEFAULT 0,
    headshot_kills       INTEGER DEFAULT 0,
    headshots            INTEGER DEFAULT 0,
    time_played_seconds  INTEGER DEFAULT 0,
    time_played_minutes  REAL DEFAULT 0,
    time_dead_minutes    REAL DEFAULT 0,
    time_dead_ratio      REAL DEFAULT 0,
    xp                   REAL DEFAULT 0,
    kd_ratio             REAL DEFAULT 0,
    dpm                  REAL DEFAULT 0,
    efficiency           REAL DEFAULT 0,
    accuracy             REAL DEFAULT 0,
    bullets_fired        INTEGER DEFAULT 0,
    kill_assists         INTEGER DEFAULT 0,
    objectives_completed INTEGER DEFAULT 0,
    objectives_destroyed INTEGER DEFAULT 0,
    objectives_stolen    INTEGER DEFAULT 0,
    objectives_returned  INTEGER DEFAULT 0,
    dynamites_planted    INTEGER DEFAULT 0,
    dynamites_defused    INTEGER DEFAULT 0,
    times_revived        INTEGER DEFAULT 0,
    revives_given        INTEGER DEFAULT 0,
    most_useful_kills    INTEGER DEFAULT 0,
    useless_kills        INTEGER DEFAULT 0,
    kill_steals          INTEGER DEFAULT 0,
    denied_playtime      INTEGER DEFAULT 0,
    constructions        INTEGER DEFAULT 0,
    tank_meatshield      INTEGER DEFAULT 0,
    double_kills         INTEGER DEFAULT 0,
    triple_kills         INTEGER DEFAULT 0,
    quad_kills           INTEGER DEFAULT 0,
    multi_kills          INTEGER DEFAULT 0,
    mega_kills           INTEGER DEFAULT 0,
    killing_spree_best   INTEGER DEFAULT 0,
    death_spree_worst    INTEGER DEFAULT 0,
    created_at           TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (round_id, player_guid)
);

CREATE TABLE IF NOT EXISTS weapon_comprehensive_stats (
    id           SERIAL PRIMARY KEY,
    round_id     INTEGER NOT NULL REFERENCES rounds (id) ON DELETE CASCADE,
    round_date   TEXT NOT NULL,
    map_name     TEXT NOT NULL,
    round_number INTEGER NOT NULL,
    player_guid  TEXT NOT NULL,
    player_name  TEXT NOT NULL,
    weapon_name  TEXT NOT NULL,
    kills        INTEGER DEFAULT 0,
    deaths       INTEGER DEFAULT 0,
    headshots    INTEGER DEFAULT 0,
    shots        INTEGER DEFAULT 0,
    hits         INTEGER DEFAULT 0,
    accuracy     REAL DEFAULT 0,
    created_at   TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (round_id, player_guid, weapon_name)
);

CREATE TABLE IF NOT EXISTS lua_round_teams (
    id                      SERIAL PRIMARY KEY,
    match_id                VARCHAR(64) NOT NULL,
    round_number            INTEGER NOT NULL,
    axis_players            JSONB DEFAULT '[]'::jsonb,
    allies_players          JSONB DEFAULT '[]'::jsonb,
    round_start_unix        BIGINT,
    round_end_unix          BIGINT,
    actual_duration_seconds INTEGER,
    total_pause_seconds     INTEGER DEFAULT 0,
    pause_count             INTEGER DEFAULT 0,
    end_reason              VARCHAR(20),
    winner_team             INTEGER,
    defender_team           INTEGER,
    map_name                VARCHAR(64),
    time_limit_minutes      INTEGER,
    captured_at             TIMESTAMPTZ DEFAULT now(),
    lua_version             VARCHAR(16),
    lua_warmup_seconds      INTEGER DEFAULT 0,
    lua_warmup_start_unix   BIGINT DEFAULT 0,
    lua_pause_events        JSONB DEFAULT '[]'::jsonb,
    surrender_caller_guid   VARCHAR(64),
    surrender_caller_name   VARCHAR(64),
    surrender_team          INTEGER DEFAULT 0,
    axis_score              INTEGER DEFAULT 0,
    allies_score            INTEGER DEFAULT 0,
    round_id                INTEGER,
    UNIQUE (match_id, round_number)
);

CREATE TABLE IF NOT EXISTS lua_spawn_stats (
    id                  SERIAL PRIMARY KEY,
    match_id            VARCHAR(64) NOT NULL,
    round_number        INTEGER NOT NULL,
    round_id            INTEGER,
    map_name            VARCHAR(64),
    round_end_unix      BIGINT,
    player_guid         VARCHAR(32),
    player_name         VARCHAR(64),
    spawn_count         INTEGER DEFAULT 0,
    death_count         INTEGER DEFAULT 0,
    dead_seconds        INTEGER DEFAULT 0,
    avg_respawn_seconds INTEGER DEFAULT 0,
    max_respawn_seconds INTEGER DEFAULT 0,
    captured_at         TIMESTAMPTZ DEFAULT now(),
    UNIQUE (match_id, round_number, player_guid)
);

CREATE TABLE IF NOT EXISTS processed_files (
    id            SERIAL PRIMARY KEY,
    filename      TEXT NOT NULL UNIQUE,
    file_hash     TEXT,
    success       BOOLEAN DEFAULT TRUE,
    error_message TEXT,
    processed_at  TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS processed_endstats_files (
    id            SERIAL PRIMARY KEY,
    filename      TEXT NOT NULL UNIQUE,
    round_id      INTEGER,
    success       BOOLEAN DEFAULT TRUE,
    error_message TEXT,
    processed_at  TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX IF NOT EXISTS idx_rounds_date ON rounds (round_date);
CREATE INDEX IF NOT EXISTS idx_rounds_session ON rounds (gaming_session_id);
CREATE INDEX IF NOT EXISTS idx_rounds_map_round ON rounds (map_name, round_number);
CREATE INDEX IF NOT EXISTS idx_player_stats_round ON player_comprehensive_stats (round_id);
CREATE INDEX IF NOT EXISTS idx_player_stats_guid ON player_comprehensive_stats (player_guid);
CREATE INDEX IF NOT EXISTS idx_player_stats_date ON player_comprehensive_stats (round_date);
CREATE INDEX IF NOT EXISTS idx_weapon_stats_round ON weapon_comprehensive_stats (round_id);
CREATE INDEX IF NOT EXISTS idx_weapon_stats_guid ON weapon_comprehensive_stats (player_guid);
CREATE INDEX IF NOT EXISTS idx_lua_round_teams_match ON lua_round_teams (match_id);
CREATE INDEX IF NOT EXISTS idx_lua_round_teams_round ON lua_round_teams (round_id);
CREATE INDEX IF NOT EXISTS idx_lua_round_teams_captured ON lua_round_teams (captured_at);
CREATE INDEX IF NOT EXISTS idx_lua_spawn_stats_match ON lua_spawn_stats (match_id);
CREATE INDEX IF NOT EXISTS idx_lua_spawn_stats_round ON lua_spawn_stats (round_id);
CREATE INDEX IF NOT EXISTS idx_lua_spawn_stats_end ON lua_spawn_stats (round_end_unix);

-- The role is made by the image; a superuser may run this file on its behalf.
DO $$
DECLARE
    target TEXT;
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'etlegacy_user') THEN
        FOREACH target IN ARRAY ARRAY[
            'rounds', 'player_comprehensive_stats', 'weapon_comprehensive_stats', 'lua_round_teams',
            'lua_spawn_stats', 'processed_files', 'processed_endstats_files'
        ] LOOP
            EXECUTE format('ALTER TABLE %I OWNER TO etlegacy_user', target);
        END LOOP;
    END IF;
END
$$;
