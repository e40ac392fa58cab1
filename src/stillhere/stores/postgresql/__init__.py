"""PostgreSQL: statements in `.sql` files, sent by the batch over a few pipelined connections."""
