"""Disclosures: the summary of a share, its signed record, its audit events, the commit to the ledger, and the log."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from minimize.access.permissions import ALL_TENANTS, TenantSet, limited_result
from minimize.errors import ConfigurationError, NotPermitted, RefusalReason
from minimize.governance.sharing.consent_filter import TenantConsent, TenantFilter, consent_check
from minimize.governance.sharing.payload import PayloadStats
from minimize.governance.sharing.plan import ResolvedShare, SharePlan
from minimize.governance.sharing.recipient_fields import FieldDecision, RecipientKeys, RecipientPolicy
from minimize.identifiers import canonical_text
from minimize.keys.keyring import SUBJECT_KEY
from minimize.ledger import Actor, AuditEvent, PropertyChange, Resource
from minimize.ledger.acts import ActReader, Decision
from minimize.ledger.audit_event import SHARE_ACTIVITY
from minimize.ledger.kinds import DISCLOSURE, TENANT_SHARE, Disclosure, TenantShare, find_disclosures
from minimize.pages import html_fragment
from minimize.recipients import Function
from minimize.recipients.rules import payload_differs_error, refusal_error, rule_reason, tenant_reason
from minimize.results import JsonResult, JsonText, Printable, json_member
from minimize.runs.deciding_function import record_refusal
from minimize.text import count_noun
from minimize.times import Clock, seconds_text, time_text, time_text_or_none
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class ShareSummary(JsonResult):
    """Summary of a share: the data that was sent, or would be sent. It contains no values.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> whose = {"recipient": "support_desk", "function": "case_handover", "pipeline": "pipelines/support_cases"}
        >>> receipt = minimize.run("pipelines/support_cases", date=day)
        >>> summary = minimize.share("out/support_cases", dry_run=True, **whose)
        >>> [key for key, decision in summary.fields.items() if decision.form is not None][:2]
        ['case_id', 'product_area']
    """

    recipient: str
    function: str
    purpose: str | None = None
    category: str | None = None
    """Category of the payload; None if no payload could be planned."""
    rows: int = 0
    """Number of rows sent."""
    tenants: Mapping[str, int] = field(default_factory=dict)
    """Rows sent, by tenant."""
    fields: Mapping[str, FieldDecision] = field(default_factory=dict)
    """Decision per field; empty if the manifest does not contain the function."""
    gated: Mapping[str, int] = field(default_factory=dict)
    """Number of values withheld by gates in sent rows, by field."""
    unparsable: Mapping[str, int] = field(default_factory=dict)
    """Number of values sent as null, because they are not listed or a technique cannot treat them, by field."""
    against: tuple[RefusalReason, ...] = ()
    """Rules that forbid the whole share."""
    held: tuple[RefusalReason, ...] = field(default=(), metadata=json_member("held_back"))
    """Rules that withhold some rows, with counts."""
    json_names = "recipient function purpose permitted category rows tenants fields gated unparsable against held"

    @property
    def permitted(self) -> bool:
        """Whether the share is permitted."""
        return not self.against

    @property
    def reasons(self) -> tuple[RefusalReason, ...]:
        """All rules that apply: first those that forbid the share, then those that withhold some rows."""
        return (*self.against, *self.held)

    @property
    def exit_code(self) -> int:
        """3 if nothing may be sent."""
        return 0 if self.permitted else 3

    def lines(self) -> Iterator[str]:
        """The verdict, the rules that apply, and the decision per field."""
        verdict = (
            f"{count_noun(self.rows, 'row')} of {count_noun(len(self.tenants), 'tenant')}"
            if self.permitted
            else "nothing may be sent"
        )
        yield f"{self.recipient}, {self.function}: {verdict}"
        yield from (f"  refused: {each.code} {each}" for each in self.against)
        yield from (f"  rows withheld: {each.code} {each}" for each in self.held)
        for key, decision in self.fields.items():
            yield f"  {key}: {decision.form or 'not sent'} ({decision.why})"
        for key, count in self.unparsable.items():
            yield f"  {key}: {count_noun(count, 'value')} replaced by null"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_fragment(*str(self).splitlines())


def summarize_payload(
    share: ResolvedShare, planned: SharePlan, stats: PayloadStats, tenants: TenantFilter
) -> ShareSummary:
    """The summary of a payload. If no rows are left, the rules that withheld them forbid the share."""
    withheld = (*reasons_of_tenants(share, tenants), *_reasons_of_records(stats, tenants, fold=_folds_tenants(planned)))
    if stats.rows or not withheld:
        return summarize_share(share, planned, stats, reasons=withheld)
    return summarize_share(
        share, planned, stats, reasons_against=(*withheld, rule_reason("nothing_left", "nothing is left to send"))
    )


def summarize_share(
    share: ResolvedShare,
    planned: SharePlan,
    stats: PayloadStats | None = None,
    *,
    reasons_against: tuple[RefusalReason, ...] = (),
    reasons: tuple[RefusalReason, ...] = (),
) -> ShareSummary:
    """The summary of a share that was planned, with or without a payload."""
    plan, function, composed = planned.plan, planned.function, planned.recipient_policy
    return ShareSummary(
        recipient=share.recipient.recipient,
        function=share.party.function,
        purpose=None if function is None else function.purpose,
        category=None if plan is None else planned.category,
        rows=0 if stats is None else stats.rows,
        tenants={} if stats is None else dict(sorted(stats.tenants.items())),
        fields={} if composed is None else composed.decisions,
        gated={} if stats is None else dict(stats.gated_values),
        unparsable={} if stats is None else dict(stats.unparsable),
        against=(*planned.reasons_against, *reasons_against),
        held=reasons,
    )


def reasons_of_tenants(share: ResolvedShare, tenants: TenantFilter) -> Iterator[RefusalReason]:
    """The reasons to withhold rows of some tenants."""
    for word, (count, rows) in tenants.withheld_counts().items():
        yield tenant_reason(word, count, rows, share.recipient, share.party.function)


def _reasons_of_records(stats: PayloadStats, tenants: TenantFilter, *, fold: bool) -> Iterator[RefusalReason]:
    """The reasons to withhold records, other than the consent of their tenants."""
    closed = stats.gated.total() + stats.emptied_rows
    if closed:
        message = "collection settings, conditions, retention or an erasure exclude these rows"
        yield rule_reason(
            "collection_off", message, tenants=_affected_tenants(stats, tenants, closed, fold=fold), rows=closed
        )
    if stats.rejected:
        message = "these rows lack a required field, or contain a forbidden path"
        hint = "Run `minimize run` with this data: the quarantine counts the faults by field."
        yield rule_reason("incomplete", message, rows=stats.rejected.total(), hint=hint)


def _affected_tenants(stats: PayloadStats, tenants: TenantFilter, closed: int, *, fold: bool) -> int | None:
    """Number of consenting tenants with withheld rows. None if incomplete rows make the number unknown."""
    agreed: Counter[str] = Counter()
    for name, rows in tenants.rows_by_tenant().items():
        if tenants.verdicts[name].consent is not None:
            agreed[canonical_text(name, fold=fold)] += rows
    lacking = agreed - stats.tenants
    return len(lacking) if lacking.total() == closed else None


def _folds_tenants(planned: SharePlan) -> bool:
    return planned.plan is not None and planned.plan.policy.folding.tenant


def tenant_shares(
    disclosure: str, stats: PayloadStats, verdicts: Mapping[str, TenantConsent], share: ResolvedShare, now: datetime
) -> list[TenantShare]:
    """The rows and subject tokens sent, and the contract that governs them, per tenant."""
    tokens = stats.subject_tokens.tokens_by_tenant(share.keyring) if share.policy.subject is not None else {}
    version = share.keyring.version_of(SUBJECT_KEY) if tokens else None
    return [
        TenantShare(
            disclosure=disclosure,
            tenant_id=name,
            rows=rows,
            consent=verdicts[name].consent or "",
            key_version=version if name in tokens else None,
            tokens=tokens.get(name, b""),
            contract="" if (contract := verdicts[name].contract) is None else contract.reference,
            retention_due=None if contract is None or contract.retention is None else now + contract.retention,
        )
        for name, rows in sorted(stats.tenants.items())
    ]


def build_disclosure(
    name: str,
    resolved: ResolvedShare,
    function: Function,
    composed: RecipientPolicy,
    stats: PayloadStats,
    shares: list[TenantShare],
    *,
    category: str,
    keys: Collection[str],
    file: Mapping[str, Any] | None,
    now: datetime,
) -> Disclosure:
    """Builds the disclosure to sign. `name` is its id. `keys` are the names of the keys of its pseudonyms."""
    contract = resolved.recipient.contract if resolved.recipient.standing == "processor" else None
    due = min((share.retention_due for share in shares if share.retention_due is not None), default=None)
    body = {
        "disclosure": name,
        "at": time_text(resolved.share_time),
        "recorded_at": time_text(now),
        "recipient": resolved.recipient.recipient,
        "standing": resolved.recipient.standing,
        "function": function.name,
        "purpose": function.purpose,
        "text_version": function.text_version,
        "manifest": resolved.recipient.digest,
        "contract": None if contract is None else contract.reference,
        "policy": {
            "name": resolved.policy.policy,
            "version": resolved.policy.version,
            "digest": resolved.policy.digest,
        },
        "fields": {key: composed.decisions[key].form for key in composed.sent_fields},
        "keys": [f"{name}/{RecipientKeys(resolved.keyring).version_of(name)}" for name in sorted(keys)],
        "category": category,
        "rows": stats.rows,
        "tenants": {share.tenant_id: _tenant_body(share) for share in shares},
        "digest": stats.fingerprint.digest,
        "file": None if file is None else dict(file),
        "retention_due": time_text_or_none(due),
        "subject_form": "as the data had it" if any(share.tokens for share in shares) else None,
    }
    return Disclosure(
        disclosure=name,
        recorded_at=now,
        recipient=resolved.recipient.recipient,
        function=function.name,
        rows=stats.rows,
        digest=stats.fingerprint.digest,
        retention_due=due,
        body=body,
    )


def refusal_event(
    recipient: str, function: str, reasons: tuple[RefusalReason, ...], actor: Actor, now: datetime
) -> AuditEvent:
    """The audit event of a refused share."""
    rules = ", ".join(dict.fromkeys(each.code for each in reasons))
    resource = Resource(
        recipient, "recipient", f"recipients/{recipient}/{function}", (PropertyChange("rules", None, rules),)
    )
    return SHARE_ACTIVITY.event("disclose", actor, now, resource, result="refused")


def _tenant_body(share: TenantShare) -> dict[str, Any]:
    """The entry of a tenant in the signed body. Its tokens are stored separately, under this digest."""
    digest = hashlib.sha256(share.tokens).hexdigest()
    agreed = {"consent": share.consent, "contract": share.contract}
    deletion = {"retention_due": time_text_or_none(share.retention_due)}
    return {"rows": share.rows, **agreed, **deletion, "subjects": share.subjects, "tokens": f"sha256:{digest}"}


def commit_disclosure(
    ledger: Ledger,
    share: ResolvedShare,
    planned: SharePlan,
    stats: PayloadStats,
    tenants: TenantFilter,
    account: ShareSummary,
    file: Mapping[str, Any] | None,
    clock: Clock,
) -> Disclosure:
    """Records a disclosure in the ledger. Raises NotPermitted if a consent or contract ended in the meantime."""
    function, composed = planned.function, planned.recipient_policy
    if function is None or composed is None:
        raise payload_differs_error("the share was not planned")
    now, name = clock(), str(uuid4())
    shares = tenant_shares(name, stats, tenants.verdicts, share, now)
    keys = frozenset() if planned.plan is None else planned.plan.keys
    category = account.category or ""
    act = build_disclosure(
        name, share, function, composed, stats, shares, category=category, keys=keys, file=file, now=now
    )
    event = DISCLOSURE.event("disclose", act, tenants=act.body["tenants"])

    def decide(acts: ActReader) -> Decision[Disclosure]:
        """So the end of a consent comes before the disclosure and stops it, or comes after it and finds it recorded."""
        _recheck_consents(acts, share, planned, stats, clock())
        actor, signed = event.actor.user or "", act.signed_by(share.keyring)
        decided = [DISCLOSURE.act(signed, actor=actor)]
        decided += [TENANT_SHARE.act(each, recorded_at=now, actor=actor) for each in shares]
        return Decision(act, decided, [event])

    try:
        return ledger.record(decide)
    except NotPermitted as error:
        ended = error
    raise refuse_share(share, replace(account, against=ended.reasons), clock())


def refuse_share(share: ResolvedShare, account: ShareSummary, now: datetime) -> NotPermitted:
    """Records the refusal in the audit log and returns the error. Logs a warning if it cannot be recorded."""
    name, function = share.recipient.recipient, share.party.function
    record_refusal(
        share.ledger, share.keyring, refusal_event(name, function, account.reasons, share.workspace.actor, now)
    )
    return refusal_error(name, function, account.reasons)


def _recheck_consents(
    acts: ActReader, share: ResolvedShare, planned: SharePlan, stats: PayloadStats, now: datetime
) -> None:
    """Raises NotPermitted if a tenant's consent or contract ended before its records are sent."""
    consents = share.consents(acts)
    asking = replace(consent_check(share, planned, consents), moments=(max(now, share.share_time),))
    ended = [name for name, verdict in asking(list(stats.tenants)).items() if verdict.consent is None]
    if ended:
        rows = sum(stats.tenants[name] for name in ended)
        message = "a consent or contract ended while the payload was made"
        raise NotPermitted(message, reasons=[rule_reason("consent_ended", message, tenants=len(ended), rows=rows)])


@dataclass(frozen=True, slots=True)
class DisclosureLog(JsonResult):
    """Disclosures, oldest first, and the ids of those without a valid signature by a key of the keyring."""

    disclosures: Sequence[Disclosure]
    not_signed: Sequence[str]

    @property
    def exit_code(self) -> int:
        """1 if a disclosure is not signed."""
        return int(bool(self.not_signed))

    def lines(self) -> Iterator[str]:
        """A line for each disclosure."""
        for disclosure in self.disclosures:
            mark = " NOT SIGNED" if disclosure.disclosure in self.not_signed else ""
            when, rows = seconds_text(disclosure.recorded_at), count_noun(disclosure.rows, "row")
            yield f"{when}  {disclosure.recipient}  {disclosure.function}  {rows}  {disclosure.disclosure}{mark}"
        if not self.disclosures:
            yield "nothing was shared"


_BODY_OF_A_TENANT: Final = frozenset(
    {
        "disclosure",
        "at",
        "recorded_at",
        "recipient",
        "standing",
        "function",
        "purpose",
        "text_version",
        "fields",
        "category",
    }
    | {"retention_due"}
)
"""Members of the body of a disclosure that concern each of its tenants. The others concern all of its rows."""


def disclosure_in_scope(disclosure: Disclosure, tenants: TenantSet) -> Disclosure | None:
    """The part of a disclosure that an account may see whose scope has these tenants. None if there is none.

    A part has the rows of tenants in scope only. It has no signature, because that covers the whole disclosure.
    """
    if tenants.is_all:
        return disclosure
    shares = {name: share for name, share in disclosure.body["tenants"].items() if name in tenants}
    rows = sum(share["rows"] for share in shares.values())
    body = {name: value for name, value in disclosure.body.items() if name in _BODY_OF_A_TENANT}
    part = replace(
        disclosure, rows=rows, digest="", key="", signature="", body={**body, "rows": rows, "tenants": shares}
    )
    return part if shares else None


def show_disclosures(workspace: Workspace, *, recipient: str | None = None, tenant: str | None = None) -> Printable:
    """The disclosures that the current actor may read, as `list_disclosures` finds them."""
    tenants = workspace.readable_tenants("share/read", tenant=tenant)
    return limited_result(list_disclosures(workspace, recipient=recipient, tenant=tenant, tenants=tenants), tenants)


def show_disclosure(workspace: Workspace, name: str) -> Printable:
    """One disclosure that the current actor may read, as `find_disclosure` finds it."""
    tenants = workspace.readable_tenants("share/read")
    return limited_result(JsonText(find_disclosure(workspace, name, tenants).to_json()), tenants)


def list_disclosures(
    workspace: Workspace, *, recipient: str | None = None, tenant: str | None = None, tenants: TenantSet = ALL_TENANTS
) -> DisclosureLog:
    """Reads the disclosures, oldest first, optionally only those to one recipient or with data of one tenant.

    With tenants in scope, each disclosure is limited to their part.
    """
    with workspace.open_ledger() as ledger:
        disclosures = find_disclosures(ledger, recipient)
    listed = [each for each in disclosures if tenant is None or tenant in each.body["tenants"]]
    keys = workspace.keyring()
    shown = [(each, part) for each in listed if (part := disclosure_in_scope(each, tenants)) is not None]
    return DisclosureLog(
        [part for _, part in shown], [each.disclosure for each, _ in shown if not each.is_signed(keys)]
    )


def find_disclosure(workspace: Workspace, name: str, tenants: TenantSet = ALL_TENANTS) -> Disclosure:
    """Reads one disclosure by its id, limited to tenants in scope. Raises ConfigurationError if there is none."""
    with workspace.open_ledger() as ledger:
        whole = ledger.find(DISCLOSURE, key_end=f"/{name}")
    parts = [part for each in whole if (part := disclosure_in_scope(each, tenants)) is not None]
    if not parts:
        raise ConfigurationError("there is no disclosure with this id", hint="Run `minimize share log`.")
    return parts[0]
