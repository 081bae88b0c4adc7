"""`receive`: what third parties send, minimized by the inbound manifest before anybody keeps it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from minimize.errors import without_values
from minimize.governance.sharing.connecting import Connector, at_once, hand_on
from minimize.io.memory import take
from minimize.minimizer import apply
from minimize.policy.model import Field, Policy
from minimize.recipients import Function, Recipient
from minimize.recipients.party import party
from minimize.recipients.refusals import reason, refusal
from minimize.scrub import scrub
from minimize.times import moment


@without_values
def receive(
    data: Any,
    *,
    sender: str | Recipient,
    function: str,
    purpose: str | None = None,
    keys: Any = None,
    recipients: Any = None,
    at: datetime | str | None = None,
    connector: Connector | None = None,
) -> Any:
    """What a third party sent, as the inbound manifest lets it be kept.

    Takes what `apply` takes. What the manifest does not name, or drops, is gone. Secrets that only pass through go to the
    `connector`, once, as a table of their columns in the order of the rows that came; they are never stored, logged or
    counted here. Gives the kind of `data`. Raises NotPermitted for a function that the manifest does not have inbound, and
    for another purpose.
    """
    when = moment(at, "at") or datetime.now(UTC)
    side = party(sender, function, "inbound", recipients, Path.cwd(), (when,))
    name, found = side.recipient.recipient, side.manifest
    against = [each for each in side.against(()) if each.rule in ("empty_manifest", "not_in_manifest", "direction")]
    if found is not None and purpose not in (None, found.purpose):
        against.append(reason("purpose", f"{function} is for {found.purpose}, and not for {purpose}"))
    if against or found is None:
        raise refusal(name, function, against)
    policy = inbound_policy(side.recipient, found)
    if connector is None or not found.passing:
        return apply(policy, data, purpose=found.purpose, keys=keys, at=when)
    whole = at_once(data)
    given = apply(policy, whole, purpose=found.purpose, keys=keys, at=when)
    hand_on(connector, _passing(whole, found))
    return given


def inbound_policy(sender: Recipient, function: Function) -> Policy:
    """The manifest of a function as a policy: a message need not have every field."""
    fields = {
        key: Field(key=key, type=each.type, role=each.role, do=each.do, about=each.about, optional=True, line=each.line)
        for key, each in function.fields.items()
    }
    return Policy(
        policy=sender.recipient,
        version=function.text_version,
        purposes=(function.purpose,),
        fields=fields,
        path=sender.path,
        digest=sender.digest,
    )


def _passing(data: Any, function: Function) -> pa.Table:
    """The columns of secrets, without anything beside them."""
    found = take(data, function.passing)
    names = [name for name in function.passing if name in found.schema.names]
    schema = pa.schema([pa.field(name, found.schema.field(name).type) for name in names])
    return pa.Table.from_batches([scrub(batch.select(names), schema) for batch in found.open()], schema=schema)
