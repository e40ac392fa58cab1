-- Units: now is milliseconds since 1970. Counts the living. KEYS: sessions, then indexes. ARGV: now.
local now = tonumber(ARGV[1])
local living = 0
for n = 2, #KEYS do
  living = living + redis.call('ZCOUNT', KEYS[n], '(' .. ARGV[1], '+inf')
  -- These may have moved on since they were indexed.
  for _, handle in ipairs(redis.call('ZRANGEBYSCORE', KEYS[n], 0, now)) do
    local raw = redis.call('HGET', KEYS[1], handle)
    if raw and not ending(read_session(raw), now) then
      living = living + 1
    end
  end
end
return living
