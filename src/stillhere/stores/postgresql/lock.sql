-- Units: none. Takes the sessions of a batch, always in the same order, so that no two batches wait for each other. A statement of its
-- own: the next one sees what those who held them before have written.
SELECT count(*)
FROM (
    SELECT FROM stillhere_sessions
    WHERE handle = ANY (ARRAY(SELECT json_array_elements_text($1)))
    ORDER BY handle
    FOR NO KEY UPDATE
) AS locked;
