-- Conformance probe, written for the stand-in: logs callbacks with argument types and every change of the match cvars and configstrings
-- in the notation of the recorded traces, so that the two can be compared line by line.
local CVARS = { "gamestate", "g_gametype", "g_currentRound", "timelimit", "g_nextTimeLimit", "g_doWarmup", "g_warmup", "match_minplayers",
    "mapname", "g_userTimeLimit", "sv_fps", "g_restarted", "g_swapteams" }
local STRINGS = { { "CS_SERVERTOGGLES", 32 }, { "CS_MULTI_INFO", 13 }, { "CS_MULTI_MAPWINNER", 14 }, { "CS_REINFSEEDS", 31 }, { "CS_WARMUP", 5 },
    { "CS_INTERMISSION", 12 }, { "CS_LEVEL_START_TIME", 11 }, { "CS_INTERMISSION_START_TIME", 36 }, { "CS_ROUNDSCORES1", 23 },
    { "CS_ROUNDSCORES2", 24 }, { "CS_MULTI_OBJECTIVE", 15 }, { "CS_WOLFINFO", 21 }, { "CS_VOTE_STRING", 7 }, { "CS_VOTE_TIME", 6 } }
local GLOBALS = { "bit", "bit32", "jit", "os", "io", "require", "package", "debug", "utf8", "coroutine", "string", "table", "math", "ffi",
    "setfenv", "unpack", "loadstring", "goto_" }
local now, frames, last, deltas, known = -1, 0, 0, {}, {}
local path = et.trap_Cvar_Get("fs_homepath") .. "/legacy/probe.log"

local function log(...)
    local out = io.open(path, "a")
    out:write("[", tostring(now), "] ", string.format(...), "\n")
    out:close()
end
local function show(value)
    if type(value) == "string" then
        return string.format("%q", value)
    end
    local kind = type(value)
    if kind == "number" and math.type then
        kind = math.type(value)
    end
    return tostring(value) .. ":" .. kind
end
local function changes(where)
    local function compare(kind, name, value)
        local key = kind .. name
        if known[key] ~= value then
            log("%s %s %s: %s -> %s", where, kind, name, show(known[key]), show(value))
            known[key] = value
        end
    end
    for _, name in ipairs(CVARS) do
        compare("cvar", name, et.trap_Cvar_Get(name))
    end
    for _, entry in ipairs(STRINGS) do
        compare("cs", entry[1] .. "(" .. entry[2] .. ")", et.trap_GetConfigstring(entry[2]))
    end
end
local function call(name, ...)
    local parts = {}
    for i = 1, select("#", ...) do
        parts[i] = show((select(i, ...)))
    end
    log("CB %s(%s (n=%d))", name, table.concat(parts, ", "), select("#", ...))
end

log("==== chunk load probe-1 _VERSION=%s FindSelf=%s", _VERSION, tostring(et.FindSelf()))
for _, name in ipairs(GLOBALS) do
    log("global %s = %s", name, type(_G[name]))
end
local names = {}
for _, name in ipairs({ "os.time", "os.clock", "os.execute", "os.getenv", "os.rename", "io.open", "io.popen", "io.lines", "string.pack",
    "table.unpack", "math.type" }) do
    local library, field = name:match("(%a+)%.(%a+)")
    names[#names + 1] = name .. "=" .. type(_G[library][field])
end
log("%s load=%s", table.concat(names, " "), type(load))
for _, name in ipairs({ "ffi", "bit", "bit32", "jit", "luasql.sqlite3", "socket", "cjson", "lfs" }) do
    local ok, result = pcall(require, name)
    log("require(%s) -> %s %s", name, tostring(ok), ok and type(result) or result:match("^[^\n]*"))
end
log("package.path=%s", package.path)
log("package.cpath=%s", package.cpath)
log("LUA_PATH=%s LUA_DIRSEP=%s HOSTARCH=%s", LUA_PATH, LUA_DIRSEP, et.HOSTARCH)
local entries = 0
for _ in pairs(et) do
    entries = entries + 1
end
log("et table has %d entries", entries)

for _, name in ipairs({ "et_SpawnEntitiesFromString", "et_ClientConnect", "et_ClientDisconnect", "et_ClientBegin", "et_ClientUserinfoChanged",
    "et_ClientSpawn", "et_SetPlayerSkill", "et_UpgradeSkill", "et_Obituary", "et_Damage", "et_WeaponFire", "et_Chat", "et_ShutdownGame",
    "et_Quit" }) do
    _G[name] = function(...)
        call(name, ...)
        changes(name)
    end
end
function et_Print(...)
    call("et_Print", ...)
end
function et_InitGame(time, ...)
    now = time
    et.RegisterModname("probe")
    call("et_InitGame", time, ...)
    local mod, signature = et.FindMod(et.FindSelf())
    log("FindSelf in InitGame=%s FindMod(%s)=%q, %q (n=2)", tostring(et.FindSelf()), tostring(et.FindSelf()), mod, signature)
    changes("et_InitGame")
end
function et_RunFrame(time, ...)
    local delta = frames == 0 and -1 or time - last
    frames, last, now = frames + 1, time, time
    deltas[delta] = (deltas[delta] or 0) + 1
    if frames <= 2 then
        call("et_RunFrame", time, ...)
    elseif frames % 400 == 0 then
        local parts = {}
        for ms, count in pairs(deltas) do
            parts[#parts + 1] = ms .. "ms x" .. count
        end
        log("RunFrame n=%d deltas: %s", frames, table.concat(parts, ", "))
    end
    changes("frame")
end
local function words()
    local parts = {}
    for i = 0, et.trap_Argc() - 1 do
        parts[#parts + 1] = et.trap_Argv(i)
    end
    log("  argv=[%s]", table.concat(parts, "|"))
end
function et_ClientCommand(...)
    call("et_ClientCommand", ...)
    words()
    changes("et_ClientCommand")
end
function et_ConsoleCommand(...)
    call("et_ConsoleCommand", ...)
    words()
    changes("et_ConsoleCommand")
end
