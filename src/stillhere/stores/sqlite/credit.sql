-- Units: *_at and :now are milliseconds since 1970, *_ms and :touch_interval are milliseconds. Then credit the living; times never move back.
UPDATE stillhere_sessions AS sessions
SET last_seen_at = max(last_seen_at, :now),
    last_active_at = CASE
        -- Repeated or overtaken: later evidence is in already. A choice to stay counts even if words of leaving overtook it.
        WHEN EXISTS (
            SELECT 1 FROM stillhere_views AS views
            WHERE views.handle = sessions.handle
              AND views.view = claim.view
              AND (views.seq = claim.seq OR (views.seq > claim.seq AND NOT claim.chosen))
        )
        THEN last_active_at
        ELSE max(last_active_at, coalesce(:now - claim.active_ago_ms, last_active_at))
    END
FROM temp.claims AS claim
WHERE sessions.handle = claim.asked_handle
  AND sessions.id_hash = claim.id_hash
  AND sessions.ended_at IS NULL
  -- Clocks that would move by less than the touch interval stay where they are, unless a person chose to stay.
  AND (
      :touch_interval = 0
      OR claim.chosen
      OR :now - last_seen_at >= :touch_interval
      OR (
          :now - claim.active_ago_ms - last_active_at >= :touch_interval
          AND NOT EXISTS (
              SELECT 1 FROM stillhere_views AS views
              WHERE views.handle = sessions.handle
                AND views.view = claim.view
                AND views.seq >= claim.seq
          )
      )
  )
RETURNING handle, id_hash, subject, created_at, last_active_at, last_seen_at, absolute_end_at, idle_timeout, attributes,
          ended_at, ended_by;
