-- Units: *_at and :now are milliseconds since 1970, *_ms are milliseconds. The horizon: when the claim was made, or the session's end.
UPDATE temp.claims
SET handle = found.handle,
    subject = found.subject,
    is_over = found.is_over,
    horizon_at = found.horizon_at,
    opened_at = max(found.created_at, found.horizon_at - CASE WHEN view IS NULL THEN 0 ELSE visible_ms END)
FROM (
    SELECT claim.n, session.handle, session.subject, session.created_at, session.ended_at IS NOT NULL AS is_over,
           max(session.created_at, min(:now - claim.age_ms, coalesce(session.ended_at, :now - claim.age_ms))) AS horizon_at
    FROM temp.claims AS claim
    JOIN stillhere_sessions AS session ON session.handle = claim.asked_handle AND session.id_hash = claim.id_hash
) AS found
WHERE temp.claims.n = found.n;
