-- Units: lasts is milliseconds. One more. KEYS: generations. ARGV: hash of the subject, lasts. Answers the new number.
local number = redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
outlive(KEYS[1], tonumber(ARGV[2]))
return number
