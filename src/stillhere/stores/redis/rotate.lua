-- Units: now is milliseconds since 1970. Swaps the head of a living session, if it still has the one presented.
-- KEYS: sessions. ARGV: handle, head, new head, now, 1 if this may be the second try. Answers the session as it is kept, or false.
local handle, head, new_head, now = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local raw = redis.call('HGET', KEYS[1], handle)
if not raw or ending(read_session(raw), now) then
  return false
end
-- The answer to the first try may have been lost: then the new head is there, and nobody else could know it.
if ARGV[5] == '1' and head_of(raw) == new_head then
  return raw
end
if head_of(raw) ~= head then
  return false
end
local rotated = new_head .. string.sub(raw, #head + 1)
redis.call('HSET', KEYS[1], handle, rotated)
return rotated
