-- Units: *_at are milliseconds since 1970, idle_timeout is milliseconds.
SELECT row_to_json(sessions) FROM stillhere_sessions AS sessions WHERE handle = $1;
