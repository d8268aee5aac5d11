-- Counts calls in windows that begin at multiples of their length by the server's clock.
-- Stored: the number of the window, the calls in it.
local function fixed_window(stored, now, cost, window, quota)
  local current = math.floor(now / window)
  -- A number in the future was counted in windows of another length, or by a clock that was wrong.
  if (stored[1] or 0) > current + 1 then stored = {} end
  local index = math.max(current, stored[1] or 0)
  local used = stored[1] == index and stored[2] or 0
  local reset = (index + 1) * window - now
  return {
    wait = used + cost > quota and reset or 0,
    remaining = quota - used - cost,
    reset = reset,
    state = { index, used + cost },
  }
end
