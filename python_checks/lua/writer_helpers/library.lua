-- section library: functions that only one of the interpreters has
do
    local select, floor = select, math.floor
    table.unpack = table.unpack or unpack
    unpack = unpack or table.unpack
    table.pack = table.pack or function(...) return { n = select("#", ...), ... } end
    table.getn = table.getn or function(list) return #list end
    table.maxn = table.maxn or function(list)
        local largest = 0
        for key in pairs(list) do
            if type(key) == "number" and key > largest then
                largest = key
            end
        end
        return largest
    end
    loadstring = loadstring or load
    math.pow = math.pow or function(base, exponent) return base ^ exponent end
    math.mod = math.mod or math.fmod
    math.log10 = math.log10 or function(number) return math.log(number, 10) end
    math.tointeger = math.tointeger or function(value)
        local number = tonumber(value)
        return number and number == floor(number) and number or nil
    end
    math.type = math.type or function(value)
        if type(value) ~= "number" then
            return nil
        end
        return value == floor(value) and "integer" or "float"
    end
    string.gfind = string.gfind or string.gmatch
end
