--[[
    stats_discord_webhook.lua

    Tells the stats bot that a round is over.

    When the server enters intermission this module collects what the stats file
    does not carry (who played where, real start and end time, warm-up, pauses,
    surrender, score, respawn times) and posts it to a Discord webhook. The bot
    watches that channel, reads the embed and fetches the stats file.

    The same data is written as JSON to the gametimes folder, so that the bot can
    pick it up over SSH if Discord was not reachable.

    Install:
        put this file into legacy/luascripts/
        add  luascripts/stats_discord_webhook.lua  to lua_modules
        fill in discord_webhook_url below

    History:
        1.0.0  first version: map, round, winner, real playtime
        1.1.0  team rosters (Axis_JSON, Allies_JSON)
        1.2.0  warm-up tracking
        1.3.0  pause events as JSON
        1.4.0  surrender vote tracking: who called it, which team gave up
        1.4.1  score of the match in the payload
        1.4.2  curl runs in the background, the server does not wait for it
        1.5.0  gametime files as fallback, duplicate protection
        1.5.1  fallback from ShutdownGame if the intermission was skipped
        1.6.0  spawn statistics (deaths, dead time, respawn times per player)
]]--

local modname = "stats_discord_webhook"
local version = "1.6.0"

-- ---------------------------------------------------------------------------
-- Configuration
-- ---------------------------------------------------------------------------

local configuration = {
    -- Where to post. The placeholder REPLACE_WITH_YOUR_WEBHOOK_URL switches sending off.
    discord_webhook_url = "http://slomix-vm:8089/api/webhooks/100000000000000001/demo-webhook-token",

    -- Master switch.
    enabled = true,

    -- Chatty console output, for setting the thing up.
    debug = false,

    -- One line for every change of the gamestate cvar.
    log_gamestate_transitions = false,

    -- Seconds between the end of the round and the post.
    -- Leave it at 0: the Lua VM goes away at the map change and a pending post with it.
    send_delay_seconds = 0,

    -- Gametime files: a JSON copy of every round on disk.
    gametimes_enabled = true,
    gametimes_dir = "/home/et/.etlegacy/legacy/gametimes",
    gametimes_write_on_failure_only = false,

    -- Spawn statistics.
    spawn_tracking_enabled = true,
    spawn_check_interval_ms = 500,

    -- curl
    curl_connect_timeout = 2,
    curl_max_time = 10,
    curl_retry = 3,
    curl_retry_delay = 1,
    curl_retry_max_time = 15
}

-- ---------------------------------------------------------------------------
-- Constants
-- ---------------------------------------------------------------------------

local URL_PLACEHOLDER = "REPLACE_WITH_YOUR_WEBHOOK_URL"

local TEAM_AXIS = 1
local TEAM_ALLIES = 2

local CON_CONNECTED = 2

local GS_PLAYING = 0
local GS_WARMUP_COUNTDOWN = 1
local GS_WARMUP = 2
local GS_INTERMISSION = 3
local GS_WAITING_FOR_PLAYERS = 4

local gamestate_names = {
    [-1] = "INITIALIZE",
    [0] = "PLAYING",
    [1] = "COUNTDOWN",
    [2] = "WARMUP",
    [3] = "INTERMISSION",
    [4] = "WAITING",
    [5] = "RESET"
}

-- A frame takes 25 ms at sv_fps 40. Anything above this is taken for a pause.
local PAUSE_GAP_MS = 2000

-- Rounds shorter than this are not worth a post from ShutdownGame.
local MIN_FALLBACK_SECONDS = 3

-- A round that ended before this share of the time limit did not run out of time.
local EARLY_END_SHARE = 0.9

-- ---------------------------------------------------------------------------
-- State (lives as long as the VM: one half)
-- ---------------------------------------------------------------------------

local max_clients = 64

local last_gamestate = -1
local last_frame_time = 0

-- round clock, unix seconds
local round_started = false
local round_start_unix = 0
local round_end_unix = 0
local round_start_fallback = false

-- warm-up, unix seconds
local warmup_start_unix = 0
local warmup_end_unix = 0

-- end of round bookkeeping
local round_end_handled = false
local webhook_emitted = false
local scheduled_send_unix = 0

local send_in_progress = false
local last_sent_signature = nil

-- teams at the end of the round: lists of {guid, name}
local axis_players = {}
local allies_players = {}

-- pauses: list of {start, stop, seconds}
local pause_events = {}
local pause_total_seconds = 0

-- surrender vote
local surrender = { called = false, team = 0, guid = "", name = "", unix = 0 }

-- match score, counted per map
local match_score = { map = "", axis = 0, allies = 0 }

-- spawn statistics by client slot
local spawn_stats = {}
local last_spawn_check = 0

-- ---------------------------------------------------------------------------
-- Helpers
-- ---------------------------------------------------------------------------

local function log(message)
    et.G_Print("[stats_discord_webhook] " .. message .. "\n")
end

local function debug_log(message)
    if configuration.debug then
        log("DEBUG " .. message)
    end
end

-- Player names come with colour codes: ^ and a digit.
local function strip_colors(text)
    if not text then
        return ""
    end
    return (string.gsub(text, "%^[0-9]", ""))
end

-- Make a text fit for a JSON string.
local function json_escape(text)
    if not text then
        return ""
    end
    text = string.gsub(text, "\\", "\\\\")
    text = string.gsub(text, '"', '\\"')
    return text
end

-- JSON inside a JSON string (the embed fields hold plain text only).
local function escape_nested_json(text)
    return (string.gsub(text, '"', '\\"'))
end

local function shell_quote(text)
    return "'" .. string.gsub(text, "'", "'\\''") .. "'"
end

local function get_cvar(name, default)
    local value = et.trap_Cvar_Get(name)
    if value == nil or value == "" then
        return default
    end
    return value
end

local function get_cvar_number(name, default)
    return tonumber(get_cvar(name, "")) or default
end

local function get_gamestate()
    return get_cvar_number("gamestate", -1)
end

local function get_configstring_number(index, key)
    local configstring = et.trap_GetConfigstring(index)
    if not configstring or configstring == "" then
        return nil
    end
    return tonumber(et.Info_ValueForKey(configstring, key))
end

-- os.execute returns true on Lua 5.2 and later and a number before.
local function command_succeeded(result)
    return result == true or result == 0
end

local function is_url_configured()
    local url = configuration.discord_webhook_url
    return url ~= nil and url ~= "" and url ~= URL_PLACEHOLDER
end

-- ---------------------------------------------------------------------------
-- Paths
-- ---------------------------------------------------------------------------

local function get_gametimes_dir()
    local dir = configuration.gametimes_dir
    if string.sub(dir, 1, 1) == "/" then
        return dir
    end
    -- relative: below the homepath of the mod
    local homepath = get_cvar("fs_homepath", ".")
    local game = get_cvar("fs_game", "legacy")
    return homepath .. "/" .. game .. "/" .. dir
end

local function ensure_directory(dir)
    return command_succeeded(os.execute("mkdir -p " .. shell_quote(dir)))
end

local function sanitize_for_filename(text)
    return (string.gsub(text, "[^%w_%-]", "_"))
end

local function get_gametime_filename(map, round, end_unix)
    return string.format("gametime-%s-R%d-%d.json", sanitize_for_filename(map), round, end_unix)
end

-- ---------------------------------------------------------------------------
-- Match information
-- ---------------------------------------------------------------------------

local function get_map_name()
    local map = get_cvar("mapname", "")
    if map == "" then
        map = et.Info_ValueForKey(et.trap_GetConfigstring(et.CS_SERVERINFO), "mapname")
    end
    if map == nil or map == "" then
        return "unknown"
    end
    return map
end

-- The engine flips g_currentRound when it logs the exit: during the intermission
-- 1 means that round 1 has just been played, 0 that round 2 is done.
local function get_round_number()
    local current = get_cvar_number("g_currentRound", 0)
    if current == 0 then
        return 2
    end
    return 1
end

-- Team numbers in the config strings start at 0 for Axis. Unknown becomes 0.
local function get_winner_team()
    local winner = get_configstring_number(et.CS_MULTI_MAPWINNER, "w")
    if winner == nil then
        return 0
    end
    return winner + 1
end

local function get_defender_team()
    local defender = get_configstring_number(et.CS_MULTI_INFO, "d")
    if defender == nil then
        return 0
    end
    return defender + 1
end

-- Minutes. In round 2 this is the time that round 1 has set.
local function get_time_limit()
    return get_cvar_number("timelimit", 0)
end

-- ---------------------------------------------------------------------------
-- Players
-- ---------------------------------------------------------------------------

local function is_client_connected(slot)
    return et.gentity_get(slot, "pers.connected") == CON_CONNECTED
end

local function get_client_team(slot)
    return tonumber(et.gentity_get(slot, "sess.sessionTeam")) or 0
end

local function get_client_name(slot)
    local name = et.gentity_get(slot, "pers.netname")
    if name == nil or name == "" then
        return "unknown"
    end
    return strip_colors(name)
end

local function get_client_guid(slot)
    local userinfo = et.trap_GetUserinfo(slot)
    if userinfo == nil or userinfo == "" then
        return "unknown"
    end
    local guid = et.Info_ValueForKey(userinfo, "cl_guid")
    if guid == nil or guid == "" then
        return "unknown"
    end
    return guid
end

-- Remember who is on which team. Called when the round is over, before anybody
-- can leave or change sides.
local function capture_teams()
    axis_players = {}
    allies_players = {}

    for slot = 0, max_clients - 1 do
        if is_client_connected(slot) then
            local team = get_client_team(slot)
            if team == TEAM_AXIS or team == TEAM_ALLIES then
                local player = { guid = get_client_guid(slot), name = get_client_name(slot) }
                if team == TEAM_AXIS then
                    table.insert(axis_players, player)
                    log("Axis player: " .. player.name .. " (" .. string.sub(player.guid, 1, 8) .. ")")
                else
                    table.insert(allies_players, player)
                    log("Allies player: " .. player.name .. " (" .. string.sub(player.guid, 1, 8) .. ")")
                end
            end
        end
    end

    log(string.format("Teams captured - Axis: %d, Allies: %d", #axis_players, #allies_players))
end

local function players_to_json(players)
    local parts = {}
    for _, player in ipairs(players) do
        table.insert(parts, string.format('{"guid":"%s","name":"%s"}',
            json_escape(player.guid), json_escape(player.name)))
    end
    return "[" .. table.concat(parts, ",") .. "]"
end

-- ---------------------------------------------------------------------------
-- Pauses
--
-- The server does not run frames while the match is paused, so a long gap
-- between two frames is a pause.
-- ---------------------------------------------------------------------------

local function reset_pauses()
    pause_events = {}
    pause_total_seconds = 0
end

local function record_pause(gap_ms)
    local seconds = gap_ms / 1000
    local now = os.time()

    table.insert(pause_events, { start = now - math.floor(seconds), stop = now, seconds = seconds })
    pause_total_seconds = pause_total_seconds + seconds

    log(string.format("Pause #%d ended after %d sec (total %d sec)", #pause_events, seconds, pause_total_seconds))
end

local function detect_pause(level_time)
    if last_frame_time > 0 then
        local gap = level_time - last_frame_time
        if gap > PAUSE_GAP_MS and round_started and not round_end_handled then
            -- remember the frame first, a pause counts only once
            last_frame_time = level_time
            record_pause(gap)
        end
    end
    last_frame_time = level_time
end

local function pauses_to_json()
    local parts = {}
    for index, pause in ipairs(pause_events) do
        table.insert(parts, string.format('{"n":%d,"start":%d,"end":%d,"sec":%d}',
            index, pause.start, pause.stop, pause.seconds))
    end
    return "[" .. table.concat(parts, ",") .. "]"
end

-- ---------------------------------------------------------------------------
-- Surrender
-- ---------------------------------------------------------------------------

local function reset_surrender()
    surrender.called = false
    surrender.team = 0
    surrender.guid = ""
    surrender.name = ""
    surrender.unix = 0
end

local function track_surrender_vote(slot)
    local team = get_client_team(slot)
    if team ~= TEAM_AXIS and team ~= TEAM_ALLIES then
        return
    end

    surrender.called = true
    surrender.team = team
    surrender.guid = get_client_guid(slot)
    surrender.name = get_client_name(slot)
    surrender.unix = os.time()

    local team_name = team == TEAM_AXIS and "Axis" or "Allies"
    log("Surrender vote called by " .. surrender.name .. " (" .. team_name .. ")")
end

-- ---------------------------------------------------------------------------
-- Spawn statistics
-- ---------------------------------------------------------------------------

local function new_spawn_entry(slot)
    return {
        guid = get_client_guid(slot),
        name = get_client_name(slot),
        spawns = 0,
        deaths = 0,
        dead_ms = 0,
        max_respawn_ms = 0,
        last_spawn_time = 0,
        death_time = 0
    }
end

local function get_spawn_entry(slot)
    local entry = spawn_stats[slot]
    if entry == nil then
        entry = new_spawn_entry(slot)
        spawn_stats[slot] = entry
    end
    return entry
end

local function reset_spawn_stats()
    spawn_stats = {}
    last_spawn_check = 0
end

-- A player died: from now on he waits for the next wave.
local function track_death(victim)
    if not configuration.spawn_tracking_enabled or not round_started then
        return
    end
    if victim < 0 or victim >= max_clients or not is_client_connected(victim) then
        return
    end

    local entry = get_spawn_entry(victim)
    entry.deaths = entry.deaths + 1
    entry.death_time = et.trap_Milliseconds()
end

-- Look for players whose spawn time has changed since the last look.
local function check_spawns(level_time)
    if level_time - last_spawn_check < configuration.spawn_check_interval_ms then
        return
    end
    last_spawn_check = level_time

    for slot = 0, max_clients - 1 do
        if is_client_connected(slot) then
            local team = get_client_team(slot)
            if team == TEAM_AXIS or team == TEAM_ALLIES then
                local entry = get_spawn_entry(slot)
                local spawn_time = tonumber(et.gentity_get(slot, "pers.lastSpawnTime")) or 0

                entry.name = get_client_name(slot)
                if spawn_time > 0 and spawn_time ~= entry.last_spawn_time then
                    entry.spawns = entry.spawns + 1
                    entry.last_spawn_time = spawn_time

                    if entry.death_time > 0 and spawn_time > entry.death_time then
                        local respawn_ms = spawn_time - entry.death_time
                        entry.dead_ms = entry.dead_ms + respawn_ms
                        if respawn_ms > entry.max_respawn_ms then
                            entry.max_respawn_ms = respawn_ms
                        end
                        entry.death_time = 0
                    end
                end
            end
        end
    end
end

-- Players who are still dead when the round ends: their dead time ends here.
local function close_open_deaths()
    local now = et.trap_Milliseconds()
    for _, entry in pairs(spawn_stats) do
        if entry.death_time > 0 then
            entry.dead_ms = entry.dead_ms + (now - entry.death_time)
            entry.death_time = 0
        end
    end
end

local function forget_spawn_client(slot)
    -- keep the numbers, but do not count the time after leaving as dead time
    local entry = spawn_stats[slot]
    if entry ~= nil then
        entry.death_time = 0
    end
end

local function get_respawn_average(entry)
    if entry.deaths == 0 then
        return 0
    end
    return math.floor(math.floor(entry.dead_ms / 1000) / entry.deaths)
end

local function spawn_stats_to_json()
    local parts = {}
    for slot = 0, max_clients - 1 do
        local entry = spawn_stats[slot]
        if entry ~= nil then
            table.insert(parts, string.format(
                '{"guid":"%s","name":"%s","spawns":%d,"deaths":%d,"dead_seconds":%d,"avg_respawn":%d,"max_respawn":%d}',
                json_escape(entry.guid),
                json_escape(entry.name),
                entry.spawns,
                entry.deaths,
                math.floor(entry.dead_ms / 1000),
                get_respawn_average(entry),
                math.floor(entry.max_respawn_ms / 1000)))
        end
    end
    return "[" .. table.concat(parts, ",") .. "]"
end

local function get_spawn_summary()
    local players = 0
    local spawns = 0
    local deaths = 0
    local dead_ms = 0
    local max_respawn_ms = 0

    for _, entry in pairs(spawn_stats) do
        players = players + 1
        spawns = spawns + entry.spawns
        deaths = deaths + entry.deaths
        dead_ms = dead_ms + entry.dead_ms
        if entry.max_respawn_ms > max_respawn_ms then
            max_respawn_ms = entry.max_respawn_ms
        end
    end

    local average = 0
    if deaths > 0 then
        average = math.floor(dead_ms / 1000 / deaths)
    end

    return string.format("Players:%d | Spawns:%d | AvgRespawn:%ds | MaxRespawn:%ds",
        players, spawns, average, math.floor(max_respawn_ms / 1000))
end

-- ---------------------------------------------------------------------------
-- Result of the round
-- ---------------------------------------------------------------------------

local function get_actual_duration()
    if round_start_unix == 0 then
        return 0
    end
    local duration = round_end_unix - round_start_unix - pause_total_seconds
    if duration < 0 then
        duration = 0
    end
    return duration
end

local function get_warmup_seconds()
    if warmup_start_unix == 0 or warmup_end_unix < warmup_start_unix then
        return 0
    end
    return warmup_end_unix - warmup_start_unix
end

local function get_end_reason(duration, time_limit, winner)
    if surrender.called then
        return "surrender"
    end
    if time_limit > 0 and duration < time_limit * 60 * EARLY_END_SHARE then
        if winner > 0 then
            return "objective"
        end
        return "surrender"
    end
    return "time_expired"
end

local function get_surrender_team(reason, winner)
    if surrender.called then
        return surrender.team
    end
    if reason == "surrender" then
        if winner == TEAM_AXIS then
            return TEAM_ALLIES
        elseif winner == TEAM_ALLIES then
            return TEAM_AXIS
        end
    end
    return 0
end

local function reset_match_score(map)
    match_score.map = map
    match_score.axis = 0
    match_score.allies = 0
end

local function update_match_score(winner)
    if winner == TEAM_AXIS then
        match_score.axis = match_score.axis + 1
        log(string.format("Axis wins round! Score: Axis %d - %d Allies", match_score.axis, match_score.allies))
    elseif winner == TEAM_ALLIES then
        match_score.allies = match_score.allies + 1
        log(string.format("Allies wins round! Score: Axis %d - %d Allies", match_score.axis, match_score.allies))
    else
        log("No winner known, score stays as it is")
    end
end

-- ---------------------------------------------------------------------------
-- Output
-- ---------------------------------------------------------------------------

local function write_file(path, content)
    local file, reason = io.open(path, "w")
    if not file then
        log("Cannot write " .. path .. ": " .. tostring(reason))
        return false
    end
    file:write(content)
    file:close()
    return true
end

-- Post in the background. Returns true when curl could be started, which says
-- nothing about what Discord answered.
local function start_curl(payload)
    local base = os.tmpname()
    local payload_file = base .. ".json"
    os.remove(base)

    if not write_file(payload_file, payload) then
        return false
    end

    local command = string.format(
        "curl -s -X POST -H 'Content-Type: application/json' --data-binary @%s --compressed"
            .. " --connect-timeout %d --max-time %d --retry %d --retry-delay %d --retry-max-time %d"
            .. " %s >/dev/null 2>&1 &",
        shell_quote(payload_file),
        configuration.curl_connect_timeout,
        configuration.curl_max_time,
        configuration.curl_retry,
        configuration.curl_retry_delay,
        configuration.curl_retry_max_time,
        shell_quote(configuration.discord_webhook_url))

    local started = command_succeeded(os.execute(command))

    -- curl has read the file long before that
    os.execute("(sleep 15; rm -f " .. shell_quote(payload_file) .. ") >/dev/null 2>&1 &")

    return started
end

local function build_gametime_meta(map, round, duration, warmup_seconds)
    return string.format(
        '{"map":"%s","round":%d,"round_start_unix":%d,"round_end_unix":%d,"actual_duration_seconds":%d,'
            .. '"warmup_seconds":%d,"pause_seconds":%d,"pause_count":%d,"server_ip":"%s","server_port":"%s",'
            .. '"match_id":"%d","spawn_stats":%s}',
        map,
        round,
        round_start_unix,
        round_end_unix,
        duration,
        warmup_seconds,
        pause_total_seconds,
        #pause_events,
        json_escape(get_cvar("net_ip", "")),
        json_escape(get_cvar("net_port", "")),
        round_end_unix,
        spawn_stats_to_json())
end

local function write_gametime_file(map, round, meta, payload)
    local dir = get_gametimes_dir()
    if not ensure_directory(dir) then
        log("Cannot create " .. dir)
        return false
    end

    local path = dir .. "/" .. get_gametime_filename(map, round, round_end_unix)
    if not write_file(path, '{"meta":' .. meta .. ',"payload":' .. payload .. "}\n") then
        return false
    end
    log("Gametime file written: " .. path)
    return true
end

-- ---------------------------------------------------------------------------
-- Sending
-- ---------------------------------------------------------------------------

local function send_webhook()
    if not configuration.enabled then
        debug_log("sending is disabled")
        return
    end

    if not is_url_configured() then
        log("discord_webhook_url is not configured, nothing sent")
        return
    end

    -- RunFrame and ShutdownGame may both end up here for the same round
    if send_in_progress then
        log("Webhook send already in progress, skipping")
        return
    end
    send_in_progress = true

    local map = get_map_name()
    local round = get_round_number()

    local signature = map .. ":" .. tostring(round) .. ":" .. tostring(round_end_unix)
    if signature == last_sent_signature then
        log("Round " .. signature .. " was already sent, skipping")
        send_in_progress = false
        return
    end

    -- who won, and how
    local winner = get_winner_team()
    local defender = get_defender_team()
    local time_limit = get_time_limit()
    local actual_duration = get_actual_duration()
    local end_reason = get_end_reason(actual_duration, time_limit, winner)
    local surrender_team = get_surrender_team(end_reason, winner)

    update_match_score(winner)

    -- clocks
    local warmup_seconds = get_warmup_seconds()
    local pause_count = #pause_events

    -- the vote, if there was one (both empty otherwise)
    local caller_guid = json_escape(surrender.guid)
    local caller_name = json_escape(surrender.name)

    -- rosters and pauses travel as JSON text inside the fields of the embed,
    -- because an embed field holds nothing but text
    local axis_json = escape_nested_json(players_to_json(axis_players))
    local allies_json = escape_nested_json(players_to_json(allies_players))
    local pauses_json = escape_nested_json(pauses_to_json())

    local spawn_summary = ""
    if configuration.spawn_tracking_enabled then
        close_open_deaths()
        spawn_summary = get_spawn_summary()
    end

    debug_log("building payload for " .. signature)

    -- The bot looks for the content STATS_READY and reads the fields by name:
    -- do not rename them.
    -- Discord allows 25 fields, there are 21.
    -- The order of the arguments below is the order of the template.
    local payload = string.format([[{
  "username": "ET:Legacy Stats",
  "content": "STATS_READY",
  "embeds": [{
    "title": "Round Complete: %s R%d",
    "description": "Timing data from the game server, stats file follows",
    "color": 3447003,
    "fields": [
      {"name": "Map", "value": "%s", "inline": true},
      {"name": "Round", "value": "%d", "inline": true},
      {"name": "Winner", "value": "%d", "inline": true},
      {"name": "Defender", "value": "%d", "inline": true},
      {"name": "Lua_Playtime", "value": "%d sec", "inline": true},
      {"name": "Lua_Timelimit", "value": "%d min", "inline": true},
      {"name": "Lua_Pauses", "value": "%d (%d sec)", "inline": true},
      {"name": "Lua_EndReason", "value": "%s", "inline": true},
      {"name": "Lua_Warmup", "value": "%d sec", "inline": true},
      {"name": "Lua_WarmupStart", "value": "%d", "inline": true},
      {"name": "Lua_RoundStart", "value": "%d", "inline": true},
      {"name": "Lua_RoundEnd", "value": "%d", "inline": true},
      {"name": "Lua_SurrenderTeam", "value": "%d", "inline": true},
      {"name": "Lua_SurrenderCaller", "value": "%s", "inline": true},
      {"name": "Lua_SurrenderCallerName", "value": "%s", "inline": true},
      {"name": "Lua_AxisScore", "value": "%d", "inline": true},
      {"name": "Lua_AlliesScore", "value": "%d", "inline": true},
      {"name": "Axis_JSON", "value": "%s", "inline": false},
      {"name": "Allies_JSON", "value": "%s", "inline": false},
      {"name": "Lua_Pauses_JSON", "value": "%s", "inline": false},
      {"name": "Lua_SpawnSummary", "value": "%s", "inline": false}
    ],
    "footer": {"text": "Slomix Lua Webhook v%s"}
  }]
}]],
        -- title
        map,
        round,
        -- fields
        map,
        round,
        winner,
        defender,
        actual_duration,
        time_limit,
        pause_count,
        pause_total_seconds,
        end_reason,
        warmup_seconds,
        warmup_start_unix,
        round_start_unix,
        round_end_unix,
        surrender_team,
        caller_guid,
        caller_name,
        match_score.axis,
        match_score.allies,
        axis_json,
        allies_json,
        pauses_json,
        spawn_summary,
        -- footer
        version)

    debug_log("payload has " .. tostring(#payload) .. " bytes")

    -- Discord first: the bot waits for this post, and it should not have to wait
    -- for our disk.
    local curl_started = start_curl(payload)
    if curl_started then
        log(string.format("Webhook sent for %s R%d", map, round))
    else
        -- most likely curl is not installed
        log(string.format("Could not start curl for %s R%d", map, round))
    end

    -- The copy on disk, for the bot's SSH poll. It is also the only place where
    -- the spawn statistics of the single players go: they do not fit into the
    -- embed.
    local file_written = false
    if configuration.gametimes_enabled then
        if not (curl_started and configuration.gametimes_write_on_failure_only) then
            local meta = build_gametime_meta(
                map, round, actual_duration, warmup_seconds)
            file_written = write_gametime_file(map, round, meta, payload)
        end
    end

    -- Remember it only if somebody has got it.
    if curl_started or file_written then
        last_sent_signature = signature
    end

    -- ready for the next round
    send_in_progress = false
end

-- ---------------------------------------------------------------------------
-- Start and end of the round
-- ---------------------------------------------------------------------------

local function on_round_start(is_fallback)
    if not is_fallback or round_start_unix == 0 then
        round_start_unix = os.time()
    end
    round_started = true
    round_start_fallback = false
    round_end_unix = 0
    round_end_handled = false
    webhook_emitted = false
    scheduled_send_unix = 0

    if warmup_start_unix > 0 then
        warmup_end_unix = round_start_unix
    end

    reset_pauses()
    reset_surrender()
    reset_spawn_stats()

    if is_fallback then
        log(string.format("Round started at %d (fallback)", round_start_unix))
    else
        log(string.format("Round started at %d (warmup: %d sec)", round_start_unix, get_warmup_seconds()))
    end
end

local function capture_round_end()
    round_end_unix = os.time()

    local duration = 0
    if round_start_unix > 0 then
        duration = round_end_unix - round_start_unix
    end
    log(string.format("Round ended at %d (duration: %d sec)", round_end_unix, duration))

    capture_teams()
end

local function on_round_end()
    capture_round_end()

    if configuration.send_delay_seconds > 0 then
        scheduled_send_unix = round_end_unix + configuration.send_delay_seconds
        round_end_handled = true
        return
    end

    send_webhook()
    round_end_handled = true
    webhook_emitted = true
end

local function check_scheduled_send()
    if scheduled_send_unix > 0 and not webhook_emitted and os.time() >= scheduled_send_unix then
        scheduled_send_unix = 0
        send_webhook()
        webhook_emitted = true
    end
end

local function log_gamestate_transition(from, to)
    if configuration.log_gamestate_transitions then
        log(string.format("gamestate %s -> %s", gamestate_names[from] or tostring(from), gamestate_names[to] or tostring(to)))
    end
end

local function is_warmup_state(gamestate)
    return gamestate == GS_WARMUP or gamestate == GS_WARMUP_COUNTDOWN or gamestate == GS_WAITING_FOR_PLAYERS
end

-- ---------------------------------------------------------------------------
-- Engine callbacks
-- ---------------------------------------------------------------------------

function et_InitGame(level_time, random_seed, restart)
    et.RegisterModname(modname .. " " .. version)

    max_clients = get_cvar_number("sv_maxclients", 64)
    last_frame_time = 0

    local map = get_map_name()
    if match_score.map ~= map then
        log("New map detected: " .. map .. " - resetting score")
        reset_match_score(map)
    end

    local gamestate = get_gamestate()
    if gamestate == GS_PLAYING then
        -- a restart into a running round: the frame code will not see a transition
        log("Game already in progress, recording start time")
        round_start_unix = os.time()
        round_start_fallback = true
    elseif is_warmup_state(gamestate) then
        warmup_start_unix = os.time()
        log(string.format("Map loaded in warmup, tracking from %d", warmup_start_unix))
    end
    last_gamestate = gamestate

    log("v" .. version .. " loaded - Discord webhook with surrender tracking")
    log("fs_basepath=" .. get_cvar("fs_basepath", "") .. " fs_homepath=" .. get_cvar("fs_homepath", "")
        .. " fs_game=" .. get_cvar("fs_game", ""))
    log("gametimes_enabled=" .. tostring(configuration.gametimes_enabled)
        .. " gametimes_dir=" .. configuration.gametimes_dir
        .. " resolved=" .. get_gametimes_dir())

    if not is_url_configured() then
        log("WARNING: discord_webhook_url is not configured")
    end
end

function et_RunFrame(level_time)
    local gamestate = get_gamestate()

    detect_pause(level_time)

    if gamestate ~= last_gamestate then
        log_gamestate_transition(last_gamestate, gamestate)
        if is_warmup_state(gamestate) and warmup_start_unix == 0 then
            warmup_start_unix = os.time()
        end
    end

    if gamestate == GS_PLAYING then
        if round_start_fallback then
            on_round_start(true)
        elseif last_gamestate ~= GS_PLAYING and not round_started then
            on_round_start(false)
        end
        if configuration.spawn_tracking_enabled then
            check_spawns(level_time)
        end
    elseif gamestate == GS_INTERMISSION then
        if round_started and not round_end_handled then
            on_round_end()
        end
        check_scheduled_send()
    end

    last_gamestate = gamestate
end

function et_Obituary(victim, killer, means_of_death)
    track_death(victim)
end

function et_ClientDisconnect(slot)
    forget_spawn_client(slot)
end

function et_ClientCommand(slot, command)
    if string.lower(command) == "callvote" and et.trap_Argc() > 1 then
        if string.lower(et.trap_Argv(1)) == "surrender" and get_gamestate() == GS_PLAYING then
            track_surrender_vote(slot)
        end
    end
    return 0
end

function et_ShutdownGame(restart)
    -- The intermission may be skipped (map change or restart by an admin).
    if round_started and not round_end_handled and not webhook_emitted then
        local elapsed = os.time() - round_start_unix
        if elapsed >= MIN_FALLBACK_SECONDS then
            log("Round was not sent yet, sending from shutdown")
            capture_round_end()
            send_webhook()
            round_end_handled = true
            webhook_emitted = true
        end
    end

    log("Shutdown")
end
