"""Sessions, views and visits in one SQLite file, in one transaction. The hot statements are the `.sql` files beside this one."""
