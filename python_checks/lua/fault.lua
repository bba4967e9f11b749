-- Stands in front of a script, folded into its first line so that line numbers stay true.
-- Raises once in each VM while the cvar rollout_fault asks for it: "build" where a library function handles the payload,
-- "send" where curl is started. Everything else passes through with all its results.
do
    local done, cvar, find = false, et.trap_Cvar_Get, string.find
    local function hit(kind, mark, ...)
        if done or cvar("rollout_fault") ~= kind then
            return
        end
        for i = 1, select("#", ...) do
            local text = select(i, ...)
            if type(text) == "string" and find(text, mark, 1, true) then
                done = true
                et.G_Print("rollout fault fired\n")
                error("@TEXT@", 0)
            end
        end
    end
    local function pass(kind, mark, ...)
        hit(kind, mark, (...))
        return ...
    end
    local function guard(lib, name, kind, mark)
        local old = lib[name]
        lib[name] = function(...)
            hit(kind, mark, ...)
            if kind == "send" then
                return old(...)
            end
            return pass(kind, mark, old(...))
        end
    end
    guard(string, "format", "build", "STATS_READY")
    guard(string, "gsub", "build", "STATS_READY")
    guard(table, "concat", "build", "STATS_READY")
    guard(os, "execute", "send", "curl")
    guard(io, "popen", "send", "curl")
end
