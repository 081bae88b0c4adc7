"""Model of a recipient's file: standing, contract, functions, and the fields of each function."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from minimize.policy.model import CategoryName, FrozenModel, Role
from minimize.policy.treatments import DROP, Treatment
from minimize.techniques import TechniqueStep

Standing = Literal["agent", "independent"]
"""An agent acts on our behalf and must be on the list of subprocessors; an independent recipient acts for itself."""
Direction = Literal["outbound", "inbound"]
PASSTHROUGH: Literal["pass_through"] = "pass_through"


class Contract(FrozenModel):
    """The agreement that permits transmission. Without it nothing is sent.

    from_           the first day on which it is in force
    until           the first day on which it is no longer in force; None if no end is agreed
    retention       how long the recipient may keep the data
    deletes_within  the time limit for a deletion request and its confirmation
    """

    reference: str
    from_: date
    until: date | None = None
    permits_transmission: bool = False
    permitted_fields: tuple[str, ...] = ()
    retention: timedelta | None = None
    deletes_within: timedelta | None = None

    def holds(self, on: date) -> bool:
        """Whether the contract is in force on a day.

        >>> Contract(reference="C-1", from_=date(2026, 1, 1), until=date(2027, 1, 1)).holds(date(2027, 1, 1))
        False
        """
        return self.from_ <= on and (self.until is None or on < self.until)

    def permits(self, key: str) -> bool:
        """Whether a field may be transmitted."""
        return self.permits_transmission and key in self.permitted_fields


class SharedField(FrozenModel):
    """One field of a function, and the form in which it is sent or kept.

    do        its treatment; the default is drop
    passes    whether it is a secret for a connector, never stored, logged or aggregated; `do` is then `drop`
    values    the only permitted values, which the last step of `do` checks; empty if all values are permitted
    optional  whether the recipient accepts a record without it
    protocol  the first version of the recipient's protocol that has it; None for every version
    row       the row of the tenant's page that it shares with other fields; by default its own key
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
        """The steps of the released form; empty for a dropped field."""
        return () if isinstance(self.do, str) else self.do

    @property
    def form(self) -> Treatment:
        """The treatment, without the step that checks the listed values."""
        return self.chain[:-1] if self.values and self.chain else self.do

    @property
    def listed_as(self) -> str:
        """The row of the tenant's page."""
        return self.row or self.key


class Function(FrozenModel):
    """One task of a recipient: its direction, its purpose, the text that tenants agree to, its fields.

    text_version  incremented with each change of the text; a consent to an older version does not cover it
    requires      prerequisites, such as an account
    must_be       the highest permitted category of the payload
    aggregate     the aggregate that is sent; the fields are its columns, and the category is `aggregated`
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
        """The fields that are sent (or kept) in some form, by key."""
        return {key: field for key, field in self.fields.items() if field.chain}

    @property
    def pass_through_fields(self) -> tuple[str, ...]:
        """The pass-through secrets."""
        return tuple(key for key, field in self.fields.items() if field.passes)

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows of the tenant's page, including dropped fields."""
        return tuple(dict.fromkeys(field.listed_as for field in self.fields.values()))


class Recipient(FrozenModel):
    """A third party: its standing, its contract and its functions.

    ending  the steps that both sides take at the end: the organization and the recipient
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
        """The function of this name; None if the manifest has none."""
        return self.functions.get(name)

    @property
    def outbound(self) -> tuple[Function, ...]:
        """The functions that send data to the recipient."""
        return self._towards("outbound")

    @property
    def inbound(self) -> tuple[Function, ...]:
        """The functions that receive data from the recipient."""
        return self._towards("inbound")

    def _towards(self, direction: Direction) -> tuple[Function, ...]:
        return tuple(function for function in self.functions.values() if function.direction == direction)
