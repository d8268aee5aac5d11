-- Takes the lock of shared work for a follower whose leader is silent or gave up, but only if nobody has the lock and
-- no result came after the follower last looked. Two commands would leave a moment in which both can happen.
-- KEYS  result, lock   ARGV  token, lease in ms
-- Answers 1, or 0 where there is a leader or a result. Billed: EVALSHA, GET, SET.
local payload = string.match(call('GET', KEYS[1]) or '', ' (.)')
-- `X` says that the leader gave up, and is no result.
if payload and payload ~= 'X' then return billed({ 0 }) end
local is_taken = call('SET', KEYS[2], ARGV[1] .. ' 0', 'PX', ARGV[2], 'NX')
return billed({ is_taken and 1 or 0 })
