-- Whether one more call of a tenant may run. Stored: the number of each slot that is held, and when its lease ends.
local function enter_bulkhead(stored, now, slot, calls, lease, ended)
  local is_over = { [slot] = true }
  for _, number in ipairs(ended) do is_over[number] = true end
  local state, first, longest = {}, nil, lease
  for i = 1, #stored, 2 do
    local number, till = stored[i], stored[i + 1]
    if till > now and not is_over[number] then
      state[#state + 1], state[#state + 2] = number, till
      first, longest = math.min(first or till, till), math.max(longest, till - now)
    end
  end
  local held = #state / 2
  if held >= 2 * calls then return { wait = first - now } end
  state[#state + 1], state[#state + 2] = slot, now + lease
  return { wait = 0, is_spare = held >= calls, state = state, longest = longest }
end
