"""People, devices and tenants: what is held of them, seen and taken along; found from policies and receipts, not from a list.

asked.py      whom a request is about, many at once from a file
outputs.py    every output in which somebody may stand
finding.py    where he stands in them, by every form that files may have him in
shared.py     with whom it was shared
viewing.py    `view`; exporting.py `export`
deleting.py   `delete`, with rescan.py; restricting.py `restrict`: export first, then delete
correcting.py `correct`, with instead.py
requests.py   requests as records: states, deadlines, what recipients were told
"""

from __future__ import annotations

from minimize.governance.subjects.asked import Subject, load_subjects, subjects_of
from minimize.governance.subjects.correcting import Correction, correct
from minimize.governance.subjects.deleting import Deletion, delete
from minimize.governance.subjects.exporting import Exported, export
from minimize.governance.subjects.requests import Status, confirm, statuses
from minimize.governance.subjects.restricting import restrict
from minimize.governance.subjects.viewing import View, view

__all__ = [
    "Correction",
    "Deletion",
    "Exported",
    "Status",
    "Subject",
    "View",
    "confirm",
    "correct",
    "delete",
    "export",
    "load_subjects",
    "restrict",
    "statuses",
    "subjects_of",
    "view",
]
