-- Units: none. Deletes a grant, if that is its version. KEYS: grants of the kind, which are due when. ARGV: handle, version.
-- Answers 1 if it did.
local held = redis.call('HGET', KEYS[1], ARGV[1])
if not held or version_of(held) ~= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
