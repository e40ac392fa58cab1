-- Units: *_at are milliseconds since 1970, *_ms and :touch_interval are milliseconds. The union over tabs: no moment is counted twice.
UPDATE stillhere_visits AS visits
SET visible_ms = visits.visible_ms + max(0, min(claim.growth, claim.horizon_at - covered_until_at)),
    active_ms = min(
        visits.active_ms + claim.active_growth,
        visits.visible_ms + max(0, min(claim.growth, claim.horizon_at - covered_until_at))
    ),
    covered_until_at = CASE WHEN claim.growth > 0 THEN max(covered_until_at, claim.horizon_at) ELSE covered_until_at END,
    last_seen_at = CASE
        WHEN claim.is_over THEN min(
            max(last_seen_at, claim.horizon_at),
            last_seen_at + max(0, min(claim.growth, claim.horizon_at - covered_until_at))
        )
        WHEN claim.on_screen AND claim.is_latest OR claim.growth > 0 THEN max(last_seen_at, claim.horizon_at)
        ELSE last_seen_at
    END,
    left_at = CASE
        WHEN claim.leaves AND claim.is_latest THEN max(last_seen_at, claim.horizon_at)
        WHEN claim.on_screen AND claim.is_latest AND NOT claim.is_over THEN NULL
        ELSE left_at
    END
FROM (
    SELECT claims.handle, claims.visit, claims.horizon_at, claims.is_over, claims.on_screen, claims.leaves, claims.is_latest,
           claims.view IS NULL AS is_viewless,
           coalesce(views.visible_ms - claims.was_visible, 0) AS growth,
           coalesce(views.active_ms - claims.was_active, 0) AS active_growth
    FROM temp.claims AS claims
    LEFT JOIN stillhere_views AS views ON views.handle = claims.handle AND views.view = claims.view
    WHERE claims.visit IS NOT NULL
) AS claim
WHERE visits.handle = claim.handle
  AND visits.number = claim.visit
  AND NOT (claim.is_viewless AND visits.left_at IS NULL AND claim.horizon_at - visits.last_seen_at < :touch_interval);
