"""The words that a setting may use: a setting that the policy does not know would change nothing."""

from __future__ import annotations

from typing import Any, Final

from minimize.errors import Finding, PolicyError
from minimize.policy.pipeline import Pipeline
from minimize.settings.seen import LEVEL

HOLDERS: Final = ("admin", "user", "developer")


def check_words(tenant: str, setting: str, value: str, holder: str, job: Pipeline | None) -> None:
    """Words that the policy does not know would be settings that change nothing. Raises PolicyError."""
    if holder not in HOLDERS:
        raise wrong("C008", f"there is no holder `{holder}`", f"one of {', '.join(HOLDERS)}")
    if not tenant or not setting:
        raise wrong("C003", "a setting has a tenant and a name", "")
    if job is None:
        if setting != LEVEL and value not in ("on", "off"):
            raise wrong("C008", f"the value of {setting} is neither on nor off", "`on` or `off`")
        return
    if setting == LEVEL and value not in job.policy.levels:
        raise unknown(job, "the policy has no such level", job.policy.levels)
    if setting != LEVEL and setting not in job.policy.features:
        raise unknown(job, f"the policy has no feature `{setting}`", job.policy.features)
    if setting != LEVEL and value not in ("on", "off"):
        raise wrong("C008", f"the value of {setting} is neither on nor off", "`on` or `off`")


def unknown(job: Pipeline, message: str, *known: Any) -> PolicyError:
    """The error of a word that the pipeline's policy does not know; the hint says which it has."""
    names = ", ".join(name for group in known for name in group)
    return wrong("C008", message, f"it has {names}" if names else "it has none", str(job.policy.path))


def wrong(code: str, message: str, hint: str, file: str | None = None) -> PolicyError:
    """The error of a setting that cannot be so."""
    return PolicyError(message, hint=hint, findings=[Finding(code, message, hint=hint, file=file)])
