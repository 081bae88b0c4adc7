"""Policy and pipeline files.

What they contain: model, condition. How they are read: yaml_nodes, mapping_reader, value_readers,
fields, policy_reader, pipeline_reader, load. How they are judged: lint, approval. How they are described: describe,
json_schema. How a first one is drafted from data: draft, proposals, value_kinds, roles.
"""

from __future__ import annotations
