"""Sessions, views and visits in a SQL database, in one transaction. The hot statements are in `sqlite/*.sql`."""
