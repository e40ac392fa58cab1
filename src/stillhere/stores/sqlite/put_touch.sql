-- Units: *_ms are milliseconds. A claim that names no view.
INSERT INTO temp.claims (n, asked_handle, id_hash, age_ms, active_ago_ms, on_screen, chosen, opens, leaves)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);
