-- Units: *_at and $1 (now) are milliseconds since 1970; $2 and $3 are limits: of ends recorded, of sessions looked at.
-- due_at is never later than the deadline, and no beat moves it. Whoever is due has either lapsed, and ended at the deadline, or was
-- active since, and is due again at the deadline. SKIP LOCKED: several processes share the work, and nobody waits for a session that
-- is being beaten. Rows are found again by their ctid; one that moved meanwhile is left to the next sweep.
WITH due AS (
    SELECT ctid AS session_row, least(last_active_at + idle_timeout, absolute_end_at) AS deadline_at
    FROM stillhere_sessions
    WHERE ended_at IS NULL
      AND due_at <= $1
    ORDER BY due_at
    LIMIT $3
    FOR NO KEY UPDATE SKIP LOCKED
),
lapsed AS (
    SELECT session_row, deadline_at FROM due WHERE deadline_at <= $1 LIMIT $2
),
ended AS (
    UPDATE stillhere_sessions AS sessions
    SET ended_at = deadline_at,
        ended_by = CASE WHEN deadline_at = absolute_end_at THEN 'absolute' ELSE 'idle' END
    FROM lapsed
    WHERE sessions.ctid = lapsed.session_row
    RETURNING sessions.*
),
put_off AS (
    UPDATE stillhere_sessions AS sessions
    SET due_at = deadline_at
    FROM due
    WHERE sessions.ctid = due.session_row
      AND deadline_at > $1
)
SELECT json_build_object(
    'looked_at', (SELECT count(*) FROM due),
    'ended', (SELECT coalesce(json_agg(row_to_json(ended)), '[]') FROM ended)
),
(SELECT count(pg_notify('stillhere_ended', handle)) FROM ended);
