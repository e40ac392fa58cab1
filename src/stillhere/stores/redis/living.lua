-- Units: now and seen_since are milliseconds since 1970. Finds the living who were seen at or after an instant.
-- KEYS: sessions, then indexes. ARGV: now, seen_since. Answers handle and packed session of each.
local now, seen_since = tonumber(ARGV[1]), tonumber(ARGV[2])
local answers = {}
for n = 2, #KEYS do
  for _, handle in ipairs(redis.call('ZRANGEBYSCORE', KEYS[n], 0, '+inf')) do
    local raw = redis.call('HGET', KEYS[1], handle)
    local session = raw and read_session(raw)
    if session and session.last_seen_at >= seen_since and not ending(session, now) then
      answers[#answers + 1] = handle
      answers[#answers + 1] = raw
    end
  end
end
return answers
