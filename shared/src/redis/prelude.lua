#!lua flags=allow-key-locking
-- Upstash bills every command that a script runs, so scripts run them by `call`, which counts, and return their answer
-- by `billed`, which appends the count. The flag above must stay the first line.
local bill = 0
local function call(...)
  bill = bill + 1
  return redis.call(...)
end
local function billed(answer)
  answer[#answer + 1] = bill
  return answer
end
