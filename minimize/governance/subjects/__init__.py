"""Data subjects: requests to view, export, correct, restrict and delete data about a person, a device or a tenant.

    requests.py      subjects of a request; requests as records: states, deadlines, confirmations of recipients
    search.py        the records of a subject in the known outputs
    disclosures.py   disclosures about a subject, and their recipients
    view.py          `subject view`
    coverage.py      `subject coverage`
    export.py        `subject export`
    delete.py        `subject delete`, `subject restrict` and `subject export --then-delete`
    lift.py          `subject lift`
    correct.py       `subject correct`

Records are found with policies and receipts; there is no register of subjects.
"""

from __future__ import annotations

from minimize.governance.subjects.correct import Correction, correct_subject
from minimize.governance.subjects.coverage import Coverage, CoverageTarget, subject_coverage
from minimize.governance.subjects.delete import (
    ExportedDeletion,
    SubjectRemoval,
    delete_subjects,
    export_then_delete,
    restrict_subjects,
)
from minimize.governance.subjects.export import SubjectExport, export_subjects
from minimize.governance.subjects.lift import RestrictionLift, lift_restriction
from minimize.governance.subjects.requests import (
    DataSubject,
    RequestStatus,
    collect_subjects,
    confirm_deletion,
    load_subjects,
    request_statuses,
)
from minimize.governance.subjects.view import SubjectView, view_subjects

__all__ = [
    "Correction",
    "Coverage",
    "CoverageTarget",
    "DataSubject",
    "ExportedDeletion",
    "RequestStatus",
    "RestrictionLift",
    "SubjectExport",
    "SubjectRemoval",
    "SubjectView",
    "collect_subjects",
    "confirm_deletion",
    "correct_subject",
    "delete_subjects",
    "export_subjects",
    "export_then_delete",
    "lift_restriction",
    "load_subjects",
    "request_statuses",
    "restrict_subjects",
    "subject_coverage",
    "view_subjects",
]
