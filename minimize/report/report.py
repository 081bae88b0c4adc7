"""`report_of`: an output as people are told of it, as facts, as a page, and in a few lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from os import PathLike
from typing import Any

from minimize.errors import KeyringError, without_values
from minimize.job.releases import Releases
from minimize.keys import Keyring
from minimize.policy.model import Policy
from minimize.receipt import Receipt
from minimize.report.collecting import collection_of
from minimize.report.facts import Facts, Retention
from minimize.report.fielding import fields_of, undeclared_of
from minimize.report.flowing import current, flow_of, hides_rows, outputs_of, policies_of, removals_of, runs_of, sum_of
from minimize.report.keeping import retention_of
from minimize.report.shared import sharing_of
from minimize.report.standing import Asked, Standing, is_run, stand
from minimize.report.summary import summary
from minimize.stores import Anywhere
from minimize.times import moment

PathLike_ = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Report:
    """A report of an output: its facts, and the ways to show them."""

    facts: Facts = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The facts as a JSON object."""
        return self.facts.as_json()

    def summary(self, width: int = 100) -> str:
        """The facts in a few lines, of at most so many characters where words allow."""
        return summary(self.facts, width)

    def html(self) -> str:
        """The facts as one page of HTML that fetches nothing. Raises ConfigurationError without `minimize[report]`."""
        from minimize.report.page import page

        return page(self.facts)


@without_values
def report_of(
    output: Anywhere,
    *,
    at: datetime | str | None = None,
    pipeline: PathLike_ | None = None,
    settings: PathLike_ | None = None,
    recipients: PathLike_ | None = None,
    keys: Keyring | PathLike_ | None = None,
    ledger: PathLike_ | None = None,
    source: bool = False,
) -> Report:
    """What came in and what went out, in which form, for how long, and to whom: from receipts, policies, settings and ledger.

    Takes the output folder; the time as of which it is told (aware; now); and what stands in for the pipeline, settings,
    recipients, keyring and ledger that are found otherwise. With `source` the source is read again, where it is what the receipts
    tell, to count the distinct values that came in; of fields that are dropped nothing is read. What cannot be had is left out,
    and the report says so.

    Gives rounded counts alone, and no value of a record. Raises OutputError where there are no receipts or one is damaged,
    CheckFailed where they do not hold together, ConfigurationError, KeyringError or PolicyError for what was named and cannot
    be used.
    """
    asked = Asked(moment(at, "at") or datetime.now(UTC), pipeline, settings, recipients, keys, ledger, source)
    return Report(_told(stand(output, asked)))


def _told(standing: Standing) -> Facts:
    chain, newest = standing.chain, standing.newest
    if any(hides_rows(each) for each in current(chain)):
        standing.hide(
            "how many rows were read and written", "with an aggregate's counts they would tell of small groups"
        )
    runs = tuple(runs_of(chain))
    sharing = standing.try_to("sharing", lambda: sharing_of(standing))
    collection = standing.try_to("what tenants have turned on", lambda: collection_of(standing))
    fields = standing.try_to("fields", lambda: fields_of(standing)) or ()
    retention = standing.try_to("retention", lambda: retention_of(standing)) or Retention("", {}, (), None, ())
    return Facts(
        pipeline=newest.pipeline,
        purposes=tuple(sorted({each.purpose for each in filter(is_run, chain)})),
        at=standing.asked.at,
        dates=tuple(sorted({on for each in current(chain) for on in each.dates})),
        receipts=len(chain),
        signatures="not checked: no keyring is named here"
        if standing.keys is None
        else "checked, and they hold together",
        flow=sum_of([flow_of(each) for each in current(chain)]),
        removals=tuple(removals_of(chain)),
        outputs=tuple(outputs_of(chain, partial(_deferred, standing))),
        fields=fields,
        undeclared=undeclared_of(chain),
        collection=collection,
        retention=retention,
        sharing=sharing,
        runs=runs,
        policies=tuple(policies_of(chain, partial(_policy, standing))),
        hidden=tuple(standing.hidden),
    )


def _deferred(standing: Standing, name: str) -> int | None:
    def counted() -> int:
        if standing.keys is None:
            raise KeyringError("no keyring")
        return Releases.of(standing.output, standing.chain, standing.keys, standing.kms).deferred(name)

    return standing.try_to(f"how many rows of {name} are deferred", counted)


def _policy(standing: Standing, receipt: Receipt) -> Policy | None:
    return standing.try_to(
        f"policy {receipt.policy.name} {receipt.policy.version}", lambda: standing.policy_of(receipt)
    )
