-- Units: *_at and :now are milliseconds since 1970. Swaps the id of a living session that still has the one presented.
UPDATE stillhere_sessions AS sessions
SET id_hash = :new_id_hash
WHERE handle = :handle
  AND id_hash = :id_hash
  AND ended_at IS NULL
  AND min(last_active_at + idle_timeout, absolute_end_at) > :now;
