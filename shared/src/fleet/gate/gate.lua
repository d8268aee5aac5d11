-- Decides one call at the gate: every limit, the idempotency record, the shared work, the tenant's bulkhead, and the
-- breakers that it depends on. All or nothing: a call that is denied changes nothing.
-- KEYS  limits, limit of replays and idempotency record (0 or 2), shared result and its lock (0 or 2), the tenant's
--       slots (0 or 1), state and mode of each breaker, tenants that called lately what is behind them (0 or 1)
-- ARGV  1 now in microseconds, 0 for the server's clock   2 number of limits   3 of records (0 or 1)
--       4 of shared work (0 or 1)   5 how many calls this one counts as, 0 to ask for the status only
--       6 hash of the request   7 token   8 lease of the record in us   9 life of the record in ms
--       10 lease of the lock in ms   11 expected duration of the work in us
--       12 tenant of the call as breakers know it, 0 where they need not   13 window of the breakers in us
--       14 how many tenants are noted at most
--       15 number of the slot, 0 for none   16 calls of the tenant at once   17 lease of the slot in us
--       18 numbers of the tenant's slots that this environment has ended
--       then for each limit, that of replays last: number of its algorithm, span in us, calls
-- Answers 1 or 0 for admitted, now, {wait, remaining, reset} of each limit (that of replays for a replay alone),
--         {what, ...} of the record, {what, ...} of the shared work, {what, ...} of the slot, state and mode of each
--         breaker.
-- Billed: EVALSHA, TIME, MGET, then for an admitted call a SET for each limit, record, lock and slot that it takes, and
-- one where its tenant has not been noted for half a window. A replay takes its own limit and nothing else, a call whose
-- record stands in its way takes its limits.
local limits, records, shared = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local cost, token = tonumber(ARGV[5]), ARGV[7]
local now = tonumber(ARGV[1])
if now == 0 then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
end
local stored = #KEYS > 0 and call('MGET', unpack(KEYS)) or {}
local RULES = { gcra, fixed_window, sliding_window, token_bucket }
local function whole(number) return string.format('%.0f', number) end

local function numbers(text)
  local found = {}
  for number in string.gmatch(text or '', '%d+') do found[#found + 1] = tonumber(number) end
  return found
end

local tenant, window, slot = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[15])
local replays_at, record_at = limits + 1, limits + 2
local work_at = limits + 2 * records + 1
local slots_at = work_at + 2 * shared
local callers_at = tenant ~= 0 and #KEYS or #KEYS + 1
local breakers = {}
for i = slots_at + (slot ~= 0 and 1 or 0), callers_at - 1 do breakers[#breakers + 1] = stored[i] or '' end

-- Limits: first whether all of them admit the call, then their statuses.
local steps, admitted = {}, 1
local function step(i, weight)
  local at = 18 + 3 * (i - 1)
  local rule = RULES[tonumber(ARGV[at + 1])]
  return rule(numbers(stored[i]), now, weight, tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]))
end
for i = 1, limits do
  steps[i] = step(i, cost)
  if steps[i].wait > 0 and cost > 0 then admitted = 0 end
end
local function standing(taken, shown) return { taken.wait, math.max(shown.remaining, 0), shown.reset } end
local function standings(looked)
  local all = {}
  for i = 1, limits do
    if looked then all[i] = standing(steps[i], step(i, 0)) else all[i] = standing({ wait = 0 }, steps[i]) end
  end
  return all
end
local function take(i, taken)
  local kept = {}
  for at, number in ipairs(taken.state) do kept[at] = whole(number) end
  call('SET', KEYS[i], table.concat(kept, ' '), 'PX', math.max(math.ceil(taken.reset / 1000), 1))
end
local function take_limits()
  for i = 1, limits do if cost > 0 then take(i, steps[i]) end end
end
local NONE = { 'none' }
local function answer(is_admitted, statuses, record, work, held)
  return billed({ is_admitted, now, statuses, record, work, held, breakers })
end
if admitted == 0 then return answer(0, standings(true), NONE, NONE, NONE) end

-- The record is claimed by nobody, by a request that still runs, by one that died, or holds an answer.
local record, claim = NONE, nil
if records == 1 then
  local text = stored[record_at] or ''
  local what, hash, holder, deadline, first = string.match(text, '^(%u) (%S+) (%S+) (%d+) (%d+)')
  if what and hash ~= ARGV[6] then
    record = { 'mismatch' }
  elseif what == 'D' then
    local replay, statuses = step(replays_at, 1), standings(true)
    if replay.wait > 0 then
      statuses[replays_at] = standing(replay, step(replays_at, 0))
      return answer(0, statuses, NONE, NONE, NONE)
    end
    take(replays_at, replay)
    statuses[replays_at] = standing(replay, replay)
    return answer(1, statuses, { 'done', string.match(text, '^%u %S+ %S+ %d+ %d+ (.*)$') }, NONE, NONE)
  elseif what and holder ~= token and tonumber(deadline) > now then
    record = { 'running', tonumber(deadline) - now }
  else
    first = tonumber(first or now)
    claim = 'P ' .. ARGV[6] .. ' ' .. token .. ' ' .. whole(now + ARGV[8]) .. ' ' .. whole(first)
    record = { 'claimed', first }
  end
  if not claim then
    take_limits()
    return answer(1, standings(false), record, NONE, NONE)
  end
end

-- Shared work: take a fresh result, or a stale one while another request renews it; wait for a leader; or lead.
local work = NONE
if shared == 1 then
  local result, lock = stored[work_at], stored[work_at + 1]
  local fresh = result and tonumber(string.match(result, '^(%d+)'))
  if fresh == 0 then result, fresh = nil, nil end -- left by a leader that gave up
  local holder, eta = string.match(lock or '', '^(%S+) (%d+)')
  if fresh and fresh > now then
    work = { 'fresh', result }
  elseif holder and holder ~= token then
    work = fresh and { 'stale', result } or { 'follow', math.max(tonumber(eta) - now, 0) }
  else
    work = { 'lead' }
  end
end

-- A call that takes a result that is there is over at once, and needs no slot.
local held, slots = NONE, nil
if slot ~= 0 and cost > 0 and work[1] ~= 'fresh' and work[1] ~= 'stale' then
  slots = enter_bulkhead(numbers(stored[slots_at]), now, slot, tonumber(ARGV[16]), tonumber(ARGV[17]), numbers(ARGV[18]))
  if slots.wait > 0 then return answer(0, standings(true), NONE, NONE, { 'full', slots.wait }) end
  held = { 'held', slots.is_spare and 1 or 0 }
end

if claim then call('SET', KEYS[record_at], claim, 'PX', ARGV[9]) end
if work[1] == 'lead' then
  call('SET', KEYS[work_at + 1], token .. ' ' .. whole(now + ARGV[11]), 'PX', ARGV[10])
end
if slots then
  local kept = {}
  for at, number in ipairs(slots.state) do kept[at] = whole(number) end
  call('SET', KEYS[slots_at], table.concat(kept, ' '), 'PX', math.max(math.ceil(slots.longest / 1000), 1))
end

-- Whoever will call what is behind the breakers is noted, unless enough was noted within half a window.
if tenant ~= 0 and cost > 0 and (work[1] == 'none' or work[1] == 'lead') then
  local callers, kept, recent, is_noted = numbers(stored[callers_at]), {}, 0, false
  for i = 1, #callers, 2 do
    local other, at = callers[i], callers[i + 1]
    if at + math.floor(window / 2) > now then
      recent = recent + 1
      if other == tenant then is_noted = true end
    end
    if other ~= tenant and at + window > now then kept[#kept + 1] = whole(other) .. ' ' .. whole(at) end
  end
  if not is_noted and recent < tonumber(ARGV[14]) then
    kept[#kept + 1] = whole(tenant) .. ' ' .. whole(now)
    if #kept > tonumber(ARGV[14]) then table.remove(kept, 1) end
    call('SET', KEYS[callers_at], table.concat(kept, ' '), 'PX', math.ceil(window / 1000))
  end
end

take_limits()
return answer(1, standings(false), record, work, held)
