-- section slots: how many client slots there are; asking for a client field of a slot behind them raises an error
do
    local stats = rollout_stats
    local tonumber, tostring, floor, cvar = tonumber, tostring, math.floor, et.trap_Cvar_Get
    local MOST = 64

    function stats.ensure_max_clients()
        local count = tonumber(cvar("sv_maxclients"))
        if not count or count < 1 or count > MOST then
            return MOST
        end
        return floor(count)
    end

    stats.cvars["sv_maxclients"] = function()
        return tostring(stats.ensure_max_clients())
    end
end
