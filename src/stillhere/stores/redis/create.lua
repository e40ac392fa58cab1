-- Units: deadline_at is milliseconds since 1970, lasts is milliseconds. Keeps a new session, unless its handle is taken.
-- KEYS: sessions, index, which indexes are filled. ARGV: handle, packed session, deadline_at, lasts, number of the index in its part,
-- 1 if this may be the second try. Answers 1 if it is kept.
local sessions, index, filled = KEYS[1], KEYS[2], KEYS[3]
local handle, raw, deadline_at, lasts = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if redis.call('HSETNX', sessions, handle, raw) == 0 then
  -- The answer to the first try may have been lost: then this very record is there.
  return ARGV[6] == '1' and redis.call('HGET', sessions, handle) == raw and 1 or 0
end
redis.call('ZADD', index, deadline_at, handle)
redis.call('SETBIT', filled, ARGV[5], 1)
outlive(sessions, lasts)
outlive(index, lasts)
outlive(filled, lasts)
return 1
