"""People, devices and tenants: what is held of them, seen and taken along; found from policies and receipts, not from a list.

asked.py      whom a request is about, many at once from a file
outputs.py    every output in which somebody may stand
meant.py      whether the field, the tenant or the form that is named can be meant
finding.py    where he stands in them, by every form that files may have him in; looking.py one file; linked.py by his devices
coverage.py   where people stand at all, and whether a rule finds them there
shared.py     with whom it was shared
viewing.py    `view`, with page.py; exporting.py `export`
deleting.py   `delete`, with deletion.py and rescan.py; restricting.py `restrict`: export first, then delete
correcting.py `correct`, with instead.py
requests.py   requests as records: states, deadlines, what recipients were told
"""

from __future__ import annotations

from minimize.governance.subjects.asked import Subject, load_subjects, subjects_of
from minimize.governance.subjects.correcting import Correction, correct
from minimize.governance.subjects.coverage import Coverage, Target, coverage
from minimize.governance.subjects.deleting import delete
from minimize.governance.subjects.deletion import Deletion
from minimize.governance.subjects.exporting import Exported, export
from minimize.governance.subjects.requests import Status, confirm, statuses
from minimize.governance.subjects.restricting import restrict
from minimize.governance.subjects.viewing import View, view

__all__ = [
    "Correction",
    "Coverage",
    "Deletion",
    "Exported",
    "Status",
    "Subject",
    "Target",
    "View",
    "confirm",
    "correct",
    "coverage",
    "delete",
    "export",
    "load_subjects",
    "restrict",
    "statuses",
    "subjects_of",
    "view",
]
