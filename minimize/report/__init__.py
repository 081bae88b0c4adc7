"""Reports: what an output came from, what became of it, and who may see it, for people. Counts are rounded; no value is told.

report.py     the one call, from an output to its facts      facts.py  everything that a report tells, and nothing else
standing.py   what can be had here; what cannot is said       rounding.py  counts that tell nothing of few
flowing.py    rows in and out       fielding.py  each field    bits.py  precision given up     distinct.py  distinct values
collecting.py settings of tenants   keeping.py  retention      shared.py  third parties       approval.py  approved or not
summary.py    a few lines           page.py  one page of HTML  plots/  its pictures           phrases.py  techniques in words
"""

from __future__ import annotations

from minimize.report.facts import Facts
from minimize.report.report import Report, report_of

__all__ = ["Facts", "Report", "report_of"]
