-- Units: *_at are milliseconds since 1970, idle_timeout is milliseconds. Answers the handle, or nothing if it is taken.
INSERT INTO stillhere_sessions (
    handle, id_hash, subject, created_at, last_active_at, last_seen_at, absolute_end_at, idle_timeout, attributes, ended_at, ended_by, due_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, least($5::bigint + $8::bigint, $7::bigint))
ON CONFLICT (handle) DO NOTHING
RETURNING handle;
