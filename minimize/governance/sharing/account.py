"""What an act of sharing comes to: what leaves, what stays and why. Counts, fields and rules; never a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from minimize.counts import counted
from minimize.errors import Reason
from minimize.governance.sharing.composing import Fate


@dataclass(frozen=True, slots=True)
class Account:
    """What would leave, or left.

    rows      that leave
    tenants   whose they are, with the rows of each
    fields    by key what becomes of it; empty where the manifest does not know the function
    gated     by field the values that gates hold back, in rows that leave
    unparsable  by field the values that leave as null: they are not listed, or no technique could treat them
    against   the rules by which nothing may leave
    held      the rules that hold some rows back, with counts
    category  of the payload; None where none could be planned
    """

    recipient: str
    function: str
    purpose: str | None = None
    category: str | None = None
    rows: int = 0
    tenants: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, Fate] = field(default_factory=dict)
    gated: Mapping[str, int] = field(default_factory=dict)
    unparsable: Mapping[str, int] = field(default_factory=dict)
    against: tuple[Reason, ...] = ()
    held: tuple[Reason, ...] = ()

    @property
    def permitted(self) -> bool:
        """Whether anything may leave."""
        return not self.against

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Every rule that was met: those against all of it first, then those that hold some rows back."""
        return (*self.against, *self.held)

    def as_json(self) -> dict[str, Any]:
        """The account as `share send --json` prints it."""
        return {
            "recipient": self.recipient,
            "function": self.function,
            "purpose": self.purpose,
            "permitted": self.permitted,
            "category": self.category,
            "rows": self.rows,
            "tenants": dict(self.tenants),
            "fields": {key: fate.as_json() for key, fate in self.fields.items()},
            "gated": dict(self.gated),
            "unparsable": dict(self.unparsable),
            "against": [each.as_json() for each in self.against],
            "held_back": [each.as_json() for each in self.held],
        }

    def __str__(self) -> str:
        verdict = (
            f"{counted(self.rows, 'row')} of {counted(len(self.tenants), 'tenant')}"
            if self.permitted
            else "nothing may leave"
        )
        lines = [f"{self.recipient}, {self.function}: {verdict}"]
        lines += [f"  against: {each.code} {each}" for each in self.against]
        lines += [f"  held back: {each.code} {each}" for each in self.held]
        lines += [f"  {key}: {fate.form or 'stays'} ({fate.why})" for key, fate in self.fields.items()]
        lines += [f"  {key}: {counted(count, 'value')} replaced by null" for key, count in self.unparsable.items()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"
