"""One field as rules see it: its name, its type, what its values look like, and what it may be to its record."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from minimize.drafting.look import Look
from minimize.pointer import STAR, Pointer
from minimize.policy.model import Role
from minimize.policy.roles import perhaps, surely, words_of

TEXTS = ("string",)
NUMBERS = ("integer", "double")
TIMES = ("timestamp", "date")


@dataclass(frozen=True, slots=True)
class Seen:
    """One field.

    type  the policy's word
    part  what it is to its record (`tenant`, `subject`, `time`, `record`), by its name; None for nothing
    per   the field of the tenant, where there is another that is it
    """

    pointer: Pointer
    type: str
    look: Look = field(default_factory=lambda: Look(0, 0))
    part: str | None = None
    per: str | None = None
    looked: bool = False

    @property
    def kind(self) -> str | None:
        """The kind that its values are of."""
        return self.look.kind

    @property
    def sure(self) -> Role | None:
        """The role that its name gives away."""
        return surely(self.pointer)

    @property
    def guess(self) -> Role | None:
        """The role that its name suggests."""
        return perhaps(self.pointer)

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers."""
        return self.type in NUMBERS or self.type.startswith("decimal")

    @property
    def can_be_keyed(self) -> bool:
        """Whether `pseudonymize` takes it."""
        return self.type in ("string", "integer", "binary")

    def named(self, pattern: str) -> bool:
        """Whether these words stand in its name, whole words only.

        >>> Seen(Pointer.parse("batteryLevel"), "double").named("level|pct")
        True
        """
        last = next((str(part) for part in reversed(self.pointer.parts) if part is not STAR), "")
        words = "_".join(words_of(last))
        return re.search(rf"(^|_)({pattern})(_|$)", words) is not None
