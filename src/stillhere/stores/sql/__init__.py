"""What the SQL stores share: tables, migrations, and the threads that read beside a writer."""
