-- Units: *_at, $2 (now) and $3 are milliseconds since 1970; $4 is a limit. Puts off the grants of a kind that are due, and answers them with
-- their sessions. SKIP LOCKED: several processes share the work, and nobody waits for a grant that is being swapped. Rows are found again by
-- their ctid; one that moved meanwhile is left to the next call.
WITH due AS (
    SELECT ctid AS grant_row
    FROM stillhere_grants
    WHERE kind = $1
      AND check_at <= $2
    ORDER BY check_at
    LIMIT $4
    FOR NO KEY UPDATE SKIP LOCKED
),
put_off AS (
    UPDATE stillhere_grants AS grants
    SET check_at = $3
    FROM due
    WHERE grants.ctid = due.grant_row
    RETURNING grants.*
)
SELECT json_agg(json_build_object(
    'session', (SELECT row_to_json(sessions) FROM stillhere_sessions AS sessions WHERE sessions.handle = put_off.handle),
    'grant', row_to_json(put_off)
))
FROM put_off;
