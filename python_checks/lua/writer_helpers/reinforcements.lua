-- section reinforcements: the two numbers in front carry, shifted by 3 (Allies) and by 2 (Axis), which of eight seeds is used;
-- other bits above are cut off, so that the index is always one of eight
do
    local stats = rollout_stats
    local gsub, floor, format, configstring = string.gsub, math.floor, string.format, et.trap_GetConfigstring
    local RANGES = { 64, 32 }

    function stats.reinforcement_seeds()
        local position = 0
        local text = gsub(configstring(et.CS_REINFSEEDS) or "", "%-?%d+", function(number)
            position = position + 1
            local range = RANGES[position]
            return range and format("%d", floor(number % range)) or nil
        end, 2)
        return text
    end
end
