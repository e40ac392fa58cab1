-- Units: *_ms are milliseconds. A claim of a known view belongs to that view's visit; others may begin something.
UPDATE temp.claims
SET visit = known.visit,
    was_visible = known.visible_ms,
    was_active = known.active_ms
FROM views AS known
WHERE known.handle = temp.claims.handle
  AND known.view = temp.claims.view;
