"""The words that a setting may use: a setting that the policy does not know would change nothing."""

from __future__ import annotations

from typing import Any, Final

from minimize.canonical import canonical_text
from minimize.errors import PolicyError
from minimize.policy.pipeline import Pipeline
from minimize.settings.faults import nameless, unknown
from minimize.settings.seen import LEVEL

HOLDERS: Final = ("admin", "user", "developer")


def check_words(tenant: str, setting: str, value: str, holder: str, job: Pipeline | None) -> None:
    """Raises PolicyError for words that nobody knows, where there is a pipeline those that its policy does not know."""
    if holder not in HOLDERS:
        raise unknown(f"there is no holder `{holder}`", f"one of {', '.join(HOLDERS)}")
    if not canonical_text(tenant) or not setting.strip():
        raise nameless()
    if setting == LEVEL:
        if job is not None and value not in job.policy.levels:
            raise not_in(job, "the policy has no such level", job.policy.levels)
        return
    if job is not None and setting not in job.policy.features:
        raise not_in(job, f"the policy has no feature `{setting}`", job.policy.features)
    if value not in ("on", "off"):
        raise unknown(f"the value of {setting} is neither on nor off", "`on` or `off`")


def check_subject(subject: str | None) -> None:
    """Raises PolicyError for a subject without a name: it would stand for the whole tenant."""
    if subject is not None and not canonical_text(subject):
        raise nameless("a subject has a name", "leave the subject out where the whole tenant is meant")


def not_in(job: Pipeline, message: str, *known: Any) -> PolicyError:
    """The error of a word that the pipeline's policy does not know; the hint says which it has."""
    names = ", ".join(name for group in known for name in group)
    return unknown(message, f"it has {names}" if names else "it has none", str(job.policy.path))
