-- Units: lasts is milliseconds. Notes that a handle may belong to a subject. KEYS: subjects. ARGV: hash of the subject, handle, lasts.
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
outlive(KEYS[1], tonumber(ARGV[3]))
return 1
