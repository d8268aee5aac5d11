#!lua flags=allow-key-locking
local bill = 0
local function call(...)
  bill = bill + 1
  return redis.call(...)
end
local function billed(answer)
  answer[#answer + 1] = bill
  return answer
end
