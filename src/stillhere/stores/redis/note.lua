-- Units: until is milliseconds since 1970. Notes that a session also goes by a name. KEYS: the name's handles. ARGV: handle, until.
-- The server's own clock says only what is litter, a day later than it is that.
local now, last = 1000 * redis.call('TIME')[1], tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
if last > now then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - DAY)
end
outlive(KEYS[1], math.max(last - now, 0), DAY)
return 1
