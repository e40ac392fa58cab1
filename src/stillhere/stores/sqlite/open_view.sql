-- Units: *_at are milliseconds since 1970, *_ms are milliseconds.
INSERT INTO stillhere_views (
    handle, view, visit, tab, page, title, opened_at, last_seen_at, visible_ms, active_ms, scroll_pct, lifecycle, seq,
    heat, bands
)
SELECT handle, view, visit, tab, page, title, opened_at, opened_at, 0, 0, 0.0, NULL, -1, heat, bands
FROM temp.claims
WHERE is_new AND view IS NOT NULL;
