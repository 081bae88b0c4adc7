"""What lint says about approvals."""

from __future__ import annotations

from collections.abc import Iterator

from minimize.errors import Finding
from minimize.policy.approval import KEY, house_approval
from minimize.policy.faults import Faults
from minimize.policy.lint.subject import Subject
from minimize.policy.unapproved import unapproved

HINT = "minimize policy approve FILE --by NAME"


def approval(subject: Subject) -> Iterator[Finding]:
    """L080, L081: a policy that is not the one that was approved; an error where the house lets nothing run under it."""
    job = subject.pipeline
    demand = "none" if job is None else house_approval(job.folder, Faults())
    found = unapproved(subject.policy, demand)
    if found is not None and job is not None:
        code = "L081" if demand == "required" else "L080"
        yield subject.finding(code, found.message, at=KEY, hint=HINT)
