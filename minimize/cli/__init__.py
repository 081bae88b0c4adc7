"""The command line: one file a noun, each parses, makes one library call, and prints."""
