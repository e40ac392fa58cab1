-- Units: none. Deletes a grant if that is its version; answers the handle, or nothing. After lock.sql, as swap.sql.
DELETE FROM stillhere_grants
WHERE handle = $1
  AND kind = $2
  AND version = $3
RETURNING handle;
