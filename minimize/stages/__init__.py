"""The stages between source and sink, in the order of the data flow: gate, deduplicate, transform, release."""
