-- Units: *_at and $2 (now) are milliseconds since 1970; *_ms, $3 (visit gap) and $4 (touch interval) are milliseconds.
-- One wave of claims, at most one for each session; $1 holds them as JSON. lock.sql holds the sessions, so nothing moves meanwhile:
-- all is read first and each row is then written once, found again by its ctid. `OFFSET 0` keeps a stage from being computed anew
-- wherever the next one names it; `LIMIT 1` makes a row be looked up by its key, also in a plan made while the tables were empty.
WITH asked AS (
    -- What is known of each claim's session and view. A claim without the session's own id meets no session.
    SELECT claim.*,
           session.ctid AS session_row, session.subject, session.created_at, session.last_active_at, session.last_seen_at,
           session.absolute_end_at, session.idle_timeout, session.attributes, session.ended_at, session.ended_by,
           least(session.last_active_at + session.idle_timeout, session.absolute_end_at) AS deadline_at,
           view.ctid AS view_row, view.visit AS view_visit, view.opened_at AS view_opened_at, view.last_seen_at AS view_seen_at,
           view.visible_ms AS was_visible_ms, view.active_ms AS was_active_ms, view.scroll_pct AS was_scroll_pct,
           view.page AS was_page, view.title AS was_title, view.lifecycle AS was_lifecycle, view.seq AS was_seq,
           view.heat AS was_heat, view.bands AS was_bands
    FROM ROWS FROM (json_to_recordset($1) AS (
        handle text, id_hash text, age_ms bigint, active_ago_ms bigint, on_screen boolean, chosen boolean, opens boolean,
        leaves boolean, view text, tab text, page text, title text, visible_ms bigint, active_ms bigint,
        scroll_pct double precision, lifecycle text, seq bigint, heat text, bands text
    )) WITH ORDINALITY AS claim (
        handle, id_hash, age_ms, active_ago_ms, on_screen, chosen, opens,
        leaves, view, tab, page, title, visible_ms, active_ms,
        scroll_pct, lifecycle, seq, heat, bands, n
    )
    LEFT JOIN LATERAL (
        SELECT sessions.ctid, sessions.* FROM stillhere_sessions AS sessions
        WHERE sessions.handle = claim.handle AND sessions.id_hash = claim.id_hash
        LIMIT 1
    ) AS session ON true
    LEFT JOIN LATERAL (
        SELECT views.ctid, views.* FROM stillhere_views AS views
        WHERE views.handle = session.handle AND views.view = claim.view
        LIMIT 1
    ) AS view ON true
    OFFSET 0
),
judged AS (
    -- What has lapsed ended at its deadline, whatever is claimed. The horizon: when the claim was made, or the session's end.
    SELECT asked.*, over_at,
           greatest(created_at, least($2 - age_ms, over_at)) AS horizon_at,
           coalesce(seq > was_seq, true) AS is_latest
    FROM asked
    CROSS JOIN LATERAL (SELECT coalesce(ended_at, CASE WHEN deadline_at <= $2 THEN deadline_at END) AS over_at) AS over
    OFFSET 0
),
credited AS (
    -- Clocks of the living. Repeated or overtaken: later evidence is in already. A choice to stay counts even if words of leaving
    -- overtook it. A view that is not known yet begins as much earlier as it was visible already.
    SELECT judged.*,
           CASE
               WHEN over_at IS NOT NULL OR seq = was_seq OR (seq < was_seq AND NOT chosen) THEN last_active_at
               ELSE greatest(last_active_at, $2 - active_ago_ms)
           END AS active_at,
           CASE WHEN over_at IS NULL THEN greatest(last_seen_at, $2) ELSE last_seen_at END AS seen_at,
           session_row IS NOT NULL AND view_row IS NULL AND opens AND over_at IS NULL AS opens_now,
           coalesce(
               view_opened_at,
               greatest(created_at, horizon_at - CASE WHEN view IS NULL THEN 0 ELSE visible_ms END)
           ) AS opened_at
    FROM judged
    OFFSET 0
),
placed AS (
    -- A known view belongs to its visit. A new one joins the latest visit, or begins one after a gap.
    SELECT credited.*,
           visit.ctid AS visit_row, visit.number, visit.last_seen_at AS visit_last_seen_at,
           visit.started_at, visit.covered_until_at AS visit_covered_until_at, visit.left_at AS visit_left_at,
           visit.uncounted_from_at AS visit_uncounted_from_at, visit.uncounted_until_at AS visit_uncounted_until_at,
           visit.visible_ms AS visit_visible_ms, visit.active_ms AS visit_active_ms,
           opens_now AND (visit.number IS NULL OR opened_at - visit.last_seen_at > $3) AS begins,
           CASE
               WHEN view IS NULL THEN 0
               ELSE greatest(was_visible_ms, least(credited.visible_ms, horizon_at - opened_at))
           END AS total_visible_ms
    FROM credited
    LEFT JOIN LATERAL (
        SELECT visits.ctid, visits.* FROM stillhere_visits AS visits
        WHERE visits.handle = credited.handle AND (visits.number = view_visit OR view_visit IS NULL)
        ORDER BY visits.number DESC
        LIMIT 1
    ) AS visit ON view_row IS NOT NULL OR opens_now
    OFFSET 0
),
grown AS (
    -- Totals only grow, and never past what the server saw pass. Clocks of a session that would move by less than the touch interval
    -- stay where they are, unless a person chose to stay.
    SELECT placed.*,
           (active_at > last_active_at OR seen_at > last_seen_at)
           AND (chosen OR active_at - last_active_at >= $4 OR seen_at - last_seen_at >= $4) AS moves,
           ended_at IS NULL AND over_at IS NOT NULL AS lapses,
           total_visible_ms - coalesce(was_visible_ms, 0) AS growth_ms,
           greatest(was_active_ms, least(active_ms, total_visible_ms)) AS total_active_ms,
           CASE WHEN begins THEN opened_at ELSE visit_last_seen_at END AS visit_seen_at,
           CASE WHEN begins THEN opened_at ELSE started_at END AS visit_started_at,
           CASE WHEN begins THEN opened_at ELSE visit_covered_until_at END AS covered_until_at,
           CASE WHEN begins THEN 0 ELSE visit_uncounted_from_at END AS uncounted_from_at,
           CASE WHEN begins THEN 0 ELSE visit_uncounted_until_at END AS uncounted_until_at,
           CASE WHEN begins THEN 0 ELSE visit_visible_ms END AS counted_visible_ms,
           CASE WHEN begins THEN 0 ELSE visit_active_ms END AS counted_active_ms,
           CASE WHEN NOT begins THEN visit_left_at END AS left_at
    FROM placed
    OFFSET 0
),
taken AS MATERIALIZED (
    -- All new values. The union over tabs: no moment is counted twice. By how much a view grew is the span before the horizon; what of the
    -- last uncounted span it fills counts, too, as far back as the view has not told of. No visit is shorter than any of its views: what
    -- that adds was held back by a late message. Words after the end say how long the page was read, not that somebody was
    -- there. A claim without a view leaves its visit as it is where that would move by less than the touch interval.
    SELECT n, handle, id_hash, subject, created_at, absolute_end_at, idle_timeout, attributes,
           session_row, lapses, moves, over_at AS ended_at,
           CASE
               WHEN NOT lapses THEN ended_by
               WHEN over_at = absolute_end_at THEN 'absolute'
               ELSE 'idle'
           END AS ended_by,
           CASE WHEN moves THEN active_at ELSE last_active_at END AS last_active_at,
           CASE WHEN moves THEN seen_at ELSE last_seen_at END AS last_seen_at,
           view_row, view, tab, opened_at, total_visible_ms, total_active_ms,
           greatest(view_seen_at, horizon_at) AS view_seen_at,
           greatest(was_scroll_pct, scroll_pct) AS scroll_pct,
           CASE WHEN is_latest THEN coalesce(page, was_page) ELSE was_page END AS page,
           CASE WHEN is_latest THEN coalesce(title, was_title) ELSE was_title END AS title,
           CASE WHEN is_latest THEN coalesce(lifecycle, was_lifecycle) ELSE was_lifecycle END AS lifecycle,
           CASE WHEN is_latest THEN coalesce(heat, was_heat) ELSE was_heat END AS heat,
           CASE WHEN is_latest THEN coalesce(bands, was_bands) ELSE was_bands END AS bands,
           greatest(was_seq, seq, -1) AS seq,
           visit_row, begins, stays,
           view_row IS NULL AND view IS NOT NULL AND opens_now AS is_new_view,
           CASE WHEN begins THEN coalesce(number, 0) + 1 ELSE number END AS number,
           greatest(union_ms, least_ms) AS visit_visible_ms,
           least(counted_active_ms + active_growth_ms, greatest(union_ms, least_ms)) AS visit_active_ms,
           CASE WHEN growth_ms > 0 THEN greatest(covered_until_at, horizon_at) ELSE covered_until_at END AS covered_until_at,
           from_at AS uncounted_from_at,
           greatest(from_at, until_at - greatest(0, least_ms - union_ms)) AS uncounted_until_at,
           CASE
               WHEN over_at IS NOT NULL THEN least(
                   greatest(visit_seen_at, covered_until_at, horizon_at),
                   visit_seen_at + greatest(union_ms, least_ms) - counted_visible_ms
               )
               WHEN (on_screen AND is_latest) OR growth_ms > 0 THEN greatest(visit_seen_at, horizon_at)
               ELSE visit_seen_at
           END AS visit_seen_at,
           CASE
               WHEN stays THEN NULL
               WHEN leaves AND is_latest THEN greatest(visit_seen_at, horizon_at)
               WHEN on_screen AND is_latest AND over_at IS NULL THEN NULL
               ELSE left_at
           END AS left_at
    FROM grown
    CROSS JOIN LATERAL (
        -- Nothing, if the view did not grow.
        SELECT CASE WHEN growth_ms > 0 THEN horizon_at - growth_ms END AS begun_at,
               CASE
                   WHEN growth_ms > 0 THEN greatest(horizon_at - growth_ms, coalesce(grown.view_seen_at, opened_at), uncounted_from_at)
               END AS fills_at
    ) AS place
    CROSS JOIN LATERAL (
        SELECT CASE WHEN growth_ms > 0 THEN greatest(0, least(uncounted_until_at, horizon_at) - fills_at) ELSE 0 END AS filled_ms,
               CASE WHEN growth_ms > 0 AND over_at IS NULL THEN least(total_visible_ms, horizon_at - visit_started_at) ELSE 0 END AS least_ms
    ) AS filling
    CROSS JOIN LATERAL (
        -- What is passed over by less than a second is but how long messages travel.
        SELECT CASE
                   WHEN begun_at - covered_until_at >= 1000 THEN covered_until_at
                   WHEN filled_ms > 0 AND horizon_at < uncounted_until_at THEN horizon_at
                   ELSE uncounted_from_at
               END AS from_at,
               CASE
                   WHEN begun_at - covered_until_at >= 1000 THEN begun_at
                   WHEN filled_ms > 0 AND horizon_at >= uncounted_until_at THEN fills_at
                   ELSE uncounted_until_at
               END AS until_at
    ) AS uncounted
    CROSS JOIN LATERAL (
        SELECT counted_visible_ms + filled_ms
               + CASE WHEN growth_ms > 0 THEN greatest(0, horizon_at - greatest(covered_until_at, begun_at)) ELSE 0 END AS union_ms,
               total_active_ms - coalesce(was_active_ms, 0) AS active_growth_ms,
               view IS NULL AND left_at IS NULL AND horizon_at - visit_seen_at < $4 AS stays
    ) AS credit
),
touched AS (
    UPDATE stillhere_sessions AS sessions
    SET last_active_at = new.last_active_at, last_seen_at = new.last_seen_at, ended_at = new.ended_at, ended_by = new.ended_by
    FROM (
        SELECT session_row, last_active_at, last_seen_at, ended_at, ended_by FROM taken WHERE lapses OR moves OFFSET 0
    ) AS new
    WHERE sessions.ctid = new.session_row
),
begun AS (
    INSERT INTO stillhere_visits (
        handle, number, subject, started_at, last_seen_at, covered_until_at, uncounted_from_at, uncounted_until_at,
        visible_ms, active_ms, left_at
    )
    SELECT handle, number, subject, opened_at, visit_seen_at, covered_until_at, uncounted_from_at, uncounted_until_at,
           visit_visible_ms, visit_active_ms, left_at
    FROM taken
    WHERE begins
),
moved AS (
    UPDATE stillhere_visits AS visits
    SET last_seen_at = new.visit_seen_at, covered_until_at = new.covered_until_at,
        uncounted_from_at = new.uncounted_from_at, uncounted_until_at = new.uncounted_until_at,
        visible_ms = new.visit_visible_ms, active_ms = new.visit_active_ms, left_at = new.left_at
    FROM (
        SELECT visit_row, visit_seen_at, covered_until_at, uncounted_from_at, uncounted_until_at,
               visit_visible_ms, visit_active_ms, left_at
        FROM taken
        WHERE NOT begins AND NOT stays
        OFFSET 0
    ) AS new
    WHERE visits.ctid = new.visit_row
      AND (visits.last_seen_at, visits.covered_until_at, visits.visible_ms, visits.active_ms, visits.left_at)
          IS DISTINCT FROM (new.visit_seen_at, new.covered_until_at, new.visit_visible_ms, new.visit_active_ms, new.left_at)
),
opened AS (
    INSERT INTO stillhere_views (
        handle, view, visit, tab, page, title, opened_at, last_seen_at, visible_ms, active_ms, scroll_pct, lifecycle, seq,
        heat, bands
    )
    SELECT handle, view, number, tab, page, title, opened_at, view_seen_at, total_visible_ms, total_active_ms, scroll_pct, lifecycle, seq,
           heat, bands
    FROM taken
    WHERE is_new_view
),
raised AS (
    UPDATE stillhere_views AS views
    SET last_seen_at = new.view_seen_at, visible_ms = new.total_visible_ms, active_ms = new.total_active_ms,
        scroll_pct = new.scroll_pct, page = new.page, title = new.title, lifecycle = new.lifecycle, seq = new.seq,
        heat = new.heat, bands = new.bands
    FROM (
        SELECT view_row, view_seen_at, total_visible_ms, total_active_ms, scroll_pct, page, title, lifecycle, seq, heat, bands
        FROM taken
        WHERE view_row IS NOT NULL
        OFFSET 0
    ) AS new
    WHERE views.ctid = new.view_row
      AND (
          views.last_seen_at, views.visible_ms, views.active_ms, views.scroll_pct,
          views.page, views.title, views.lifecycle, views.seq, views.heat, views.bands
      ) IS DISTINCT FROM (
          new.view_seen_at, new.total_visible_ms, new.total_active_ms, new.scroll_pct, new.page, new.title, new.lifecycle, new.seq,
          new.heat, new.bands
      )
)
-- The outcomes as one JSON text, put together by hand: the functions that build JSON take twice as long.
SELECT concat('[', string_agg(
    CASE WHEN session_row IS NULL THEN '{"session":null}' ELSE concat(
        '{"session":{"handle":', to_json(handle), ',"id_hash":', to_json(id_hash), ',"subject":', to_json(subject),
        ',"created_at":', created_at, ',"last_active_at":', last_active_at, ',"last_seen_at":', last_seen_at,
        ',"absolute_end_at":', absolute_end_at, ',"idle_timeout":', idle_timeout, ',"attributes":', attributes,
        CASE WHEN ended_at IS NOT NULL THEN concat(',"ended_at":', ended_at, ',"ended_by":"', ended_by, '"') END,
        CASE WHEN lapses THEN '},"ended_now":true}' ELSE '}}' END
    ) END, ',' ORDER BY n
), ']'),
(SELECT count(pg_notify('stillhere_ended', handle)) FROM taken WHERE lapses)
FROM taken;
