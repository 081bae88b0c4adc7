"""One entry of a recall list: what was sent of a tenant in one act, why it has to go, and how far that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from minimize.receipt import time_text
from minimize.recipients import Contract

if TYPE_CHECKING:
    from minimize.ledger.disclosures import Disclosure, TenantShare

Progress = Literal["due", "requested", "confirmed"]
DELETES_WITHIN: Final = timedelta(days=30)
"""How long a recipient has to confirm, where its contract does not say."""


@dataclass(frozen=True, slots=True)
class Recall:
    """What was sent of one tenant in one act, and has to go.

    state         due: nobody told the recipient yet; requested: it was told; confirmed: it has deleted
    requested_at  when it was told
    confirm_by    when it must have confirmed
    overdue       whether that time has passed without a confirmation
    """

    recipient: str
    function: str
    disclosure: str
    tenant: str
    cause: str
    state: Progress
    sent_at: datetime
    digest: str
    rows: int
    fields: tuple[str, ...]
    subjects: tuple[str, ...] = field(repr=False)
    requested_at: datetime | None = None
    confirm_by: datetime | None = None
    overdue: bool = False

    @property
    def is_late(self) -> bool:
        """Whether somebody has to act: the recipient was not told, or has not confirmed in time."""
        return self.state == "due" or self.overdue

    def as_json(self, *, subjects: bool = True) -> dict[str, Any]:
        """The entry as a JSON object; with the tokens of its subjects, or only their number."""
        return {
            "recipient": self.recipient,
            "function": self.function,
            "disclosure": self.disclosure,
            "tenant": self.tenant,
            "cause": self.cause,
            "state": self.state,
            "sent_at": time_text(self.sent_at),
            "requested_at": _text(self.requested_at),
            "confirm_by": _text(self.confirm_by),
            "overdue": self.overdue,
            "digest": self.digest,
            "rows": self.rows,
            "fields": list(self.fields),
            "subjects": list(self.subjects) if subjects else len(self.subjects),
        }


def recall_of(
    act: Disclosure,
    share: TenantShare,
    cause: str,
    state: Progress,
    *,
    requested_at: datetime | None,
    contract: Contract | None,
    now: datetime,
) -> Recall:
    """The entry for what was sent of a tenant in an act."""
    confirm_by = None if requested_at is None else requested_at + _within(contract)
    return Recall(
        recipient=act.recipient,
        function=act.function,
        disclosure=act.disclosure,
        tenant=share.tenant_id,
        cause=cause,
        state=state,
        sent_at=act.recorded_at,
        digest=act.digest,
        rows=share.rows,
        fields=tuple(act.body["fields"]),
        subjects=tuple(share.listed()),
        requested_at=requested_at,
        confirm_by=confirm_by,
        overdue=state == "requested" and confirm_by is not None and confirm_by <= now,
    )


def list_for(recipient: str, recalls: Sequence[Recall]) -> dict[str, Any]:
    """What a recipient is told to delete, as a JSON object."""
    return {"recipient": recipient, "delete": [each.as_json() for each in recalls]}


def _within(contract: Contract | None) -> timedelta:
    return (None if contract is None else contract.deletes_within) or DELETES_WITHIN


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)
