"""Which functions of recipients a pipeline can feed, as far as that can be decided without a record or a consent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from minimize.governance.sharing.composing import composed
from minimize.governance.sharing.released import Entry
from minimize.policy.pipeline import Pipeline
from minimize.recipients import Function, Recipient, Recipients
from minimize.recipients.party import Party, purpose_reasons


@dataclass(frozen=True, slots=True)
class Fed:
    """A function that a pipeline can feed. Printed as `google (android_management)`."""

    recipient: str
    function: Function

    def __str__(self) -> str:
        return f"{self.recipient} ({self.function.name})"

    def sends(self, key: str) -> bool:
        """Whether a field, or a secret through a connector, is sent for it."""
        return self.function.aggregate is None and (key in self.function.shared or key in self.function.passing)


def functions_fed(
    job: Pipeline, known: Recipients, on: date, recipients: Sequence[Recipient] | None = None
) -> Iterator[Fed]:
    """The functions that a pipeline can feed on a day, by recipient.

    Takes the recipients if they are loaded already; else their files are read.
    The contract is in force and the recipient is listed if it is an agent; the purpose is the function's and the policy
    lists it; and every field that is not optional is released by the policy, or is a secret that passes through.
    """
    for recipient in map(known.named, known.names()) if recipients is None else recipients:
        for function in recipient.outbound:
            party = Party(known, recipient, function.name, "outbound", (on,))
            if not any(party.against(function.requires)) and _fits(job, recipient, function):
                yield Fed(recipient.recipient, function)


def _fits(job: Pipeline, recipient: Recipient, function: Function) -> bool:
    policy = job.policy
    if (
        job.purpose != function.purpose
        or any(purpose_reasons(None, function, policy.purposes))
        or policy.tenant is None
    ):
        return False
    required = {key for key, field in function.fields.items() if (field.chain or field.passes) and not field.optional}
    if function.aggregate is None:
        sent = set(composed(Entry(policy, {}), function, recipient, None, connected=True).sent)
    else:
        sent = _columns(job, recipient, function.aggregate)
    return bool(sent) and required <= sent


def _columns(job: Pipeline, recipient: Recipient, name: str) -> set[str]:
    """The columns of an aggregate that the contract permits; none if no group is the tenant."""
    model, contract = job.aggregates.get(name), recipient.contract
    if model is None or contract is None or job.policy.tenant not in {key.field for key in model.group_by.values()}:
        return set()
    return {column for column in (*model.group_by, *model.measures) if contract.permits(column)}
