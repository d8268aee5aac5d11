#!lua flags=allow-key-locking
-- Keeps a leader's lock for another lease, if it is still its own.
-- KEYS  lock   ARGV  token, lease in ms   Answers 1 or 0. Billed: EVALSHA, GET, PEXPIRE.
local holder = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+)')
if holder ~= ARGV[1] then return { 0 } end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { 1 }
