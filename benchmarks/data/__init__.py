"""Generated data: a seeded fleet of devices as Parquet and as NDJSON, with its settings and its keyring."""
