"""Open Data Contract Standard 3.1: a policy from a contract's object, and a contract of a policy's source or of outputs."""
