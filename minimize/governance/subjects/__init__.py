"""Data subjects: requests to view, export, correct, restrict and delete data about a person, a device or a tenant.

    named_subjects.py  subjects of a request
    requests.py      requests as records: states, deadlines, confirmations of recipients
    search.py        the records of a subject in the known outputs
    linked.py        the devices that belong to a subject alone, and their records
    disclosures.py   disclosures about a subject, and their recipients
    view.py          `subject view`
    coverage.py      `subject coverage`
    delete.py        `subject delete` and `subject restrict`
    removal_result.py  their plan and result
    export.py        `subject export` and `subject export --then-delete`
    lift.py          `subject lift`
    directory_feed.py  `events import`: users that a directory deleted
    correct.py       `subject correct` and `subject approve`

Records are found with policies and receipts; there is no register of subjects.
"""

from __future__ import annotations

from minimize.governance.subjects.correct import (
    Correction,
    CorrectionBasis,
    CorrectionEvidence,
    approve_correction,
    correct_subject,
)
from minimize.governance.subjects.coverage import Coverage, CoverageTarget, find_coverage, subject_coverage
from minimize.governance.subjects.delete import delete_subjects, restrict_subjects
from minimize.governance.subjects.directory_feed import FeedColumns, ImportedEvents, import_events
from minimize.governance.subjects.export import (
    ExportedDeletion,
    SubjectExport,
    export_subjects,
    export_then_delete,
    write_exports,
)
from minimize.governance.subjects.lift import RestrictionLift, lift_restriction
from minimize.governance.subjects.named_subjects import DataSubject, RequestedSubjects, collect_subjects, load_subjects
from minimize.governance.subjects.removal_result import SubjectRemoval
from minimize.governance.subjects.requests import (
    RequestStatus,
    confirm_deletion,
    refuse_request,
    refuse_subjects,
    request_statuses,
    show_requests,
    with_unconfirmed_outputs,
)
from minimize.governance.subjects.view import SubjectView, find_views, view_subjects

__all__ = [
    "Correction",
    "CorrectionBasis",
    "CorrectionEvidence",
    "Coverage",
    "CoverageTarget",
    "DataSubject",
    "ExportedDeletion",
    "FeedColumns",
    "ImportedEvents",
    "RequestStatus",
    "RequestedSubjects",
    "RestrictionLift",
    "SubjectExport",
    "SubjectRemoval",
    "SubjectView",
    "approve_correction",
    "collect_subjects",
    "confirm_deletion",
    "correct_subject",
    "delete_subjects",
    "export_subjects",
    "export_then_delete",
    "find_coverage",
    "find_views",
    "import_events",
    "lift_restriction",
    "load_subjects",
    "refuse_request",
    "refuse_subjects",
    "request_statuses",
    "restrict_subjects",
    "show_requests",
    "subject_coverage",
    "view_subjects",
    "with_unconfirmed_outputs",
    "write_exports",
]
