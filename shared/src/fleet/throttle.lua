-- Counts a sign-in attempt before the password is checked, or refuses it.
-- KEYS  attempts on the account (hash: `n` attempts, the next one not before `until`),
--       accounts tried from the address (set)
-- ARGV  account (a number), attempts before delays begin, life of the attempts in ms,
--       first delay in ms, longest delay in ms, accounts per address, life of the address's set in ms
-- Answers the milliseconds to wait: 0 when the attempt may go on.
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local waiting = tonumber(call('HGET', KEYS[1], 'until') or 0) - now
if waiting > 0 then return billed({ waiting }) end
if call('SISMEMBER', KEYS[2], ARGV[1]) == 0 then
  if call('SCARD', KEYS[2]) >= tonumber(ARGV[6]) then
    return billed({ math.max(call('PTTL', KEYS[2]), 1) })
  end
  call('SADD', KEYS[2], ARGV[1])
  if call('SCARD', KEYS[2]) == 1 then call('PEXPIRE', KEYS[2], ARGV[7]) end
end
local n = call('HINCRBY', KEYS[1], 'n', 1)
local over = n - tonumber(ARGV[2])
if over >= 0 then
  local delay = math.min(tonumber(ARGV[4]) * 2 ^ math.min(over, 20), tonumber(ARGV[5]))
  call('HSET', KEYS[1], 'until', string.format('%.0f', now + delay))
end
call('PEXPIRE', KEYS[1], ARGV[3])
return billed({ 0 })
