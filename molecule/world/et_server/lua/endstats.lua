--[[
    endstats.lua - awards at the end of a round

    Counts a few things that the stats file does not have, tells the players
    about the best of them during the intermission, and appends two blocks to

        gamestats/YYYY-MM-DD-HHMMSS-<map>-round-<1|2>-endstats.txt

    awards:  <award> TAB <name> TAB <value>
    duels:   VS TAB <name> TAB <kills> TAB <name> TAB <kills>

    Runs on Lua 5.4 and on LuaJIT.
]]--

local modname = "endstats"
local version = "2.1"

local CON_CONNECTED = 2
local PAUSE_BIT = 16
local WORLD = 1022

-- from the first frame of the intermission to the awards, ms
local announce_delay = 2000

local max_clients = 64
local gamestate = -1
local intermission = false
local announce_time = 0
local done = false

local paused = false
local pause_start = 0
local pause_ms = 0

-- by client slot
local names = {}
local guids = {}
local kills = {}
local deaths = {}
local team_kills = {}
local suicides = {}
local damage_given = {}
local life_start = {}
local longest_life = {}

-- duels[killer][victim] = kills
local duels = {}

local function to_int(value)
    return math.floor(tonumber(value) or 0)
end

local function is_client(slot)
    return slot ~= nil and slot >= 0 and slot < max_clients
end

local function get_team(slot)
    return to_int(et.gentity_get(slot, "sess.sessionTeam"))
end

local function add(list, slot, value)
    list[slot] = (list[slot] or 0) + value
end

-- arithmetic instead of a bit operator: works on every Lua
local function is_pause_bit_set(toggles)
    return math.floor(toggles / PAUSE_BIT) % 2 * PAUSE_BIT == 1
end

local function check_pause()
    local toggles = to_int(et.trap_GetConfigstring(et.CS_SERVERTOGGLES))
    local now = et.trap_Milliseconds()

    if is_pause_bit_set(toggles) then
        if not paused then
            paused = true
            pause_start = now
        end
    elseif paused then
        paused = false
        pause_ms = pause_ms + now - pause_start
    end
end

local function end_life(slot)
    if life_start[slot] == nil then
        return
    end
    local life = et.trap_Milliseconds() - life_start[slot] - pause_ms
    if life > (longest_life[slot] or 0) then
        longest_life[slot] = life
    end
    life_start[slot] = nil
end

local function remember(slot)
    names[slot] = et.gentity_get(slot, "pers.netname")
    guids[slot] = et.Info_ValueForKey(et.trap_GetUserinfo(slot), "cl_guid")
end

-- slot and value of the highest number in a list, nil if there is none above zero
local function best_of(list)
    local best, best_value = nil, 0
    for slot = 0, max_clients - 1 do
        if names[slot] ~= nil and (list[slot] or 0) > best_value then
            best, best_value = slot, list[slot]
        end
    end
    return best, best_value
end

local function get_awards()
    local awards = {}
    local function award(title, list, format_value)
        local slot, value = best_of(list)
        if slot ~= nil then
            awards[#awards + 1] = { title = title, name = names[slot], value = format_value(value) }
        end
    end
    local function whole(value)
        return tostring(to_int(value))
    end

    award("Most kills", kills, whole)
    award("Most deaths", deaths, whole)
    award("Most damage given", damage_given, whole)
    award("Most team kills", team_kills, whole)
    award("Most suicides", suicides, whole)
    award("Longest life", longest_life, function(ms)
        local seconds = to_int(ms / 1000)
        return string.format("%d:%02d", math.floor(seconds / 60), seconds % 60)
    end)
    return awards
end

-- every pair that has met, the better one first
local function get_duels()
    local lines = {}
    for one = 0, max_clients - 1 do
        for other = one + 1, max_clients - 1 do
            local first = duels[one] and duels[one][other] or 0
            local second = duels[other] and duels[other][one] or 0
            if first + second > 0 and names[one] ~= nil and names[other] ~= nil then
                if first >= second then
                    lines[#lines + 1] = string.format("VS\t%s\t%d\t%s\t%d", names[one], first, names[other], second)
                else
                    lines[#lines + 1] = string.format("VS\t%s\t%d\t%s\t%d", names[other], second, names[one], first)
                end
            end
        end
    end
    return lines
end

local function announce(awards)
    for _, award in ipairs(awards) do
        et.trap_SendServerCommand(-1, string.format('chat "^3%s: ^7%s ^z(%s)"', award.title, award.name, award.value))
    end
end

local function save(awards)
    local map = et.Info_ValueForKey(et.trap_GetConfigstring(et.CS_SERVERINFO), "mapname")
    local round = 1
    if to_int(et.trap_Cvar_Get("g_currentRound")) == 0 then
        round = 2
    end

    local lines = {}
    for _, award in ipairs(awards) do
        lines[#lines + 1] = award.title .. "\t" .. award.name .. "\t" .. award.value
    end
    for _, line in ipairs(get_duels()) do
        lines[#lines + 1] = line
    end
    if #lines == 0 then
        return
    end

    local name = string.format("gamestats\\%s-%s-round-%d-endstats.txt", os.date("%Y-%m-%d-%H%M%S"), map, round)
    local text = table.concat(lines, "\n") .. "\n"
    local file = et.trap_FS_FOpenFile(name, et.FS_APPEND)
    et.trap_FS_Write(text, string.len(text), file)
    et.trap_FS_FCloseFile(file)
end

function et_InitGame(levelTime, randomSeed, restart)
    et.RegisterModname(modname .. " " .. version)
    max_clients = to_int(et.trap_Cvar_Get("sv_maxclients"))
end

function et_RunFrame(levelTime)
    gamestate = to_int(et.trap_Cvar_Get("gamestate"))

    if gamestate == et.GS_PLAYING then
        check_pause()
    elseif gamestate == et.GS_INTERMISSION then
        if not intermission then
            intermission = true
            announce_time = levelTime + announce_delay
            for slot = 0, max_clients - 1 do
                if et.gentity_get(slot, "pers.connected") == CON_CONNECTED then
                    remember(slot)
                    end_life(slot)
                end
            end
        elseif not done and levelTime >= announce_time then
            done = true
            local awards = get_awards()
            announce(awards)
            save(awards)
        end
    end
end

function et_Damage(target, attacker, damage, flags, mod)
    if gamestate == et.GS_PLAYING and is_client(target) and is_client(attacker) and target ~= attacker then
        if get_team(target) ~= get_team(attacker) then
            add(damage_given, attacker, damage)
        end
    end
end

function et_Obituary(victim, killer, mod)
    if gamestate ~= et.GS_PLAYING or not is_client(victim) then
        return
    end

    remember(victim)
    add(deaths, victim, 1)
    end_life(victim)

    if killer == victim or killer == WORLD then
        add(suicides, victim, 1)
    elseif is_client(killer) then
        remember(killer)
        if get_team(killer) == get_team(victim) then
            add(team_kills, killer, 1)
        else
            add(kills, killer, 1)
            duels[killer] = duels[killer] or {}
            add(duels[killer], victim, 1)
        end
    end
end

function et_ClientSpawn(slot, revived, teamChange, restoreHealth)
    if gamestate == et.GS_PLAYING and is_client(slot) and life_start[slot] == nil then
        life_start[slot] = et.trap_Milliseconds()
    end
end

function et_ClientDisconnect(slot)
    if is_client(slot) then
        end_life(slot)
    end
end
