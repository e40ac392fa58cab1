-- Units: *_at and :now are milliseconds since 1970. Records what has happened: each of these ended at its deadline.
UPDATE stillhere_sessions AS sessions
SET ended_at = min(last_active_at + idle_timeout, absolute_end_at),
    ended_by = CASE WHEN absolute_end_at <= last_active_at + idle_timeout THEN 'absolute' ELSE 'idle' END
WHERE handle IN (SELECT value FROM json_each(:handles))
  AND ended_at IS NULL
  AND min(last_active_at + idle_timeout, absolute_end_at) <= :now
RETURNING handle;
