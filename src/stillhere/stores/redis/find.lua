-- Units: scores are those of the index. Finds sessions by their place in the index: those who live from 0 up, those who ended below.
-- KEYS: sessions, then indexes. ARGV: lowest score, highest score, how many at most. Answers handle and packed session of each.
local answers, room = {}, tonumber(ARGV[3])
for n = 2, #KEYS do
  local handles = redis.call('ZRANGEBYSCORE', KEYS[n], ARGV[1], ARGV[2], 'LIMIT', 0, room)
  room = room - #handles
  for _, handle in ipairs(handles) do
    local raw = redis.call('HGET', KEYS[1], handle)
    if raw then
      answers[#answers + 1] = handle
      answers[#answers + 1] = raw
    end
  end
end
return answers
