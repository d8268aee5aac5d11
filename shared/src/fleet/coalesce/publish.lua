-- Publishes a leader's result and releases its lock, but only if the lock is still its own: a leader that was
-- replaced is refused.
-- KEYS  result: `fresh-until payload`, lock: `token expected-end`
-- ARGV  token, how long the result is fresh in us, its life in ms,
--       payload (empty where the leader gives up and leaves no result)
-- Answers 1, or 0 where another request has taken the lead. Billed: EVALSHA, TIME, GET, SET, DEL.
local time = call('TIME')
local holder = string.match(call('GET', KEYS[2]) or '', '^(%S+)')
if holder ~= ARGV[1] then return billed({ 0 }) end
if ARGV[4] == '' then
  -- `0 X` tells the followers that the leader gave up, so that one of them takes over at once. It lives for a second
  -- and does not replace an older result that is still there.
  call('SET', KEYS[1], '0 X', 'PX', 1000, 'NX')
else
  local fresh = time[1] * 1000000 + time[2] + ARGV[2]
  call('SET', KEYS[1], string.format('%.0f', fresh) .. ' ' .. ARGV[4], 'PX', ARGV[3])
end
call('DEL', KEYS[2])
return billed({ 1 })
