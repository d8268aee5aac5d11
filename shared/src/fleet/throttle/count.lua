-- Counts an attempt to sign in before the password is checked, or refuses it.
-- KEYS  a hash for each that counts attempts: the account, or a known device of it, and the address. Its fields: `n`
--       attempts that no right password has forgiven, no further one before `until`, all forgotten at `ends`, and
--       `of:<account>`, how many of them were on this account
-- ARGV  the time or 0 for the server's, the account (a number), then for each key: attempts before delays begin, first
--       delay, longest delay, attempts after which all are refused (0 for no end), life, and 1 where each attempt begins
--       the life anew. All times are in ms.
-- Answers the time to wait, 0 when the attempt may go on, and 1 if it is the last that goes on.
local now = tonumber(ARGV[1])
if now == 0 then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local counts, wait = {}, 0
for i, key in ipairs(KEYS) do
  local stored = call('HMGET', key, 'n', 'until', 'ends')
  local n, after, ends = tonumber(stored[1] or 0), tonumber(stored[2] or 0), tonumber(stored[3] or 0)
  if ends <= now then
    if stored[1] then call('DEL', key) end
    n, after, ends = 0, 0, 0
  end
  counts[i] = { n = n, after = after, ends = ends }
  wait = math.max(wait, after - now)
end
if wait > 0 then return billed({ wait, 0 }) end
local last = 0
for i, key in ipairs(KEYS) do
  local rule = {}
  for field = 1, 6 do rule[field] = tonumber(ARGV[2 + (i - 1) * 6 + field]) end
  local free, first, longest, most, life, renews = unpack(rule)
  local count = counts[i]
  count.n = count.n + 1
  if count.ends == 0 or renews == 1 then count.ends = now + life end
  if most > 0 and count.n >= most then
    count.after = count.ends
    last = 1
  elseif count.n >= free then
    count.after = now + math.min(first * 2 ^ math.min(count.n - free, 20), longest)
  end
  local time = function(ms) return string.format('%.0f', ms) end
  call('HSET', key, 'n', count.n, 'until', time(count.after), 'ends', time(count.ends))
  call('HINCRBY', key, 'of:' .. ARGV[2], 1)
  call('PEXPIRE', key, time(count.ends - now))
end
return billed({ 0, last })
