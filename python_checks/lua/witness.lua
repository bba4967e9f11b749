-- Counts the callbacks that a module in front of it can swallow.
local seen = { 0, 0 }

function et_Obituary()
    seen[1] = seen[1] + 1
end

function et_Damage()
    seen[2] = seen[2] + 1
end

function et_ShutdownGame()
    et.G_Print("rollout witness @LABEL@ " .. seen[1] .. " " .. seen[2] .. "\n")
end
