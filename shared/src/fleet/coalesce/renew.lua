-- Keeps a leader's lock for another lease, if it is still its own.
-- KEYS  lock   ARGV  token, lease in ms   Answers 1 or 0. Billed: EVALSHA, GET, PEXPIRE.
local holder = string.match(call('GET', KEYS[1]) or '', '^(%S+)')
if holder ~= ARGV[1] then return billed({ 0 }) end
call('PEXPIRE', KEYS[1], ARGV[2])
return billed({ 1 })
