-- section files: opening a file is checked; what is written to a file that could not be opened goes nowhere, and the console says so
do
    local stats = rollout_stats
    local open, tostring = et.trap_FS_FOpenFile, tostring
    local told = {}

    function stats.open(name, mode)
        local file, length = open(name, mode)
        if not file or file == 0 or length and length < 0 then
            if not told[name] then
                told[name] = true
                et.G_Print("^1rollout: can not open '" .. tostring(name) .. "'; nothing is written there\n")
            end
            return 0, -1
        end
        return file, length
    end
end
