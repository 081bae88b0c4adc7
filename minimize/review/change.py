"""A change between two states of what people wrote, with its grade, and all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from minimize.review.grades import ORDER, Grade, joined

ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Change:
    """One change: its code, its grade, where it stands, what it is about, what was and what is."""

    code: str
    grade: Grade
    message: str
    file: str | None = None
    line: int | None = None
    about: str | None = None

    @property
    def place(self) -> str:
        """File and line, as far as they are known."""
        return ":".join(str(part) for part in (self.file, self.line) if part is not None)

    def as_json(self) -> dict[str, Any]:
        """The change as `diff --json` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Changes:
    """All changes between two states, those that loosen first; `allowed` are codes that may loosen, or `all`."""

    found: tuple[Change, ...]
    allowed: frozenset[str] = frozenset()

    @property
    def grade(self) -> Grade:
        """The grade of the whole."""
        return joined(change.grade for change in self.found)

    @property
    def counts(self) -> dict[Grade, int]:
        """How many of each grade."""
        counted = Counter(change.grade for change in self.found)
        return {grade: counted[grade] for grade in ORDER}

    @property
    def against(self) -> tuple[Change, ...]:
        """The changes that loosen and are not allowed."""
        loosening = [change for change in self.found if change.grade == "loosens"]
        return tuple(each for each in loosening if not self.allowed & {each.code, ALL})

    def allowing(self, codes: Collection[str]) -> Changes:
        """The same with codes that may loosen."""
        return replace(self, allowed=frozenset(codes))

    def as_json(self) -> dict[str, Any]:
        """What `diff --json` prints."""
        changes = [{**each.as_json(), "allowed": self.is_allowed(each)} for each in self.found]
        return {"grade": self.grade, "counts": self.counts, "ok": not self.against, "changes": changes}

    def is_allowed(self, change: Change) -> bool:
        """Whether a change that loosens may."""
        return change.grade == "loosens" and change not in self.against


def gathered(changes: Iterable[Change]) -> Changes:
    """Each change once; those that loosen first, then by file and line."""
    unique = dict.fromkeys(changes)
    return Changes(
        tuple(sorted(unique, key=lambda each: (ORDER.index(each.grade), each.file or "", each.line or 0, each.code)))
    )
