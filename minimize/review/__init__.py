"""Review of policies, pipelines, recipients and access files: approval, explanations, graded changes, fixtures.

`approval` writes who approved a policy, `explain` says step by step what decides about a field, `diff` grades every change,
`fixtures` runs a pipeline over its fixtures.
"""

from __future__ import annotations
