"""Review of policies, pipelines, recipients and access files: approval, explanations, graded changes, fixtures.

`approval` records the approval of a policy, `explain` shows the decision about a field step by step, `diff` grades every
change, `fixtures` runs a pipeline over its fixtures.
"""

from __future__ import annotations
