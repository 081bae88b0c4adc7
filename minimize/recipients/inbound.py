"""Check of a pipeline whose records a recipient's function decides on, against its manifest, for `lint` and for a run.

The records are collected for an outbound function only, or received by an inbound one.

The policy of such a pipeline names the fields of the message, and those that the transport adds to it: tenant, event time and
record. A field of the message keeps no more than the manifest allows; further steps after the manifest's are allowed.

Lint of recipients: choices that will be refused or are risky, in a recipient's file or a folder of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding, PolicyError, Severity
from minimize.plan.model import least_revealing, step_residual
from minimize.policy.condition import fields_read_by_condition
from minimize.policy.describe import treatment_text
from minimize.policy.fields import (
    fields_read_by_aggregate,
    fields_read_by_conditions,
    fields_read_by_steps,
    is_dropped,
    treatments_of,
)
from minimize.policy.model import ON_PREMISES_PURPOSE, Field, Policy
from minimize.policy.pipeline import Pipeline
from minimize.recipients.load import (
    SUBPROCESSORS_FILE,
    Subprocessors,
    examine_recipient,
    examine_subprocessors,
    recipient_files,
)
from minimize.recipients.model import Contract, Direction, Function, Recipient, SharedField
from minimize.recipients.pages import example_array
from minimize.recipients.rules import find_party
from minimize.records import PIPELINE_FILE
from minimize.techniques import TechniqueStep
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.text import did_you_mean


def check_policy(policy: Policy, function: Function, pipeline: Pipeline | None = None) -> list[Finding]:
    """Findings about a policy (and its pipeline) that keeps more than an inbound function permits, or lacks something.

    An outbound function, which the records are collected for, does not limit their fields: it limits those that are sent.
    """
    inbound_check = _InboundCheck(policy, function, pipeline)
    checks = _CHECKS if function.direction == "inbound" else (_check_head,)
    return [finding for check in checks for finding in check(inbound_check)]


def lint_source(job: Pipeline) -> list[Finding]:
    """Findings about the source of a pipeline that do not depend on the day."""
    if job.source.deciding_function is None:
        return [*_check_purposes(job, on_premises=False)]
    name, function = job.source.deciding_function
    direction: Direction = "inbound" if job.source.is_received else "outbound"
    place = (None if job.path is None else str(job.path), job.line_of("source"))
    try:
        party = find_party(name, function, direction, None, job.config, ())
    except PolicyError as error:
        return [Finding("T038", error.message, "error", error.hint, *place)]
    purposes = _check_purposes(job, on_premises=party.recipient.on_premises)
    if party.manifest is None:
        known = [each.name for each in party.recipient.functions.values() if each.direction == direction]
        hint = did_you_mean(function, known) or f"Name one of its {direction} functions: {', '.join(known) or 'none'}."
        return [Finding("T038", f"{name} has no {direction} function {function}", "error", hint, *place), *purposes]
    return [*check_policy(job.policy, party.manifest, job), *purposes]


def _check_purposes(job: Pipeline, *, on_premises: bool) -> Iterator[Finding]:
    """T039: a policy for other data that lists the purpose of the on-premises product's data, or the reverse."""
    listed, file = set(job.policy.purposes), None if job.policy.path is None else str(job.policy.path)
    if on_premises and listed != {ON_PREMISES_PURPOSE}:
        message = f"data of the on-premises product serves {ON_PREMISES_PURPOSE} only"
        hint = f"Set `purposes: [{ON_PREMISES_PURPOSE}]`."
        yield Finding("T039", message, "error", hint, file)
    elif not on_premises and ON_PREMISES_PURPOSE in listed:
        message = f"the purpose {ON_PREMISES_PURPOSE} is for data that the on-premises product sends"
        yield Finding(
            "T039", message, "error", "Remove it from `purposes`, or name the product's function under `source`.", file
        )


@dataclass(frozen=True, slots=True)
class _InboundCheck:
    policy: Policy
    function: Function
    pipeline: Pipeline | None

    def finding(self, code: str, message: str, hint: str = "", field: Field | None = None) -> Finding:
        path, line = self.policy.path, None if field is None else field.line
        return Finding(
            code=code,
            message=message,
            severity="error",
            hint=hint,
            file=None if path is None else str(path),
            line=line,
            field=None if field is None else field.key,
        )

    def is_added(self, field: Field) -> bool:
        """Whether the transport adds a field. The subject always belongs to the message; an added record id must be dropped."""
        policy, key = self.policy, field.key
        if key == policy.subject:
            return False
        if key == policy.record:
            return is_dropped(field) and not field.in_aggregates
        return key in (policy.tenant, policy.time)

    @property
    def discarded_fields(self) -> frozenset[Pointer]:
        """The fields that must not be kept: those that the manifest drops or passes through, and an added record id."""
        message, record = self.message, self.policy.record
        added = set() if record in (None, self.policy.tenant, self.policy.time) else {Pointer.parse(record)}
        return frozenset(
            {pointer for pointer, shared in message.items() if not shared.chain} | (added - message.keys())
        )

    @property
    def message(self) -> dict[Pointer, SharedField]:
        """The fields of the function by pointer."""
        return {Pointer.parse(key): shared for key, shared in self.function.fields.items()}


def _check_head(check: _InboundCheck) -> Iterator[Finding]:
    policy, function, job = check.policy, check.function, check.pipeline
    if policy.tenant is None:
        hint = "Add `tenant: FIELD`."
        yield check.finding("T030", "the policy names no tenant, so no authorization by a tenant can apply", hint)
    yield from _check_event_time(check)
    if job is None:
        return
    if policy.time is None:
        hint = "Add `time: FIELD`, such as the time at which the message arrived."
        yield check.finding(
            "T031", "the policy names no event time, but authorizations are evaluated as of the event time", hint
        )
    if job.purpose != function.purpose:
        file, line = None if job.path is None else str(job.path), job.line_of("purpose")
        message = f"{function.name} has the purpose {function.purpose}, but the pipeline has {job.purpose}"
        yield Finding(
            code="T037",
            message=message,
            severity="error",
            hint=f"Set `purpose: {function.purpose}`.",
            file=file,
            line=line,
        )


def _check_event_time(check: _InboundCheck) -> Iterator[Finding]:
    """Authorizations are evaluated as of the event time, so the transport must set it, as a timestamp."""
    field = check.policy.fields.get(check.policy.time or "")
    if field is None:
        return
    hint = "Set `time` to a timestamp that the transport adds, such as the arrival of the message."
    if check.function.direction == "inbound" and field.pointer in check.message:
        yield check.finding(
            "T031", "the event time is a field of the message, so the sender can choose it", hint, field
        )
    if field.type != "timestamp":
        yield check.finding(
            "T031", f"the event time is a {field.type}, but authorizations are evaluated as of a timestamp", hint, field
        )


def _check_fields(check: _InboundCheck) -> Iterator[Finding]:
    message = check.message
    for field in check.policy.fields.values():
        shared = message.get(field.pointer)
        if field.from_:
            hint = "Keep fields of the message instead: the cases of a derived field can disclose other fields."
            yield check.finding("T036", "a received field must not be derived from other fields", hint, field)
        elif shared is not None:
            yield from _check_field(check, field, shared)
        elif not check.is_added(field):
            advice = (
                "Set `do: drop`."
                if field.key == check.policy.record
                else "Remove the entry: fields without an entry are dropped."
            )
            hint = did_you_mean(field.key, check.function.fields) or advice
            yield check.finding("T032", f"the function {check.function.name} does not have this field", hint, field)


def _check_field(check: _InboundCheck, field: Field, shared: SharedField) -> Iterator[Finding]:
    if shared.role not in ("plain", field.role):
        message = f"the role is {shared.role} in the manifest but {field.role} in the policy"
        yield check.finding("T035", message, f"Set `role: {shared.role}`.", field)
    chains = [way for way in (*treatments_of(field), field.in_aggregates) if not isinstance(way, str) and way]
    if not shared.chain:
        if chains:
            yield check.finding("T033", "the manifest drops this field", "Set `do: drop`.", field)
        return
    further_steps = [_steps_after_manifest(way, () if isinstance(shared.form, str) else shared.form) for way in chains]
    if None in further_steps:
        hint = f"Start with the steps of the manifest: {treatment_text(shared.form)}. More steps may follow."
        yield check.finding("T034", "the field is kept in another form than the manifest states", hint, field)
    elif shared.values and not all(_gives_only(steps, shared.values) for steps in further_steps if steps is not None):
        hint = f"Add `map: {{values: …}}` with {', '.join(shared.values)}."
        yield check.finding("T034", "the field may keep values that the manifest does not list", hint, field)


def _steps_after_manifest(
    manifest_chain: Sequence[TechniqueStep], manifest: Sequence[TechniqueStep]
) -> list[TechniqueStep] | None:
    """The steps after those of the manifest; None if the chain does not begin with them. `keep` steps are ignored."""
    written_steps, manifest_steps = (
        [step for step in chain if not step.changes_nothing] for chain in (manifest_chain, manifest)
    )
    begins = len(written_steps) >= len(manifest_steps) and all(map(_is_as_strict, written_steps, manifest_steps))
    return written_steps[len(manifest_steps) :] if begins else None


def _gives_only(steps: Sequence[TechniqueStep], values: Collection[str]) -> bool:
    """Whether a chain returns only some of these values, or null."""
    possible = steps[-1].possible_values if steps else None
    return possible is not None and possible <= {*values, None}


def _is_as_strict(step: TechniqueStep, manifest: TechniqueStep) -> bool:
    """Whether a step is at least as strict as that of the manifest.

    A pseudonym may differ for each tenant or period if that of the manifest does not. Hierarchies are compared by the digests
    of their files.
    """
    if isinstance(step, Pseudonymize) and isinstance(manifest, Pseudonymize):
        narrower = {name: getattr(step, name) for name in ("per", "rotate") if getattr(manifest, name) is None}
        return step == manifest.model_copy(update=narrower)
    if step.reference_file is not None and type(step) is type(manifest):
        return step.parameters() == manifest.parameters()
    return step == manifest


def _check_reads(check: _InboundCheck) -> Iterator[Finding]:
    """T033: conditions, steps and aggregates that would disclose something of a field that must not be kept."""
    policy, hidden, message = check.policy, check.discarded_fields, check.message
    for field in policy.fields.values():
        shared = message.get(field.pointer)
        manifest = set() if shared is None else {key for step in shared.chain for key in step.reads()}
        conditions = (("condition", key) for key in fields_read_by_conditions(field))
        steps = ((f"`{name}`", key) for name, key in fields_read_by_steps(field) if key not in manifest)
        for reader, key in dict.fromkeys((*conditions, *steps)):
            if Pointer.parse(key) in hidden:
                yield check.finding("T033", _disclosure_message(f"its {reader}", key), _READ_HINT, field)
    for key in dict.fromkeys(fields_read_by_condition(policy.records.collect_if)):
        if Pointer.parse(key) in hidden:
            yield check.finding("T033", _disclosure_message("`records.collect_if`", key), _READ_HINT)
    yield from () if check.pipeline is None else _check_pipeline_reads(check.pipeline, hidden)


def _check_pipeline_reads(job: Pipeline, hidden: Collection[Pointer]) -> Iterator[Finding]:
    file = None if job.path is None else str(job.path)
    for place, key in dict.fromkeys(_pipeline_reads(job)):
        if Pointer.parse(key) in hidden:
            message = _disclosure_message(f"`{'.'.join(place)}`", key)
            yield Finding(
                code="T033", message=message, severity="error", hint=_READ_HINT, file=file, line=job.line_of(*place)
            )


def _pipeline_reads(job: Pipeline) -> Iterator[tuple[tuple[str, ...], str]]:
    """Places of the pipeline that read a field, with the field. Counting or deduplicating records by id does not disclose it."""
    records, record = job.records, job.policy.record
    if records is not None:
        yield from ((("records", "collect_if"), key) for key in fields_read_by_condition(records.collect_if))
    if records is not None and records.deduplicate is not None:
        yield from ((("records", "deduplicate"), key) for key in records.deduplicate.by if key != record)
    for name, model in job.aggregates.items():
        counted = model.suppress.counting or job.policy.subject
        if counted not in (None, record):
            yield ("aggregates", name, "suppress"), counted
        yield from ((("aggregates", name), key) for key in fields_read_by_aggregate(model))


def _disclosure_message(reader: str, key: str) -> str:
    return f"{reader} reads `{key}`, which the manifest does not permit to keep"


_READ_HINT: Final = "Read a field that the manifest keeps."
_CHECKS: Final[tuple[Callable[[_InboundCheck], Iterator[Finding]], ...]] = (_check_head, _check_fields, _check_reads)


_READABLE: Final = ("original", "guessable")
_FILE_HEAD: Final = re.compile(rb'^\s?"?(recipient|subprocessors)"?\s*:', re.MULTILINE)


def lint_recipients(path: str | Path, on: date) -> list[Finding]:
    """All faults and risky choices of a recipient's file, or of a folder of them with its list, as of a day; worst first.

    Raises PolicyError if the path does not exist.
    """
    place = Path(path)
    if not place.exists():
        raise PolicyError(f"{place} does not exist", hint="Pass the file of a recipient, or a folder of them.")
    listed, faults = examine_subprocessors((place if place.is_dir() else place.parent) / SUBPROCESSORS_FILE)
    files = recipient_files(place) if place.is_dir() else [place] if place.name != SUBPROCESSORS_FILE else []
    findings = [
        *faults,
        *_check_overlaps(listed),
        *(finding for file in files for finding in _lint_file(file, listed, on)),
    ]
    return sorted(
        dict.fromkeys(findings),
        key=lambda finding: (finding.severity, finding.file or "", finding.line or 0, finding.code),
    )


def _check_overlaps(listed: Subprocessors) -> Iterator[Finding]:
    """T016: entries of the same name with overlapping dates, which are ambiguous."""
    file = None if listed.path is None else str(listed.path)
    for number, entry in enumerate(listed.entries):
        before = [each for each in listed.entries[:number] if each.name == entry.name]
        if any(entry.overlaps(each) for each in before):
            message = f"`{entry.name}` is listed twice for the same days"
            yield Finding(
                code="T016",
                message=message,
                severity="warning",
                hint="Set `until` for one entry, or remove it.",
                file=file,
                line=entry.line,
            )


def is_recipient_path(path: str | Path) -> bool:
    """Whether this lint applies to a path: a file with `recipient:` or `subprocessors:`, or a folder of them."""
    place = Path(path)
    if place.is_dir():
        return not (place / PIPELINE_FILE).exists() and any(
            map(is_recipient_path, (place / SUBPROCESSORS_FILE, *recipient_files(place)))
        )
    if not place.is_file():
        return False
    with place.open("rb") as file:
        return _FILE_HEAD.search(file.read(65_536)) is not None


def check_recipient(recipient: Recipient, listed: Subprocessors, on: date) -> list[Finding]:
    """The findings about a recipient whose file could be read."""
    judged = _CheckedRecipient(recipient, listed, on)
    return [finding for check in _LINT_CHECKS for finding in check(judged)]


def _lint_file(file: Path, listed: Subprocessors, on: date) -> list[Finding]:
    recipient, faults = examine_recipient(file)
    if recipient is None:
        return faults
    faulty = {fault.field for fault in faults}
    return [
        *faults,
        *(
            finding
            for finding in check_recipient(recipient, listed, on)
            if finding.field is None or finding.field not in faulty
        ),
    ]


@dataclass(frozen=True, slots=True)
class _CheckedRecipient:
    """A recipient and the list of subprocessors, checked as of a day."""

    recipient: Recipient
    listed: Subprocessors
    on: date

    def finding(
        self, code: str, severity: Severity, message: str, hint: str = "", field: SharedField | None = None
    ) -> Finding:
        file = None if self.recipient.path is None else str(self.recipient.path)
        key, line = (None, None) if field is None else (field.key, field.line)
        return Finding(code=code, message=message, severity=severity, hint=hint, file=file, line=line, field=key)

    @property
    def outbound_fields(self) -> list[SharedField]:
        """The fields of which something is sent."""
        return [field for function in self.recipient.outbound for field in function.shared.values()]

    @property
    def transmitted_fields(self) -> list[SharedField]:
        """The fields that a contract must permit: those of which something is sent, and pass-through secrets."""
        fields = [field for function in self.recipient.outbound for field in function.fields.values()]
        return [field for field in fields if field.chain or field.passes]


def _check_contract(judged: _CheckedRecipient) -> Iterator[Finding]:
    contract, receives = judged.recipient.contract, bool(judged.recipient.inbound)
    sends = contract is not None and contract.permits_transmission
    if judged.transmitted_fields and not sends:
        message = "no contract permits transmission, so nothing is sent to this recipient"
        yield judged.finding("T010", "warning", message, "Add `contract:`.")
    elif receives and contract is None:
        yield judged.finding(
            "T010", "warning", "there is no contract, so nothing is received from this recipient", "Add `contract:`."
        )
    if contract is None or not (receives or (judged.transmitted_fields and sends)):
        return
    if not contract.holds(judged.on):
        yield judged.finding("T011", "error", f"the contract {contract.reference} is not in force on {judged.on}")
    if judged.transmitted_fields and sends:
        if contract.retention is None:
            hint = "Add `retention:` to the contract."
            yield judged.finding(
                "T014", "warning", "the contract does not state how long the recipient keeps the data", hint
            )
        yield from _check_permitted_fields(judged, contract)


def _check_permitted_fields(judged: _CheckedRecipient, contract: Contract) -> Iterator[Finding]:
    for field in judged.transmitted_fields:
        if not contract.permits(field.key):
            hint = "Add it to `permitted_fields` of the contract, or drop it."
            yield judged.finding("T012", "error", "the contract does not permit this field", hint, field)
    sent = {field.key for field in judged.transmitted_fields}
    for key in contract.permitted_fields:
        if key not in sent:
            hint = "Remove it from `permitted_fields` of the contract."
            yield judged.finding("T013", "warning", f"the contract permits `{key}`, which no function sends", hint)


def _check_processor(judged: _CheckedRecipient) -> Iterator[Finding]:
    entry = judged.recipient.subprocessor if judged.recipient.standing == "processor" else None
    if entry is not None and not judged.listed.is_listed(entry, judged.on):
        message = f"`{entry}` is not on the list of subprocessors on {judged.on}"
        yield judged.finding("T015", "error", message, f"Add an entry with `from` to {SUBPROCESSORS_FILE}.")


def _check_forms(judged: _CheckedRecipient) -> Iterator[Finding]:
    for field in judged.outbound_fields:
        residual = least_revealing(step_residual(step, [field.role]) for step in field.chain)
        if field.role == "identifier" and residual in _READABLE:
            yield judged.finding(
                "T020",
                "warning",
                "an identifier is sent in a form that can be read or guessed",
                "Pseudonymize or drop it.",
                field,
            )
        if field.role == "free_text" and residual == "original":
            yield judged.finding("T021", "warning", "free text is sent unchanged", "Use `redact`, or drop it.", field)


def _check_examples(judged: _CheckedRecipient) -> Iterator[Finding]:
    for function in judged.recipient.functions.values():
        for field in function.fields.values():
            if field.example is not None and example_array(field) is None:
                yield judged.finding(
                    "T024",
                    "warning",
                    f"the example is not of type {field.type}",
                    "Correct the example, so that it shows the form.",
                    field,
                )
            elif field.values and field.example not in (None, *field.values):
                message = "the example is not one of the listed values"
                yield judged.finding("T024", "warning", message, "Use one of `values`.", field)


def _check_texts(judged: _CheckedRecipient) -> Iterator[Finding]:
    for function in judged.recipient.functions.values():
        yield from _check_function_text(judged, function)


def _check_function_text(judged: _CheckedRecipient, function: Function) -> Iterator[Finding]:
    if not function.text:
        message = f"the function `{function.name}` has no text for tenants to authorize"
        yield judged.finding("T022", "warning", message, "Add `text:`.")
    for field in function.shared.values():
        if not field.about:
            yield judged.finding("T023", "warning", "the use of this field is not stated", "Add `about:`.", field)


_LINT_CHECKS: Final[tuple[Callable[[_CheckedRecipient], Iterator[Finding]], ...]] = (
    _check_contract,
    _check_processor,
    _check_forms,
    _check_examples,
    _check_texts,
)
