-- A bucket that gains one token per interval, up to its capacity.
-- Stored: how full the bucket is, as the time that filling it that far takes, and the moment at which it was that full.
local function token_bucket(stored, now, cost, interval, capacity)
  local full = interval * capacity
  local credit = full
  if stored[2] then credit = math.min(stored[1] + math.max(now - stored[2], 0), full) end
  local after = credit - cost * interval
  return {
    wait = math.max(-after, 0),
    remaining = math.floor(after / interval),
    reset = full - after,
    state = { after, math.max(now, stored[2] or 0) },
  }
end
