-- Units: *_at and :now are milliseconds since 1970. The first reason stays; what had lapsed ended at its deadline.
UPDATE stillhere_sessions AS sessions
SET ended_at = min(max(:now, created_at), min(last_active_at + idle_timeout, absolute_end_at)),
    ended_by = CASE
        WHEN min(last_active_at + idle_timeout, absolute_end_at) > :now THEN :ended_by
        WHEN absolute_end_at <= last_active_at + idle_timeout THEN 'absolute'
        ELSE 'idle'
    END
WHERE handle = :handle
  AND ended_at IS NULL;
