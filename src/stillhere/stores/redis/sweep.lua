-- Units: now is milliseconds since 1970. Records the ends of lapsed sessions, index by index, and looks at so many at most.
-- KEYS: sessions, marks, counter, then indexes. ARGV: channel, now, how many to end at most, how many to look at, 1 if changes are marked.
-- Answers: how many indexes are done, then handle and packed session of each that ended.
local channel, now, room, looks = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local answers = { 0 }

-- The score is the deadline as it was when last looked at; it may have moved on since. Tells whether an end was recorded.
local function settle(keys, handle)
  local raw = redis.call('HGET', keys.sessions, handle)
  if not raw then
    redis.call('ZREM', keys.index, handle)
    return false
  end
  local session = read_session(raw)
  local at, by = ending(session, now)
  if not at then
    redis.call('ZADD', keys.index, deadline(session), handle)
    return false
  end
  answers[#answers + 1] = handle
  answers[#answers + 1] = record_end(keys, channel, handle, session, at, by)
  return true
end

for n = 4, #KEYS do
  local keys = { sessions = KEYS[1], index = KEYS[n], marks = ARGV[5] == '1' and KEYS[2], counter = KEYS[3] }
  local lapsed = redis.call('ZRANGEBYSCORE', keys.index, 0, now, 'LIMIT', 0, math.min(room, looks))
  for _, handle in ipairs(lapsed) do
    looks = looks - 1
    if settle(keys, handle) then
      room = room - 1
    end
  end
  if room == 0 or looks == 0 then
    return answers
  end
  answers[1] = n - 3
end
return answers
