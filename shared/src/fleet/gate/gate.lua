-- Decides one call at the gate: every limit, the idempotency record, the shared work, and the breakers that it
-- depends on. All or nothing: a call that is denied, replayed or still running changes no limit.
-- KEYS  limits, idempotency record (0 or 1), shared result and its lock (0 or 2), state and mode of each breaker,
--       tenants that called lately what is behind them (0 or 1)
-- ARGV  1 now in microseconds, 0 for the server's clock   2 number of limits   3 of records (0 or 1)
--       4 of shared work (0 or 1)   5 how many calls this one counts as, 0 to ask for the status only
--       6 hash of the request   7 token   8 lease of the record in us   9 life of the record in ms
--       10 lease of the lock in ms   11 expected duration of the work in us
--       12 tenant of the call as breakers know it, 0 where they need not   13 window of the breakers in us
--       14 how many tenants are noted at most
--       then for each limit: number of its algorithm, span in us, calls
-- Answers 1 or 0 for admitted, now, {wait, remaining, reset} of each limit, {what, ...} of the record,
--         {what, ...} of the shared work, state and mode of each breaker.
-- Billed: EVALSHA, TIME, MGET, then for an admitted call a SET for each limit, record and lock that it takes, and one
-- where its tenant has not been noted for half a window.
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

local tenant, window = tonumber(ARGV[12]), tonumber(ARGV[13])
local breakers, callers_at = {}, tenant ~= 0 and #KEYS or #KEYS + 1
for i = limits + records + 2 * shared + 1, callers_at - 1 do breakers[#breakers + 1] = stored[i] or '' end

-- Limits: first whether all of them admit the call, then their statuses.
local steps, admitted = {}, 1
local function step(i, weight)
  local at = 14 + 3 * (i - 1)
  local rule = RULES[tonumber(ARGV[at + 1])]
  return rule(numbers(stored[i]), now, weight, tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]))
end
for i = 1, limits do
  steps[i] = step(i, cost)
  if steps[i].wait > 0 and cost > 0 then admitted = 0 end
end
local function standings(looked)
  local all = {}
  for i = 1, limits do
    local shown = looked and step(i, 0) or steps[i]
    all[i] = { looked and steps[i].wait or 0, math.max(shown.remaining, 0), shown.reset }
  end
  return all
end
if admitted == 0 then return billed({ 0, now, standings(true), { 'none' }, { 'none' }, breakers }) end

-- The record is claimed by nobody, by a request that still runs, by one that died, or holds an answer.
local record = { 'none' }
local claim
if records == 1 then
  local text = stored[limits + 1] or ''
  local what, hash, holder, deadline, first = string.match(text, '^(%u) (%S+) (%S+) (%d+) (%d+)')
  if what and hash ~= ARGV[6] then
    record = { 'mismatch' }
  elseif what == 'D' then
    record = { 'done', string.match(text, '^%u %S+ %S+ %d+ %d+ (.*)$') }
  elseif what and holder ~= token and tonumber(deadline) > now then
    record = { 'running', tonumber(deadline) - now }
  else
    first = tonumber(first or now)
    claim = 'P ' .. ARGV[6] .. ' ' .. token .. ' ' .. whole(now + ARGV[8]) .. ' ' .. whole(first)
    record = { 'claimed', first }
  end
  if not claim then return billed({ 1, now, standings(true), record, { 'none' }, breakers }) end
  call('SET', KEYS[limits + 1], claim, 'PX', ARGV[9])
end

-- Shared work: take a fresh result, or a stale one while another request renews it; wait for a leader; or lead.
local work = { 'none' }
if shared == 1 then
  local result, lock = stored[limits + records + 1], stored[limits + records + 2]
  local fresh = result and tonumber(string.match(result, '^(%d+)'))
  if fresh == 0 then result, fresh = nil, nil end -- left by a leader that gave up
  local holder, eta = string.match(lock or '', '^(%S+) (%d+)')
  if fresh and fresh > now then
    work = { 'fresh', result }
  elseif holder and holder ~= token then
    work = fresh and { 'stale', result } or { 'follow', math.max(tonumber(eta) - now, 0) }
  else
    call('SET', KEYS[limits + records + 2], token .. ' ' .. whole(now + ARGV[11]), 'PX', ARGV[10])
    work = { 'lead' }
  end
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

for i = 1, limits do
  if cost > 0 then
    local kept = {}
    for at, number in ipairs(steps[i].state) do kept[at] = whole(number) end
    call('SET', KEYS[i], table.concat(kept, ' '), 'PX', math.max(math.ceil(steps[i].reset / 1000), 1))
  end
end
return billed({ 1, now, standings(false), record, work, breakers })
