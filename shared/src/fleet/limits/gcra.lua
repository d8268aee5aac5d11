-- The generic cell rate algorithm (ITU-T I.371). Stored: the theoretical arrival time of the next call.
local function gcra(stored, now, cost, interval, burst)
  local arrival = math.max(stored[1] or now, now)
  local after = arrival + cost * interval
  local wait = math.max(after - burst * interval - now, 0)
  return {
    wait = wait,
    remaining = math.floor((burst * interval - (after - now)) / interval),
    reset = after - now,
    state = { after },
  }
end
