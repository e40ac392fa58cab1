-- Units: none. Deletes sessions that have ended, with their visits, views and grants.
-- KEYS: sessions, marks, counter, which indexes are filled, then index and views of each, then all grants of each kind, and which are due when.
-- ARGV: 1 if the caller archives, then handle, and number of the index in its part, of each. Answers how many were deleted.
local sessions, marks, filled = KEYS[1], KEYS[2], KEYS[4]
local archived = is_archived({ archives = ARGV[1] == '1', counter = KEYS[3] })
local forgotten = 0
for n = 2, #ARGV, 2 do
  local handle, index, views = ARGV[n], KEYS[n + 3], KEYS[n + 4]
  local raw = redis.call('HGET', sessions, handle)
  -- What still waits for the archive stays until it is there.
  local waits = archived and redis.call('ZSCORE', marks, handle)
  if raw and read_session(raw).ended_at and not waits then
    redis.call('ZREM', marks, handle)
    redis.call('ZREM', index, handle)
    redis.call('UNLINK', views)
    for k = #ARGV + 4, #KEYS, 2 do
      redis.call('HDEL', KEYS[k], handle)
      redis.call('ZREM', KEYS[k + 1], handle)
    end
    forgotten = forgotten + redis.call('HDEL', sessions, handle)
    if redis.call('EXISTS', index) == 0 then
      redis.call('SETBIT', filled, ARGV[n + 1], 0)
    end
  end
end
return forgotten
