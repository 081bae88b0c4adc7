"""Side-by-side figures against a plain copy and the peers: generated data, one process a contender, ratios and goals."""
