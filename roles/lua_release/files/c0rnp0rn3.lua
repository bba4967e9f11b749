--[[
    c0rnp0rn3.lua: the numbers of a round, one file per round, under fs_homepath:

        gamestats/YYYY-MM-DD-HHMMSS-<map>-round-<1|2>.txt

    Line 1    server\map\config\round\defender\winner\timelimit\nexttimelimit\playtime
              the limits are M:SS, playtime is whole milliseconds of play without pauses
    others    guid\name\rounds\team\MASK h a k d hs ... <space>TAB0<tab>...<tab>TAB37
              one line per player who used a weapon; five numbers for each bit of MASK, in ascending order:
              hits, attempts, kills, deaths, hits to the head; the 38 fields are listed at fieldsOf

    What comes from sess.* goes on counting in the second round; what this script counts starts at zero in each.
    Runs on Lua 5.4 and on LuaJIT: no bit operators, no bit library, %d only for whole numbers.
]]

local MODNAME, VERSION = "c0rnp0rn3", "3.1"

-- Settings, in ms unless said otherwise --------------------------------------------------------------------------------------------

local FOLDER = "gamestats/"
local STORE_EVERY = 5000 -- how often the numbers of everybody are kept, so that who leaves is not lost
local SAVE_AFTER = 3000 -- from the first frame of the intermission to the file
local ASSIST_WITHIN = 1500
local MULTIKILL_WITHIN = 3000
local USELESS_BELOW = 5000 -- a kill is useless when the victim is back sooner
local SPREE_FROM = 3 -- kills or deaths in a row
local ONE_LIFE = 130 -- health; more damage than that in one life makes a meatshield
local RATIO_FROM = 120000 -- team time below this gives no dead time ratio

-- The engine's numbers -------------------------------------------------------------------------------------------------------------

local PLAYING, INTERMISSION = et.GS_PLAYING, et.GS_INTERMISSION
local AXIS, ALLIES, SPECTATOR = et.TEAM_AXIS, et.TEAM_ALLIES, et.TEAM_SPECTATOR
local CONNECTED = 2
local PERS_SCORE = 0
local HEAD = 0
local WORLD = 1022
local MOST_CLIENTS = 64
local PAUSE_BIT = 16
local LAST_WEAPON = 27
local ATTEMPTS, DEATHS, HEADSHOTS, HITS, KILLS = 1, 2, 3, 4, 5 -- inside sess.aWeaponStats
local SEED_FACTORS = { 11, 3, 13, 7, 2, 5, 1, 17 }
local SEED_DIVISORS = { [ALLIES] = 8, [AXIS] = 4 } -- shifted by 3 and by 2

-- State ----------------------------------------------------------------------------------------------------------------------------

local gamestate, levelTime, levelStart
local nextStore, saveAt, isSaved
local roundInPlay, isBrokenOff -- g_currentRound while the round is played; whether it ended without an intermission
local roundStart, roundEnd, lastFrame -- server time
local pausedTime -- server time: [1] where the open pause began, [2] where the last one ended, [3] the sum of the finished ones
local frozenAt, frozenSum -- et.trap_Milliseconds: where the open pause began, the sum of the finished ones
local offsets -- ms by team, empty while unknown
local lines -- finished player lines by guid
local players -- counters by slot
local denies -- by victim: who keeps him out of the game, since when

local function reset()
    gamestate, levelTime, levelStart = -1, 0, 0
    nextStore, saveAt, isSaved = 0, nil, false
    roundInPlay, isBrokenOff = nil, false
    roundStart, roundEnd, lastFrame = nil, nil, nil
    pausedTime = { nil, nil, 0 }
    frozenAt, frozenSum = nil, 0
    offsets, lines, players, denies = {}, {}, {}, {}
end

-- Reading the engine ---------------------------------------------------------------------------------------------------------------

-- The whole number in a value, cut towards zero; what is none becomes the default.
local function whole(value, default)
    local number = tonumber(value)
    if not number or number ~= number or number >= 2 ^ 53 or number <= -2 ^ 53 then
        return default or 0
    end
    return number < 0 and math.ceil(number) or math.floor(number)
end

local function cvarNumber(name, default)
    return whole(et.trap_Cvar_Get(name), default)
end

local function configNumber(index)
    return whole(et.trap_GetConfigstring(index))
end

-- Client fields are unknown, and raise an error, for any slot from sv_maxclients on.
local function maxClients()
    local count = cvarNumber("sv_maxclients", MOST_CLIENTS)
    return count >= 1 and count <= MOST_CLIENTS and count or MOST_CLIENTS
end

local function isClient(slot)
    return slot >= 0 and slot < maxClients()
end

local function isConnected(slot)
    return isClient(slot) and et.gentity_get(slot, "pers.connected") == CONNECTED
end

local function number(slot, field, index)
    return whole(et.gentity_get(slot, field, index))
end

local function teamOf(slot)
    return number(slot, "sess.sessionTeam")
end

-- A backslash separates the fields of a line and a tab those behind it; neither can be escaped.
local function plain(text)
    return (string.gsub(text or "", "[%c\\]", "/"))
end

-- Clock ----------------------------------------------------------------------------------------------------------------------------

-- The bit shares its config string with others.
local function isPaused()
    return math.floor(configNumber(et.CS_SERVERTOGGLES) / PAUSE_BIT) % 2 ~= 0
end

-- et.trap_Milliseconds, standing still in pauses: no death, no streak and no spawn protection goes on in one.
local function now()
    return (frozenAt or et.trap_Milliseconds()) - frozenSum
end

local function closePause(at)
    if pausedTime[1] then
        pausedTime[2] = at
        pausedTime[3] = pausedTime[3] + at - pausedTime[1]
        pausedTime[1] = nil
        frozenSum = frozenSum + et.trap_Milliseconds() - frozenAt
        frozenAt = nil
    end
end

local function watchPause()
    if not isPaused() then
        closePause(levelTime)
    elseif not pausedTime[1] then
        pausedTime[1] = lastFrame or levelTime
        frozenAt = et.trap_Milliseconds()
    end
end

-- Once per round. After a lua_restart the config string tells when the round began; the engine moves it on by the pauses.
local function openRound()
    local start = lastFrame or levelStart
    roundStart = start > 0 and start <= levelTime and start or levelTime
    roundInPlay = cvarNumber("g_currentRound")
end

-- The last frame of play is the end, as for the engine's own g_nextTimeLimit; a pause that is still open ends with the round.
local function closeRound()
    if roundStart and not roundEnd then
        roundEnd = lastFrame
        closePause(roundEnd)
    end
end

-- ms of play without pauses
local function playtime()
    if not roundStart then
        return 0
    end
    return math.max(0, whole((roundEnd or lastFrame) - roundStart - pausedTime[3]))
end

-- The engine turns g_currentRound over at the end of a round: then 0 means the second. A round that was broken off is not turned yet.
local function roundNumber()
    if isBrokenOff then
        return roundInPlay == 0 and 1 or 2
    end
    return cvarNumber("g_currentRound") == 0 and 2 or 1
end

-- Reinforcements -------------------------------------------------------------------------------------------------------------------

-- The first two numbers carry, shifted, which of the eight seeds behind them is each team's.
local function readReinforcements()
    local seeds = {}
    for seed in string.gmatch(et.trap_GetConfigstring(et.CS_REINFSEEDS), "%-?%d+") do
        seeds[#seeds + 1] = whole(seed)
    end
    if #seeds < 10 then
        return
    end
    for position, team in ipairs({ ALLIES, AXIS }) do
        local index = math.floor(seeds[position] / SEED_DIVISORS[team]) % 8 + 1
        offsets[team] = math.floor(seeds[index + 2] / SEED_FACTORS[index]) * 1000
    end
end

-- ms between two reinforcements of a team, ms until the next ones; 0 where unknown
local function reinforcements(team)
    local interval = cvarNumber(team == AXIS and "g_redlimbotime" or "g_bluelimbotime")
    if interval <= 0 or not offsets[team] then
        return 0, 0
    end
    return interval, interval - (offsets[team] + levelTime - levelStart) % interval
end

-- Players --------------------------------------------------------------------------------------------------------------------------

local COUNTERS = {
    "spree", "bestSpree", "deathSpree", "worstDeathSpree", "assists", "steals", "headshotKills", "objectivesStolen",
    "objectivesReturned", "dynamitesPlanted", "dynamitesDefused", "timesRevived", "usefulKills", "uselessKills", "fullSelfkills",
    "denied", "lifeDamage", "meatshield", "repairs", "revives", "headHits", "streak", "streakAt", "dead",
}

local function playerAt(slot)
    local player = players[slot]
    if not player then
        player = { hits = {}, multikills = { 0, 0, 0, 0, 0, 0 } }
        for _, counter in ipairs(COUNTERS) do
            player[counter] = 0
        end
        players[slot] = player
    end
    return player
end

local function count(slot, counter)
    if isClient(slot) then
        local player = playerAt(slot)
        player[counter] = player[counter] + 1
    end
end

local function closeDeny(victim)
    local deny = denies[victim]
    if deny then
        local player = playerAt(deny.killer)
        player.denied = player.denied + now() - deny.since
        denies[victim] = nil
    end
end

local function closeStreak(player)
    if player.streak >= 2 then
        local kills = math.min(6, player.streak)
        player.multikills[kills] = player.multikills[kills] + 1
    end
    player.streak = 0
end

-- ms spent dead, the death that goes on included; nothing is added up here, so that no part of a death counts twice
local function deadTime(player)
    return player.dead + (player.diedAt and now() - player.diedAt or 0)
end

-- Lines ----------------------------------------------------------------------------------------------------------------------------

-- mask, numbers of the weapons, attempts, kills and deaths of all of them
local function weaponsOf(slot)
    local mask, numbers = 0, {}
    local attempts, kills, deaths = 0, 0, 0
    for weapon = 0, LAST_WEAPON do
        local stats = et.gentity_get(slot, "sess.aWeaponStats", weapon)
        if stats and (stats[ATTEMPTS] ~= 0 or stats[HITS] ~= 0 or stats[DEATHS] ~= 0 or stats[KILLS] ~= 0) then
            mask = mask + math.floor(2 ^ weapon)
            for _, part in ipairs({ HITS, ATTEMPTS, KILLS, DEATHS, HEADSHOTS }) do
                numbers[#numbers + 1] = whole(stats[part])
            end
            attempts = attempts + whole(stats[ATTEMPTS])
            kills = kills + whole(stats[KILLS])
            deaths = deaths + whole(stats[DEATHS])
        end
    end
    return mask, table.concat(numbers, " "), attempts, kills, deaths
end

local function tenths(value)
    return string.format("%.1f", value)
end

local function killRatio(kills, deaths)
    if deaths > 0 then
        return kills / deaths
    end
    return kills > 0 and kills + 1 or 0
end

local function fieldsOf(slot, attempts, kills, deaths)
    local player = playerAt(slot)
    local teamTime = number(slot, "sess.time_axis") + number(slot, "sess.time_allies")
    local damage, dead = number(slot, "sess.damage_given"), deadTime(player)
    local inField = teamTime > 0 and math.min(100, number(slot, "sess.time_played") * 100 / teamTime) or 0
    local perMinute = teamTime > 0 and damage * 60000 / teamTime or 0
    local deadShare = teamTime > RATIO_FROM and dead * 100 / teamTime or 0
    return {
        damage, --                                                                    0 damage_given
        number(slot, "sess.damage_received"), --                                      1
        number(slot, "sess.team_damage_given"), --                                    2
        number(slot, "sess.team_damage_received"), --                                 3
        number(slot, "sess.gibs"), --                                                 4
        number(slot, "sess.self_kills"), --                                           5
        number(slot, "sess.team_kills"), --                                           6
        number(slot, "sess.team_gibs"), --                                            7
        tenths(inField), --                                                           8 time_played_percent
        number(slot, "ps.persistant", PERS_SCORE), --                                 9 xp
        player.bestSpree >= SPREE_FROM and player.bestSpree or 0, --                 10 killing_spree
        player.worstDeathSpree >= SPREE_FROM and player.worstDeathSpree or 0, --     11 death_spree
        player.assists, --                                                           12 kill_assists
        player.steals, --                                                            13 kill_steals
        player.headshotKills, --                                                     14
        player.objectivesStolen, --                                                  15
        player.objectivesReturned, --                                                16
        player.dynamitesPlanted, --                                                  17
        player.dynamitesDefused, --                                                  18
        player.timesRevived, --                                                      19
        attempts, --                                                                 20 bullets_fired
        tenths(perMinute), --                                                        21 dpm
        tenths(teamTime / 60000), --                                                 22 time_played_minutes
        tenths(player.meatshield), --                                                23 tank_meatshield
        tenths(deadShare), --                                                        24 time_dead_ratio
        tenths(dead / 60000), --                                                     25 time_dead_minutes
        tenths(killRatio(kills, deaths)), --                                         26 kd_ratio
        player.usefulKills, --                                                       27
        whole(player.denied / 1000), --                                              28 denied_playtime, s
        player.multikills[2], --                                                     29
        player.multikills[3], --                                                     30
        player.multikills[4], --                                                     31
        player.multikills[5], --                                                     32
        player.multikills[6], --                                                     33
        player.uselessKills, --                                                      34
        player.fullSelfkills, --                                                     35
        player.repairs, --                                                           36 repairs_constructions
        player.revives, --                                                           37 revives_given
    }
end

local function store(slot)
    local mask, numbers, attempts, kills, deaths = weaponsOf(slot)
    if mask == 0 then
        return
    end
    local guid = et.Info_ValueForKey(et.trap_GetUserinfo(slot), "cl_guid") or ""
    local head = { string.upper(string.sub(plain(guid), 1, 8)), plain(et.gentity_get(slot, "pers.netname")) }
    head[3], head[4] = number(slot, "sess.rounds"), teamOf(slot)
    head[5] = mask .. " " .. numbers .. " \t" .. table.concat(fieldsOf(slot, attempts, kills, deaths), "\t")
    -- By the whole guid: two players may share its beginning.
    lines[guid ~= "" and guid or slot] = table.concat(head, "\\") .. "\n"
end

local function storeAll()
    for slot = 0, maxClients() - 1 do
        if isConnected(slot) then
            store(slot)
        end
    end
end

-- File -----------------------------------------------------------------------------------------------------------------------------

local function clockText(ms)
    local seconds = whole(ms / 1000)
    return string.format("%d:%02d", math.floor(seconds / 60), seconds % 60)
end

local function limitText(cvar)
    return clockText(whole((tonumber(et.trap_Cvar_Get(cvar)) or 0) * 60000))
end

local function header(map)
    local following = limitText("g_nextTimeLimit")
    if following == "0:00" then
        following = clockText(playtime()) -- the target is reset already: what was played is what it would have been
    end
    local defender = et.Info_ValueForKey(et.trap_GetConfigstring(et.CS_MULTI_INFO), "d")
    local winner = et.Info_ValueForKey(et.trap_GetConfigstring(et.CS_MULTI_MAPWINNER), "w")
    return string.format("%s\\%s\\%s\\%d\\%d\\%d\\%s\\%s\\%d\n", plain(et.trap_Cvar_Get("sv_hostname")), map,
        plain(et.trap_Cvar_Get("g_customConfig")), roundNumber(), whole(defender) + 1, whole(winner) + 1,
        limitText("timelimit"), following, playtime())
end

local function save()
    isSaved = true
    local map = plain(et.Info_ValueForKey(et.trap_GetConfigstring(et.CS_SERVERINFO), "mapname"))
    local name = string.format("%s%s-%s-round-%d.txt", FOLDER, os.date("%Y-%m-%d-%H%M%S"), map, roundNumber())
    local text = { header(map) }
    for _, line in pairs(lines) do
        text[#text + 1] = line
    end
    local file, length = et.trap_FS_FOpenFile(name, et.FS_WRITE)
    if file == 0 or length and length < 0 then
        et.G_Print("^1" .. MODNAME .. ": can not open " .. name .. "; the numbers of this round are lost\n")
        return
    end
    local all = table.concat(text)
    et.trap_FS_Write(all, string.len(all), file)
    et.trap_FS_FCloseFile(file)
    et.G_LogPrint("LUA event: Stats saved!\n")
end

local function endRound()
    closeRound()
    for victim in pairs(denies) do
        closeDeny(victim)
    end
    for _, player in pairs(players) do
        closeStreak(player)
    end
    storeAll()
end

-- Kills ----------------------------------------------------------------------------------------------------------------------------

-- Whoever else hit the victim a moment ago assisted; if the others did more damage, the kill was stolen.
local function shareKill(victim, killer)
    local shares, others, own = {}, 0, 0
    for _, hit in ipairs(playerAt(victim).hits) do
        if now() - hit.at <= ASSIST_WITHIN then
            if hit.attacker == killer then
                own = own + hit.damage
            else
                others = others + hit.damage
                shares[hit.attacker] = true
            end
        end
    end
    for attacker in pairs(shares) do
        count(attacker, "assists")
    end
    if others > own then
        count(killer, "steals")
    end
end

local function rateKill(killer, team)
    local interval, remaining = reinforcements(team)
    if interval <= 0 then
        return
    elseif remaining * 2 >= interval then
        count(killer, "usefulKills")
    elseif remaining < USELESS_BELOW then
        count(killer, "uselessKills")
    end
end

local function onKill(victim, killer)
    local player = playerAt(killer)
    player.spree, player.deathSpree = player.spree + 1, 0
    player.bestSpree = math.max(player.bestSpree, player.spree)
    if player.hitHead then
        player.headshotKills = player.headshotKills + 1
    end
    if now() - player.streakAt > MULTIKILL_WITHIN then
        closeStreak(player)
    end
    player.streak, player.streakAt = player.streak + 1, now()
    shareKill(victim, killer)
    rateKill(killer, teamOf(victim))
    closeDeny(victim)
    denies[victim] = { killer = killer, since = now() }
end

local function onDeath(victim)
    local player = playerAt(victim)
    player.spree, player.deathSpree = 0, player.deathSpree + 1
    player.worstDeathSpree = math.max(player.worstDeathSpree, player.deathSpree)
    if player.lifeDamage > ONE_LIFE then
        player.meatshield = player.meatshield + (player.lifeDamage - ONE_LIFE) / ONE_LIFE
    end
    player.lifeDamage = 0
    player.diedAt = player.diedAt or now()
end

local function comeBack(slot)
    local player = playerAt(slot)
    player.dead = deadTime(player)
    player.diedAt = nil
    player.lifeDamage, player.hits = 0, {}
    closeDeny(slot)
end

-- Lines that the game prints -------------------------------------------------------------------------------------------------------

local EVENTS = {
    { "^Dynamite_Plant: (%d+)", "dynamitesPlanted" },
    { "^Dynamite_Diffuse: (%d+)", "dynamitesDefused" },
    { "^Medic_Revive: (%d+)", "revives" },
    { "^Repair: (%d+)", "repairs" },
}

local function onItem(slot, item)
    if isClient(slot) then
        local isOwn = item == (teamOf(slot) == AXIS and "team_CTF_redflag" or "team_CTF_blueflag")
        count(slot, isOwn and "objectivesReturned" or "objectivesStolen")
    end
end

-- Callbacks ------------------------------------------------------------------------------------------------------------------------

reset()

function et_InitGame(time)
    reset()
    et.RegisterModname(MODNAME .. " " .. VERSION)
    levelTime = time
end

local function playFrame()
    levelStart = configNumber(et.CS_LEVEL_START_TIME)
    if not roundStart then
        openRound()
        readReinforcements()
    end
    watchPause()
    if levelTime >= nextStore then
        storeAll()
        nextStore = levelTime + STORE_EVERY
    end
end

function et_RunFrame(time)
    levelTime, gamestate = time, cvarNumber("gamestate", -1)
    if gamestate == PLAYING then
        playFrame()
    elseif gamestate == INTERMISSION and not saveAt then
        et.G_LogPrint("LUA event: Round ended!\n")
        endRound()
        saveAt = time + SAVE_AFTER
    elseif gamestate == INTERMISSION and time >= saveAt and not isSaved then
        save()
    end
    lastFrame = time
end

-- A map change in the middle of a round keeps the round; a restart (1) gives it up.
function et_ShutdownGame(restart)
    if restart == 0 and roundStart and not isSaved then
        isBrokenOff = roundEnd == nil
        endRound()
        save()
    end
end

function et_Damage(target, attacker, damage)
    if gamestate ~= PLAYING or target == attacker or not isClient(target) or not isClient(attacker) then
        return
    end
    if teamOf(target) == teamOf(attacker) then
        return
    end
    local victim, shooter = playerAt(target), playerAt(attacker)
    victim.lifeDamage = victim.lifeDamage + damage
    while victim.hits[1] and now() - victim.hits[1].at > ASSIST_WITHIN do
        table.remove(victim.hits, 1)
    end
    victim.hits[#victim.hits + 1] = { attacker = attacker, damage = damage, at = now() }
    -- The engine counts hits by region before it tells of the damage.
    local headHits = number(attacker, "pers.playerStats.hitRegions", HEAD)
    shooter.hitHead = headHits > shooter.headHits
    shooter.headHits = headHits
end

-- Returns nothing: any number would keep the modules behind this one from hearing of the death.
function et_Obituary(victim, killer, mod)
    if gamestate ~= PLAYING or not isClient(victim) then
        return
    end
    onDeath(victim)
    if victim == killer or killer == WORLD then
        local interval, remaining = reinforcements(teamOf(victim))
        if mod == et.MOD_SUICIDE and interval > 0 and remaining >= interval * 0.75 then
            count(victim, "fullSelfkills")
        end
    elseif isClient(killer) and teamOf(killer) ~= teamOf(victim) then
        onKill(victim, killer)
    end
end

function et_ClientSpawn(slot, revived)
    if isClient(slot) then
        if revived == 1 then
            count(slot, "timesRevived")
        end
        comeBack(slot)
    end
end

-- Who goes to the spectators does not lie dead any longer.
function et_ClientUserinfoChanged(slot)
    if isClient(slot) and players[slot] and teamOf(slot) == SPECTATOR then
        comeBack(slot)
    end
end

function et_ClientDisconnect(slot)
    if isClient(slot) then
        if gamestate == PLAYING then
            comeBack(slot)
            store(slot)
        end
        players[slot] = nil
    end
end

function et_ClientCommand(slot, command)
    if command == "stats_version" then
        et.trap_SendServerCommand(slot, 'print "' .. MODNAME .. " " .. VERSION .. '\n"')
        return 1
    end
    return 0
end

function et_Print(text)
    if gamestate ~= PLAYING then
        return
    end
    local slot, item = string.match(text, "^Item: (%d+) (team_CTF_%a+)")
    if slot then
        onItem(whole(slot), item)
        return
    end
    for _, event in ipairs(EVENTS) do
        slot = string.match(text, event[1])
        if slot then
            count(whole(slot), event[2])
            return
        end
    end
end
