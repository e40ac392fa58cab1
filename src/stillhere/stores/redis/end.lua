-- Units: now is milliseconds since 1970. Ends a session; the first reason stays, and one that had lapsed ended at its deadline.
-- KEYS: sessions, index, marks, counter. ARGV: channel, handle, reason, now, 1 if the caller archives.
-- Answers the session as it is kept, in a table of its own if its end was recorded now; false if there is none.
local keys = { sessions = KEYS[1], index = KEYS[2], marks = KEYS[3], counter = KEYS[4], archives = ARGV[5] == '1' }
local channel, handle, by, now = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local raw = redis.call('HGET', keys.sessions, handle)
if not raw then
  return false
end
local session = read_session(raw)
if session.ended_at then
  return raw
end
local over_at, over_by = ending(session, now)
return { record_end(keys, channel, handle, session, over_at or math.max(now, session.created_at), over_by or by) }
