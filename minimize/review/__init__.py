"""Review of what people write: a policy approved, explained, compared with what it was, and tried on fixtures.

`approving` writes who approved a policy, `explaining` says step by step what decides about a field, `comparing` grades every
change of policies, pipelines, recipients and access files, `trying` runs a pipeline over the fixtures that stand beside it.
"""
