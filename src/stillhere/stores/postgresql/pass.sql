-- Units: $1 (now) is milliseconds since 1970. Deletes a few names that have passed, more than one login makes. After first.sql, and SKIP
-- LOCKED: whoever holds a name waits for nobody.
WITH firsts AS (
    DELETE FROM stillhere_firsts WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM stillhere_firsts WHERE until_at < $1 ORDER BY until_at LIMIT 8 FOR UPDATE SKIP LOCKED
    ))
)
DELETE FROM stillhere_notes WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM stillhere_notes WHERE until_at < $1 ORDER BY until_at LIMIT 8 FOR UPDATE SKIP LOCKED
))
RETURNING name;
