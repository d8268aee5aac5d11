-- Ends the run of an idempotent request, if the record is still its own: stores the answer, or gives the claim back.
-- KEYS  record: `P hash holder deadline first` (pending), then `D hash holder deadline first answer` (done)
-- ARGV  token, answer (empty where none is stored and the request may be tried again), life of the record in ms
-- Answers 1, or 0 where another request has taken the record over. Billed: EVALSHA, GET, SET.
local text = call('GET', KEYS[1]) or ''
local hash, holder, first = string.match(text, '^P (%S+) (%S+) %d+ (%d+)')
if holder ~= ARGV[1] then return billed({ 0 }) end
local what = ARGV[2] == '' and 'P ' or 'D '
call('SET', KEYS[1], what .. hash .. ' ' .. holder .. ' 0 ' .. first .. ' ' .. ARGV[2], 'PX', ARGV[3])
return billed({ 1 })
