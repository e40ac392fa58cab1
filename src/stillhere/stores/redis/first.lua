-- Units: until and now are milliseconds since 1970. Takes a name until an instant has passed. KEYS: the name's. ARGV: until, now.
-- Answers 1 if nobody had it.
local held = redis.call('GET', KEYS[1])
if held and tonumber(held) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', math.max(ARGV[1] - ARGV[2], 0) + DAY)
return 1
