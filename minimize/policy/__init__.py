"""Policy and pipeline files.

Content: model, condition. Reading: yaml_nodes, mapping_reader, value_readers,
fields, policy_reader, pipeline_reader, load. Checks: lint, approval. Descriptions: describe,
json_schema. Drafts from data: draft, proposals, value_kinds, roles.
"""

from __future__ import annotations
