"""What lasts: the journal, its views, snapshots, migrations and backups."""
