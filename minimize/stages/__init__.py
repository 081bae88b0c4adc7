"""The stages between source and sink, in the order of the data's path: gate, deduplicate, generalize, release."""
