-- Units: *_at and :now are milliseconds since 1970. Whoever was due and lives is due again at the deadline.
UPDATE stillhere_sessions
SET due_at = min(last_active_at + idle_timeout, absolute_end_at)
WHERE handle IN (SELECT value FROM json_each(:handles))
  AND ended_at IS NULL
  AND min(last_active_at + idle_timeout, absolute_end_at) > :now;
