-- Units: *_at and $1 are milliseconds since 1970; $2 is a limit. SKIP LOCKED: several processes share the work. The orders, which
-- nobody sees, are those of the indexes: rows are looked up by them, also in a plan made while the tables were empty.
WITH ended AS (
    SELECT ctid AS session_row, handle
    FROM stillhere_sessions
    WHERE ended_at < $1
    ORDER BY ended_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
),
expired AS (
    -- Past its absolute end a session is over, also if nobody came to tell: an archive's live store may have lost it. due_at is never
    -- later than that end, and has the index.
    SELECT ctid AS session_row, handle
    FROM stillhere_sessions
    WHERE ended_at IS NULL
      AND due_at < $1
      AND absolute_end_at < $1
    ORDER BY due_at
    LIMIT (SELECT $2 - count(*) FROM ended)
    FOR UPDATE SKIP LOCKED
),
forgotten AS (
    SELECT session_row, handle FROM ended
    UNION ALL
    SELECT session_row, handle FROM expired
),
views AS (
    DELETE FROM stillhere_views WHERE ctid = ANY (ARRAY(
        SELECT theirs.ctid
        FROM forgotten
        CROSS JOIN LATERAL (
            SELECT views.ctid FROM stillhere_views AS views WHERE views.handle = forgotten.handle ORDER BY view OFFSET 0
        ) AS theirs
    ))
),
visits AS (
    DELETE FROM stillhere_visits WHERE ctid = ANY (ARRAY(
        SELECT theirs.ctid
        FROM forgotten
        CROSS JOIN LATERAL (
            SELECT visits.ctid FROM stillhere_visits AS visits WHERE visits.handle = forgotten.handle ORDER BY number OFFSET 0
        ) AS theirs
    ))
),
sessions AS (
    DELETE FROM stillhere_sessions WHERE ctid = ANY (ARRAY(SELECT session_row FROM forgotten)) RETURNING handle
)
SELECT count(*) FROM sessions;
