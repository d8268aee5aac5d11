-- Counts the calls of the current window and a share of the previous one: the share that still lies within one
-- window before now, as if its calls had come evenly.
-- Stored: the number of the window, the calls in it, the calls in the one before.
local function sliding_window(stored, now, cost, window, quota)
  local current = math.floor(now / window)
  -- A number in the future was counted in windows of another length, or by a clock that was wrong.
  if (stored[1] or 0) > current + 1 then stored = {} end
  local index = math.max(current, stored[1] or 0)
  local used, before = 0, 0
  if stored[1] == index then used, before = stored[2], stored[3]
  elseif stored[1] == index - 1 then before = stored[2] end
  local elapsed = math.max(now - index * window, 0)
  local counted = used + math.floor(before * (window - elapsed) / window)
  local wait = 0
  if counted + cost > quota then
    -- The call waits until the share of the `weight` calls of the previous window has faded to `room`. If the
    -- calls of the current window leave no room by themselves, it has to become the previous one first, which
    -- takes `since` from its beginning; the calls that fade are its own then.
    local room, weight, since = quota - cost - used, before, 0
    if room < 0 then room, weight, since = quota - cost, used, window end
    local faded = window
    if room >= 0 and weight > 0 then
      faded = math.max(math.floor(window - (room + 1) * window / weight) + 1, 0)
    end
    wait = math.max(since + faded - elapsed, 1)
  end
  return {
    wait = wait,
    remaining = quota - counted - cost,
    reset = (index + 2) * window - now,
    state = { index, used + cost, before },
  }
end
