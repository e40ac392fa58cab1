-- Units: *_at and $1 (now) are milliseconds since 1970. $2 is a limit, $3 a subject. `OFFSET 0`: through the subject's index, always.
SELECT json_agg(row_to_json(living) ORDER BY last_seen_at DESC, handle)
FROM (
    SELECT * FROM (SELECT * FROM stillhere_sessions WHERE subject = $3 OFFSET 0) AS theirs
    WHERE ended_at IS NULL
      AND least(last_active_at + idle_timeout, absolute_end_at) > $1
    ORDER BY last_seen_at DESC, handle
    LIMIT $2
) AS living;
