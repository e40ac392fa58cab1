-- Units: none. How often a subject's generation was advanced; nothing if never.
SELECT number FROM stillhere_generations WHERE subject = $1;
