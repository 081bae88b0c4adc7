"""Reports for people: the origin of an output, its changes, and who may see it.

Counts are rounded, and no value appears. Only tables that the caller names are shown with their published figures.
`output_report` is the entry: it collects the facts of each section and shows them as a page, as text or as JSON. `figures`
draws the pictures. `catalogue` and `documentation` make the data catalogue and the record of processing (GDPR Art. 30).
"""

from __future__ import annotations

from minimize.report.facts import ReportFacts
from minimize.report.output_report import OutputReport, create_report

__all__ = ["OutputReport", "ReportFacts", "create_report"]
