"""Model of a recipient's file: standing, contract, functions, and the fields of each function."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from minimize.policy.model import DROP, CategoryName, FrozenModel, Role, Treatment
from minimize.techniques import TechniqueStep

Standing = Literal["agent", "independent"]
"""An agent acts for us and must be on the list of subprocessors; an independent acts for itself."""
Direction = Literal["outbound", "inbound"]
PASSTHROUGH: Literal["pass_through"] = "pass_through"


class Contract(FrozenModel):
    """What permits transmission: nothing goes without it, and nothing beyond it.

    from_           the first day on which it holds
    until           the first day on which it holds no longer; None where no end is agreed
    retention       how long the recipient may keep what it got
    deletes_within  how long it has to delete what is called back, and to confirm it
    """

    reference: str
    from_: date
    until: date | None = None
    permits_transmission: bool = False
    permitted_fields: tuple[str, ...] = ()
    retention: timedelta | None = None
    deletes_within: timedelta | None = None

    def holds(self, on: date) -> bool:
        """Whether it is in force on a day.

        >>> Contract(reference="C-1", from_=date(2026, 1, 1), until=date(2027, 1, 1)).holds(date(2027, 1, 1))
        False
        """
        return self.from_ <= on and (self.until is None or on < self.until)

    def permits(self, key: str) -> bool:
        """Whether a field may be transmitted at all, by name."""
        return self.permits_transmission and key in self.permitted_fields


class SharedField(FrozenModel):
    """One field of a function: what it is, and the form in which it leaves or is kept.

    do        what becomes of it; dropped where nothing is said
    passes    a secret that goes through a connector, and is never stored, logged or aggregated; `do` is `drop` then
    values    the only values that it may have, as the last step of `do` checks them; empty if any value may leave
    optional  whether the recipient takes a record without it
    protocol  the first version of the recipient's protocol that has it; None for every version
    row       the line of the tenant's list that it belongs to, where several fields share one; else its own key
    """

    key: str
    type: str = "string"
    role: Role = "plain"
    do: Treatment = DROP
    passes: bool = False
    values: tuple[str, ...] = ()
    optional: bool = False
    protocol: int | None = None
    row: str = ""
    about: str = ""
    example: str | bool | int | float | None = None
    line: int | None = None

    @property
    def chain(self) -> tuple[TechniqueStep, ...]:
        """The steps of what leaves; none where nothing does."""
        return () if isinstance(self.do, str) else self.do

    @property
    def form(self) -> Treatment:
        """What becomes of it, without the step that checks its listed values."""
        return self.chain[:-1] if self.values and self.chain else self.do

    @property
    def listed_as(self) -> str:
        """The line of the tenant's list."""
        return self.row or self.key


class Function(FrozenModel):
    """One thing that a recipient is needed for: its direction, its purpose, the text that tenants agree to, its fields.

    text_version  raised whenever the text changes; a consent to an older one does not cover it
    requires      what must be there first, such as an account
    must_be       the most that what leaves may be
    aggregate     the aggregate of an output that it is about; its fields are columns of it, and it is `aggregated`
    """

    name: str
    direction: Direction
    purpose: str
    text_version: int
    text: str = ""
    requires: tuple[str, ...] = ()
    must_be: CategoryName | None = None
    aggregate: str | None = None
    fields: Mapping[str, SharedField] = {}
    line: int | None = None

    @property
    def shared(self) -> Mapping[str, SharedField]:
        """The fields of which something leaves (or is kept), by key."""
        return {key: field for key, field in self.fields.items() if field.chain}

    @property
    def pass_through_fields(self) -> tuple[str, ...]:
        """The secrets that only pass through."""
        return tuple(key for key, field in self.fields.items() if field.passes)

    @property
    def rows(self) -> tuple[str, ...]:
        """The lines of the tenant's list, dropped fields included."""
        return tuple(dict.fromkeys(field.listed_as for field in self.fields.values()))


class Recipient(FrozenModel):
    """A third party: who it is to us, what is agreed, and what it is needed for.

    ending  what somebody does on both sides when it ends: here, and at the recipient
    """

    recipient: str
    standing: Standing
    about: str = ""
    ending: str = ""
    subprocessor: str | None = None
    contract: Contract | None = None
    functions: Mapping[str, Function]
    path: Path | None = None
    digest: str = ""
    """`sha256:` of the file's bytes; empty for a recipient that was not loaded from a file."""

    def function(self, name: str) -> Function | None:
        """The function of this name; None where the manifest has none."""
        return self.functions.get(name)

    @property
    def outbound(self) -> tuple[Function, ...]:
        """What goes to it."""
        return self._towards("outbound")

    @property
    def inbound(self) -> tuple[Function, ...]:
        """What comes from it."""
        return self._towards("inbound")

    def _towards(self, direction: Direction) -> tuple[Function, ...]:
        return tuple(function for function in self.functions.values() if function.direction == direction)
