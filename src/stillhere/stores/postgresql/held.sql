-- Units: *_at are milliseconds since 1970, idle_timeout is milliseconds. A session and its grant of a kind, as of one moment.
SELECT json_build_object(
    'session', row_to_json(sessions),
    'grant', (
        SELECT row_to_json(grants)
        FROM stillhere_grants AS grants
        WHERE grants.handle = sessions.handle
          AND grants.kind = $2
    )
)
FROM stillhere_sessions AS sessions
WHERE handle = $1;
