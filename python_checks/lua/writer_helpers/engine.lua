-- section engine: et.trap_Cvar_Get and et.trap_GetConfigstring with the answers that the other sections put right
do
    local stats = rollout_stats
    local type, tonumber = type, tonumber
    local cvar, configstring = et.trap_Cvar_Get, et.trap_GetConfigstring
    local cvars, strings = {}, {}
    stats.cvars, stats.strings = cvars, strings

    function stats.cvar(name)
        local value = cvar(name)
        local mend = type(name) == "string" and cvars[name:lower()]
        return mend and mend(value) or value
    end

    function stats.configstring(index)
        local value = configstring(index)
        local mend = strings[tonumber(index)]
        return mend and mend(value) or value
    end
end
