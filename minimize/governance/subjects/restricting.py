"""`subject restrict`: export first, then delete, in that order; what could not be exported is not deleted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from minimize.governance.subjects.asked import Subject
from minimize.governance.subjects.deleting import delete
from minimize.governance.subjects.deletion import Deletion
from minimize.governance.subjects.exporting import FORMATS, Exported, export
from minimize.governance.subjects.viewing import view
from minimize.stores import Anywhere
from minimize.switching import House


def restrict(
    subjects: Sequence[Subject],
    folder: Path,
    house: House,
    now: datetime,
    *,
    named: Sequence[Anywhere] = (),
    formats: Collection[str] = FORMATS,
    redact: Collection[str] = (),
    unseen: bool = False,
) -> tuple[tuple[Exported, ...], Deletion]:
    """Exports what is held of these subjects into a new folder, then deletes it.

    Takes and raises what `export` and `delete` do; nothing is deleted where the export failed.
    """
    found = view(subjects, house, now, named=named)
    exported = export(found, folder, house, formats=formats, redact=redact)
    return exported, delete(subjects, house, now, named=named, yes=True, unseen=unseen)
