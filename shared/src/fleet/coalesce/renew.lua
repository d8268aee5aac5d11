-- Prolongs a leader's lock by another lease, if the lock is still its own.
-- KEYS  lock   ARGV  token, lease in ms
-- Answers 1, or 0 where another request has taken the lead. Billed: EVALSHA, GET, PEXPIRE.
local holder = string.match(call('GET', KEYS[1]) or '', '^(%S+)')
if holder ~= ARGV[1] then return billed({ 0 }) end
call('PEXPIRE', KEYS[1], ARGV[2])
return billed({ 1 })
