-- Units: *_ms are milliseconds. A claim of a known view belongs to that view's visit, and is the latest word unless repeated or overtaken.
UPDATE temp.claims
SET visit = known.visit,
    was_visible = known.visible_ms,
    was_active = known.active_ms,
    was_seen_at = known.last_seen_at,
    is_latest = coalesce(temp.claims.seq > known.seq, 1)
FROM stillhere_views AS known
WHERE known.handle = temp.claims.handle
  AND known.view = temp.claims.view;
