-- The breaker of one dependency, for the whole fleet: lends a permit, or takes a report of how calls went.
-- KEYS  state, mode (normal where it is missing), tenants that called lately (`tenant time ...`)
-- ARGV  1 now in microseconds, 0 for the server's clock   2 `ask` or `report`
--       3 length of a bucket in us   4 buckets in the window   5 calls in the window before it judges
--       6 failures at which it opens, in %   7 slow calls at which it opens, in %
--       8 first open time in us   9 longest open time in us   10 permits at a time
--       11 successes that end half-open   12 length of the ramp in us   13 life of the state in ms
--       14 number of the permit   15 lease of the permit in us
--       16 version that the calls saw   17 calls   18 failed   19 slow   20 jitter in thousandths
--       21 tenant, 0 for the fleet itself   22 tenants that must have seen it
-- Answers now, 1 where a permit was lent and 0 otherwise, state, mode.
-- The state is `version phase since until openings passed|permit deadline tenant ...|bucket calls failed slow ...|
-- witness time ...` in one line; phases: 0 closed, 1 open, 2 half-open, 3 ramp.
-- Billed: EVALSHA, TIME, MGET, and a SET where the state changed.
local now = tonumber(ARGV[1])
if now == 0 then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
end
local stored = call('MGET', unpack(KEYS))
local mode = stored[2] or ''
local function arg(i) return tonumber(ARGV[i]) end
local CLOSED, OPEN, HALF_OPEN, RAMP = 0, 1, 2, 3

local function numbers(text)
  local found = {}
  for number in string.gmatch(text or '', '%d+') do found[#found + 1] = tonumber(number) end
  return found
end
local parts = {}
for part in string.gmatch((stored[1] or '') .. '|', '([^|]*)|') do parts[#parts + 1] = numbers(part) end
-- A state of another form, of an earlier version of this script, is that of a new breaker.
if #parts ~= 4 then parts = { { 0, 0, 0, 0, 0, 0 }, {}, {}, {} } end
local head, leases, buckets, witnesses = parts[1], parts[2], parts[3], parts[4]
local callers, tenant, window = numbers(stored[3]), arg(21), arg(3) * arg(4)
local changed = false

local function enter(phase, till)
  head[1], head[2], head[3], head[4], head[6] = head[1] + 1, phase, now, till, 0
  leases, buckets, witnesses, changed = {}, {}, {}, true
end
local function open()
  local time = math.min(arg(8) * 2 ^ math.min(head[5], 20), arg(9))
  head[5] = head[5] + 1
  enter(OPEN, now + math.floor(time * (1000 + arg(20)) / 1000))
end
-- The groups of `size` numbers in a flat list whose first three numbers satisfy `wanted`.
local function keep(list, size, wanted)
  local kept = {}
  for i = 1, #list, size do
    if wanted(list[i], list[i + 1], list[i + 2]) then
      for j = i, i + size - 1 do kept[#kept + 1] = list[j] end
    end
  end
  return kept
end
-- Notes who saw a call fail or be slow, and tells whether enough tenants did: as many as it takes, or all that call.
local function witnessed()
  if arg(18) + arg(19) > 0 then
    if tenant == 0 then return true end
    witnesses = keep(witnesses, 2, function(other, at) return other ~= tenant and at + window > now end)
    witnesses[#witnesses + 1], witnesses[#witnesses + 2] = tenant, now
    for _ = 1, #witnesses - 2 * arg(22) do table.remove(witnesses, 1) end
  end
  local seen, all = { [0] = true }, 0
  local function count(other)
    if not seen[other] then seen[other], all = true, all + 1 end
  end
  local function count_recent(list)
    for i = 1, #list, 2 do
      if list[i + 1] + window > now then count(list[i]) end
    end
  end
  count_recent(witnesses)
  local saw = all
  count_recent(callers)
  for i = 3, #leases, 3 do count(leases[i]) end
  return saw >= math.min(all, arg(22))
end

if head[2] == RAMP and now >= head[4] then head[2], head[5], changed = CLOSED, 0, true end
local granted = 0
if mode == '' or mode == 'metrics_only' then
  if ARGV[2] == 'ask' then
    if head[2] == OPEN and now >= head[4] then enter(HALF_OPEN, 0) end
    if head[2] == HALF_OPEN then
      local live = keep(leases, 3, function(_, deadline) return deadline > now end)
      if #live < #leases then leases, changed = live, true end
      local own = keep(leases, 3, function(_, _, holder) return holder == tenant end)
      if #leases / 3 < arg(10) and (tenant == 0 or #own == 0) then
        for _, number in ipairs({ arg(14), now + arg(15), tenant }) do leases[#leases + 1] = number end
        granted, changed = 1, true
      end
    end
  elseif head[2] == HALF_OPEN then
    local others = keep(leases, 3, function(permit, deadline) return permit ~= arg(14) or deadline <= now end)
    if #others < #leases then
      changed = true
      if arg(18) + arg(19) > 0 and witnessed() then open()
      elseif arg(19) == 0 then -- a call that has become slow still runs, and keeps its permit
        leases = others
        if arg(18) == 0 and arg(17) > 0 then
          head[6] = head[6] + 1
          if head[6] >= arg(11) then enter(RAMP, now + arg(12)) end
        end
      end
    end
  elseif head[2] ~= OPEN and arg(16) == head[1] then
    local index = math.floor(now / arg(3))
    buckets = keep(buckets, 4, function(bucket) return bucket > index - arg(4) end)
    if buckets[#buckets - 3] ~= index then
      for _, number in ipairs({ index, 0, 0, 0 }) do buckets[#buckets + 1] = number end
    end
    local calls, failed, slow = 0, 0, 0
    for i = 1, 3 do buckets[#buckets - 3 + i] = buckets[#buckets - 3 + i] + arg(16 + i) end
    for i = 1, #buckets, 4 do
      calls, failed, slow = calls + buckets[i + 1], failed + buckets[i + 2], slow + buckets[i + 3]
    end
    changed = true
    local unwell = failed * 100 >= arg(6) * calls or slow * 100 >= arg(7) * calls
    if witnessed() and calls >= arg(5) and unwell and mode == '' then open() end
  end
end

local function text(list)
  local written = {}
  for i, number in ipairs(list) do written[i] = string.format('%.0f', number) end
  return table.concat(written, ' ')
end
local state = text(head) .. '|' .. text(leases) .. '|' .. text(buckets) .. '|' .. text(witnesses)
if changed then call('SET', KEYS[1], state, 'PX', ARGV[13]) end
return billed({ now, granted, state, mode })
