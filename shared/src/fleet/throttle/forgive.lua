-- Forgives the attempts on an account once its password was right. Those on other accounts stay, so that nobody wipes
-- out guesses by signing in to an account of their own.
-- KEYS  the hashes of `throttle.lua`
-- ARGV  the account, then for each key the attempts before delays begin
for i, key in ipairs(KEYS) do
  local own = tonumber(call('HGET', key, 'of:' .. ARGV[1]) or 0)
  if own > 0 then
    local n = call('HINCRBY', key, 'n', -own)
    if n <= 0 then
      call('DEL', key)
    else
      call('HDEL', key, 'of:' .. ARGV[1])
      if n < tonumber(ARGV[1 + i]) then call('HDEL', key, 'until') end
    end
  end
end
return billed({})
