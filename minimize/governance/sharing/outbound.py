"""Sharing with a third party: `share` and `share explain`.

`share` makes the plan and the payload, records the disclosure, and delivers the payload. `share explain` lists every reason
against a share.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minimize.arrow.interchange import native_converter
from minimize.arrow.pointers import Pointer
from minimize.consent import Consents, load_consents
from minimize.datasets.pipelines import LEDGER_SETTINGS, outputs_made_of
from minimize.errors import ConfigurationError, LedgerError, PolicyError, RefusalReason, redact_errors
from minimize.forms.values import CategoryName
from minimize.governance.sharing.connector import Connector, call_connector
from minimize.governance.sharing.consent_filter import (
    ConsentCheck,
    ConsentedSource,
    SenderFunction,
    TenantFilter,
    consent_check,
    receiving_consents,
    senders_of,
)
from minimize.governance.sharing.disclosures import (
    ShareSummary,
    commit_disclosure,
    reasons_of_tenants,
    refuse_share,
    summarize_payload,
    summarize_share,
)
from minimize.governance.sharing.export_file import StagedExport
from minimize.governance.sharing.payload import (
    DiscardedPayload,
    InMemoryPayload,
    PayloadContext,
    PayloadSink,
    PayloadStats,
    make_payload,
    payload_context,
)
from minimize.governance.sharing.plan import (
    ResolvedShare,
    SharePlan,
    ShareRequest,
    plan_share,
    resolve_share,
    tenant_column_source,
)
from minimize.keys import Keyring
from minimize.output.folder import has_runs
from minimize.plan import Plan
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.recipients import Function, Recipient, Recipients
from minimize.recipients.rules import find_party, payload_differs_error, purpose_reasons, tenant_reason
from minimize.results import json_object
from minimize.runs.minimizer import log_left_out
from minimize.runs.overrides import require_share_override
from minimize.settings.erasures import RecordedErasures
from minimize.settings.tenants import UnknownTenant, settings_tenants, unknown_among, unknown_tenant_json
from minimize.stores import Location, ObjectPath, PathText, parse_output_location
from minimize.times import Clock, parse_time
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.kinds import Disclosure
    from minimize.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class ShareOutcome:
    """Result of a share: the payload or its file, the summary, and the recorded disclosure."""

    payload: Any = field(repr=False)
    summary: ShareSummary
    disclosure: Disclosure | None = None

    @property
    def disclosure_id(self) -> str:
        """The id of the recorded disclosure."""
        return "" if self.disclosure is None else self.disclosure.disclosure

    def to_json(self) -> dict[str, Any]:
        """The summary, the disclosure and the file."""
        return {**self.summary.to_json(), "disclosure": self.disclosure_id, "file": str(self.payload)}

    def lines(self) -> Iterator[str]:
        """The summary, then the file and the disclosure."""
        yield from self.summary.lines()
        yield f"{self.payload}: disclosure {self.disclosure_id}"


@dataclass(frozen=True, slots=True)
class ShareOperation:
    """One planned share."""

    share: ResolvedShare
    plan: SharePlan
    clock: Clock
    """Current time; consents are checked again before the payload is delivered."""
    senders: frozenset[SenderFunction] = frozenset()
    """Third parties from which the data was received, according to the receipts of an output."""

    def preview(self) -> ShareSummary:
        """The summary of a dry run: the data that would be sent, and the reasons for the rest."""
        plan = self._executable_plan()
        if plan is None:
            return summarize_share(self.share, self.plan, reasons=self._reasons_of_consents())
        with self.share.workspace.open_ledger(signs=True) as ledger:
            tenants = self._tenants(self.share.consents(ledger))
            stats = make_payload(self._payload_context(ledger, plan, tenants), DiscardedPayload())
            return summarize_payload(self.share, self.plan, stats, tenants)

    def execute(self, original: Any, to: Path | None) -> ShareOutcome:
        """Makes, records and delivers the payload. Raises NotPermitted with every reason at once."""
        plan = self._executable_plan()
        if plan is None:
            raise self._refusal(summarize_share(self.share, self.plan, reasons=self._reasons_of_consents()))
        with self.share.workspace.open_ledger(signs=True) as ledger:
            tenants = self._tenants(self.share.consents(ledger))
            context = self._payload_context(ledger, plan, tenants)
            if to is None:
                memory_sink = InMemoryPayload()
                outcome = self._make_and_record(ledger, tenants, context, memory_sink)
                return replace(outcome, payload=native_converter(original)(context.schema, memory_sink.all_batches()))
            file = StagedExport(to, context.schema)
            try:
                outcome = self._make_and_record(ledger, tenants, context, file)
                return replace(outcome, payload=file.publish())
            finally:
                file.discard()

    def _payload_context(self, ledger: Ledger, plan: Plan, tenants: TenantFilter) -> PayloadContext:
        erasures, consents = (
            RecordedErasures.from_ledger(ledger),
            receiving_consents(self.share, self.senders, ledger),
        )
        return payload_context(self.share, self.plan, plan, tenants, erasures, consents)

    def _executable_plan(self) -> Plan | None:
        """The plan. None if a rule forbids the whole share."""
        return None if self.plan.reasons_against else self.plan.plan

    def _make_and_record(
        self, ledger: Ledger, tenants: TenantFilter, context: PayloadContext, sink: PayloadSink
    ) -> ShareOutcome:
        stats = make_payload(context, sink)
        log_left_out(stats.rejected)
        summary = summarize_payload(self.share, self.plan, stats, tenants)
        if not summary.permitted:
            raise self._refusal(summary)
        file = _finish_file(sink, stats) if isinstance(sink, StagedExport) else None
        _check_tenants(stats, tenants)
        record = commit_disclosure(ledger, self.share, self.plan, stats, tenants, summary, file, self.clock)
        if context.secrets is not None and self.share.request.connector is not None:
            call_connector(self.share.request.connector, context.secrets.pop_table())
        return ShareOutcome(None, summary, record)

    def _reasons_of_consents(self) -> tuple[RefusalReason, ...]:
        """The consent reasons of a share that is refused anyway, as far as consents can be read."""
        if self.plan.recipient_policy is None or not self.plan.recipient_policy.sent_fields:
            return ()
        with suppress(LedgerError), self.share.workspace.open_ledger(signs=True) as ledger:
            tenants = self._tenants(self.share.consents(ledger))
            for part in ConsentedSource(tenant_column_source(self.plan), tenants).parts:
                for _ in part.read():
                    pass
            return tuple(reasons_of_tenants(self.share, tenants))
        return ()

    def _tenants(self, consents: Consents) -> TenantFilter:
        return TenantFilter(
            consent_check(self.share, self.plan, consents), Pointer.parse(self.plan.data_policy.tenant or "")
        )

    def _refusal(self, summary: ShareSummary) -> Exception:
        return refuse_share(self.share, summary, self.clock())


def _finish_file(file: StagedExport, stats: PayloadStats) -> Mapping[str, Any]:
    digest, rows = file.finish()
    if rows != stats.rows:
        raise payload_differs_error("its file does not contain the rows of the payload")
    return {"name": file.path.name, "format": file.format, "digest": digest}


def _check_tenants(stats: PayloadStats, tenants: TenantFilter) -> None:
    """Raises NotPermitted if the payload has rows without a tenant, or of a tenant without consent."""
    if stats.tenants.total() != stats.rows:
        raise payload_differs_error("some of its records have no tenant")
    if any(tenants.verdicts[name].consent is None for name in stats.tenants):
        raise payload_differs_error("it contains records of tenants that did not consent")


@redact_errors
def share(
    data: Any,
    *,
    recipient: str | Recipient,
    function: str,
    policy: Policy | PathText | None = None,
    pipeline: Pipeline | PathText | None = None,
    purpose: str | None = None,
    settings: Any = None,
    keys: Keyring | PathText | None = None,
    ledger: PathText | None = None,
    recipients: Recipients | PathText | None = None,
    fields: Collection[str] | None = None,
    must_be: CategoryName | None = None,
    at: datetime | str | None = None,
    to: PathText | None = None,
    connector: Connector | None = None,
    dry_run: bool = False,
) -> Any:
    """Makes the data that a recipient may get for a function, and records the disclosure.

    Manifest, contract, authorization by the tenant, collection settings and policy must all permit a row and a field. Rows of
    tenants that have not authorized the function are left out. The policy's technique is applied first, then the manifest's. A
    null stays null. What the recipient can learn about a value is what both techniques leave of it. `share` sends nothing: send
    the result yourself, or pass a `connector`. The signed disclosure is in the ledger before any data is delivered.

    Args:
        data: Data in memory (as for `apply`), a file of records, or the output folder of a pipeline: its current records.
        recipient: The name of the recipient, or a loaded Recipient.
        function: The function of the recipient.
        policy: The policy of the data. Pass either a policy or a pipeline.
        pipeline: The pipeline of the data, for its policy and settings.
        purpose: The purpose. If you pass one, it must be that of the function.
        settings: The collection settings, as for `apply`.
        keys: The keyring or its path. It signs the disclosure.
        ledger: The ledger with the authorizations and contracts (default: `MINIMIZE_LEDGER`, else that of the configuration).
        recipients: The folder of recipients (default: that of the configuration).
        fields: The fields to send, if fewer than all permitted ones.
        must_be: The highest permitted category: `aggregated`, `pseudonymized` or `identified`.
        at: The time of the share, with a time zone (default: now). In the past, it requires `dry_run`. In the future, all rules
            must hold both now and then.
        to: The path of a new Parquet, NDJSON or CSV file.
        connector: A function that is called once with a table of the payload and of the pass-through secrets (`pass_through`
            in the manifest). No result, file, digest, count or record contains these secrets.
        dry_run: Whether to return only a summary, and to record nothing.

    Returns:
        Data of the type of `data` (a pyarrow Table for files), or with `to` the path of the file. With `dry_run`, a
        `ShareSummary` of the data that would be sent, and of the reasons for the rest.

    Raises:
        NotPermitted: Nothing may be sent, or an authorization ended while the data was made. `reasons` has every reason.
        ConfigurationError: `at` is in the past without `dry_run`; or the connector failed (E212): then the disclosure stays
            recorded, and it is unknown what arrived.
        PolicyError: There is no such recipient, or a file has faults.
        KeyringError: There is no keyring to sign the disclosure with.
        LedgerError: The ledger cannot be used.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> receipt = minimize.run("pipelines/support_cases", date=day)
        >>> summary = minimize.share(
        ...     "out/support_cases",
        ...     pipeline="pipelines/support_cases",
        ...     recipient="support_desk",
        ...     function="case_handover",
        ...     dry_run=True,
        ... )
        >>> summary.permitted, list(summary.tenants)
        (True, ['contoso'])
    """
    request = ShareRequest(
        recipient, function, policy, settings, recipients, purpose, fields, must_be, at, connector, dry_run
    )
    with Workspace(ledger, pipeline=pipeline, keys=keys) as workspace:
        operation = prepare_share(workspace, request, data)
        return operation.preview() if dry_run else operation.execute(data, None if to is None else Path(to)).payload


def prepare_share(workspace: Workspace, request: ShareRequest, data: Any = None) -> ShareOperation:
    """Plans a share without executing it, for callers that also need the summary and the disclosure.

    Takes the data as `share` does; without it, the output of the pipeline is shared. Raises faults of configuration. Refusals are
    raised later, all at once.
    """
    job = workspace.loaded_pipeline
    data = str(job.folder / job.output) if data is None and job is not None else data
    shown = workspace.showing(*_concerned_outputs(data, job))
    if not request.dry_run:
        _check_not_past(parse_time(request.at, "at"), shown.now)
    shown.require("share/send", about=request.recipient_name)
    require_share_override(job, request.settings, shown)
    share = resolve_share(shown, request)
    return ShareOperation(share, plan_share(share, data), shown.clock, senders_of(data))


def _concerned_outputs(data: Any, job: Pipeline | None) -> Iterator[Location]:
    """The outputs whose rules decide, if something was published to them: the shared one, that of the pipeline, and those that
    were made of the shared file."""
    places = [data] if isinstance(data, str | PathLike | ObjectPath) else []
    derived_outputs = outputs_made_of(Path(data)) if isinstance(data, str | PathLike) else ()
    places += [] if job is None else [job.target()]
    published_outputs = (place for place in map(parse_output_location, places) if has_runs(place))
    yield from dict.fromkeys((*published_outputs, *derived_outputs))


def _check_not_past(at: datetime | None, now: datetime) -> None:
    """Rejects an `at` in the past. Consents of that time do not permit sending data now."""
    if at is not None and at < now:
        hint = "Omit `at` to send as of now, or pass dry_run=True."
        raise ConfigurationError("an `at` in the past requires a dry run; data is always sent as of now", hint=hint)


@dataclass(frozen=True, slots=True)
class ShareExplanation:
    """Whether data may be shared with a recipient for a function, and every reason against it."""

    recipient: str
    function: str
    tenant: str | None
    fields: tuple[str, ...]
    consent: str | None
    reasons: tuple[RefusalReason, ...]
    unknown_tenant: UnknownTenant | None = None
    """The tenant, if neither the ledger nor the pipeline's settings name it."""

    @property
    def permitted(self) -> bool:
        """Whether the share is permitted."""
        return not self.reasons

    def lines(self) -> Iterator[str]:
        """The fields that may be received, the rules that forbid it, and the consent."""
        received = ", ".join(self.fields) if self.permitted else "nothing"
        yield f"{self.recipient}, {self.function}: may receive {received}"
        yield from (f"  {each.code} {each}" for each in self.reasons)
        if self.unknown_tenant is not None:
            yield f"  {self.unknown_tenant}"
        if self.consent:
            yield f"  consent {self.consent}"

    def to_json(self) -> dict[str, Any]:
        """The output of `share explain --json`."""
        known = {} if self.tenant is None else unknown_tenant_json(self.unknown_tenant)
        body = {"recipient": self.recipient, "function": self.function, "tenant": self.tenant, **known}
        answer = {"permitted": self.permitted, "fields": self.fields, "consent": self.consent}
        return json_object({**body, **answer, "reasons": self.reasons})


def explain_share(
    recipient: str,
    function: str,
    workspace: Workspace,
    recipients: Recipients | PathText | None,
    now: datetime,
    *,
    tenant: str | None = None,
) -> ShareExplanation:
    """Explains whether the records of a tenant may be shared with a recipient for a function. Reads no records.

    Without a tenant, consents, contracts of tenants and prerequisites are not checked; the fields are then those of the contract
    in the recipient's file. With a configured pipeline, the purpose is checked against its policy.
    """
    workspace.require("share/read", tenant=tenant)
    party = find_party(recipient, function, "outbound", recipients, workspace.config, (now,))
    manifest, job = party.manifest, workspace.loaded_pipeline
    offered = party.recipient.contract
    reasons = [*party.objections()]
    reasons += [] if manifest is None or job is None else purpose_reasons(None, manifest, job.policy.purposes)
    named = () if manifest is None else tuple(manifest.shared)
    fields = tuple(key for key in named if offered is not None and offered.permits(key))
    consent, unknown = None, None
    if tenant is not None and manifest is not None:
        with workspace.open_ledger(signs=workspace.keyring_or_none is not None) as ledger:
            unknown = _unknown_tenant(tenant, workspace, ledger.tenants())
            consents = load_consents(ledger, workspace.config, recipient=recipient)
            if party.recipient.standing == "independent_controller":
                contract = consents.agreements.contract_on(recipient, tenant, now.date(), now)
                fields = tuple(key for key in named if contract is not None and contract.permits(key))
            verdict = ConsentCheck(party.recipient, function, fields, consents, (now,))([tenant])[tenant]
        consent = verdict.consent
        gaps = _tenant_gaps(party.recipient, manifest, fields, tenant, consents, now)
        words = dict.fromkeys(word for word in (verdict.refusal, *gaps) if word is not None)
        reasons += [tenant_reason(word, 1, None, party.recipient, function) for word in words]
    return ShareExplanation(
        recipient=recipient,
        function=function,
        tenant=tenant,
        fields=fields,
        consent=consent,
        reasons=tuple(reasons),
        unknown_tenant=unknown,
    )


def _tenant_gaps(
    recipient: Recipient, function: Function, fields: tuple[str, ...], tenant: str, consents: Consents, now: datetime
) -> Iterator[str]:
    """The rules about contracts and prerequisites that forbid sending the data of a tenant, whether it consents or not."""
    agreements = consents.agreements
    gap = agreements.contract_gap(recipient, function, tenant, now, (now,), fields)
    if gap is not None:
        yield gap
    if agreements.unconfirmed_prerequisites(recipient, function, tenant, now):
        yield "requires"


def _unknown_tenant(tenant: str, workspace: Workspace, named: frozenset[str]) -> UnknownTenant | None:
    """The tenant, if neither the ledger nor a settings file of the configured pipeline names it."""
    rows, job = None, workspace.loaded_pipeline
    with suppress(PolicyError):
        rows = None if job is None or job.settings == LEDGER_SETTINGS else workspace.load_settings()
    of_file, places = frozenset() if rows is None else settings_tenants(rows), ["the ledger"]
    places += [] if rows is None else [f"the settings {rows.file or ''}".rstrip()]
    visible = of_file if workspace.config.has_access_file else of_file | named
    return unknown_among(tenant, of_file | named, " or ".join(places), visible)
