-- Units: *_at are milliseconds since 1970, *_ms are milliseconds. Totals only grow, and never past what the server saw pass.
UPDATE stillhere_views AS views
SET last_seen_at = max(last_seen_at, claim.horizon_at),
    visible_ms = max(views.visible_ms, min(claim.visible_ms, claim.horizon_at - views.opened_at)),
    active_ms = max(
        views.active_ms,
        min(claim.active_ms, max(views.visible_ms, min(claim.visible_ms, claim.horizon_at - views.opened_at)))
    ),
    scroll_pct = max(views.scroll_pct, claim.scroll_pct),
    page = CASE WHEN claim.is_latest THEN coalesce(claim.page, views.page) ELSE views.page END,
    title = CASE WHEN claim.is_latest THEN coalesce(claim.title, views.title) ELSE views.title END,
    lifecycle = CASE WHEN claim.is_latest THEN coalesce(claim.lifecycle, views.lifecycle) ELSE views.lifecycle END,
    heat = CASE WHEN claim.is_latest THEN coalesce(claim.heat, views.heat) ELSE views.heat END,
    bands = CASE WHEN claim.is_latest THEN coalesce(claim.bands, views.bands) ELSE views.bands END,
    seq = max(views.seq, coalesce(claim.seq, views.seq))
FROM temp.claims AS claim
WHERE views.handle = claim.handle
  AND views.view = claim.view;
