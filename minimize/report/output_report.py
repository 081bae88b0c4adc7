"""The report of an output: an HTML page without external content, a summary as text, and the facts of all sections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from minimize.access.permissions import READ
from minimize.errors import redact_errors
from minimize.keys import Keyring
from minimize.pages import render_page
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
from minimize.report.facts import OutputFacts, ReportFacts, RetentionFacts, RoundedCount
from minimize.report.fields import field_facts, undeclared_counts
from minimize.report.figures import draw_figures, table_figures
from minimize.report.sections import collection_facts, retention_facts, sharing_facts
from minimize.report.table_figures import table_datasets, tables_of
from minimize.results import Summary
from minimize.stores import LocationLike, PathText
from minimize.text import count_noun, labelled_lines
from minimize.times import parse_time
from minimize.workspace import Workspace

_LABEL_WIDTH: Final = 16


def render_summary(facts: ReportFacts, width: int) -> str:
    """The report as lines of text, without a newline at the end."""
    dates = f", {facts.dates[0]} to {facts.dates[-1]}" if facts.dates else ""
    title = f"{facts.pipeline}: {count_noun(len(facts.runs), 'run')}{dates}, for {', '.join(facts.purposes)}"
    return "\n".join([title, *labelled_lines(_summary_lines(facts), _LABEL_WIDTH, width)])


def _summary_lines(facts: ReportFacts) -> Iterator[tuple[str, str]]:
    yield "rows", _rows_line(facts)
    yield "quarantined as", ", ".join(f"{code} {count}" for code, count in facts.flow.quarantined.items())
    for each in facts.outputs:
        small = f"; {each.suppressed} groups too small to show" if each.suppressed else ""
        noise = f"; counts of subjects have noise, ± {each.count_sd:.1f}" if each.count_sd else ""
        older = f"; {each.older_text}" if each.older else ""
        yield each.name, f"{_row_noun(each)}, {each.category}{each.encryption_text}{small}{noise}{older}"
    for table in facts.tables:
        errors = "exact" if table.is_exact else "with error bars"
        yield "figures", f"{table.title}: {count_noun(len(table.rows), 'row')}, {errors}"
    yield "fields", _fields_line(facts)
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


def _collection_line(facts: ReportFacts) -> str:
    found = facts.collection
    if found is None:
        return ""
    on = ", ".join(f"{name} {numbers[-1]}" for name, numbers in found.on.items())
    return f"{count_noun(found.tenants, 'tenant')}; turned on: {on}"


def _retention_line(facts: ReportFacts) -> str:
    kept = facts.retention.retention or "without limit"
    late = f"; {facts.retention.overdue} OVERDUE" if facts.retention.overdue else "; nothing overdue"
    return f"kept {kept}{late}" if facts.retention.due is not None else f"kept {kept}"


def _sharing_line(facts: ReportFacts) -> str:
    each = [function for recipient in facts.sharing or () for function in recipient.functions]
    acts = [function.acts for function in each if function.acts is not None]
    return (
        f"{count_noun(len(facts.sharing), 'recipient')}, {count_noun(sum(acts), 'disclosure')}" if facts.sharing else ""
    )


@dataclass(frozen=True, slots=True)
class OutputReport:
    """A report of an output: its facts, and the ways to show them."""

    facts: ReportFacts = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """The facts as a JSON object."""
        return self.facts.to_json()

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
            figures=draw_figures(self.facts),
            tables=[(table, list(table_figures(table))) for table in self.facts.tables],
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
    workspace = Workspace(ledger, output, pipeline, keys, shown=(output,))
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
    retention = context.attempt("retention", lambda: retention_facts(context)) or RetentionFacts("", {}, (), None, ())
    return ReportFacts(
        pipeline=newest.pipeline,
        purposes=tuple(sorted({each.purpose for each in filter(reads_source, chain)})),
        at=context.request.at,
        dates=tuple(sorted({on for each in current_runs(chain) for on in each.dates})),
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
        tables=tuple(tables_of(context)),
        counted_twice=tuple(dates_counted_twice(chain)),
    )
