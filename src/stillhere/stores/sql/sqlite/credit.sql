-- Units: *_at and :now are milliseconds since 1970, *_ms are milliseconds. Then credit the living; times never move back.
UPDATE sessions
SET last_seen_at = max(last_seen_at, :now),
    last_active_at = max(last_active_at, coalesce(:now - claim.active_ago_ms, last_active_at))
FROM temp.claims AS claim
WHERE sessions.id_hash = claim.id_hash
  AND sessions.ended_at IS NULL;
