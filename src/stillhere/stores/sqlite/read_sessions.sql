-- Units: *_at are milliseconds since 1970, idle_timeout is milliseconds. The sessions as they are now, for the answers.
SELECT session.handle, session.id_hash, session.subject, session.created_at, session.last_active_at,
       session.last_seen_at, session.absolute_end_at, session.idle_timeout, session.attributes, session.ended_at, session.ended_by
FROM temp.claims AS claim
JOIN stillhere_sessions AS session ON session.handle = claim.asked_handle AND session.id_hash = claim.id_hash;
