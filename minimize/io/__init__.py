"""Sources and sinks, one format a file; publication that survives a crash; rewriting; quarantine."""
