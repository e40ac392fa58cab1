-- Units: none. One more, and answers the new number.
INSERT INTO stillhere_generations AS generations (subject, number)
VALUES ($1, 1)
ON CONFLICT (subject) DO UPDATE SET number = generations.number + 1
RETURNING number;
