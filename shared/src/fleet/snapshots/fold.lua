-- Moves the counts of silent environments into the retired total, in one step: whoever folds, and however often,
-- nothing is counted twice and nothing is lost.
-- KEYS  hash of the snapshots
-- ARGV  1 now in seconds, 0 for the server's clock   2 after how many seconds without a word an environment is silent
--       3 life of the hash in ms   4 how many fields to look at, chosen by chance; 0 to look at those named from 5 on
-- Answers how many fields were folded.
-- Billed: EVALSHA, TIME, HRANDFIELD or HMGET, and where something is folded HGET, HSET, HDEL, PEXPIRE.
local now, silence, sample = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
if now == 0 then now = tonumber(call('TIME')[1]) end
local names, texts = {}, {}
if sample > 0 then
  local pairs_found = call('HRANDFIELD', KEYS[1], sample, 'WITHVALUES')
  for i = 1, #pairs_found, 2 do names[#names + 1], texts[#texts + 1] = pairs_found[i], pairs_found[i + 1] end
else
  for i = 5, #ARGV do names[#names + 1] = ARGV[i] end
  texts = call('HMGET', KEYS[1], unpack(names))
end

-- Adds the lines of a snapshot, `name value value ...`, to `totals`. A line that cannot be read is left out.
local totals = {}
local function add(text)
  for line in string.gmatch(string.match(text, '\n(.*)$') or '', '[^\n]+') do
    local name, values = string.match(line, '^([^ ]*) (%d[%d ]*)$')
    if name and not string.find(values, '  ', 1, true) and string.sub(values, -1) ~= ' ' then
      local sums, cell = totals[name] or {}, 0
      for value in string.gmatch(values, '%d+') do
        cell = cell + 1
        sums[cell] = (sums[cell] or 0) + tonumber(value)
      end
      totals[name] = sums
    end
  end
end

local silent = {}
for i, name in ipairs(names) do
  local text = texts[i]
  local written = text and tonumber(string.match(text, '^(%d+)\n') or string.match(text, '^(%d+)$') or 0)
  if written and name ~= 'retired' and now - written >= silence then
    silent[#silent + 1] = name
    add(text)
  end
end
if #silent == 0 then return billed({ 0 }) end
add(call('HGET', KEYS[1], 'retired') or '')

local series = {}
for name in pairs(totals) do series[#series + 1] = name end
table.sort(series)
local lines = { string.format('%.0f', now) }
for _, name in ipairs(series) do
  local cells = { name }
  for _, sum in ipairs(totals[name]) do cells[#cells + 1] = string.format('%.0f', sum) end
  lines[#lines + 1] = table.concat(cells, ' ')
end
call('HSET', KEYS[1], 'retired', table.concat(lines, '\n'))
call('HDEL', KEYS[1], unpack(silent))
call('PEXPIRE', KEYS[1], ARGV[3])
return billed({ #silent })
