-- Gives slots of a tenant's bulkhead back.
-- KEYS  slots: `number end ...`   ARGV  numbers of the slots that have ended
-- Answers how many were still held. Billed: EVALSHA, GET, and a SET or DEL where one was.
local is_over, kept, count = {}, {}, 0
for _, number in ipairs(ARGV) do is_over[number] = true end
for number, till in string.gmatch(call('GET', KEYS[1]) or '', '(%d+) (%d+)') do
  if is_over[number] then count = count + 1 else kept[#kept + 1] = number .. ' ' .. till end
end
if count > 0 and #kept > 0 then
  call('SET', KEYS[1], table.concat(kept, ' '), 'KEEPTTL')
elseif count > 0 then
  call('DEL', KEYS[1])
end
return billed({ count })
