-- Units: *_at and $4 (now) are milliseconds since 1970. Swaps the id of a living session that still has the one presented.
UPDATE stillhere_sessions AS sessions
SET id_hash = $3
WHERE handle = $1
  AND id_hash = $2
  AND ended_by IS NULL -- as good as ended_at, by which a plan made over an empty table would choose the index of those who are due
  AND least(last_active_at + idle_timeout, absolute_end_at) > $4
RETURNING row_to_json(sessions);
