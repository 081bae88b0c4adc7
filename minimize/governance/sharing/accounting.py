"""What an act comes to, put together: what was planned, what was made of it, and what held the rest back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from minimize.canonical import canonical_text
from minimize.errors import Reason
from minimize.governance.sharing.account import Account
from minimize.governance.sharing.asked import Asked
from minimize.governance.sharing.consented import Tenants
from minimize.governance.sharing.payload import Made
from minimize.governance.sharing.planning import Planned
from minimize.recipients.refusals import of_tenants, reason


def told(asked: Asked, planned: Planned, made: Made, tenants: Tenants) -> Account:
    """The account of what was made; where nothing is left, what held it back stands against it."""
    held = (*held_back(asked, tenants), *_of_records(made, tenants, fold=_is_folded(planned)))
    if made.rows or not held:
        return account(asked, planned, made, held=held)
    return account(asked, planned, made, against=(*held, reason("nothing_left", "nothing is left to send")))


def account(
    asked: Asked,
    planned: Planned,
    made: Made | None = None,
    *,
    against: tuple[Reason, ...] = (),
    held: tuple[Reason, ...] = (),
) -> Account:
    """The account of an act, as far as it came."""
    plan, function, composed = planned.plan, planned.function, planned.composed
    return Account(
        recipient=asked.recipient.recipient,
        function=asked.party.function,
        purpose=None if function is None else function.purpose,
        category=None if plan is None else planned.category,
        rows=0 if made is None else made.rows,
        tenants={} if made is None else dict(sorted(made.tenants.items())),
        fields={} if composed is None else composed.fates,
        gated={} if made is None else dict(made.closed),
        unparsable={} if made is None else dict(made.unparsable),
        against=(*planned.against, *against),
        held=held,
    )


def held_back(asked: Asked, tenants: Tenants) -> Iterator[Reason]:
    """Why the rows of some tenants stay."""
    independent = asked.recipient.standing == "independent"
    for word, (count, rows) in tenants.held_back().items():
        yield of_tenants(word, count, rows, independent=independent)


def _of_records(made: Made, tenants: Tenants, *, fold: bool) -> Iterator[Reason]:
    """What holds records back beside the consent of their tenants."""
    closed = made.gated.total() + made.emptied
    if closed:
        message = "collection settings, conditions, retention or an erasure hold them back"
        yield reason("collection_off", message, tenants=_affected(made, tenants, closed, fold=fold), rows=closed)
    if made.rejected:
        message = "they lack what the policy requires, or hold what it forbids"
        yield reason("incomplete", message, rows=made.rejected.total())


def _affected(made: Made, tenants: Tenants, closed: int, *, fold: bool) -> int | None:
    """How many tenants agreed and have rows that are held back; None if rows that are incomplete hide the number."""
    agreed: Counter[str] = Counter()
    for name, rows in tenants.total().items():
        if tenants.verdicts[name].consent is not None:
            agreed[canonical_text(name, fold=fold)] += rows
    lacking = agreed - made.tenants
    return len(lacking) if lacking.total() == closed else None


def _is_folded(planned: Planned) -> bool:
    return planned.plan is not None and planned.plan.policy.folding.tenant
