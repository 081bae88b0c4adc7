"""The report of an output: an HTML page without external content, a summary as text, and the facts of all sections.

Among the sections are collection settings over time, retention, and sharing with recipients. Settings of single persons are
never shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.access.permissions import READ
from minimize.arrow.dictionaries import Bools
from minimize.datasets.pipelines import origin_place
from minimize.errors import PolicyError, redact_errors
from minimize.governance.consent import ConsentStatus, list_consents
from minimize.governance.sharing import list_recalls
from minimize.governance.sharing.recalls import Recall
from minimize.keys import Keyring
from minimize.ledger.kinds import find_disclosures
from minimize.output.folder import batch_date_of
from minimize.pages import render_page
from minimize.policy.model import Policy
from minimize.receipts import files_in_force
from minimize.recipients import Function, Recipient, Recipients, find_recipients, load_recipients
from minimize.recipients.pages import contract_text
from minimize.removal.expiry_plan import expiry_of_output
from minimize.removal.plan import OpenDeadline, RemovalPlan
from minimize.report.context import (
    ReportContext,
    ReportRequest,
    current_runs,
    dates_counted_twice,
    open_report,
    output_facts,
    policy_facts,
    reads_source,
    removal_facts,
    row_flow,
    run_facts,
    total_flow,
)
from minimize.report.facts import (
    ROUNDING_STEP,
    CollectionFacts,
    DueRemoval,
    FunctionFacts,
    OpenEvents,
    OutputFacts,
    PartitionFacts,
    PartitionState,
    RecipientFacts,
    ReportFacts,
    RetentionFacts,
    RoundedCount,
    TenantGroupFacts,
)
from minimize.report.fields import field_facts, undeclared_counts
from minimize.report.figures import draw_figures, table_datasets, table_figures, tables_of
from minimize.report.remaining_risk import risk_facts
from minimize.report.status import report_status, status_json
from minimize.results import Summary
from minimize.settings import SettingsRows
from minimize.settings.evaluation import ExplainableSettings
from minimize.stores import LocationLike, PathText
from minimize.text import count_noun, labelled_lines
from minimize.times import day_start, duration_text, epoch_microseconds, parse_time
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.kinds import Disclosure


MOMENTS_SHOWN: Final = 24
LONGEST_PERIOD: Final = timedelta(days=366)
MOST_NAMED_TENANTS: Final = 30
"""Above this number, tenants are shown in groups with the same settings, without names."""
MOST_GROUPS: Final = 12


def collection_facts(context: ReportContext) -> CollectionFacts | None:
    """Settings over time; None if the policy uses none or none exist. Raises PolicyError, LedgerError, KeyringError."""
    job = context.pipeline
    if job is None:
        return None
    policy = job.policy
    rows = output_settings(context)
    if not (policy.features or policy.levels[1:]) or rows is None or not rows.table.num_rows:
        return None
    return collection_of_settings(policy, rows, context.request.at)


def output_settings(context: ReportContext) -> SettingsRows | None:
    """The settings of the output's runs: those passed by the caller, else those of the last receipt, else the pipeline's."""
    job, origin = context.pipeline, context.newest.origin
    if job is None:
        return None
    written = None if origin is None else origin_place(context.output, origin.settings)
    place = context.request.settings if context.request.settings is not None else written
    if origin is not None and origin.settings == "ledger" and context.request.settings is None:
        place = "ledger"
    return context.workspace.load_settings(place)


def collection_of_settings(policy: Policy, rows: SettingsRows, at: datetime) -> CollectionFacts:
    """Settings over time, as a run at this time evaluates them."""
    tenants = pc.unique(rows.table["tenant_id"]).sort()
    effective_rows, moments = rows.effective_at(at), _spaced_moments(rows, at)
    states = {
        name: np.stack(
            [
                _tenants_turned_on(policy, effective_rows.as_of(epoch_microseconds(when)), name, tenants)
                for when in moments
            ]
        )
        for name in _switch_names(policy)
    }
    groups = _tenant_groups(tenants.to_pylist(), states)[:MOST_GROUPS]
    return CollectionFacts(
        tenants=len(tenants),
        moments=moments,
        on={name: tuple(int(on) for on in state.sum(axis=1)) for name, state in states.items()},
        about={name: _switch_description(policy, name) for name in states},
        groups=groups,
        rest=len(tenants) - sum(group.tenants for group in groups),
    )


def _switch_names(policy: Policy) -> list[str]:
    return [*policy.features, *(f"level {name}" for name in policy.levels[1:])]


def _switch_description(policy: Policy, name: str) -> str:
    feature = policy.features.get(name)
    return "this level or a higher one" if feature is None else feature.about


def _tenants_turned_on(policy: Policy, effective: ExplainableSettings, name: str, tenants: pa.Array) -> Bools:
    switch = policy.switch(name)
    if switch is not None:
        mask = effective.feature_on(switch.of_tenants, tenants, None, None)
    else:
        mask = effective.level_at_least(name.removeprefix("level "), policy.levels, tenants, None, None)
    return np.asarray(mask.to_numpy(zero_copy_only=False), np.bool_)


def _spaced_moments(rows: SettingsRows, at: datetime) -> tuple[datetime, ...]:
    """Evenly spaced times from the first setting, at most a year ago, to now."""
    first = pc.min(rows.table["valid_from"]).as_py()
    start = max(min(first, at - timedelta(days=1)), at - LONGEST_PERIOD)
    return tuple(at - (at - start) * (1 - step / (MOMENTS_SHOWN - 1)) for step in range(MOMENTS_SHOWN))


def _tenant_groups(tenants: Sequence[str], states: Mapping[str, Bools]) -> tuple[TenantGroupFacts, ...]:
    """One group per tenant. If there are many: groups with the same features on now, the largest first, without small ones."""
    if len(tenants) <= MOST_NAMED_TENANTS:
        return tuple(_tenant_group([place], tenants, states) for place in range(len(tenants)))
    now = np.stack([state[-1] for state in states.values()]).T
    _, places = np.unique(now, axis=0, return_inverse=True)
    flat = places.reshape(-1)
    sizes = np.bincount(flat)
    order = [int(each) for each in np.argsort(-sizes, kind="stable") if sizes[each] >= ROUNDING_STEP]
    return tuple(_tenant_group(np.flatnonzero(flat == each).tolist(), (), states) for each in order)


def _tenant_group(places: Sequence[int], tenants: Sequence[str], states: Mapping[str, Bools]) -> TenantGroupFacts:
    return TenantGroupFacts(
        len(places),
        tuple(tenants[place] for place in places) if tenants else (),
        {name: bool(state[-1, places[0]]) for name, state in states.items()},
        {name: float(state[:, places].mean()) for name, state in states.items()},
    )


SOON_DUE: Final = timedelta(days=7)
_AGE_EVENT: Final = "retention"


def retention_facts(context: ReportContext) -> RetentionFacts:
    """Retention of an output. Raises PolicyError, OutputError if no policy can be read."""
    policy = context.policy_of(context.newest) if context.pipeline is None else context.pipeline.policy
    due_and_open = None if context.pipeline is None else context.attempt("overdue removals", lambda: _due_now(context))
    due, events = (None, ()) if due_and_open is None else due_and_open
    features = {
        name: duration_text(feature.retention)
        for name, feature in policy.features.items()
        if feature.retention is not None
    }
    whole = "" if policy.retention is None else duration_text(policy.retention)
    spans = {} if context.pipeline is None else context.pipeline.own_retentions
    partitions = tuple(_partition_facts(context, policy, spans))
    aggregates = {name: duration_text(span) for name, span in spans.items()}
    return RetentionFacts(
        retention=whole, features=features, partitions=partitions, due=due, events=events, aggregates=aggregates
    )


def _partition_facts(
    context: ReportContext, policy: Policy, spans: Mapping[str, timedelta]
) -> Iterator[PartitionFacts]:
    """The batch dates with rows, oldest first, each with the earliest deadline of its outputs."""
    rows: dict[str, RoundedCount] = {}
    ends: dict[str, list[datetime | None]] = {}
    for name, files in files_in_force(context.chain).items():
        for file in files:
            on = batch_date_of(file.path)
            if on is not None:
                rows[on] = rows.get(on, RoundedCount()) + RoundedCount.rounded(file.rows)
                ends.setdefault(on, []).append(_due_time(on, spans.get(name, policy.retention)))
    for on, count in sorted(rows.items()):
        gone_by = min((each for each in ends[on] if each is not None), default=None)
        yield PartitionFacts(on, count, gone_by, _partition_state(gone_by, context.request.at))


def _due_time(on: str, retention: timedelta | None) -> datetime | None:
    """End of retention of the latest possible event of a batch date."""
    if retention is None:
        return None
    return day_start(on) + timedelta(days=1) + retention


def _partition_state(gone_by: datetime | None, at: datetime) -> PartitionState:
    if gone_by is None:
        return "without end"
    return "overdue" if gone_by <= at else "soon" if gone_by <= at + SOON_DUE else "kept"


def _due_now(context: ReportContext) -> tuple[tuple[DueRemoval, ...], tuple[OpenEvents, ...]]:
    """Removals that `expire` would make at this time, and open events. Raises as `expire` does."""
    published = context.published
    workspace = context.workspace.with_pipeline(published.pipeline_of_today())
    workspace.check_changeable(published.chain)
    expiry = expiry_of_output(workspace, published, context.request.at)
    plan = expiry.plan()
    return tuple(_due_removals(plan)), tuple(_events_by_kind(expiry.open_deadlines(plan)))


def _due_removals(plan: RemovalPlan) -> Iterator[DueRemoval]:
    for partition in plan.partitions:
        rows = {reason: RoundedCount.rounded(number) for reason, number in partition.gated.items() if number}
        values = RoundedCount.total(RoundedCount.rounded(number) for number in partition.values.values())
        yield DueRemoval(partition.name, partition.date or "", rows, values)


def _events_by_kind(items: Iterable[OpenDeadline]) -> Iterator[OpenEvents]:
    """Open events by kind, without the subjects concerned."""
    events = sorted((deadline for deadline in items if deadline.kind != _AGE_EVENT), key=lambda deadline: deadline.kind)
    for kind, group in groupby(events, key=lambda deadline: deadline.kind):
        deadlines = list(group)
        yield OpenEvents(
            kind, len(deadlines), sum(each.overdue for each in deadlines), min(each.deadline for each in deadlines)
        )


@dataclass(frozen=True, slots=True)
class SharingHistory:
    """Disclosures, consents and recalls in the ledger."""

    acts: tuple[Disclosure, ...] = field(repr=False)
    consents: tuple[ConsentStatus, ...] = field(repr=False)
    recalls: tuple[Recall, ...] = field(repr=False)


def sharing_facts(context: ReportContext) -> tuple[RecipientFacts, ...] | None:
    """The configured recipients; None if there are none. Raises PolicyError if their list has faults."""
    folder = _recipients_folder(context)
    if folder is None:
        return None
    history = context.attempt("disclosures and consents", lambda: _sharing_history(context, folder))
    return tuple(_recipient_facts(context, folder, history))


def _recipients_folder(context: ReportContext) -> Recipients | None:
    try:
        place = find_recipients(context.request.recipients, start=context.workspace.config)
    except PolicyError:
        if context.request.recipients is not None:
            raise
        return None
    return load_recipients(place)


def _sharing_history(context: ReportContext, folder: Recipients) -> SharingHistory:
    """Disclosures under this output's policy with their recalls, and all consents in the ledger."""
    workspace, at, name = context.workspace, context.request.at, context.newest.policy.name
    with workspace.open_ledger() as ledger:
        acts = [each for each in find_disclosures(ledger) if each.body["policy"]["name"] == name]
    disclosure_ids = {each.disclosure for each in acts}
    recalls = [
        each for each in list_recalls(workspace, folder, at, with_confirmed=True) if each.disclosure in disclosure_ids
    ]
    return SharingHistory(tuple(acts), tuple(list_consents(workspace, at, recipients=folder.folder)), tuple(recalls))


def _recipient_facts(
    context: ReportContext, folder: Recipients, history: SharingHistory | None
) -> Iterator[RecipientFacts]:
    on = context.request.at.date()
    for name in folder.names():
        recipient = context.attempt(f"recipient {name}", partial(folder.load, name))
        if recipient is not None:
            functions = tuple(
                _function_facts(recipient, function, history) for function in (*recipient.outbound, *recipient.inbound)
            )
            contract = recipient.contract
            may_act = folder.is_listed(recipient, on) and contract is not None and contract.holds(on)
            text = "no contract" if contract is None else contract_text(contract)
            yield RecipientFacts(name, recipient.standing, text, may_act, functions)


def _function_facts(recipient: Recipient, function: Function, history: SharingHistory | None) -> FunctionFacts:
    head = (function.name, function.direction, function.purpose, len(function.shared))
    if history is None:
        return FunctionFacts(*head)
    function_key = (recipient.recipient, function.name)
    acts = [each for each in history.acts if (each.recipient, each.function) == function_key]
    consents = [
        consent.holds is True
        for consent in history.consents
        if (consent.act.recipient, consent.act.function) == function_key
    ]
    recalls = Counter(
        _recall_state(recall) for recall in history.recalls if (recall.recipient, recall.function) == function_key
    )
    return FunctionFacts(
        *head,
        consented=sum(consents),
        not_consented=len(consents) - sum(consents),
        acts=len(acts),
        rows=RoundedCount.total(RoundedCount.rounded(act.rows) for act in acts),
        last=max((act.recorded_at for act in acts), default=None),
        recalls=dict(sorted(recalls.items())),
    )


def _recall_state(recall: Recall) -> str:
    return "overdue" if recall.overdue else recall.state


_LABEL_WIDTH: Final = 16


def render_summary(facts: ReportFacts, width: int) -> str:
    """The report as lines of text, without a newline at the end."""
    dates = f", {facts.dates[0]} to {facts.dates[-1]}" if facts.dates else ""
    title = f"{facts.pipeline}: {count_noun(len(facts.runs), 'run')}{dates}, for {', '.join(facts.purposes)}"
    return "\n".join([title, *labelled_lines(_summary_lines(facts), _LABEL_WIDTH, width)])


def _summary_lines(facts: ReportFacts) -> Iterator[tuple[str, str]]:
    yield "status", str(report_status(facts)).replace("`", "")
    yield "rows", _rows_line(facts)
    yield "quarantined as", ", ".join(f"{code} {count}" for code, count in facts.flow.quarantined.items())
    for output in facts.outputs:
        small = f"; {output.suppressed} groups too small to show" if output.suppressed else ""
        noise = f"; counts of subjects have noise, ± {output.count_sd:.1f}" if output.count_sd else ""
        older = f"; {output.older_text}" if output.older else ""
        yield output.name, f"{_row_noun(output)}, {output.category}{output.encryption_text}{small}{noise}{older}"
    for table in facts.tables:
        errors = "exact" if table.is_exact else "with error bars"
        yield "figures", f"{table.title}: {count_noun(len(table.rows), 'row')}, {errors}"
    yield "fields", _fields_line(facts)
    yield "can be learned", _risk_line(facts)
    yield "collection", _collection_line(facts)
    yield "retention", _retention_line(facts)
    yield "sharing", _sharing_line(facts)
    for policy in facts.policies:
        yield "policy", f"{policy.name} {policy.version}, {count_noun(policy.runs, 'run')}, {policy.approval_text}"
    yield "lint errors", _allowed_line(facts)
    yield "receipts", f"{facts.receipts}; signatures {facts.signatures}"
    yield "turned off", ", ".join(facts.missing_protections)
    for hidden in facts.hidden:
        yield "not shown", f"{hidden.what}: {hidden.why}"


def _rows_line(facts: ReportFacts) -> str:
    if facts.flow.read.hidden:
        return "not shown"
    parts = [f"{count} {name}" for name, count in facts.flow.parts.items() if count]
    text = f"{facts.flow.read} read = {' + '.join(parts) or '0'}"
    twice = "; ran again, and counted more than once: " + ", ".join(facts.counted_twice) if facts.counted_twice else ""
    return text + twice


def _row_noun(output: OutputFacts) -> str:
    """The number of rows in words."""
    return f"{output.rows} {'row' if output.rows == RoundedCount(1) else 'rows'}"


def _allowed_line(facts: ReportFacts) -> str:
    """The lint errors that runs in force were allowed to have, with the number of these runs."""
    codes = Counter(code for run in facts.runs if run.in_force for code in run.allowed)
    return ", ".join(f"{code} allowed in {count_noun(number, 'run')}" for code, number in sorted(codes.items()))


def _fields_line(facts: ReportFacts) -> str:
    if not facts.fields:
        return ""
    counted = f"{facts.only_counted} only in statistics, " if facts.only_counted else ""
    return f"{facts.dropped} dropped, {counted}{facts.changed_fields} made coarser or replaced, {facts.unchanged} unchanged"


def _risk_line(facts: ReportFacts) -> str:
    risk = facts.risk
    if risk is None or not risk.quasi_identifiers or risk.k is None:
        return ""
    unique = f"{risk.unique_persons} of {risk.persons} persons are unique by {risk.known_fields}"
    return f"{unique} (k {risk.k}); {'bounded' if risk.bound else 'no bound'}"


def _collection_line(facts: ReportFacts) -> str:
    collection = facts.collection
    if collection is None:
        return ""
    on = ", ".join(f"{name} {numbers[-1]}" for name, numbers in collection.on.items())
    return f"{count_noun(collection.tenants, 'tenant')}; turned on: {on}"


def _retention_line(facts: ReportFacts) -> str:
    kept = facts.retention.retention or "without limit"
    late = f"; {facts.retention.overdue} OVERDUE" if facts.retention.overdue else "; nothing overdue"
    return f"kept {kept}{late}" if facts.retention.due is not None else f"kept {kept}"


def _sharing_line(facts: ReportFacts) -> str:
    functions = [function for recipient in facts.sharing or () for function in recipient.functions]
    acts = [function.acts for function in functions if function.acts is not None]
    return (
        f"{count_noun(len(facts.sharing), 'recipient')}, {count_noun(sum(acts), 'disclosure')}" if facts.sharing else ""
    )


MOST_FIELDS: Final = 40
"""The fields of high risk that the page shows at first; further ones are folded."""


@dataclass(frozen=True, slots=True)
class OutputReport:
    """A report of an output: its facts, and the ways to show them."""

    facts: ReportFacts = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """The status and the facts as a JSON object."""
        return {"status": status_json(report_status(self.facts)), **self.facts.to_json()}

    def summary(self, width: int = 100) -> str:
        """The facts in a few lines of at most `width` characters. A single longer word may exceed it."""
        return render_summary(self.facts, width)

    def lines(self) -> tuple[Summary]:
        """The summary."""
        return (self,)

    def html(self) -> str:
        """The facts as one HTML page without external content."""
        return render_page(
            "report.html",
            facts=self.facts,
            status=report_status(self.facts),
            figures=draw_figures(self.facts),
            tables=[(table, list(table_figures(table))) for table in self.facts.tables],
            most_fields=MOST_FIELDS,
        )


@redact_errors
def create_report(
    output: LocationLike,
    *,
    at: datetime | str | None = None,
    pipeline: PathText | None = None,
    settings: PathText | None = None,
    recipients: PathText | None = None,
    keys: Keyring | PathText | None = None,
    ledger: PathText | None = None,
    source: bool = False,
    sealed_counts: bool = False,
    tables: Sequence[str] = (),
) -> OutputReport:
    """Report the data read and released, its form, retention and recipients, from receipts, policies, settings and ledger.

    Takes the output folder and the time of the report (aware; default: now). Optional: pipeline, settings, recipients, keyring
    and ledger in place of the ones found by default. With `source`, the source is read again to count its distinct values, if
    it still matches the receipts; dropped fields are not read. Parts that are not available are left out and listed.

    With `sealed_counts`, the counts that receipts do not show are opened with the keyring: suppressed groups, and rows of runs
    without records. Such a report can reveal small groups.

    `tables` are aggregates whose published figures are drawn with their error bars. Everything else in the report is rounded,
    except the numbers of rows of tables, and it has no value of a record.

    Raises OutputError if there are no receipts or one is damaged, or if a table has no rows; CheckFailed if the receipts fail
    their check; and ConfigurationError, KeyringError or PolicyError for a table that does not exist, and for a given file that
    cannot be used.
    """
    with Workspace(ledger, output, pipeline, keys, shown=(output,)) as workspace:
        workspace.require("run/read")
        for dataset, category in table_datasets(output, tables):
            workspace.require(READ, dataset=dataset, category=category)
        request = ReportRequest(
            at=parse_time(at, "at") or workspace.now,
            settings=settings,
            recipients=recipients,
            source=source,
            sealed_counts=sealed_counts,
            tables=tuple(tables),
        )
        return report_of(workspace, request)


def report_of(workspace: Workspace, request: ReportRequest) -> OutputReport:
    """The report of the output of a workspace, as `create_report` makes it."""
    return OutputReport(_collect_facts(open_report(workspace, request)))


def _collect_facts(context: ReportContext) -> ReportFacts:
    chain, newest = context.chain, context.newest
    if any(each.rows.is_sealed for each in current_runs(chain)):
        context.hide(
            "number of rows read and written", "together with an aggregate's counts they would reveal small groups"
        )
    runs = tuple(run_facts(chain))
    sharing = context.attempt("sharing", lambda: sharing_facts(context))
    collection = context.attempt("collection settings of tenants", lambda: collection_facts(context))
    fields = context.attempt("fields", lambda: field_facts(context)) or ()
    risk = context.attempt("what can still be learned", lambda: risk_facts(context))
    retention = context.attempt("retention", lambda: retention_facts(context)) or RetentionFacts("", {}, (), None, ())
    return ReportFacts(
        pipeline=newest.pipeline,
        purposes=tuple(sorted({each.purpose for each in filter(reads_source, chain)})),
        at=context.request.at,
        dates=tuple(sorted({on for receipt in current_runs(chain) for on in receipt.dates})),
        receipts=len(chain),
        signatures="not checked, because no keyring was found" if context.keys is None else "checked and valid",
        flow=total_flow([row_flow(each) for each in current_runs(chain)]),
        removals=tuple(removal_facts(chain)),
        outputs=tuple(output_facts(chain)),
        fields=fields,
        undeclared=undeclared_counts(chain),
        collection=collection,
        retention=retention,
        sharing=sharing,
        runs=runs,
        policies=tuple(policy_facts(chain)),
        hidden=tuple(context.hidden),
        missing_protections=context.workspace.config.missing_protections,
        risk=risk,
        tables=tuple(tables_of(context)),
        counted_twice=tuple(dates_counted_twice(chain)),
        quarantine_limit=_quarantine_limit(context),
    )


def _quarantine_limit(context: ReportContext) -> float | None:
    """The lowest share of quarantined rows at which a run of the current pipeline warns or stops."""
    if context.pipeline is None:
        return None
    limits = context.pipeline.quarantine
    return min((each for each in (limits.warning_share, limits.highest_share) if each is not None), default=None)
