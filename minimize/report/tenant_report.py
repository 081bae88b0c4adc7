"""Report about one tenant (`minimize tenant report`), which the tenant's auditor can read and check.

Each section is one function and one row of `SECTIONS`. The report has nothing of other tenants: no name, no row, and no count
over several tenants, because it gives away the figure of the others. It states what it does not show.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from minimize.access import TenantSet
from minimize.datasets.pipelines import LEDGER_SETTINGS
from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.errors import ConfigurationError, MinimizeError, VerificationError
from minimize.governance.consent import list_consents
from minimize.governance.contracts import list_contracts
from minimize.governance.functions import list_functions
from minimize.governance.incidents.incident import Incident, load_incidents
from minimize.governance.incidents.visible_incidents import incident_in_scope
from minimize.governance.known_outputs import find_outputs
from minimize.governance.setting_reasons import find_setting_reasons
from minimize.governance.settings import list_settings
from minimize.governance.subjects import request_statuses
from minimize.identifiers import canonical_text
from minimize.keys import Keyring
from minimize.ledger.kinds import DISCLOSURE, RECALL, TENANT_SHARE, Disclosure, TenantShare
from minimize.pages import BulletList, Section, StatusLevel, StatusLine, Table, markdown_page
from minimize.policy.model import Policy
from minimize.policy.plain_words import capitalized, plain_name
from minimize.receipts import Receipt
from minimize.recipients import Recipient, Recipients, load_configured_recipients
from minimize.recipients.pages import contract_text
from minimize.report.context import hidden_reason
from minimize.report.facts import HiddenPart
from minimize.runs.verify import check_output
from minimize.settings.tenants import load_regions
from minimize.stores import PathText, local_path
from minimize.text import count_noun
from minimize.times import minute_text, period_text, seconds_text
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

T = TypeVar("T")
Rows = Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class TenantReportPart:
    """One section of the report: what it is about, its table, and what it says if the table is empty."""

    about: str
    head: tuple[str, ...]
    rows: Rows
    empty: str

    def to_json(self) -> list[dict[str, str]]:
        """The rows of the table. A column that had another name also has its former one."""
        rows = (dict(zip(self.head, row, strict=True)) for row in self.rows)
        return [{**row, **{old: row[new] for new, old in _FORMER_KEYS.items() if new in row}} for row in rows]

    def section(self, title: str) -> Section:
        """The section of the page. Sections that a reader rarely needs are folded."""
        table = Table.filled("", self.head, self.rows)
        return Section(title, (self.about, table if table else self.empty), is_folded=title not in _OPEN_SECTIONS)

    def column(self, name: str) -> list[str]:
        """The cells of a column."""
        place = self.head.index(name)
        return [row[place] for row in self.rows]


_FORMER_KEYS: Final = MappingProxyType({"role": "standing"})


@dataclass(frozen=True, slots=True)
class TenantReport:
    """The report about a tenant at a time."""

    tenant: str
    at: datetime
    parts: Mapping[str, TenantReportPart]
    """The sections, by title."""
    not_shown: tuple[HiddenPart, ...]
    """Parts that could not be determined here, with the reason."""

    @property
    def status(self) -> StatusLine:
        """Verification, approval, rows sent, open requests and incidents, as far as they could be determined."""
        facts = [*self._status_facts()]
        levels = {level for level, _ in facts}
        worst: StatusLevel = next((level for level in _WORST_FIRST if level in levels), "good")
        return StatusLine(worst, "", [text for _, text in facts])

    def _status_facts(self) -> Iterator[tuple[StatusLevel, str]]:
        results = self._cells("Verification", "result")
        failed = [each for each in results if each != "passed"]
        if failed:
            yield "bad", f"Verification failed for {count_noun(len(failed), 'dataset')}"
        else:
            yield ("good", "Verification passed") if results else ("attention", "Nothing was verified")
        invalid = [*self._cells("Receipts", "signature"), *self._cells("Disclosures", "signature")].count("not valid")
        if invalid:
            yield "bad", f"{count_noun(invalid, 'signature')} not valid"
        yield from self._approval_fact()
        sent = sum(map(_parse_count, self._cells("Disclosures", "rows of this tenant")))
        yield "good", f"{count_noun(sent, 'row')} sent"
        yield self._requests_fact()
        incidents = len(self._cells("Incidents", "incident"))
        if incidents:
            yield "attention", count_noun(incidents, "incident")
        if self.not_shown:
            yield "attention", f"{count_noun(len(self.not_shown), 'part')} not shown"

    def _approval_fact(self) -> Iterator[tuple[StatusLevel, str]]:
        approvals = self._cells("Policies in force", "approved")
        unapproved, policies = approvals.count("not approved"), len(approvals)
        if unapproved:
            yield (
                "attention",
                "policy not approved" if policies == 1 else f"{unapproved} of {policies} policies not approved",
            )
        elif policies:
            yield "good", "policy approved" if policies == 1 else f"{policies} policies approved"

    def _requests_fact(self) -> tuple[StatusLevel, str]:
        states = zip(self._cells("Requests", "state"), self._cells("Requests", "number"), strict=True)
        open_requests = sum(_parse_count(number) for state, number in states if state in ("open", "failed"))
        overdue = sum(map(_parse_count, self._cells("Requests", "overdue")))
        text = count_noun(open_requests, "open request")
        if overdue:
            return "bad", f"{text}, {overdue:,} overdue"
        return "attention" if open_requests else "good", text

    def _cells(self, title: str, column: str) -> list[str]:
        part = self.parts.get(title)
        return [] if part is None else part.column(column)

    @property
    def document(self) -> Section:
        """The report as a page."""
        hidden = [f"{capitalized(each.what)}: {each.why}." for each in self.not_shown]
        head = (
            f"About {self.tenant}. State at {minute_text(self.at)}, from the signed records of the service, for the auditor of "
            "this tenant."
        )
        titles = sorted(self.parts, key=lambda title: title not in _OPEN_SECTIONS)
        return Section(
            "Tenant report",
            (
                self.status,
                head,
                *(self.parts[title].section(title) for title in titles),
                Section("What this report does not show", (BulletList((*hidden, *_NEVER_SHOWN)),)),
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """The report as `tenant report --json` prints it."""
        return {
            "tenant": self.tenant,
            "at": seconds_text(self.at),
            "status": {"level": self.status.level, "facts": list(self.status.items)},
            "sections": {title.lower().replace(" ", "_"): part.to_json() for title, part in self.parts.items()},
            "not_shown": [each.what for each in self.not_shown] + list(_NEVER_SHOWN),
        }

    def lines(self) -> Sequence[str]:
        """The report as Markdown."""
        return markdown_page(self.document).rstrip("\n").split("\n")


_WORST_FIRST: Final[tuple[StatusLevel, ...]] = ("bad", "attention", "good")
_OPEN_SECTIONS: Final = ("Policies in force", "Verification", "Disclosures", "Incidents", "Requests")
"""The sections that come first on the page; the others are folded."""


def _parse_count(text: str) -> int:
    return int(text.replace(",", ""))


_NEVER_SHOWN: Final = (
    "Other tenants: no name, no record, no figure, and no total that includes them. A text that names one of them is replaced by "
    "“not shown”.",
    "Records and their values, and the identifiers of persons and devices. Requests of data subjects appear as counts only.",
    "Outputs that do not show whose data they have, such as statistics over all tenants.",
    "Titles and texts of incidents. The notices have them; this report gives their digests. Incidents that are still being "
    "assessed are not listed.",
    "Settings of single persons or devices, except for their number.",
    "Measures that the service does not record, such as those of buildings, staff and backups.",
)


def create_tenant_report(
    tenant: str, workspace: Workspace, now: datetime, *, recipients: PathText | None = None
) -> TenantReport:
    """The report about a tenant.

    Takes another folder of recipients than the configured one. Checks every output that has data of the tenant again.
    Raises ConfigurationError for a tenant about which nothing is recorded, LedgerError, KeyringError.
    """
    workspace.require("tenant/report", tenant=tenant)
    name = canonical_text(tenant)
    with workspace.open_ledger() as ledger:
        view = _TenantView(name, now, workspace, ledger, workspace.keyring(), recipients)
        if name not in view.known_tenants:
            raise ConfigurationError("nothing is recorded about this tenant", hint="Check the spelling of the tenant.")
        part_by_title = {title: view.attempt(title, partial(section, view)) for title, section in SECTIONS.items()}
        parts = {title: part for title, part in part_by_title.items() if part is not None}
        return TenantReport(name, now, parts, tuple(view.hidden))


@dataclass(frozen=True)
class _TenantView:
    """What the service holds about one tenant."""

    tenant: str
    now: datetime
    workspace: Workspace
    ledger: Ledger
    keys: Keyring
    recipients_folder: PathText | None
    hidden: list[HiddenPart] = field(default_factory=list)

    def attempt(self, what: str, work: Callable[[], T]) -> T | None:
        """Result of the work; None if it fails, and then the part is listed as not shown."""
        try:
            return work()
        except MinimizeError as error:
            hidden = HiddenPart(what, hidden_reason(error))
        if hidden not in self.hidden:
            self.hidden.append(hidden)
        return None

    @cached_property
    def known_tenants(self) -> frozenset[str]:
        """The tenants of the ledger and of the outputs."""
        return self.ledger.tenants() | {file for files in self._files.values() for _, names in files for file in names}

    def own(self, text: str) -> str:
        """A text, unless it names another tenant. Single letters and pairs count only as words of their own."""
        folded = text.casefold()
        words = folded.replace("_", " ").replace("-", " ").replace("@", " ").replace(".", " ").split()
        for other_tenant in self.known_tenants - {self.tenant}:
            name = other_tenant.casefold()
            if name in (words if len(name) < _SHORTEST_PART else folded):
                return "not shown"
        return text

    @cached_property
    def outputs(self) -> Mapping[str, PublishedOutput]:
        """The outputs that have data of the tenant, by pipeline."""
        return {
            place: output
            for place, output in self._known_outputs.items()
            if any(self.tenant in names for _, names in self._files[place])
        }

    def files(self, place: str) -> list[OutputFile]:
        """The files in force of an output that have data of the tenant."""
        return [file for file, names in self._files[place] if self.tenant in names]

    def receipts(self, place: str) -> Mapping[str, tuple[Receipt, list[str]]]:
        """The receipts of these files by run, each with the batch dates of the tenant's files."""
        receipts: dict[str, tuple[Receipt, list[str]]] = {}
        for file in self.files(place):
            receipt = file.written_by.receipt
            dates = receipts.setdefault(receipt.run_id, (receipt, []))[1]
            if file.date is not None and file.date not in dates:
                dates.append(file.date)
        return dict(sorted(receipts.items(), key=lambda item: item[1][0].sequence))

    @cached_property
    def recipients(self) -> Recipients:
        """The configured recipients."""
        return load_configured_recipients(self.recipients_folder, self.workspace.config)

    @cached_property
    def shares(self) -> Sequence[tuple[TenantShare, Disclosure]]:
        """The tenant's share of each disclosure."""
        disclosures = {each.disclosure: each for each in self.ledger.find(DISCLOSURE)}
        shares = self.ledger.find(TENANT_SHARE, tenant=self.tenant)
        return [(each, disclosures[each.disclosure]) for each in shares]

    @cached_property
    def _known_outputs(self) -> Mapping[str, PublishedOutput]:
        named = [] if self.workspace.output is None else [self.workspace.output]
        outputs, missed = find_outputs(self.ledger, named, self.keys)
        if missed:
            self.hidden.append(HiddenPart("outputs", "not every output that the ledger knows can be read here"))
        return {str(output.folder): output for output in outputs}

    @cached_property
    def _files(self) -> Mapping[str, list[tuple[OutputFile, frozenset[str]]]]:
        """The files in force of each output, each with its tenants."""
        return {place: list(self._tenants_of_files(output)) for place, output in self._known_outputs.items()}

    def _tenants_of_files(self, output: PublishedOutput) -> Iterator[tuple[OutputFile, frozenset[str]]]:
        for file in output.files():
            names = self.attempt("files of outputs", partial(self._tenants_of, file))
            yield file, names or frozenset()

    def _tenants_of(self, file: OutputFile) -> frozenset[str]:
        """The tenants of a file; of a file with tenants in another form, only this one if it has it."""
        if file.is_shredded:
            return frozenset()
        if file.tenants is not None:
            return file.tenants
        key = file.policy.tenant
        forms = None if key is None else file.forms(key, self.tenant, self.tenant)
        return frozenset({self.tenant}) if forms and forms & file.distinct(key) else frozenset()


_SHORTEST_PART: Final = 3
"""The length from which the name of a tenant is searched within words."""


def _policies(view: _TenantView) -> TenantReportPart:
    head = ("dataset", "policy", "digest", "approved", "purpose", "kept for", "category of records")
    rows = dict.fromkeys(
        _policy_row(view, receipt, file.policy)
        for place in view.outputs
        for receipt, file in ((each.written_by.receipt, each) for each in view.files(place))
    )
    about = (
        "The policies under which the data of this tenant that is in force was written. The privacy notice of a dataset "
        "(`minimize leaflet`) describes its fields."
    )
    return TenantReportPart(about, head, list(rows), "No output has data of this tenant.")


def _policy_row(view: _TenantView, receipt: Receipt, policy: Policy) -> tuple[str, ...]:
    approved = receipt.policy.approved
    records = receipt.outputs.get("records")
    return (
        view.own(receipt.pipeline),
        f"{view.own(receipt.policy.name)}, version {receipt.policy.version}",
        receipt.policy.digest,
        "not approved" if approved is None else view.own(f"by {approved.by} on {approved.on}"),
        plain_name(receipt.purpose),
        "no limit is set" if policy.retention is None else period_text(policy.retention),
        "no records" if records is None else records.category,
    )


def _receipts(view: _TenantView) -> TenantReportPart:
    rows = []
    for place, output in view.outputs.items():
        for receipt, dates in view.receipts(place).values():
            key = "not signed" if receipt.signature is None else receipt.signature.key
            days = " to ".join(dict.fromkeys((min(dates), max(dates)))) if dates else ""
            signed = _signature_text(receipt, view.keys)
            rows.append(
                (
                    view.own(output.pipeline),
                    receipt.run_id,
                    minute_text(receipt.finished),
                    days,
                    receipt.digest,
                    key,
                    signed,
                )
            )
    about = (
        "The receipts of the files in force that have data of this tenant. Their signatures can be checked with the public key "
        f"whose digest is {_public_key_digest(view.keys)}."
    )
    head = ("dataset", "run", "finished", "batch dates", "digest of the receipt", "key", "signature")
    return TenantReportPart(about, head, rows, "No output has data of this tenant.")


def _signature_text(receipt: Receipt, keys: Keyring) -> str:
    try:
        receipt.verify(keys)
    except VerificationError:
        return "not valid"
    return "valid"


def _public_key_digest(keys: Keyring) -> str:
    return f"sha256:{hashlib.sha256(keys.public_key_pem()).hexdigest()}"


def _verification(view: _TenantView) -> TenantReportPart:
    rows = []
    for output in view.outputs.values():
        findings = check_output(output.folder, keys=view.keys, ledger=view.workspace.ledger)
        codes = sorted({each.code for each in findings if each.severity == "error"})
        warnings = sorted({each.code for each in findings if each.severity != "error"})
        result = f"failed: {', '.join(codes)}" if codes else "passed"
        rows.append((view.own(output.pipeline), minute_text(view.now), result, ", ".join(warnings) or "none"))
    about = (
        "When this report was made, each output with data of this tenant was checked again: the chain and the signatures of its "
        "receipts, the digest of each file, and the values against the policy, independently of the runs that wrote them."
    )
    head = ("dataset", "checked", "result", "warnings")
    return TenantReportPart(about, head, rows, "No output has data of this tenant.")


def _recipients(view: _TenantView) -> TenantReportPart:
    known = map(view.recipients.load, view.recipients.names())
    sent = Counter[str]()
    for share, disclosure in view.shares:
        sent[disclosure.recipient] += share.rows
    rows = [
        (
            recipient.recipient,
            _STANDINGS[recipient.standing],
            recipient.about,
            ", ".join(recipient.functions),
            count_noun(sent[recipient.recipient], "row"),
        )
        for recipient in known
    ]
    head = ("recipient", "role", "about", "functions", "sent of this tenant")
    return TenantReportPart("The third parties that can receive or send data.", head, rows, "There are no recipients.")


_STANDINGS: Final = MappingProxyType(
    {"processor": "processor (subprocessor)", "independent_controller": "independent controller"}
)


def _subprocessors(view: _TenantView) -> TenantReportPart:
    rows = [
        (
            subprocessor.name,
            str(subprocessor.from_),
            "" if subprocessor.until is None else str(subprocessor.until),
            subprocessor.about,
        )
        for subprocessor in view.recipients.subprocessors.entries
    ]
    about = "The list of subprocessors, with the first day on the list and the first day without it."
    return TenantReportPart(about, ("name", "from", "until", "task"), rows, "There are no subprocessors.")


def _contracts(view: _TenantView) -> TenantReportPart:
    known = [view.recipients.load(name) for name in view.recipients.names()]
    rows = [
        *(_processor_row(view, each) for each in known if each.standing == "processor"),
        *(
            (
                contract.recipient,
                "of this tenant",
                view.own(contract_text(contract.contract)),
                "yes" if contract.in_force else "no",
            )
            for contract in list_contracts(view.workspace, view.now, tenant=view.tenant)
        ),
    ]
    about = (
        "The contracts of this tenant with independent controllers, and those of the organization with its processors. Without a "
        "contract that permits it, no data of this tenant is sent or received."
    )
    return TenantReportPart(about, ("recipient", "whose", "contract", "in force"), rows, "There are no contracts.")


def _processor_row(view: _TenantView, recipient: Recipient) -> tuple[str, ...]:
    contract = recipient.contract
    if contract is None:
        return recipient.recipient, "of the organization", "none", "no"
    holds = "yes" if contract.holds(view.now.date()) else "no"
    return recipient.recipient, "of the organization", view.own(contract_text(contract)), holds


def _functions(view: _TenantView) -> TenantReportPart:
    functions = list_functions(view.tenant, view.workspace, view.now, recipients=view.recipients_folder)
    rows = [(each.recipient, each.function, each.state, "; ".join(each.missing)) for each in functions]
    about = "The functions of recipients, whether this tenant uses them, and what is missing for each."
    return TenantReportPart(about, ("recipient", "function", "state", "missing"), rows, "There are no functions.")


def _consents(view: _TenantView) -> TenantReportPart:
    consents = list_consents(view.workspace, view.now, tenant=view.tenant, recipients=view.recipients_folder)
    rows = [
        (
            consent.act.recipient,
            consent.act.function,
            consent.act.state,
            view.own(consent.act.by),
            minute_text(consent.act.valid_from),
            "" if consent.act.expires_at is None else minute_text(consent.act.expires_at),
            "yes" if consent.holds and consent.reason is None else "no",
        )
        for consent in consents
    ]
    head = ("recipient", "function", "state", "recorded by", "from", "until", "permits sharing now")
    return TenantReportPart(
        "The consents of this tenant, with the last act of each.", head, rows, "No consent is recorded."
    )


def _disclosures(view: _TenantView) -> TenantReportPart:
    rows = [
        (
            minute_text(act.recorded_at),
            act.recipient,
            f"{act.function}, for {plain_name(act.body['purpose'])}",
            ", ".join(act.body["fields"]),
            f"{share.rows:,}",
            "" if act.retention_due is None else minute_text(act.retention_due),
            "valid" if act.is_signed(view.keys) else "not valid",
            act.disclosure,
        )
        for share, act in view.shares
    ]
    head = (
        "sent",
        "recipient",
        "function",
        "fields",
        "rows of this tenant",
        "deleted there by",
        "signature",
        "disclosure",
    )
    return TenantReportPart("The data of this tenant that was sent to third parties.", head, rows, "Nothing was sent.")


def _recalls(view: _TenantView) -> TenantReportPart:
    steps = view.ledger.find(RECALL, tenant=view.tenant)
    rows = [(minute_text(each.recorded_at), each.recipient, each.state, each.disclosure) for each in steps]
    head = ("recorded", "recipient", "state", "disclosure")
    about = "Requests to recipients to delete data of this tenant, and their confirmations."
    return TenantReportPart(about, head, rows, "No deletion was requested.")


def _incidents(view: _TenantView) -> TenantReportPart:
    scope = TenantSet.from_names(view.tenant)
    incidents = (incident_in_scope(each, scope) for each in load_incidents(view.workspace).values())
    privacy_incidents = [each for each in incidents if each is not None and each.kind == "privacy"]
    head = ("incident", "happened", "declared", "state", "data", "persons or devices", "notices")
    about = "The declared incidents of which this tenant was or is to be notified."
    return TenantReportPart(
        about, head, [_incident_row(view, each) for each in privacy_incidents], "No incident affected this tenant."
    )


def _incident_row(view: _TenantView, incident: Incident) -> tuple[str, ...]:
    (tenant_scope,) = (incident.scope or {"tenants": ()})["tenants"]
    state = f"{incident.state}, {plain_name(incident.incident_class or 'not classified')}"
    people = tenant_scope["subjects"]
    count = "none" if people is None else f"{'' if people['exact'] else 'at most '}{people['count']:,}"
    return (
        view.own(incident.id),
        " to ".join(map(minute_text, incident.window)),
        "" if incident.declared_at is None else minute_text(incident.declared_at),
        state,
        ", ".join(f"{each['column']} ({each['form']})" for each in tenant_scope["kinds"]),
        count,
        "; ".join(map(_notice_text, incident.notices(view.tenant))) or "none",
    )


def _notice_text(notice: Mapping[str, Any]) -> str:
    delivery = f"sent {notice['given_at']}" if notice["given_at"] else "not sent"
    return f"version {notice['version']}, {delivery}, {notice['digest']}"


def _requests(view: _TenantView) -> TenantReportPart:
    statuses = request_statuses(view.ledger, tenant=view.tenant)
    counts = Counter((each.last.kind, each.last.state) for each in statuses)
    late = Counter((each.last.kind, each.last.state) for each in statuses if each.is_overdue(view.now))
    rows = [(*pair, f"{count:,}", f"{late[pair]:,}") for pair, count in sorted(counts.items())]
    about = "The requests of data subjects and of the tenant itself, by kind and state."
    return TenantReportPart(about, ("kind", "state", "number", "overdue"), rows, "There were no requests.")


def _settings(view: _TenantView) -> TenantReportPart:
    rows = [row for output in view.outputs.values() for row in _setting_rows(view, output)]
    subject_setting_count = sum(
        setting.subject is not None for setting in list_settings(view.workspace, view.now, tenant=view.tenant)
    )
    about = (
        "The optional collection of each dataset with data of this tenant. The default is off. "
        f"The ledger also has {count_noun(subject_setting_count, 'setting')} of single persons or devices of this tenant."
    )
    head = ("dataset", "setting", "in force", "recorded")
    return TenantReportPart(about, head, rows, "No dataset of this tenant has optional collection.")


def _setting_rows(view: _TenantView, output: PublishedOutput) -> Iterator[tuple[str, ...]]:
    job = output.pipeline_of_today()
    ledger = view.workspace.ledger if job.settings == LEDGER_SETTINGS else None
    workspace = Workspace(ledger, local_path(output.folder), job, view.keys)
    policy = job.policy
    for name in (*policy.features, *policy.levels):
        if job.settings is None:
            yield view.own(job.pipeline), name, "off", "the dataset reads no settings"
            continue
        reasons = find_setting_reasons(view.tenant, name, view.now, workspace, run=view.now).run
        recorded = [f"{row.value} by {row.holder} since {minute_text(row.valid_from)}" for row in reasons.rows]
        yield view.own(job.pipeline), name, "on" if reasons.holds else "off", "; ".join(recorded)


def _regions(view: _TenantView) -> TenantReportPart:
    regions = load_regions(view.workspace.config).values()
    rows = [(each.name,) for each in regions if view.tenant in each.tenants]
    about = "The region in which the data of this tenant is stored. Runs for other regions leave its data out."
    empty = "This tenant has no region." if regions else "The configuration has no regions."
    return TenantReportPart(about, ("region",), rows, empty)


SECTIONS: Final[Mapping[str, Callable[[_TenantView], TenantReportPart]]] = MappingProxyType(
    {
        "Policies in force": _policies,
        "Verification": _verification,
        "Receipts": _receipts,
        "Recipients": _recipients,
        "Subprocessors": _subprocessors,
        "Contracts": _contracts,
        "Functions": _functions,
        "Consents": _consents,
        "Disclosures": _disclosures,
        "Recalls": _recalls,
        "Incidents": _incidents,
        "Requests": _requests,
        "Settings": _settings,
        "Storage location": _regions,
    }
)
"""The sections in the order of the page, each with the function that makes it."""
