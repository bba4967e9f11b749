--[[
    team-lock.lua - lock the own team against late joiners

    A player says  lock  or  unlock  in the console; it counts for the team he is
    on. Nobody can join a locked team. Locks end with the round.
]]--

local modname = "team-lock"
local version = "1.2"

local team_names = {
    [et.TEAM_AXIS] = "^1Axis",
    [et.TEAM_ALLIES] = "^4Allies"
}

-- what players type after "team"
local team_by_word = {
    r = et.TEAM_AXIS,
    red = et.TEAM_AXIS,
    axis = et.TEAM_AXIS,
    b = et.TEAM_ALLIES,
    blue = et.TEAM_ALLIES,
    allies = et.TEAM_ALLIES
}

local locked = {}

local function get_team(slot)
    return tonumber(et.gentity_get(slot, "sess.sessionTeam")) or 0
end

local function set_lock(slot, on)
    local team = get_team(slot)
    if team_names[team] == nil then
        et.trap_SendServerCommand(slot, 'print "^3Join a team first.\n"')
        return
    end
    locked[team] = on
    et.trap_SendServerCommand(-1, string.format('chat "%s ^7team is now %s"', team_names[team], on and "locked" or "open"))
end

function et_InitGame(levelTime, randomSeed, restart)
    et.RegisterModname(modname .. " " .. version)
end

function et_ClientCommand(slot, command)
    local word = string.lower(command)

    if word == "lock" or word == "unlock" then
        set_lock(slot, word == "lock")
        return 1
    end

    if word == "team" then
        local team = team_by_word[string.lower(et.trap_Argv(1))]
        if team ~= nil and locked[team] and get_team(slot) ~= team then
            et.trap_SendServerCommand(slot, string.format('cp "%s ^7team is locked"', team_names[team]))
            return 1
        end
    end

    return 0
end
