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
stayed AS (
    SELECT theirs.started_at
    FROM forgotten
    CROSS JOIN LATERAL (
        SELECT visits.started_at FROM stillhere_visits AS visits WHERE visits.handle = forgotten.handle ORDER BY number OFFSET 0
    ) AS theirs
),
summaries AS (
    -- What was counted of their days, 86,400,000 ms each, and of blocks of 32; locked in the order in which all who forget lock them.
    SELECT ctid AS summary_row
    FROM stillhere_days
    WHERE (part NOT LIKE 'block %' AND day = ANY (ARRAY(SELECT started_at - started_at % 86400000 FROM stayed)))
       OR (part LIKE 'block %' AND day = ANY (ARRAY(SELECT started_at - started_at % 2764800000 FROM stayed)))
    ORDER BY day, part
    FOR UPDATE
),
days AS (
    DELETE FROM stillhere_days WHERE ctid = ANY (ARRAY(SELECT summary_row FROM summaries))
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
grants AS (
    DELETE FROM stillhere_grants WHERE ctid = ANY (ARRAY(
        SELECT theirs.ctid
        FROM forgotten
        CROSS JOIN LATERAL (
            SELECT grants.ctid FROM stillhere_grants AS grants WHERE grants.handle = forgotten.handle ORDER BY kind OFFSET 0
        ) AS theirs
    ))
),
sessions AS (
    DELETE FROM stillhere_sessions WHERE ctid = ANY (ARRAY(SELECT session_row FROM forgotten)) RETURNING handle
)
SELECT count(*) FROM sessions;
