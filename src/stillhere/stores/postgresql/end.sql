-- Units: *_at and $3 (now) are milliseconds since 1970. The first reason stays; what had lapsed ended at its deadline.
UPDATE stillhere_sessions AS sessions
SET ended_at = least(greatest($3, created_at), last_active_at + idle_timeout, absolute_end_at),
    ended_by = CASE
        WHEN least(last_active_at + idle_timeout, absolute_end_at) > $3 THEN $2
        WHEN absolute_end_at <= last_active_at + idle_timeout THEN 'absolute'
        ELSE 'idle'
    END
WHERE handle = $1
  AND ended_by IS NULL -- as good as ended_at, by which a plan made over an empty table would choose the index of those who are due
RETURNING row_to_json(sessions), pg_notify('stillhere_ended', handle);
