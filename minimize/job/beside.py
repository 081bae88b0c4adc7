"""What stands beside a receipt: the bytes behind its digests, and what the columns mean."""

from __future__ import annotations

from minimize.plan import Plan
from minimize.plan.columns import columns_page
from minimize.policy.load import hierarchy_files
from minimize.policy.pipeline import Pipeline


def beside(pipeline: Pipeline, plan: Plan) -> dict[str, bytes]:
    """The files by name: `policy.yaml`, `pipeline.yaml`, `columns.md`, and the hierarchies under their own names."""
    files = {"columns.md": columns_page(plan).encode()}
    for name, path in (("policy.yaml", pipeline.policy.path), ("pipeline.yaml", pipeline.path)):
        if path is not None:
            files[name] = path.read_bytes()
    return files | {f"hierarchies/{path.name}": path.read_bytes() for path in hierarchy_files(pipeline.policy)}
