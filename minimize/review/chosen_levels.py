"""Levels that searches chose for a pipeline's output, shown or written into its policy."""

from __future__ import annotations

from typing import Any

from minimize.drafting.pinned_levels import PinnedLevels, pin_levels
from minimize.stores import LocationLike, PathText
from minimize.workspace import Workspace


def show_levels(
    pipeline: PathText, *, output: LocationLike | None = None, keys: Any = None, write: bool = False
) -> PinnedLevels:
    """The levels that searches chose for the current dates of an output, by default the pipeline's.

    With `write`, they replace `auto` in the policy. Raises ConfigurationError if there are none, OutputError without an output.
    """
    with Workspace(None, output, pipeline, keys) as workspace:
        workspace.require("run/read", dataset=workspace.job.pipeline)
        return pin_levels(workspace.job, workspace.load_receipts(), write=write)
