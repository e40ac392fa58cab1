-- Units: now and check_at are milliseconds since 1970. Keeps a grant, if its session lives and holds the version before it. A repetition finds
-- the very same grant, and is done again.
-- KEYS: sessions, grants of the kind, which are due when, kinds. ARGV: handle, kind, grant as it is kept, its version, its check_at, now.
-- Answers 1 if it is kept, then session and grant as they are afterwards.
local sessions, grants, due, kinds = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local handle, grant, now = ARGV[1], ARGV[3], tonumber(ARGV[6])
local raw, held = redis.call('HGET', sessions, handle), redis.call('HGET', grants, handle)
if held == grant then
  return { 1, raw, held }
end
local session = raw and read_session(raw)
if not session or ending(session, now) or (held and version_of(held) or 0) ~= tonumber(ARGV[4]) - 1 then
  return { 0, raw, held }
end
redis.call('HSET', grants, handle, grant)
redis.call('ZADD', due, ARGV[5], handle)
redis.call('SADD', kinds, ARGV[2])
for n = 2, 4 do
  outlive(KEYS[n], session.absolute_end_at - now)
end
return { 1, raw, grant }
