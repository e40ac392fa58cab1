-- Units: *_ms are milliseconds.
INSERT INTO temp.claims (
    n, asked_handle, id_hash, age_ms, active_ago_ms, on_screen, chosen, opens, leaves, view, tab, page, title,
    visible_ms, active_ms, scroll_pct, lifecycle, seq, heat, bands
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
