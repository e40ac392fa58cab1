-- Units: none. A session and its grant of a kind, as of one moment. KEYS: sessions, grants of the kind. ARGV: handle.
return { redis.call('HGET', KEYS[1], ARGV[1]), redis.call('HGET', KEYS[2], ARGV[1]) }
