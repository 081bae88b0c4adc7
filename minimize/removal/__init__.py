"""Removal of published data by age, by lifecycle event and by today's policy; rewrites of published files.

expire.py           `expire`
expiry_plan.py      its plan; subjects that only the source of a file still names
retract.py          `retract`: today's policy applied to published output
keys.py             new versions of master keys, files encrypted under them, destruction of versions
rerun.py            dates that can be run again from their source
sealing.py          records moved into sealed files by `subject restrict`, and back by `subject lift`
rare_records.py     records that a removal leaves in combinations that miss the bound on disclosure risk
lift_bound.py       records that stay sealed, because published again they would miss that bound
plan.py             due files, the plan, open deadlines
decision.py         removals and replacements in one file, batch by batch
retention_rules.py  ages and conditions of today's policy for a file of an older one
file_consents.py    settings and consents of today for the records of a file
rewrite.py          the only way to change published files: a verdict per file, portions of whole dates
rewrite_receipt.py  the receipt of a rewrite
verdict.py          the verdict of a rewrite on one batch
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Generic, Protocol, TypeVar

from minimize.checkpoints import checkpoint
from minimize.datasets.published_output import PublishedOutput
from minimize.datasets.reader import load_receipts
from minimize.errors import call_redacted
from minimize.receipts import Receipt, ReceiptKind
from minimize.removal.decision import RewriteRequest
from minimize.removal.plan import RemovalPlan, plan_by_rules
from minimize.removal.rare_records import with_rare_records
from minimize.removal.rewrite import PlannedChange, RecordsTransfer, Rewrite
from minimize.removal.rewrite_receipt import PlannedFile, RewriteResult
from minimize.removal.sealing import RemovedRecordsSealer
from minimize.runs.execution import ProgressCallback
from minimize.runs.runner import no_progress
from minimize.workspace import Workspace

P = TypeVar("P", bound=PlannedChange)
Planned_co = TypeVar("Planned_co", bound=PlannedChange, covariant=True)
TransferFactory = Callable[[Sequence[PlannedFile]], RecordsTransfer]


class RemovalOperation(Protocol[Planned_co]):
    """One kind of removal: how it decides about the files of an output."""

    @property
    def kind(self) -> ReceiptKind:
        """The kind of its receipts."""
        ...

    @property
    def as_of(self) -> datetime | None:
        """The reference time of today's policy; None if the decisions of the runs that wrote the files stay."""
        ...

    @property
    def replans(self) -> bool:
        """Whether it plans again if something was published since the plan was made."""
        ...

    def plan(self, output: PublishedOutput, *, counts: bool = True) -> Planned_co:
        """The files to change. Without `counts`, their removal counts the records where an index shows that there are some."""
        ...

    def transfer(self, output: PublishedOutput) -> TransferFactory | None:
        """What moves records of the changed files into or out of the seal of a restriction; None if nothing does."""
        ...


@dataclass(frozen=True)
class Removal(Generic[P]):
    """Plans an operation for outputs, and publishes the plans: select, judge, plan, rewrite, receipt."""

    workspace: Workspace = field(repr=False)
    operation: RemovalOperation[P]
    at_given: bool = False
    """Whether a person stated the time of the operation."""
    allow_shrink: bool = False
    """Whether an implausible time is accepted."""
    progress: ProgressCallback = no_progress
    """Receives the number of files that were read to their end."""

    def plans(self, outputs: Iterable[PublishedOutput], *, counts: bool = True) -> dict[str, P]:
        """The plans of outputs, by folder."""
        return {str(output.folder): self.plan(output, counts=counts) for output in outputs}

    def plan(self, output: PublishedOutput, *, counts: bool = True) -> P:
        """The plan of one output. Its errors show no value of a record."""
        return call_redacted(lambda: self.operation.plan(output, counts=counts))

    def execute(
        self, output: PublishedOutput, plan: P, published: Callable[[Receipt], object]
    ) -> tuple[P, RewriteResult]:
        """Publishes a plan, or that of now if something was published since. Each receipt is passed on when it is published.

        Returns the plan, and the result of its publications.
        """
        checkpoint("removal.execute", output.folder)
        operation, results = self.operation, list[RewriteResult]()
        if operation.replans:
            current = replace(output, chain=load_receipts(output.folder))
            if len(current.chain) != len(output.chain):
                output, plan = current, self.plan(current, counts=False)
        rewrite = Rewrite(
            operation.kind,
            self.workspace.of_output(output.folder, output.pipeline_of_today()),
            operation.as_of,
            at_given=self.at_given,
            tables_left=plan.tables_left,
            allow_shrink=self.allow_shrink,
            progress=self.progress,
            transfer=operation.transfer(output) if plan.due else None,
            finished=results.append,
        )
        for receipt in rewrite.execute(plan.due):
            published(receipt)
        return plan, sum(results, RewriteResult())


@dataclass(frozen=True)
class RuledRemoval:
    """A removal by retention and events: an expiry, or the deletion or restriction of subjects."""

    kind: ReceiptKind
    as_of: datetime
    rules: Callable[[PublishedOutput], RewriteRequest]
    """The rules of an output."""
    removes_tables: bool = False
    """Whether all tables are removed, too."""
    replans: bool = True

    def plan(self, output: PublishedOutput, *, counts: bool = True) -> RemovalPlan:
        """See `RemovalOperation.plan`. Also removes what it leaves in combinations that miss a bound on disclosure risk."""
        plan = plan_by_rules(self.rules(output), output, removes_tables=self.removes_tables, counts=counts)
        return replace(plan, due=with_rare_records(output, plan.due))

    def transfer(self, output: PublishedOutput) -> TransferFactory | None:
        """A restriction seals the removed records."""
        return partial(RemovedRecordsSealer, self.rules(output)) if self.kind == "restrict" else None
