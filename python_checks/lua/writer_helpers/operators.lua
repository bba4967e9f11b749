-- section operators: & | ~ << >> // of Lua 5.3; the operators themselves where the interpreter has them, else arithmetic
-- that gives the same for whole numbers up to 2^53
do
    local stats = rollout_stats
    local tonumber, type, error, floor = tonumber, type, error, math.floor
    local compile = loadstring or load
    local WORD = 2 ^ 32

    local function native(expression)
        local chunk = compile("return function(a, b) return " .. expression .. " end")
        return chunk and chunk()
    end

    local function whole(value)
        local number = tonumber(value)
        if not number then
            error("attempt to perform bitwise operation on a " .. type(value) .. " value", 3)
        elseif number ~= floor(number) or number >= 2 ^ 63 or number < -2 ^ 63 then
            error("number has no integer representation", 3)
        end
        return number
    end

    -- bit by bit over the 64 bits of both numbers, in two words, since a double holds 53; the highest bit counts negative
    local function combine(a, b, keeps)
        local low, high = 0, 0
        for index = 0, 63 do
            if keeps(a % 2, b % 2) then
                if index < 32 then
                    low = low + 2 ^ index
                else
                    high = high + (index == 63 and -2 ^ 31 or 2 ^ (index - 32))
                end
            end
            a, b = floor(a / 2), floor(b / 2)
        end
        return high * WORD + low
    end

    local function shift_left(a, places)
        if places >= 64 then
            return 0
        end
        local value = a * 2 ^ places
        if value >= 2 ^ 63 or value < -2 ^ 63 then
            value = value % (WORD * WORD)
            value = value >= 2 ^ 63 and value - WORD * WORD or value
        end
        return value
    end

    -- zeros come in from the left, also for negative numbers
    local function shift_right(a, places)
        if places >= 64 then
            return 0
        end
        return floor(a / 2 ^ places) + (a < 0 and 2 ^ (64 - places) or 0)
    end

    local function shift(a, places)
        if places == 0 then
            return a
        end
        return places > 0 and shift_left(a, places) or places < 0 and shift_right(a, -places)
    end

    local function fallback_band(a, b)
        return combine(whole(a), whole(b), function(x, y) return x + y == 2 end)
    end

    local function fallback_bor(a, b)
        return combine(whole(a), whole(b), function(x, y) return x + y > 0 end)
    end

    local function fallback_bxor(a, b)
        return combine(whole(a), whole(b), function(x, y) return x + y == 1 end)
    end

    local function fallback_bnot(a)
        return -1 - whole(a)
    end

    local function fallback_lshift(a, n)
        return shift(whole(a), whole(n))
    end

    local function fallback_rshift(a, n)
        return shift(whole(a), -whole(n))
    end

    local function fallback_idiv(a, b)
        return floor(a / b)
    end

    stats.band = native("a & b") or fallback_band
    stats.bor = native("a | b") or fallback_bor
    stats.bxor = native("a ~ b") or fallback_bxor
    stats.bnot = native("~a") or fallback_bnot
    stats.lshift = native("a << b") or fallback_lshift
    stats.rshift = native("a >> b") or fallback_rshift
    stats.idiv = native("a // b") or fallback_idiv
end
