"""Rows read and written: runs, later removals, outputs, and the versions of the policy with their approval.

Each part is rounded by itself. The number of rows of a published table is public, and exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby

from minimize.aggregates.definition import total_deviation
from minimize.output.folder import RESTRICTED
from minimize.receipts import Receipt, files_in_force
from minimize.records import RECORDS
from minimize.report.context import reads_source
from minimize.report.facts import (
    ApprovalAnswer,
    OutputFacts,
    PolicyFacts,
    RemovalFacts,
    RoundedCount,
    RowFlow,
    RunFacts,
)
from minimize.runs.releases import older_tables


def approval_answer(receipts: Sequence[Receipt]) -> ApprovalAnswer:
    """Whether policy and pipeline of all these receipts were approved as they were used."""
    is_approved = receipts and all(receipt.policy.approved is not None for receipt in receipts)
    return "yes" if is_approved else "no"


def row_flow(receipt: Receipt) -> RowFlow:
    """Rows read and written in one run. Sealed counts are not shown."""
    rows = receipt.rows
    return RowFlow(
        written=_shown_count(rows.written),
        gated=gated_rows(receipt),
        quarantined={code: RoundedCount.rounded(number) for code, number in sorted(receipt.quarantine.by_code.items())},
        suppressed=_shown_count(rows.suppressed),
        deduplicated=_shown_count(rows.deduplicated),
    )


def _shown_count(count: int | None) -> RoundedCount:
    return RoundedCount(hidden=True) if count is None else RoundedCount.rounded(count)


def gated_rows(receipt: Receipt) -> dict[str, RoundedCount]:
    """Reasons for which whole rows were gated or removed, with their counts."""
    found = {reason: RoundedCount.rounded(rows) for reason, rows in receipt.gated_by.reasons.items()}
    return {reason: count for reason, count in found.items() if count}


def total_flow(flows: Sequence[RowFlow]) -> RowFlow:
    """The sum over several runs."""
    return RowFlow(
        written=RoundedCount.total(each.written for each in flows),
        gated=sum_counts(each.gated for each in flows),
        quarantined=sum_counts(each.quarantined for each in flows),
        suppressed=RoundedCount.total(each.suppressed for each in flows),
        deduplicated=RoundedCount.total(each.deduplicated for each in flows),
    )


def sum_counts(each: Iterable[Mapping[str, RoundedCount]]) -> dict[str, RoundedCount]:
    """Sums of counts by name."""
    found: dict[str, list[RoundedCount]] = {}
    for name, count in chain.from_iterable(one.items() for one in each):
        found.setdefault(name, []).append(count)
    return {name: RoundedCount.total(counts) for name, counts in sorted(found.items())}


def current_runs(receipts: Iterable[Receipt]) -> list[Receipt]:
    """The last run of each batch date, in order. The files in force come from these runs."""
    last: dict[str, Receipt] = {}
    for receipt in filter(reads_source, receipts):
        last.update(dict.fromkeys(receipt.dates or ("",), receipt))
    return sorted({each.sequence: each for each in last.values()}.values(), key=lambda each: each.sequence)


def dates_counted_twice(receipts: Iterable[Receipt]) -> list[str]:
    """The batch dates that several of the current runs read: one of several dates, and a later one of some of them."""
    times = Counter(date for each in current_runs(receipts) for date in each.dates)
    return sorted(date for date, number in times.items() if number > 1)


def run_facts(receipts: Sequence[Receipt]) -> Iterator[RunFacts]:
    """Each run separately, including replaced ones."""
    current = {each.sequence for each in current_runs(receipts)}
    for receipt in filter(reads_source, receipts):
        yield RunFacts(
            sequence=receipt.sequence,
            run_id=receipt.run_id,
            kind=receipt.kind,
            at=receipt.at,
            dates=receipt.dates,
            policy=f"{receipt.policy.name} {receipt.policy.version}",
            flow=row_flow(receipt),
            in_force=receipt.sequence in current,
            allowed=receipt.allowed or (),
        )


def removal_facts(receipts: Iterable[Receipt]) -> Iterator[RemovalFacts]:
    """Rows removed after they were written, by kind of receipt."""
    later = sorted((each for each in receipts if not reads_source(each)), key=lambda each: each.kind)
    for kind, group in groupby(later, key=lambda each: each.kind):
        mine = list(group)
        yield RemovalFacts(kind, len(mine), max(each.at for each in mine), sum_counts(map(gated_rows, mine)))


def output_facts(receipts: Sequence[Receipt]) -> Iterator[OutputFacts]:
    """The outputs, each with the suppressed groups of its runs."""
    older, written = older_tables(receipts), [each.outputs for each in current_runs(receipts)]
    last = {name: output for each in receipts for name, output in each.outputs.items()}
    for name, files in files_in_force(receipts).items():
        mine = [each[name] for each in written if name in each]
        noise = last[name].noise
        rows = [file.rows for file in files]
        small = [RoundedCount.rounded(each.groups_suppressed) for each in mine if each.groups_suppressed is not None]
        yield OutputFacts(
            name=name,
            category=last[name].category,
            rows=RoundedCount.total(
                map(RoundedCount.rounded if name in (RECORDS, RESTRICTED) else RoundedCount.public, rows)
            ),
            files=len(files),
            dates=len({file.path.split("/")[1] for file in files if "/date=" in file.path}),
            suppressed=RoundedCount.total(small) if small else None,
            count_sd=None if noise is None else float(total_deviation(noise.sd)),
            encrypted=any(file.keys for file in files),
            older=older.get(name, ()),
        )


def policy_facts(receipts: Iterable[Receipt]) -> Iterator[PolicyFacts]:
    """The versions of the policy, oldest first."""
    by: dict[str, list[Receipt]] = {}
    for receipt in filter(reads_source, receipts):
        by.setdefault(receipt.policy.digest, []).append(receipt)
    for digest, mine in by.items():
        policy = mine[-1].policy
        first, last = min(each.at for each in mine), max(each.at for each in mine)
        yield PolicyFacts(
            name=policy.name,
            version=policy.version,
            digest=digest,
            runs=len(mine),
            first=first,
            last=last,
            approved=approval_answer(mine),
        )
