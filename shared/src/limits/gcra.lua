#!lua flags=allow-key-locking
-- Admits one call under several limits at once, or under none (GCRA, ITU-T I.371).
-- KEYS  one per limit; each holds the theoretical arrival time in microseconds
-- ARGV  cost, then for each limit: emission interval in microseconds, burst in calls
-- Answers admitted (0 or 1), then for each limit: calls remaining, microseconds until
-- the quota is whole again, microseconds to wait (0 unless this limit denied the call).
-- Billed: EVALSHA, TIME, MGET, and one SET per limit of an admitted call.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stored = redis.call('MGET', unpack(KEYS))
local cost = tonumber(ARGV[1])
local admitted = 1
local arrival, after, wait = {}, {}, {}
for i = 1, #KEYS do
  local interval, burst = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  arrival[i] = math.max(tonumber(stored[i] or now), now)
  after[i] = arrival[i] + cost * interval
  wait[i] = math.max(after[i] - burst * interval - now, 0)
  if wait[i] > 0 then admitted = 0 end
end
local answer = { admitted }
for i = 1, #KEYS do
  local interval, burst = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local stands = arrival[i]
  if admitted == 1 then
    stands = after[i]
    redis.call('SET', KEYS[i], string.format('%.0f', stands), 'PX', math.ceil((stands - now) / 1000))
  end
  answer[#answer + 1] = math.floor((burst * interval - (stands - now)) / interval)
  answer[#answer + 1] = stands - now
  answer[#answer + 1] = wait[i]
end
return answer
