-- Units: $2 (now) is milliseconds since 1970. The handles noted for a name, as a JSON list.
SELECT json_agg(handle)
FROM stillhere_notes
WHERE name = $1
  AND until_at >= $2;
