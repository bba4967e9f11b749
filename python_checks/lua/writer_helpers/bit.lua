-- section bit: the library bit of LuaJIT where the interpreter has none (signed 32-bit results)
do
    local stats = rollout_stats
    local tonumber, select, floor, format = tonumber, select, math.floor, string.format
    local WORD, HALF = 2 ^ 32, 2 ^ 31

    -- the nearest whole number, as LuaJIT takes it, in 32 bits
    local function unsigned(value)
        return floor(tonumber(value) + 0.5) % WORD
    end

    local function signed(value)
        value = floor(value % WORD)
        return floor(value >= HALF and value - WORD or value)
    end

    local function fold(keeps)
        return function(first, ...)
            local result = unsigned(first)
            for index = 1, select("#", ...) do
                local a, b, place, sum = result, unsigned((select(index, ...))), 1, 0
                for _ = 1, 32 do
                    if keeps(a % 2 + b % 2) then
                        sum = sum + place
                    end
                    a, b, place = floor(a / 2), floor(b / 2), place * 2
                end
                result = sum
            end
            return signed(result)
        end
    end

    local function ensure_bit_compat()
        if type(bit) == "table" then
            return bit
        end
        local library = {}
        library.tobit = function(a) return signed(unsigned(a)) end
        library.bnot = function(a) return signed(WORD - 1 - unsigned(a)) end
        library.band = fold(function(sum) return sum == 2 end)
        library.bor = fold(function(sum) return sum > 0 end)
        library.bxor = fold(function(sum) return sum == 1 end)
        library.lshift = function(a, n) return signed(unsigned(a) * 2 ^ (unsigned(n) % 32)) end
        library.rshift = function(a, n) return signed(floor(unsigned(a) / 2 ^ (unsigned(n) % 32))) end
        library.arshift = function(a, n) return signed(floor(signed(unsigned(a)) / 2 ^ (unsigned(n) % 32))) end
        library.rol = function(a, n)
            local word, places = unsigned(a), unsigned(n) % 32
            local upper = 2 ^ (32 - places)
            return signed(word % upper * 2 ^ places + floor(word / upper))
        end
        library.ror = function(a, n) return library.rol(a, 32 - unsigned(n) % 32) end
        library.tohex = function(a, n)
            local digits = tonumber(n) or 8
            local text = format(digits < 0 and "%08X" or "%08x", floor(unsigned(a)))
            return text:sub(-(digits < 0 and -digits or digits))
        end
        return library
    end
    stats.bit = ensure_bit_compat()
    bit = stats.bit
end
