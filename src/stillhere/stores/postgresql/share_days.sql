-- Units: none. Lets nobody summarise days until the transaction ends. A statement of its own: the next one sees what was summarised before.
SELECT pg_advisory_xact_lock_shared(7834001452066932) IS NULL;
