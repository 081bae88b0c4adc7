"""What a payload is made with: the plan bound to the recipient's keys, and the records of tenants that agreed."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from minimize.consent import ConsentPeriods
from minimize.engines.base import Job, row_key
from minimize.engines.passes import deduplicates
from minimize.governance.sharing.asked import Asked
from minimize.governance.sharing.connecting import Passing
from minimize.governance.sharing.consented import AgreedSource, Tenants
from minimize.governance.sharing.keyed import RecipientKeys
from minimize.governance.sharing.planning import Planned
from minimize.minimizer import Prepared
from minimize.plan import Plan
from minimize.recipients.refusals import differing
from minimize.settings.erased import ErasedRows
from minimize.spill import Aside, find_budget
from minimize.stages.generalize import memos_of
from minimize.verification.forms import Forms


@dataclass(frozen=True, slots=True)
class Making:
    """The job, what it reads, and what stays from batch to batch.

    schema   of what leaves
    forms    what it must look like
    passing  what the connector gets, where secrets pass through it
    """

    job: Job
    source: AgreedSource
    bound: Prepared
    schema: pa.Schema
    forms: Forms
    passing: Passing | None = None


def making(
    asked: Asked,
    planned: Planned,
    plan: Plan,
    tenants: Tenants,
    gone: ErasedRows,
    agreed: ConsentPeriods | None = None,
) -> Making:
    """What the payload of a planned act is made with.

    Takes what the ledger tells of those whose records must not come back, and, of records that another third party sent, when
    tenants agreed to receive them.
    """
    if planned.source is None:
        raise differing("it was not planned")
    keys, whole = RecipientKeys(asked.keys), planned.joined or plan
    bound = Prepared.of(whole, keys)
    job = Job(
        whole,
        asked.at,
        keys,
        None if planned.settings is None else planned.settings.at(asked.at),
        row_key=row_key(asked.keys),
        memos=memos_of(whole),
        aside=Aside(find_budget(asked.folder)),
        bound=None if deduplicates(whole) else bound.stages,
        erased=gone.at(asked.at, whole.policy.future),
        consents=agreed,
    )
    source = AgreedSource(planned.source, tenants)
    schema = bound.schema if planned.joined is None else Prepared.of(plan, keys).schema
    forms = Forms.of(schema, planned.declared)
    if forms.unchecked:
        raise differing(f"nobody can tell the form of {', '.join(forms.unchecked)}")
    passing = None if planned.joined is None else Passing(bound.schema, planned.passing)
    return Making(job, source, bound, schema, forms, passing)
