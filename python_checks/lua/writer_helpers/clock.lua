-- section clock: the time really played and a clock that stands still in pauses
do
    local stats = rollout_stats
    local tonumber, floor, gsub = tonumber, math.floor, string.gsub
    local cvar, configstring, milliseconds = et.trap_Cvar_Get, et.trap_GetConfigstring, et.trap_Milliseconds
    local PLAYING, PAUSE_BIT = et.GS_PLAYING or 0, 16

    -- Server time in ms. It is the clock that the engine's own g_nextTimeLimit is measured with; et.trap_Milliseconds has another
    -- origin and misses the frames that the engine runs at once after a restart.
    local roundStart, roundEnd, lastFrame
    -- server time: [1] where the open pause began, [2] where the last one ended; [3] the sum of the finished ones
    local pausedTime
    -- et.trap_Milliseconds: where the open pause began; the sum of the finished ones
    local frozenAt, frozenSum
    local roundInPlay, isBrokenOff

    local function reset()
        roundStart, roundEnd, lastFrame = nil, nil, nil
        pausedTime = { nil, nil, 0 }
        frozenAt, frozenSum = nil, 0
        roundInPlay, isBrokenOff = nil, false
    end
    reset()

    -- The bit shares its config string with others: it is set when the masked value is not 0.
    local function isPaused()
        local toggles = tonumber(configstring(et.CS_SERVERTOGGLES)) or 0
        return floor(toggles / PAUSE_BIT) % 2 ~= 0
    end

    local function openPause(at)
        pausedTime[1] = at
        frozenAt = milliseconds()
    end

    local function closePause(at)
        if pausedTime[1] then
            pausedTime[2] = at
            pausedTime[3] = pausedTime[3] + at - pausedTime[1]
            pausedTime[1] = nil
            frozenSum = frozenSum + milliseconds() - frozenAt
            frozenAt = nil
        end
    end

    -- Once per half. A script that is loaded in the middle of a half (lua_restart) finds the start in the config string, which the
    -- engine has moved on by the pauses until then.
    local function openRound(now)
        local start = lastFrame or tonumber(configstring(et.CS_LEVEL_START_TIME))
        pausedTime[1], pausedTime[2], pausedTime[3] = nil, nil, 0
        roundStart = start and start > 0 and start <= now and start or now
        roundEnd = nil
        roundInPlay = cvar("g_currentRound")
    end

    -- The last frame of play is the end: the engine measures there. A pause that is still open ends with the half.
    local function closeRound()
        if roundStart and not roundEnd then
            roundEnd = lastFrame or roundStart
            closePause(roundEnd)
        end
    end

    local function frame(now)
        if tonumber(cvar("gamestate")) ~= PLAYING then
            closeRound()
            lastFrame = now
            return
        end
        if not roundStart or roundEnd then
            openRound(now)
        end
        if isPaused() then
            if not pausedTime[1] then
                openPause(lastFrame or now)
            end
        else
            closePause(now)
        end
        lastFrame = now
    end

    -- ms that were played in this half, without its pauses; the half may still go on
    function stats.playtime()
        if not roundStart then
            return 0
        end
        local last = roundEnd or lastFrame or roundStart
        local paused = pausedTime[3]
        if pausedTime[1] then
            paused = paused + last - pausedTime[1]
        end
        local played = floor(last - roundStart - paused)
        return played > 0 and played or 0
    end

    -- et.trap_Milliseconds, but standing still in pauses: what is measured with it is free of them
    function stats.milliseconds()
        return (frozenAt or milliseconds()) - frozenSum
    end

    -- The engine turns g_currentRound over at the end of a half; where a half is broken off and saved before that, the value that
    -- it would have had is given.
    stats.cvars["g_currentround"] = function(value)
        if isBrokenOff then
            return tonumber(roundInPlay) == 0 and "1" or "0"
        end
        return value
    end

    -- a header line of eight fields with the ninth
    function stats.header(text)
        local line = gsub(text, "[\r\n]+$", "")
        return line .. "\\" .. stats.playtime() .. text:sub(#line + 1)
    end

    -- The engine's callbacks with the clock in front of them.
    function stats.watched(initGame, runFrame, shutdownGame)
        return function(...)
            reset()
            if initGame then
                return initGame(...)
            end
        end, function(levelTime, ...)
            frame(tonumber(levelTime) or milliseconds())
            if runFrame then
                return runFrame(levelTime, ...)
            end
        end, function(...)
            isBrokenOff = roundStart ~= nil and roundEnd == nil
            closeRound()
            if shutdownGame then
                return shutdownGame(...)
            end
        end
    end
end
