-- section reinforcements: the two numbers in front carry, shifted by 3 (Allies) and by 2 (Axis), which of eight seeds is used;
-- other bits above are cut off, so that the index is always one of eight
do
    local stats = rollout_stats
    local gsub, floor, format = string.gsub, math.floor, string.format
    local RANGES = { 64, 32 }

    stats.strings[et.CS_REINFSEEDS] = function(seeds)
        local position = 0
        local text = gsub(seeds, "%-?%d+", function(number)
            position = position + 1
            return format("%d", floor(number % RANGES[position]))
        end, 2)
        return text
    end
end
