-- Moves the counts of silent environments into the retired total, but only if none of the fields has changed since
-- it was read: so nothing is counted twice, no matter how many scrapes try it.
-- KEYS  hash of the snapshots
-- ARGV  retired total as read (empty where there was none), new retired total, life of the hash in ms,
--       then each silent field and its value as read
-- Answers 1, or 0 where something had changed.
-- Billed: EVALSHA, HGET of the total and of each field, HSET, HDEL, PEXPIRE.
if (call('HGET', KEYS[1], 'retired') or '') ~= ARGV[1] then return billed({ 0 }) end
local silent = {}
for i = 4, #ARGV, 2 do
  if call('HGET', KEYS[1], ARGV[i]) ~= ARGV[i + 1] then return billed({ 0 }) end
  silent[#silent + 1] = ARGV[i]
end
call('HSET', KEYS[1], 'retired', ARGV[2])
call('HDEL', KEYS[1], unpack(silent))
call('PEXPIRE', KEYS[1], ARGV[3])
return billed({ 1 })
