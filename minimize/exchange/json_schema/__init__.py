"""JSON Schema: a policy from one (draft 4 to 2020-12), and one (2020-12) from a policy's source or an output."""
