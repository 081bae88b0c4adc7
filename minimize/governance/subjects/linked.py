"""Records of somebody's devices in files that do not tell whose they are: found by the forms that stand beside him elsewhere.

A pseudonym of one field is the same in every output that makes it with the same key, so that a user whom one output shows beside
his device is found by it in another that dropped the user. Of a device that several people use all records are found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from minimize.governance.subjects.asked import Subject
from minimize.governance.subjects.finding import Held, Search
from minimize.governance.subjects.outputs import Output
from minimize.keys import Keyring


def linked_to(held: Sequence[Held], outputs: Iterable[Output], keys: Keyring) -> list[Held]:
    """What stands about the subjects beside somebody, in files in which he himself was not found."""
    known = {(str(each.output.folder), each.file.path) for each in held}
    pairs = {
        (form, tenant) for each in held if each.key != each.written.policy.subject for form, tenant in _beside(each)
    }
    there = [*outputs]
    found = (
        each
        for form, tenant in sorted(pairs, key=lambda pair: (pair[0], pair[1] or ""))
        for each in Search(Subject(form, tenant, is_form=True), keys).over(there)
    )
    return [
        each
        for each in found
        if isinstance(each, Held)
        and each.key == each.written.policy.subject
        and (str(each.output.folder), each.file.path) not in known
    ]


def _beside(held: Held) -> set[tuple[str, str | None]]:
    """The forms of the subjects beside him, each under the tenants that the file shows."""
    return {(form, tenant) for form in held.subjects for tenant in held.tenants or {None}}
