-- Units: *_at are milliseconds since 1970, *_ms are milliseconds.
INSERT INTO stillhere_visits (handle, number, subject, started_at, last_seen_at, covered_until_at, visible_ms, active_ms, left_at)
SELECT handle, visit, subject, opened_at, opened_at, opened_at, 0, 0, NULL
FROM temp.claims
WHERE begins;
