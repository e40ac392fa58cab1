-- Units: $3 is milliseconds since 1970. Notes that a session also goes by a name, for as long as was asked for at most.
INSERT INTO stillhere_notes AS notes (name, handle, until_at)
VALUES ($1, $2, $3)
ON CONFLICT (name, handle) DO UPDATE SET until_at = greatest(notes.until_at, excluded.until_at)
RETURNING handle;
