-- Units: *_at, $5 and $6 (now) are milliseconds since 1970. Keeps a grant if its session lives and holds the version before it; answers the
-- version, or nothing. After lock.sql: nobody ends the session, swaps or drops its grants meanwhile.
INSERT INTO stillhere_grants (handle, kind, version, document, check_at)
SELECT sessions.handle, $2, $3::bigint, $4, $5::bigint
FROM stillhere_sessions AS sessions
WHERE sessions.handle = $1
  AND ended_by IS NULL -- as good as ended_at, by which a plan made over an empty table would choose the index of those who are due
  AND least(last_active_at + idle_timeout, absolute_end_at) > $6
  AND coalesce((SELECT version FROM stillhere_grants AS grants WHERE grants.handle = $1 AND grants.kind = $2), 0) = $3 - 1
ON CONFLICT (handle, kind) DO UPDATE SET version = excluded.version, document = excluded.document, check_at = excluded.check_at
RETURNING version;
