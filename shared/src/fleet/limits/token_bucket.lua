-- A bucket that gains one token per interval, up to its capacity.
-- Stored: its content, as the time that it took to fill it, and when that was so.
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
