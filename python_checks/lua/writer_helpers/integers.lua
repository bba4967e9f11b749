-- section integers: any value as a whole number, cut towards zero as C does it (nil, NaN, infinities: the default)
do
    local stats = rollout_stats
    local tonumber, tostring, select = tonumber, tostring, select
    local floor, ceil, format, gmatch = math.floor, math.ceil, string.format, string.gmatch
    local unpack = table.unpack or unpack
    local INTEGER = { d = true, i = true, u = true, x = true, X = true, o = true, c = true }

    local function to_int(value, default)
        local number = tonumber(value)
        if not number or number ~= number or number >= 2 ^ 63 or number < -2 ^ 63 then
            return default or 0
        end
        return number < 0 and ceil(number) or floor(number)
    end
    stats.to_int = to_int

    -- string.format whose integer conversions take any value: %d with 7.5 raises on Lua 5.4 and prints 7 on LuaJIT
    function stats.format(template, ...)
        local values, count, index = { ... }, select("#", ...), 0
        for conversion in gmatch(tostring(template), "%%[%-%+ #%d%.]*(.)") do
            if conversion ~= "%" then
                index = index + 1
                if INTEGER[conversion] then
                    values[index] = to_int(values[index])
                    count = index > count and index or count
                end
            end
        end
        return format(template, unpack(values, 1, count))
    end
end
