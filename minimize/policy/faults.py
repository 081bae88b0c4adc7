"""Faults of policy and pipeline files: the table of codes, the list for one file, "did you mean" hints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeVar

from minimize.errors import Finding, PolicyError

T = TypeVar("T")

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "P001": "a file that cannot be read, or is not YAML",
        "P002": "a key that stands twice, also in two spellings",
        "P003": "YAML that a policy does not use: anchors, aliases, merge keys, tags",
        "P004": "a key that is not known",
        "P005": "a key that is missing",
        "P006": "a value of the wrong kind",
        "P007": "a word that is not in its list (role, type, holder, unit …)",
        "P008": "a purpose that is not known, or that the policy does not list",
        "P009": "a purpose that nobody may have: profiling, advertising, marketing, sale",
        "P010": "a name (field, feature, level) that is not declared",
        "P011": "a technique or measure that is not known",
        "P012": "an unkeyed hash",
        "P013": "a parameter that does not fit its technique or measure",
        "P014": "a secret that would be kept or read",
        "P015": "a reserved or unusable name",
        "P016": "a condition that cannot be read, or reads from another list",
        "P017": "something that needs the policy's `time` or `subject`",
        "P018": "fields that stand in each other's way",
        "P019": "a backfill under the policy of then, of a date that never ran",
        "P020": "keys for each value of a column that has no folders of its own",
    }
)


@dataclass(frozen=True, slots=True)
class FaultList:
    """The faults of one file, in the order in which they were found."""

    file: str | None = None
    found: list[Finding] = field(default_factory=list)

    def add(self, code: str, message: str, *, line: int | None = None, key: str | None = None, hint: str = "") -> None:
        """Takes down one fault; `key` is the field's key."""
        self.found.append(Finding(code, message, "error", hint, self.file, line, key))


def require_sound(value: T | None, faults: Sequence[Finding], noun: str) -> T:
    """What was read. Raises PolicyError, with every fault as a finding, if there are faults or nothing could be read."""
    if value is None or faults:
        count = len(faults)
        raise PolicyError(f"the {noun} has {count} fault{'' if count == 1 else 's'}", findings=faults)
    return value


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """A hint for a word that is not known: the nearest one, those that have it as a part, or the whole list where it is short.

    >>> did_you_mean("id", ["event_id", "device_id", "/apps/*/name"])
    'did you mean `event_id` or `device_id`?'
    """
    words = sorted(set(names))
    meant = did_you_mean_any(_similar_words(word, words))
    if meant:
        return meant
    return f"one of {', '.join(words)}" if 0 < len(words) <= 25 else ""


def did_you_mean_any(words: Sequence[str]) -> str:
    """The question whether one of these was meant; nothing where there is none.

    >>> did_you_mean_any(["a", "b", "c"])
    'did you mean `a`, `b` or `c`?'
    """
    *others, last = (f"`{each}`" for each in words) if words else ("",)
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?" if last else ""


def _similar_words(word: str, candidates: Sequence[str]) -> list[str]:
    """The one that is written nearly so; else up to three of which the word, or its last step, is a part."""
    import re
    from difflib import SequenceMatcher, get_close_matches

    folded = {candidate.lower(): candidate for candidate in candidates}
    close = get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    step = re.split("[/.]", word.lower())[-1]
    having = [each for each in folded if step in re.findall(r"\w+", each) or step in re.findall(r"[^\W_]+", each)]
    if having and not (close and SequenceMatcher(None, word.lower(), close[0]).ratio() >= _CLEARLY_MEANT):
        close = get_close_matches(word.lower(), having, n=3, cutoff=0)
    return [folded[each] for each in close]


_CLEARLY_MEANT: Final = 0.8
"""How like a word another is that is meant, and no third."""
