-- Units: none. Takes the marks off sessions that did not change again since. KEYS: marks. ARGV: handle and mark of each.
for n = 1, #ARGV, 2 do
  local mark_now = redis.call('ZSCORE', KEYS[1], ARGV[n])
  if mark_now and tonumber(mark_now) == tonumber(ARGV[n + 1]) then
    redis.call('ZREM', KEYS[1], ARGV[n])
  end
end
return 1
