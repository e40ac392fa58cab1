-- Units: *_at are milliseconds since 1970, :visit_gap is milliseconds. A new view joins the latest visit, or begins one after a gap.
UPDATE temp.claims
SET is_new = 1,
    is_latest = 1,
    begins = latest.number IS NULL OR claim.opened_at - latest.last_seen_at > :visit_gap,
    visit = coalesce(latest.number, 0) + (latest.number IS NULL OR claim.opened_at - latest.last_seen_at > :visit_gap),
    was_visible = 0,
    was_active = 0,
    was_seen_at = claim.opened_at
FROM temp.claims AS claim
LEFT JOIN stillhere_visits AS latest
    ON latest.handle = claim.handle
    AND latest.number = (SELECT max(number) FROM stillhere_visits AS visits WHERE visits.handle = claim.handle)
WHERE temp.claims.n = claim.n
  AND claim.visit IS NULL
  AND claim.opens
  AND NOT claim.is_over;
