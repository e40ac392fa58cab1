-- Units: now and until are milliseconds since 1970. Puts off the grants of a kind that are due.
-- KEYS: sessions, grants of the kind, which are due when. ARGV: now, until, how many at most.
-- Answers handle, session and grant of each as they are afterwards.
local sessions, grants, due = KEYS[1], KEYS[2], KEYS[3]
local answers = {}
for _, handle in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])) do
  local held = redis.call('HGET', grants, handle)
  if held then
    held = put_off(held, ARGV[2])
    redis.call('HSET', grants, handle, held)
    redis.call('ZADD', due, ARGV[2], handle)
    answers[#answers + 1] = handle
    answers[#answers + 1] = redis.call('HGET', sessions, handle)
    answers[#answers + 1] = held
  else
    redis.call('ZREM', due, handle)
  end
end
return answers
