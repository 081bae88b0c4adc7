from __future__ import annotations

from pathlib import Path

from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline, SourceModel

POLICY = Policy(policy="p", version=1, purposes=("operations",), fields={})
SOURCE = SourceModel(path="x", format="csv")


def test_relative_paths_start_from_the_pipelines_folder() -> None:
    pipeline = Pipeline(pipeline="p", policy=POLICY, purpose="operations", source=SOURCE, output="out")
    assert pipeline.folder == Path()
    assert pipeline.model_copy(update={"path": Path("a/pipeline.yaml")}).folder == Path("a")
