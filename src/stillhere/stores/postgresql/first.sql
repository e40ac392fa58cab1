-- Units: $2 and $3 (now) are milliseconds since 1970. Takes a name until an instant has passed; answers it, or nothing if somebody has it.
INSERT INTO stillhere_firsts AS firsts (name, until_at)
VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET until_at = excluded.until_at WHERE firsts.until_at < $3
RETURNING name;
