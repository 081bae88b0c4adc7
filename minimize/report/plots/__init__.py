"""The pictures of a report, as SVG that stands in the page. matplotlib draws them, and is imported nowhere else."""

from __future__ import annotations

from minimize.report.facts import Facts
from minimize.report.plots.bits import bits_picture
from minimize.report.plots.canvas import Picture
from minimize.report.plots.collection import collection_picture
from minimize.report.plots.flow import flow_picture
from minimize.report.plots.keeping import keeping_picture
from minimize.report.plots.runs import runs_picture

__all__ = ["Picture", "pictures"]


def pictures(facts: Facts) -> dict[str, Picture | None]:
    """The pictures by name; None where there is nothing to draw."""
    return {
        "flow": flow_picture(facts.flow),
        "bits": bits_picture(facts.fields),
        "collection": None if facts.collection is None else collection_picture(facts.collection),
        "keeping": keeping_picture(facts.retention, facts.at),
        "runs": runs_picture(facts.runs),
    }
