-- Units: now and lasts are milliseconds since 1970 and milliseconds. Records the ends of lapsed sessions, index by index, and looks at so
-- many at most.
-- KEYS: sessions, marks, counter, which indexes are filled, then indexes. ARGV: channel, now, how many to end at most, how many to look at,
-- 1 if the caller archives.
-- Answers: how many indexes are done; handle and packed session of each that ended; handle, subject and lasts of each that lives on.
local channel, now, room, looks = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local done, ended, alive = 0, {}, {}

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
    alive[#alive + 1] = handle
    alive[#alive + 1] = session.subject
    alive[#alive + 1] = session.absolute_end_at - now
    return false
  end
  ended[#ended + 1] = handle
  ended[#ended + 1] = record_end(keys, channel, handle, session, at, by)
  return true
end

for n = 5, #KEYS do
  local keys = { sessions = KEYS[1], index = KEYS[n], marks = KEYS[2], counter = KEYS[3], archives = ARGV[5] == '1' }
  local lapsed = redis.call('ZRANGEBYSCORE', keys.index, 0, now, 'LIMIT', 0, math.min(room, looks))
  for _, handle in ipairs(lapsed) do
    looks = looks - 1
    if settle(keys, handle) then
      room = room - 1
    end
  end
  if room == 0 or looks == 0 then
    break
  end
  outlive(keys.index, -DAY)
  done = n - 4
end
-- Whoever is swept for is wanted: nothing of it becomes litter.
outlive(KEYS[1], -DAY)
outlive(KEYS[4], -DAY)
return { done, ended, alive }
