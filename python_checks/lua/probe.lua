-- Stands behind a script's last statement: shows its busy flag and its marks in its first frame and when it is shut down.
do
    local function show(value)
        if type(value) ~= "table" then
            return tostring(value)
        end
        local items = {}
        for name, item in pairs(value) do
            if type(item) ~= "table" and type(item) ~= "function" then
                items[#items + 1] = tostring(name) .. ":" .. tostring(item)
            end
        end
        table.sort(items)
        return "{" .. table.concat(items, ",") .. "}"
    end
    local function safe(state)
        local ok, value = pcall(state)
        return ok and value or "nil"
    end
    local down, run, has_run = et_ShutdownGame, et_RunFrame, false
    local function probe()
        et.G_Print("rollout probe " .. safe(function()
            return @STATE@
        end) .. "\n")
    end
    function et_ShutdownGame(...)
        probe()
        if down then
            return down(...)
        end
    end
    if run then
        function et_RunFrame(...)
            if not has_run then
                has_run = true
                probe()
            end
            return run(...)
        end
    end
end
