"""Generated sample data, seeded: the same name, rows and seed give the same bytes."""
