-- Runs first in every VM. It builds the global table `et` on functions of the stand-in (`raw`), puts os, io, debug, package and load
-- behind gates, and hands the host one `load` and one `call`. Scripts of unknown origin run here: nothing in reach may lead out.
local raw, constants, options = ...

local type, tostring, tonumber, error, select, next, pairs, ipairs = type, tostring, tonumber, error, select, next, pairs, ipairs
local pcall, xpcall, setmetatable, rawset = pcall, xpcall, setmetatable, rawset
local G, string, table, math, os, io, debug, package, coroutine = _G, string, table, math, os, io, debug, package, coroutine
local format, byte, find, gsub, sub, rep, concat = string.format, string.byte, string.find, string.gsub, string.sub, string.rep, table.concat
local native_load, sethook, huge = load, debug.sethook, math.huge
local is54 = math.type ~= nil
local tointeger, floor, ceil = math.tointeger, math.floor, math.ceil

-- Limit: the count hook turns an endless loop into an error that no pcall of the script can swallow.
local spent, exhausted = 0, false
local STEP = 10000
local function tick()
    spent = spent + 1
    if spent > options.ticks then
        exhausted = true
        error(options.too_long, 2)
    end
end
sethook(tick, "", STEP)

local function settle(ok, ...)
    if exhausted and not ok then
        error(options.too_long, 0)
    end
    return ok, ...
end
G.pcall = function(...) return settle(pcall(...)) end
G.xpcall = function(...) return settle(xpcall(...)) end
local create, resume = coroutine.create, coroutine.resume
local function hooked(body)
    local co = create(body)
    if is54 then
        sethook(co, tick, "", STEP)
    end
    return co
end
coroutine.create = hooked
coroutine.resume = function(...) return settle(resume(...)) end
local function passed(ok, ...)
    if not ok then
        error((...), 0)
    end
    return ...
end
coroutine.wrap = function(body)
    local co = hooked(body)
    return function(...) return passed(settle(resume(co, ...))) end
end

-- Arguments, checked with the wording of the reference implementation.
local function bad(position, name, found, level)
    error(format("bad argument #%d to '%s' (%s)", position, name, found), level or 4)
end
local function integer(value, position, name)
    local kind = type(value)
    if kind == "string" then
        value = tonumber(value)
        kind = type(value)
        if kind ~= "number" then
            bad(position, name, "number expected, got string")
        end
    end
    if kind ~= "number" then
        bad(position, name, "number expected, got " .. kind)
    end
    if is54 then
        local whole = tointeger(value)
        if not whole then
            bad(position, name, "number has no integer representation")
        end
        return whole
    end
    if value ~= value or value == huge or value == -huge then
        return -2147483648
    end
    return value < 0 and ceil(value) or floor(value)
end
local function text(value, position, name, level)
    local kind = type(value)
    if kind == "string" then
        return value
    end
    if kind == "number" then
        return tostring(value)
    end
    bad(position, name, "string expected, got " .. kind, level)
end

-- et: functions by signature; i integer, t text, o optional integer, u optional text.
local et = {}
for name, value in pairs(constants) do
    et[name] = value
end
local function argument(kind, value, position, name)
    if kind == "i" then
        return integer(value, position, name)
    elseif kind == "t" then
        return text(value, position, name)
    elseif value == nil then
        return nil
    elseif kind == "o" then
        return integer(value, position, name)
    end
    return text(value, position, name)
end
for name, signature in pairs(options.signatures) do
    local target = raw[name]
    local a, b, c, d = sub(signature, 1, 1), sub(signature, 2, 2), sub(signature, 3, 3), sub(signature, 4, 4)
    if a == "" then
        et[name] = function() return target() end
    elseif b == "" then
        et[name] = function(x)
            x = argument(a, x, 1, name)
            return target(x)
        end
    elseif c == "" then
        et[name] = function(x, y)
            x, y = argument(a, x, 1, name), argument(b, y, 2, name)
            return target(x, y)
        end
    elseif d == "" then
        et[name] = function(x, y, z)
            x, y, z = argument(a, x, 1, name), argument(b, y, 2, name), argument(c, z, 3, name)
            return target(x, y, z)
        end
    else
        et[name] = function(x, y, z, w)
            x, y, z, w = argument(a, x, 1, name), argument(b, y, 2, name), argument(c, z, 3, name), argument(d, w, 4, name)
            return target(x, y, z, w)
        end
    end
end
for _, name in ipairs(options.missing) do
    et[name] = function() error("et." .. name .. " is not in the stand-in", 2) end
end
local gentity_get, gentity_set = raw.gentity_get, raw.gentity_set
et.gentity_get = function(slot, field, index)
    slot, field = integer(slot, 1, "gentity_get"), text(field, 2, "gentity_get")
    index = index and integer(index, 3, "gentity_get") or 0
    local value, problem, a, b, c, d, e = gentity_get(slot, field, index)
    if value ~= nil then
        return value
    elseif problem == false then
        return { a, b, c, d, e }
    elseif problem then
        error(problem, 2)
    end
    return nil
end
et.gentity_set = function(slot, field, index, value)
    slot, field = integer(slot, 1, "gentity_set"), text(field, 2, "gentity_set")
    if value == nil then
        index, value = 0, index
    end
    index = integer(index, 3, "gentity_set")
    local problem
    if type(value) == "table" then
        problem = gentity_set(slot, field, 0, tonumber(value[1]) or 0, tonumber(value[2]) or 0, tonumber(value[3]) or 0)
    else
        if type(value) ~= "string" and type(value) ~= "number" then
            error("gentity_set: a number, a text or a table of three numbers is required, got " .. type(value), 2)
        end
        problem = gentity_set(slot, field, index, value)
    end
    if problem then
        error(problem, 2)
    end
end
et.trap_FS_GetFileList = function(folder, extension)
    local names = {}
    for name in string.gmatch(raw.file_list(text(folder, 1, "trap_FS_GetFileList"), text(extension, 2, "trap_FS_GetFileList")), "[^\n]+") do
        names[#names + 1] = name
    end
    return names
end
G.et = et

-- Files: every path is translated (or refused) by the host, then the native library works on it.
local open, remove, rename, tmpfile, iotype = io.open, os.remove, os.rename, io.tmpfile, io.type
local function translated(path, mode, name)
    path = text(path, 1, name, 5)
    local real, problem, code = raw.path(path, mode or "r")
    return path, real, problem, code
end
local function renamed(message, real, path)
    local first, last = find(tostring(message), real, 1, true)
    return first and sub(message, 1, first - 1) .. path .. sub(message, last + 1) or message
end
local function gated_open(path, mode, ...)
    local shown, real, problem, code = translated(path, mode, "open")
    if not real then
        return nil, problem, code
    end
    local handle, message, number = open(real, mode, ...)
    if not handle then
        return nil, renamed(message, real, shown), number
    end
    return handle
end
local sink = open("/dev/null", "w")
local empty = open("/dev/null", "r")
io.output(sink)
io.input(empty)
io.stdout, io.stderr, io.stdin = sink, sink, empty
io.open = gated_open
io.tmpfile = tmpfile
local native_lines, native_input, native_output = io.lines, io.input, io.output
io.lines = function(path, ...)
    if path == nil then
        return native_lines(nil, ...)
    end
    local handle, message = gated_open(path, "r")
    if not handle then
        error(message, 2)
    end
    return handle:lines(...)
end
local function redirect(native, mode)
    return function(target)
        if target == nil or iotype(target) then
            return native(target)
        end
        local handle, message = gated_open(target, mode)
        if not handle then
            error(message, 2)
        end
        return native(handle)
    end
end
io.input, io.output = redirect(native_input, "r"), redirect(native_output, "w")
io.popen = function(command, mode)
    command = text(command, 1, "popen")
    return open(raw.popen(command, mode or "r"))
end
os.remove = function(path)
    local shown, real, problem, code = translated(path, "remove", "remove")
    if not real then
        return nil, problem, code
    end
    local ok, message, number = remove(real)
    if not ok then
        return nil, renamed(message, real, shown), number
    end
    return ok
end
os.rename = function(from, to)
    local shown, real, problem, code = translated(from, "remove", "rename")
    if not real then
        return nil, problem, code
    end
    local target
    to = text(to, 2, "rename")
    target, problem, code = raw.path(to, "w")
    if not target then
        return nil, problem, code
    end
    local ok, message, number = rename(real, target)
    if not ok then
        return nil, renamed(message, real, shown), number
    end
    return ok
end
os.tmpname = function() return raw.tmpname() end
os.getenv = function(name) return raw.getenv(text(name, 1, "getenv")) end
os.exit = function() error("os.exit is not in the stand-in: it would end the server", 2) end
os.setlocale = function() return "C" end
os.execute = function(command)
    if command == nil then
        if is54 then
            return true
        end
        return 1
    end
    local code = raw.execute(text(command, 1, "execute"))
    if not is54 then
        return code * 256
    elseif code == 0 then
        return true, "exit", 0
    end
    return nil, "exit", code
end

-- Time: the virtual clock.
local native_time, native_date = os.time, os.date
os.time = function(when)
    if when == nil then
        return raw.now_s()
    end
    return native_time(when)
end
os.date = function(pattern, when)
    return native_date(pattern or "%c", when or raw.now_s())
end
os.clock = function() return raw.clock_s() end

-- Code: text only (a crafted binary chunk can break out of any VM).
local function gated_load(chunk, name, mode, ...)
    if type(chunk) == "function" then
        local pieces = {}
        repeat
            local piece = chunk()
            pieces[#pieces + 1] = piece
        until piece == nil or piece == ""
        chunk, name = concat(pieces), name or "=(load)"
    end
    chunk = text(chunk, 1, "load")
    if byte(chunk, 1) == 27 or (mode ~= nil and not find(mode, "t", 1, true)) then
        return nil, "attempt to load a binary chunk (the stand-in takes text only)"
    end
    if select("#", ...) > 0 then
        return native_load(chunk, name or chunk, "t", (...))
    end
    return native_load(chunk, name or chunk, "t")
end
G.load = gated_load
if G.loadstring then
    G.loadstring = function(chunk, name) return gated_load(text(chunk, 1, "loadstring"), name) end
end
local function load_file(path, ...)
    local handle, message = gated_open(path, "rb")
    if not handle then
        return nil, "cannot open " .. tostring(message)
    end
    local chunk = handle:read(is54 and "a" or "*a")
    handle:close()
    return gated_load(gsub(chunk, "^#[^\n]*", ""), "@" .. path, ...)
end
G.loadfile = load_file
G.dofile = function(path)
    local chunk, message = load_file(path)
    if not chunk then
        error(message, 0)
    end
    return chunk()
end
local loaded, preload = {}, {}
for name, value in pairs(package.loaded) do
    loaded[name] = value
end
loaded.python, loaded["jit.opt"], loaded["jit.util"] = nil, nil, nil
local config = package.config
for name in pairs(package) do
    package[name] = nil
end
package.loaded, package.preload, package.config = loaded, preload, config
package.path, package.cpath = options.path, options.cpath
package.loadlib = function() error("package.loadlib is not in the stand-in", 2) end
loaded.package = package
G.require = function(name)
    name = text(name, 1, "require")
    if loaded[name] ~= nil then
        return loaded[name]
    end
    local chunk, tried = preload[name], { format("module '%s' not found:\n\tno field package.preload['%s']", name, name) }
    if not chunk then
        local file = gsub(name, "%.", "/")
        for template in string.gmatch(tostring(package.path), "[^;]+") do
            local path = gsub(template, "%?", (gsub(file, "%%", "%%%%")))
            local handle = gated_open(path, "r")
            if handle then
                handle:close()
                local message
                chunk, message = load_file(path)
                if not chunk then
                    error(format("error loading module '%s' from file '%s':\n\t%s", name, path, tostring(message)), 2)
                end
                break
            end
            tried[#tried + 1] = format("no file '%s'", path)
        end
    end
    if not chunk then
        error(concat(tried, "\n\t"), 2)
    end
    loaded[name] = true
    local value = chunk(name)
    if value ~= nil then
        loaded[name] = value
    end
    return loaded[name]
end

-- Everything that could undo the gates.
local getinfo, traceback, native_getmetatable = debug.getinfo, debug.traceback, debug.getmetatable
for name in pairs(debug) do
    debug[name] = function() error("debug." .. name .. " is not in the stand-in", 2) end
end
debug.getinfo, debug.traceback = getinfo, traceback
debug.gethook = function() return nil end
debug.getmetatable = function(value)
    if type(value) == "userdata" then
        return nil
    end
    return native_getmetatable(value)
end
if G.jit then
    local facts = { version = jit.version, version_num = jit.version_num, os = jit.os, arch = jit.arch }
    facts.status = function() return false end
    facts.on, facts.off, facts.flush = function() end, function() end, function() end
    G.jit, loaded.jit = facts, facts
end
string.rep = function(piece, count, separator)
    piece = text(piece, 1, "rep")
    count = integer(count, 2, "rep")
    if (#piece + #(separator or "")) * count > options.longest_text then
        error("resulting string too large", 2)
    end
    if separator ~= nil then
        return rep(piece, count, separator)
    end
    return rep(piece, count)
end
G.print = function(...)
    local parts = {}
    for i = 1, select("#", ...) do
        parts[i] = tostring((select(i, ...)))
    end
    raw.stdout(concat(parts, "\t") .. "\n")
end
G.python = nil
G.LUA_PATH, G.LUA_CPATH, G.LUA_DIRSEP = options.path, options.cpath, "/"

-- The host's two doors. A status is "syntax", false (error), true (done) or nil (no such function).
local function explain(ok, ...)
    exhausted = false
    if ok then
        return true, ...
    end
    local problem = ...
    local kind = type(problem)
    if kind == "userdata" then
        return false, "stand-in: error of the host: " .. tostring(problem)
    end
    return false, (kind == "string" or kind == "number") and tostring(problem) or "(null)"
end
local function load_script(source, name)
    spent, exhausted = 0, false
    local chunk, problem = native_load(source, name, "t")
    if not chunk then
        return "syntax", problem
    end
    return explain(pcall(chunk))
end
-- Calls nest (a print inside a callback reaches et_Print); only the outermost renews the allowance.
local depth = 0
local function leave(...)
    depth = depth - 1
    return ...
end
local function call(name, ...)
    local callback = G[name]
    if type(callback) ~= "function" then
        return nil
    end
    if depth == 0 then
        spent, exhausted = 0, false
    end
    depth = depth + 1
    return leave(explain(pcall(callback, ...)))
end
return load_script, call
