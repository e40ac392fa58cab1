-- Units: *_at are milliseconds since 1970, *_ms, growth and :touch_interval are milliseconds. The union over tabs: no moment is counted twice.
-- By how much a view grew is the span before the horizon. What of the last uncounted span it fills counts, too, as far back as the view has
-- not told of. No visit is shorter than any of its views: what that adds was held back by a late message.
UPDATE stillhere_visits AS visits
SET visible_ms = claim.visible_ms,
    active_ms = min(visits.active_ms + claim.active_growth, claim.visible_ms),
    covered_until_at = CASE WHEN claim.growth > 0 THEN max(visits.covered_until_at, claim.horizon_at) ELSE visits.covered_until_at END,
    uncounted_from_at = claim.from_at,
    uncounted_until_at = max(claim.from_at, claim.until_at - claim.held_back_ms),
    last_seen_at = CASE
        WHEN claim.is_over THEN min(
            max(last_seen_at, visits.covered_until_at, claim.horizon_at),
            last_seen_at + claim.visible_ms - visits.visible_ms
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
    SELECT handle, visit, horizon_at, is_over, on_screen, leaves, is_latest, is_viewless, growth, active_growth,
           max(known_ms + filled_ms + added_ms, least_ms) AS visible_ms,
           max(0, least_ms - known_ms - filled_ms - added_ms) AS held_back_ms,
           -- What is passed over by less than a second is but how long messages travel.
           CASE
               WHEN begun_at - covered_until_at >= 1000 THEN covered_until_at
               WHEN filled_ms > 0 AND horizon_at < uncounted_until_at THEN horizon_at
               ELSE uncounted_from_at
           END AS from_at,
           CASE
               WHEN begun_at - covered_until_at >= 1000 THEN begun_at
               WHEN filled_ms > 0 AND horizon_at >= uncounted_until_at THEN fills_at
               ELSE uncounted_until_at
           END AS until_at
    FROM (
        SELECT *, CASE WHEN growth > 0 AND NOT is_over THEN min(view_visible_ms, horizon_at - started_at) ELSE 0 END AS least_ms,
               CASE WHEN growth > 0 THEN max(0, min(uncounted_until_at, horizon_at) - fills_at) ELSE 0 END AS filled_ms,
               CASE WHEN growth > 0 THEN max(0, horizon_at - max(covered_until_at, begun_at)) ELSE 0 END AS added_ms
        FROM (
            SELECT *, CASE WHEN growth > 0 THEN horizon_at - growth END AS begun_at,
                   CASE WHEN growth > 0 THEN max(horizon_at - growth, was_seen_at, uncounted_from_at) END AS fills_at
            FROM (
                SELECT claims.handle, claims.visit, claims.horizon_at, claims.is_over, claims.on_screen, claims.leaves, claims.is_latest,
                       claims.was_seen_at, claims.view IS NULL AS is_viewless,
                       known.visible_ms AS known_ms, known.started_at, known.covered_until_at,
                       known.uncounted_from_at, known.uncounted_until_at,
                       views.visible_ms AS view_visible_ms,
                       coalesce(views.visible_ms - claims.was_visible, 0) AS growth,
                       coalesce(views.active_ms - claims.was_active, 0) AS active_growth
                FROM temp.claims AS claims
                JOIN stillhere_visits AS known ON known.handle = claims.handle AND known.number = claims.visit
                LEFT JOIN stillhere_views AS views ON views.handle = claims.handle AND views.view = claims.view
                WHERE claims.visit IS NOT NULL
            )
        )
    )
) AS claim
WHERE visits.handle = claim.handle
  AND visits.number = claim.visit
  AND NOT (claim.is_viewless AND visits.left_at IS NULL AND claim.horizon_at - visits.last_seen_at < :touch_interval);
