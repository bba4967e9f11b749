--[[
    c0rnp0rn-testluawithtimetracking.lua - round statistics, with the time really played

    TEST VERSION, do not put it on the live server.

    Collects what the players do during a round and writes one file per round:

        gamestats/YYYY-MM-DD-HHMMSS-<map>-round-<1|2>.txt

    First line (header), separated by backslashes:
        server\map\config\round\defender\winner\timelimit\nexttimelimit\playtime

    playtime is the ninth field: milliseconds from the first frame of the round
    to the first frame of the intermission, without the pauses.

    One line per player who used a weapon:
        guid\name\rounds\team\weaponmask weapon numbers <TAB> 38 fields

    The fields are listed at get_player_fields(). Damage, kills and time fields
    come from the session counters of the engine, which go on counting in the
    second round; everything this script counts on its own starts at zero in
    every round.

    Needs Lua 5.3 or newer (bit operators).
]]--

local modname = "c0rnp0rn3"
local version = "3.0"

-- ---------------------------------------------------------------------------
-- Settings
-- ---------------------------------------------------------------------------

local stats_folder = "gamestats\\"

-- how often the numbers of the connected players are stored, ms
local store_interval = 5000

-- from the first frame of the intermission to the file, ms
local save_delay = 3000

-- a hit counts as an assist for that long, ms
local assist_window = 1500

-- kills within that time of each other make a multikill, ms
local multikill_window = 3000

-- a kill is useless if the victim is back in less than that, ms
local useless_limit = 5000

-- longest killing spree worth mentioning starts here
local spree_minimum = 3

-- damage above this in one life makes somebody a meatshield
local meatshield_health = 130

-- team time below this is too short for a dead time ratio, ms
local ratio_minimum = 120000

-- ---------------------------------------------------------------------------
-- Constants
-- ---------------------------------------------------------------------------

local CON_CONNECTED = 2
local PERS_SCORE = 0
local PAUSE_BIT = 16
local HIT_REGION_HEAD = 0
local WORLD = 1022
local REINF_SEEDS = { 11, 3, 13, 7, 2, 5, 1, 17 }
local REINF_SHIFT_ALLIES = 3
local REINF_SHIFT_AXIS = 2

-- Position in the mask of the player line. aWeaponStats has the same order.
local weapons = {
    [0] = "WS_KNIFE",
    [1] = "WS_KNIFE_KABAR",
    [2] = "WS_LUGER",
    [3] = "WS_COLT",
    [4] = "WS_MP40",
    [5] = "WS_THOMPSON",
    [6] = "WS_STEN",
    [7] = "WS_FG42",
    [8] = "WS_PANZERFAUST",
    [9] = "WS_BAZOOKA",
    [10] = "WS_FLAMETHROWER",
    [11] = "WS_GRENADE",
    [12] = "WS_MORTAR",
    [13] = "WS_MORTAR2",
    [14] = "WS_DYNAMITE",
    [15] = "WS_AIRSTRIKE",
    [16] = "WS_ARTILLERY",
    [17] = "WS_SATCHEL",
    [18] = "WS_GRENADELAUNCHER",
    [19] = "WS_LANDMINE",
    [20] = "WS_MG42",
    [21] = "WS_BROWNING",
    [22] = "WS_CARBINE",
    [23] = "WS_KAR98",
    [24] = "WS_GARAND",
    [25] = "WS_K43",
    [26] = "WS_MP34",
    [27] = "WS_SYRINGE"
}
local WEAPON_LAST = 27

-- the order inside one entry of aWeaponStats
local WS_ATTEMPTS = 1
local WS_DEATHS = 2
local WS_HEADSHOTS = 3
local WS_HITS = 4
local WS_KILLS = 5

-- ---------------------------------------------------------------------------
-- State
-- ---------------------------------------------------------------------------

local max_clients = 64

-- 69 = nobody has told us yet
local round = 69

local gamestate = -1
local level_time = 0
local level_start = 0
local next_store = 0
local save_time = 0
local round_started = false
local round_starting_logged = false
local intermission = false
local saved_stats = false

local paused = false

-- time tracking, ms of et.trap_Milliseconds
local roundStart = 0
local roundEnd = 0
-- [1] start of the last pause, [2] its end, [3] all pauses so far
local pausedTime = {}

local reinf_known = false
local reinf_offset = {}

-- finished lines by guid; a player who left keeps his last one
local stored_stats = {}

-- by client slot
local players = {}
local death_time = {}
local death_time_total = {}
local paused_death = {}
local denies = {}
local hits = {}

-- ---------------------------------------------------------------------------
-- Helpers
-- ---------------------------------------------------------------------------

-- Config strings and cvars arrive as text.
local function integer(value)
    return math.floor(tonumber(value) or 0)
end

local function is_client(slot)
    return slot ~= nil and slot >= 0 and slot < max_clients
end

local function is_connected(slot)
    return is_client(slot) and et.gentity_get(slot, "pers.connected") == CON_CONNECTED
end

local function get_team(slot)
    return integer(et.gentity_get(slot, "sess.sessionTeam"))
end

local function is_playing_team(team)
    return team == et.TEAM_AXIS or team == et.TEAM_ALLIES
end

local function get_guid(slot)
    return et.Info_ValueForKey(et.trap_GetUserinfo(slot), "cl_guid") or ""
end

local function short_guid(guid)
    return string.upper(string.sub(guid, 1, 8))
end

local function read_gamestate()
    return integer(et.trap_Cvar_Get("gamestate"))
end

-- minutes to M:SS, cut off below the second
local function format_minutes(minutes)
    local ms = math.floor((tonumber(minutes) or 0) * 60000)
    local seconds = ms // 1000
    return string.format("%d:%02d", seconds // 60, seconds % 60)
end

local function clock_to_seconds(text)
    local minutes, seconds = string.match(text, "^(%d+):(%d+)$")
    if minutes == nil then
        return 0
    end
    return integer(minutes) * 60 + integer(seconds)
end

local function new_player()
    return {
        spree = 0,
        best_spree = 0,
        death_spree = 0,
        worst_death_spree = 0,
        assists = 0,
        steals = 0,
        headshot_kills = 0,
        head_hits = 0,
        last_hit_head = false,
        objectives_stolen = 0,
        objectives_returned = 0,
        dynamites_planted = 0,
        dynamites_defused = 0,
        revived = 0,
        revives = 0,
        repairs = 0,
        useful_kills = 0,
        useless_kills = 0,
        full_selfkills = 0,
        denied = 0,
        life_damage = 0,
        meatshield = 0.0,
        multikills = { [2] = 0, [3] = 0, [4] = 0, [5] = 0, [6] = 0 },
        multikill_count = 0,
        multikill_time = 0
    }
end

local function get_player(slot)
    if players[slot] == nil then
        players[slot] = new_player()
        death_time_total[slot] = 0
        hits[slot] = {}
    end
    return players[slot]
end

local function reset_client(slot)
    players[slot] = nil
    death_time[slot] = nil
    death_time_total[slot] = nil
    paused_death[slot] = nil
    denies[slot] = nil
    hits[slot] = nil
end

-- ---------------------------------------------------------------------------
-- Reinforcements
-- ---------------------------------------------------------------------------

-- The first two numbers carry, shifted, which of the eight seeds is used.
local function parseReinforcementTimes()
    local numbers = {}
    for number in string.gmatch(et.trap_GetConfigstring(et.CS_REINFSEEDS) or "", "%S+") do
        numbers[#numbers + 1] = integer(number)
    end
    if #numbers < 10 then
        return
    end
    reinf_known = true

    local index = {
        [et.TEAM_ALLIES] = numbers[1] >> REINF_SHIFT_ALLIES,
        [et.TEAM_AXIS] = numbers[2] >> REINF_SHIFT_AXIS
    }
    for seed = 1, 8 do
        for team = et.TEAM_AXIS, et.TEAM_ALLIES do
            if index[team] == seed - 1 then
                reinf_offset[team] = numbers[seed + 2] // REINF_SEEDS[seed] * 1000
            end
        end
    end
end

local function get_respawn_interval(team)
    if team == et.TEAM_AXIS then
        return integer(et.trap_Cvar_Get("g_redlimbotime"))
    end
    return integer(et.trap_Cvar_Get("g_bluelimbotime"))
end

-- ms until the next wave of the team
local function get_remaining_spawn(team)
    local interval = get_respawn_interval(team)
    if interval <= 0 or not reinf_known then
        return 0
    end
    return interval - (reinf_offset[team] + level_time - level_start) % interval
end

-- ---------------------------------------------------------------------------
-- Pause
-- ---------------------------------------------------------------------------

local function check_pause()
    local toggles = integer(et.trap_GetConfigstring(et.CS_SERVERTOGGLES))
    local now = et.trap_Milliseconds()

    if toggles & PAUSE_BIT == 1 then
        if not paused then
            paused = true
            pausedTime[1] = now
            for slot in pairs(death_time) do
                paused_death[slot] = { now, 0 }
            end
        end
    elseif paused then
        paused = false
        pausedTime[2] = now
        pausedTime[3] = (pausedTime[3] or 0) + pausedTime[2] - pausedTime[1]
        for slot in pairs(paused_death) do
            paused_death[slot][1] = pausedTime[1]
            paused_death[slot][2] = now
        end
    end
end

-- ms of pause inside the current death of a player
local function get_paused_death(slot)
    local pause = paused_death[slot]
    if pause == nil or pause[2] == 0 then
        return 0
    end
    return pause[2] - pause[1]
end

-- ---------------------------------------------------------------------------
-- Denied playtime: from the kill until the victim is back
-- ---------------------------------------------------------------------------

local function open_deny(victim, killer)
    denies[victim] = { killer = killer, start = et.trap_Milliseconds() }
end

local function close_deny(victim)
    local deny = denies[victim]
    if deny == nil then
        return
    end
    local denied = et.trap_Milliseconds() - deny.start - get_paused_death(victim)
    local player = players[deny.killer]
    if player ~= nil and denied > 0 then
        player.denied = player.denied + denied
    end
    denies[victim] = nil
end

local function close_all_denies()
    for slot = 0, max_clients - 1 do
        close_deny(slot)
    end
end

-- ---------------------------------------------------------------------------
-- Player lines
-- ---------------------------------------------------------------------------

-- mask, the numbers of the used weapons, shots fired, kills, deaths
local function get_weapon_stats(slot)
    local mask = 0
    local numbers = {}
    local shots, kills, deaths = 0, 0, 0

    for index = 0, WEAPON_LAST do
        local stats = et.gentity_get(slot, "sess.aWeaponStats", index)
        if weapons[index] ~= nil and stats ~= nil then
            local used = stats[WS_ATTEMPTS] ~= 0 or stats[WS_HITS] ~= 0
                or stats[WS_DEATHS] ~= 0 or stats[WS_KILLS] ~= 0
            if used then
                mask = mask | (1 << index)
                numbers[#numbers + 1] = string.format("%d %d %d %d %d",
                    stats[WS_HITS], stats[WS_ATTEMPTS], stats[WS_KILLS], stats[WS_DEATHS], stats[WS_HEADSHOTS])
                shots = shots + stats[WS_ATTEMPTS]
                kills = kills + stats[WS_KILLS]
                deaths = deaths + stats[WS_DEATHS]
            end
        end
    end

    return mask, table.concat(numbers, " "), shots, kills, deaths
end

local function get_dpm(damage, team_time)
    -- the counters go on in the second round, one minute is the least
    if round == 1 or round == 2 then
        return damage / math.max(1, team_time / 60000)
    end
    return 0.0
end

local function get_kd_ratio(kills, deaths)
    if deaths == 0 then
        if kills == 0 then
            return 0.0
        end
        return kills + 1
    end
    return kills / deaths
end

local function get_player_fields(slot, shots, kills, deaths)
    local player = get_player(slot)
    local field = function(name)
        return integer(et.gentity_get(slot, name))
    end

    local damage_given = field("sess.damage_given")
    local team_time = field("sess.time_axis") + field("sess.time_allies")
    local dead_ms = death_time_total[slot] or 0

    local time_played_percent = 0.0
    if team_time > 0 then
        time_played_percent = math.min(100, field("sess.time_played") * 100 / team_time)
    end

    local dead_ratio = 0.0
    if team_time > ratio_minimum then
        dead_ratio = dead_ms * 100 / team_time
    end

    return {
        damage_given, --                                            0
        field("sess.damage_received"), --                           1
        field("sess.team_damage_given"), --                         2
        field("sess.team_damage_received"), --                      3
        field("sess.gibs"), --                                      4
        field("sess.self_kills"), --                                5
        field("sess.team_kills"), --                                6
        field("sess.team_gibs"), --                                 7
        string.format("%.1f", time_played_percent), --              8
        integer(et.gentity_get(slot, "ps.persistant", PERS_SCORE)), --  9
        player.best_spree >= spree_minimum and player.best_spree or 0, -- 10
        player.worst_death_spree >= spree_minimum and player.worst_death_spree or 0, -- 11
        player.assists, --                                          12
        player.steals, --                                           13
        player.headshot_kills, --                                   14
        player.objectives_stolen, --                                15
        player.objectives_returned, --                              16
        player.dynamites_planted, --                                17
        player.dynamites_defused, --                                18
        player.revived, --                                          19
        shots, --                                                   20
        string.format("%.1f", get_dpm(damage_given, team_time)), -- 21
        string.format("%.1f", team_time / 60000), --                22
        string.format("%.1f", player.meatshield), --                23
        string.format("%.1f", dead_ratio), --                       24
        string.format("%.1f", dead_ms / 60000), --                  25
        string.format("%.1f", get_kd_ratio(kills, deaths)), --      26
        player.useful_kills, --                                     27
        player.denied // 1000, --                                   28
        player.multikills[2], --                                    29
        player.multikills[3], --                                    30
        player.multikills[4], --                                    31
        player.multikills[5], --                                    32
        player.multikills[6], --                                    33
        player.useless_kills, --                                    34
        player.full_selfkills, --                                   35
        player.repairs, --                                          36
        player.revives --                                           37
    }, time_played_percent
end

local function store_client(slot)
    get_player(slot)

    -- a player who lies dead right now
    if death_time[slot] ~= nil then
        local dead = et.trap_Milliseconds() - death_time[slot] - get_paused_death(slot)
        if dead > 0 then
            death_time_total[slot] = death_time_total[slot] + dead
        end
    end

    local mask, numbers, shots, kills, deaths = get_weapon_stats(slot)
    if mask == 0 then
        return
    end

    local fields, percent = get_player_fields(slot, shots, kills, deaths)
    local guid = get_guid(slot)
    local line = string.format("%s\\%s\\%d\\%d\\%d %s \t%s\n",
        short_guid(guid),
        et.gentity_get(slot, "pers.netname"),
        integer(et.gentity_get(slot, "sess.rounds")),
        get_team(slot),
        mask,
        numbers,
        table.concat(fields, "\t"))

    -- by the whole guid: the first eight characters of two bots may be the same
    stored_stats[guid] = { line = line, percent = percent }
end

local function store_stats()
    for slot = 0, max_clients - 1 do
        if is_connected(slot) then
            store_client(slot)
        end
    end
end

-- ---------------------------------------------------------------------------
-- File
-- ---------------------------------------------------------------------------

-- The engine flips g_currentRound when the round is over.
local function get_round_number()
    if integer(et.trap_Cvar_Get("g_currentRound")) == 0 then
        return 2
    end
    return 1
end

-- g_nextTimeLimit may be reset already. Guess the time of the round from the
-- time that most of the players have played.
local function estimate_next_time_limit(time_limit)
    local count = {}
    for _, stored in pairs(stored_stats) do
        local seconds = math.floor(stored.percent * 60 / 5 + 0.5) * 5
        count[seconds] = (count[seconds] or 0) + 1
    end

    local best, best_count = nil, 0
    for seconds, n in pairs(count) do
        if n > best_count then
            best, best_count = seconds, n
        end
    end
    if best == nil then
        return time_limit
    end

    local estimate = best - clock_to_seconds(time_limit)
    return string.format("%d:%02d", estimate // 60, estimate % 60)
end

local function get_header()
    local serverinfo = et.trap_GetConfigstring(et.CS_SERVERINFO)
    local multi_info = et.trap_GetConfigstring(et.CS_MULTI_INFO)
    local map_winner = et.trap_GetConfigstring(et.CS_MULTI_MAPWINNER)

    local server = et.trap_Cvar_Get("sv_hostname")
    local map = et.Info_ValueForKey(serverinfo, "mapname")
    local config = et.trap_Cvar_Get("g_customConfig")
    local defender = integer(et.Info_ValueForKey(multi_info, "d")) + 1
    local winner = integer(et.Info_ValueForKey(map_winner, "w")) + 1
    local time_limit = format_minutes(et.trap_Cvar_Get("timelimit"))
    local next_time_limit = format_minutes(et.trap_Cvar_Get("g_nextTimeLimit"))

    if next_time_limit == "0:00" then
        next_time_limit = estimate_next_time_limit(time_limit)
    end

    return string.format("%s\\%s\\%s\\%d\\%d\\%d\\%s\\%s\\%d\n",
        server, map, config, get_round_number(), defender, winner, time_limit, next_time_limit,
        roundEnd - roundStart - (pausedTime[3] or 0))
end

local function write_text(file, text)
    et.trap_FS_Write(text, string.len(text), file)
end

local function save_stats()
    local map = et.Info_ValueForKey(et.trap_GetConfigstring(et.CS_SERVERINFO), "mapname")
    local name = string.format("%s%s-%s-round-%d.txt",
        stats_folder, os.date("%Y-%m-%d-%H%M%S"), map, get_round_number())
    local header = get_header()

    local file = et.trap_FS_FOpenFile(name, et.FS_WRITE)
    write_text(file, header)
    for _, stored in pairs(stored_stats) do
        write_text(file, stored.line)
    end
    et.trap_FS_FCloseFile(file)

    saved_stats = true
    et.G_LogPrint("LUA event: Stats saved!\n")
end

-- ---------------------------------------------------------------------------
-- Kills
-- ---------------------------------------------------------------------------

local function count_multikill(player)
    if player.multikill_count >= 2 then
        local kills = math.min(6, player.multikill_count)
        player.multikills[kills] = player.multikills[kills] + 1
    end
    player.multikill_count = 0
end

local function track_multikill(player)
    local now = et.trap_Milliseconds()
    if now - player.multikill_time > multikill_window then
        count_multikill(player)
    end
    player.multikill_count = player.multikill_count + 1
    player.multikill_time = now
end

local function close_multikills()
    for _, player in pairs(players) do
        count_multikill(player)
    end
end

-- Who else has hit the victim lately? Gives assists, and a steal if others did
-- more damage than the killer.
local function scan_assists(victim, killer)
    local victim_hits = hits[victim] or {}
    local now = et.trap_Milliseconds()
    local damage = {}

    for ms = now - assist_window, now do
        local hit = victim_hits[ms]
        if hit ~= nil then
            damage[hit.attacker] = (damage[hit.attacker] or 0) + hit.damage
        end
    end

    local own = damage[killer] or 0
    local others = 0
    for attacker, amount in pairs(damage) do
        if attacker ~= killer and players[attacker] ~= nil then
            players[attacker].assists = players[attacker].assists + 1
            others = others + amount
        end
    end
    if others > own then
        get_player(killer).steals = get_player(killer).steals + 1
    end
end

-- The engine counts hits by region before it tells us about the damage.
local function track_head_hit(attacker, player)
    local head_hits = integer(et.gentity_get(attacker, "pers.playerStats.hitRegions", HIT_REGION_HEAD))
    player.last_hit_head = head_hits > player.head_hits
    player.head_hits = head_hits
end

local function rate_kill(player, victim_team)
    local remaining = get_remaining_spawn(victim_team)
    if remaining >= get_respawn_interval(victim_team) / 2 then
        player.useful_kills = player.useful_kills + 1
    elseif remaining < useless_limit then
        player.useless_kills = player.useless_kills + 1
    end
end

local function on_kill(victim, killer)
    local player = get_player(killer)

    player.spree = player.spree + 1
    player.death_spree = 0
    if player.spree > player.best_spree then
        player.best_spree = player.spree
    end

    if player.last_hit_head then
        player.headshot_kills = player.headshot_kills + 1
    end
    track_multikill(player)
    scan_assists(victim, killer)
    rate_kill(player, get_team(victim))
    open_deny(victim, killer)
end

local function on_suicide(victim, mod)
    if mod ~= et.MOD_SUICIDE then
        return
    end
    local team = get_team(victim)
    if get_remaining_spawn(team) >= get_respawn_interval(team) * 0.75 then
        local player = get_player(victim)
        player.full_selfkills = player.full_selfkills + 1
    end
end

local function on_death(victim)
    local player = get_player(victim)

    player.spree = 0
    player.death_spree = player.death_spree + 1
    if player.death_spree > player.worst_death_spree then
        player.worst_death_spree = player.death_spree
    end

    -- how much more than one life's worth has he swallowed?
    if player.life_damage > meatshield_health then
        player.meatshield = player.meatshield + (player.life_damage - meatshield_health) / meatshield_health
    end
    player.life_damage = 0

    death_time[victim] = et.trap_Milliseconds()
    paused_death[victim] = nil
end

-- ---------------------------------------------------------------------------
-- Log lines of the engine
-- ---------------------------------------------------------------------------

local function count(slot, key)
    local client = integer(slot)
    if is_client(client) then
        local player = get_player(client)
        player[key] = player[key] + 1
    end
end

local function track_item(slot, item)
    local client = integer(slot)
    if not is_client(client) then
        return
    end
    local own_flag = "team_CTF_blueflag"
    if get_team(client) == et.TEAM_AXIS then
        own_flag = "team_CTF_redflag"
    end
    if item == own_flag then
        count(slot, "objectives_returned")
    else
        count(slot, "objectives_stolen")
    end
end

-- ---------------------------------------------------------------------------
-- Callbacks
-- ---------------------------------------------------------------------------

function et_InitGame(levelTime, randomSeed, restart)
    et.RegisterModname(modname .. " " .. version)

    max_clients = integer(et.trap_Cvar_Get("sv_maxclients"))

    if et.trap_Cvar_Get("gamestate") == et.GS_PLAYING then
        round = get_round_number()
    end

    level_time = levelTime
    parseReinforcementTimes()
end

function et_RunFrame(levelTime)
    level_time = levelTime
    gamestate = read_gamestate()

    if gamestate == et.GS_WARMUP_COUNTDOWN and not round_starting_logged then
        round_starting_logged = true
        et.G_LogPrint("LUA event: Round starting!\n")
    end

    if gamestate == et.GS_PLAYING then
        if not round_started then
            round_started = true
            roundStart = et.trap_Milliseconds()
            parseReinforcementTimes()
        end
        level_start = integer(et.trap_GetConfigstring(et.CS_LEVEL_START_TIME))
        check_pause()

        if levelTime >= next_store then
            store_stats()
            next_store = levelTime + store_interval
        end
    elseif gamestate == et.GS_INTERMISSION then
        if not intermission then
            intermission = true
            roundEnd = et.trap_Milliseconds()
            et.G_LogPrint("LUA event: Round ended!\n")
            close_all_denies()
            close_multikills()
            store_stats()
            save_time = levelTime + save_delay
        elseif not saved_stats and levelTime >= save_time then
            save_stats()
        end
    end
end

function et_Damage(target, attacker, damage, flags, mod)
    if gamestate ~= et.GS_PLAYING or target == attacker then
        return
    end
    if not is_client(target) or not is_client(attacker) then
        return
    end
    if get_team(target) == get_team(attacker) then
        return
    end

    local player = get_player(target)
    player.life_damage = player.life_damage + damage
    hits[target][et.trap_Milliseconds()] = { attacker = attacker, damage = damage }

    track_head_hit(attacker, get_player(attacker))
end

function et_Obituary(victim, killer, mod)
    if gamestate ~= et.GS_PLAYING or not is_client(victim) then
        return
    end

    on_death(victim)
    if victim == killer or killer == WORLD then
        on_suicide(victim, mod)
    elseif is_client(killer) and get_team(killer) ~= get_team(victim) then
        on_kill(victim, killer)
    end
    hits[victim] = {}
end

function et_ClientSpawn(slot, revived, teamChange, restoreHealth)
    if not is_client(slot) then
        return
    end
    local player = get_player(slot)

    if revived == 1 then
        player.revived = player.revived + 1
    end

    close_deny(slot)
    if death_time[slot] ~= nil then
        local dead = et.trap_Milliseconds() - death_time[slot] - get_paused_death(slot)
        if dead > 0 and gamestate == et.GS_PLAYING then
            death_time_total[slot] = death_time_total[slot] + dead
        end
        death_time[slot] = nil
        paused_death[slot] = nil
    end
    player.life_damage = 0
end

function et_ClientDisconnect(slot)
    if not is_client(slot) then
        return
    end
    close_deny(slot)
    reset_client(slot)
end

function et_ClientUserinfoChanged(slot)
    -- a player who goes to the spectators does not lie dead any longer
    if is_client(slot) and death_time[slot] ~= nil and not is_playing_team(get_team(slot)) then
        death_time[slot] = nil
        close_deny(slot)
    end
end

function et_ClientCommand(slot, command)
    if command == "stats_version" then
        et.trap_SendServerCommand(slot, 'print "' .. modname .. " " .. version .. '\n"')
        return 1
    end
    return 0
end

function et_Print(text)
    if gamestate ~= et.GS_PLAYING then
        return
    end

    local slot, item = string.match(text, "^Item: (%d+) (team_CTF_%a+)")
    if slot ~= nil then
        track_item(slot, item)
        return
    end

    slot = string.match(text, "^Dynamite_Plant: (%d+)")
    if slot ~= nil then
        count(slot, "dynamites_planted")
        return
    end

    slot = string.match(text, "^Dynamite_Diffuse: (%d+)")
    if slot ~= nil then
        count(slot, "dynamites_defused")
        return
    end

    slot = string.match(text, "^Medic_Revive: (%d+)")
    if slot ~= nil then
        count(slot, "revives")
        return
    end

    slot = string.match(text, "^Repair: (%d+)")
    if slot ~= nil then
        count(slot, "repairs")
    end
end

function et_ShutdownGame(restart)
    -- a real map change in the middle of a round: keep what we have
    if restart == 0 and not saved_stats and round_started then
        store_stats()
        save_stats()
    end
end
