"""Rows in and out: what the receipts in force tell, what went later, and each run by itself. Every part is rounded alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby

from minimize.policy.model import Policy
from minimize.receipt import Receipt, in_force
from minimize.report.approval import approved
from minimize.report.facts import Flow, OutputFacts, PolicyFacts, Removal, RunFacts
from minimize.report.rounding import Count
from minimize.report.standing import is_run


def flow_of(receipt: Receipt) -> Flow:
    """What came in and went out in one run. Rows of suppressed groups, and totals that would tell them, are not shown."""
    rows, hidden = receipt.rows, Count(hidden=True)
    return Flow(
        written=hidden if hides_rows(receipt) else Count.of(rows.written),
        gated=gated(receipt),
        quarantined={code: Count.of(number) for code, number in sorted(receipt.quarantine.by_code.items())},
        suppressed=hidden if hides_rows(receipt) else Count.of(rows.suppressed),
        deduplicated=Count.of(rows.deduplicated),
    )


def hides_rows(receipt: Receipt) -> bool:
    """Whether the number of rows, less the counts of an aggregate, would tell of groups that it does not show.

    If records are published, their number is no secret.
    """
    left_out = any(each.groups_suppressed or each.groups_past or each.deferred for each in receipt.outputs.values())
    return "records" not in receipt.outputs and left_out


def gated(receipt: Receipt) -> dict[str, Count]:
    """Why whole rows were held back (or taken out), as far as any were."""
    found = {reason: Count.of(rows) for reason, rows in receipt.gated_by.reasons.items()}
    return {reason: count for reason, count in found.items() if count}


def sum_of(flows: Sequence[Flow]) -> Flow:
    """Several runs together."""
    return Flow(
        written=Count.total(each.written for each in flows),
        gated=added(each.gated for each in flows),
        quarantined=added(each.quarantined for each in flows),
        suppressed=Count.total(each.suppressed for each in flows),
        deduplicated=Count.total(each.deduplicated for each in flows),
    )


def added(each: Iterable[Mapping[str, Count]]) -> dict[str, Count]:
    """Counts by name, summed up."""
    found: dict[str, Count] = {}
    for name, count in chain.from_iterable(one.items() for one in each):
        found[name] = found.get(name, Count()) + count
    return dict(sorted(found.items()))


def current(receipts: Iterable[Receipt]) -> list[Receipt]:
    """The last run of each batch date, in their order: what stands comes from these."""
    last: dict[str, Receipt] = {}
    for receipt in filter(is_run, receipts):
        last.update(dict.fromkeys(receipt.dates or ("",), receipt))
    return sorted({each.sequence: each for each in last.values()}.values(), key=lambda each: each.sequence)


def runs_of(receipts: Sequence[Receipt]) -> Iterator[RunFacts]:
    """Each run by itself, replaced ones too."""
    standing = {each.sequence for each in current(receipts)}
    for receipt in filter(is_run, receipts):
        yield RunFacts(
            receipt.sequence,
            receipt.run_id,
            receipt.kind,
            receipt.at,
            receipt.dates,
            f"{receipt.policy.name} {receipt.policy.version}",
            flow_of(receipt),
            receipt.sequence in standing,
        )


def removals_of(receipts: Iterable[Receipt]) -> Iterator[Removal]:
    """What went after it had been written, by kind."""
    later = sorted((each for each in receipts if not is_run(each)), key=lambda each: each.kind)
    for kind, group in groupby(later, key=lambda each: each.kind):
        mine = list(group)
        yield Removal(kind, len(mine), max(each.at for each in mine), added(map(gated, mine)))


def outputs_of(receipts: Sequence[Receipt], deferred_of: Callable[[str], int | None]) -> Iterator[OutputFacts]:
    """The outputs that stand, each with what was suppressed in the runs that made it. Takes how deferred rows are counted."""
    written = [each.outputs for each in current(receipts)]
    last = {name: output for each in receipts for name, output in each.outputs.items()}
    for name, files in in_force(receipts).items():
        mine = [each[name] for each in written if name in each]
        deferred = deferred_of(name) if any(file.sketches for file in files) else None
        small = [Count.of(each.groups_suppressed) for each in mine if each.groups_suppressed is not None]
        yield OutputFacts(
            name,
            last[name].category,
            Count.total(Count.of(file.rows) for file in files),
            len(files),
            len({file.path.split("/")[1] for file in files if "/date=" in file.path}),
            Count.total(small) if small else None,
            None if deferred is None else Count.of(deferred),
            any(file.keys for file in files),
        )


def policies_of(receipts: Iterable[Receipt], policy_of: Callable[[Receipt], Policy | None]) -> Iterator[PolicyFacts]:
    """The versions of the policy that ran, oldest first. Takes how the policy beside a receipt is read."""
    by: dict[str, list[Receipt]] = {}
    for receipt in filter(is_run, receipts):
        by.setdefault(receipt.policy.digest, []).append(receipt)
    for digest, mine in by.items():
        policy, said = mine[-1].policy, approved(mine, policy_of(mine[-1]))
        first, last = min(each.at for each in mine), max(each.at for each in mine)
        yield PolicyFacts(policy.name, policy.version, digest, len(mine), first, last, said)
