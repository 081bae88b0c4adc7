"""Policy and pipeline files.

Content: model, condition, evaluation, fields. Forms: forms, form_values, names, purposes, treatments. Reading: yaml_nodes,
faults, load. Checks: checks, lint, approval. Descriptions: describe. Drafts from data: draft, proposals, value_kinds, roles.
"""

from __future__ import annotations
