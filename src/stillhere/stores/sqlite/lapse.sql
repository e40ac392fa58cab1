-- Units: *_at and :now are milliseconds since 1970. First judge: what has lapsed ended at its deadline, whatever is claimed.
UPDATE stillhere_sessions AS sessions
SET ended_at = min(last_active_at + idle_timeout, absolute_end_at),
    ended_by = CASE WHEN absolute_end_at <= last_active_at + idle_timeout THEN 'absolute' ELSE 'idle' END
FROM temp.claims AS claim
WHERE sessions.handle = claim.asked_handle
  AND sessions.id_hash = claim.id_hash
  AND ended_at IS NULL
  AND min(last_active_at + idle_timeout, absolute_end_at) <= :now
RETURNING handle;
