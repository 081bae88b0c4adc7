"""The entries of the record of processing: what Art. 30(1) GDPR asks of each activity, from what is enforced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from minimize.catalog.datasets import UNLIMITED, kept
from minimize.catalog.gather import STATED, Known
from minimize.catalog.model import Activity, Ran, RecipientEntry, Record
from minimize.plan import Plan
from minimize.plan.encrypted import encrypted_in_words
from minimize.plan.model import Branch, FieldPlan
from minimize.policy.pipeline import SourceModel
from minimize.policy.words import duration
from minimize.receipt import time_text
from minimize.recipients import Recipient, Subprocessor

_ASKED = {
    "controller": "Art. 30(1)(a): the controller",
    "contact": "Art. 30(1)(a): how to reach the controller",
    "dpo": "Art. 30(1)(a): the data protection officer, where there is one",
    "subjects": "Art. 30(1)(c): what the data subjects are to the house",
    "transfers": "Art. 30(1)(e): transfers to third countries, or that there are none",
}
_ROLES = {
    "identifier": "identifiers",
    "quasi": "what helps to tell who somebody is",
    "sensitive": "sensitive data",
    "free_text": "free text",
    "plain": "other data",
}


def record(
    known: Sequence[Known],
    recipients: Sequence[Recipient],
    house: dict[str, str],
    listed: Sequence[Subprocessor] = (),
) -> Record:
    """The whole record. Takes the entries of the list of subprocessors, too."""
    missing = [about for word, about in _ASKED.items() if not house.get(word)]
    missing += [f"{each.job.pipeline}: for how long it is kept" for each in known if each.plan.policy.retention is None]
    return Record(
        house=tuple((word, house[word]) for word in STATED if word in house),
        activities=tuple(map(activity, known)),
        recipients=tuple(map(recipient_entry, recipients)),
        subprocessors=tuple(listed),
        missing=tuple(missing),
    )


def activity(known: Known) -> Activity:
    """The entry of one pipeline."""
    plan = known.plan
    return Activity(
        name=known.job.pipeline,
        owner=plan.policy.owner,
        purposes=(known.job.purpose,),
        subjects=_subjects(plan),
        data=tuple(_data(plan)),
        recipients=tuple(map(str, known.fed)),
        limits=tuple(_limits(plan)),
        measures=(*_consent(known.job.source), *_measures(plan)),
        ran=_ran(known),
    )


def recipient_entry(recipient: Recipient) -> RecipientEntry:
    """The entry of one third party."""
    ways = {"outbound": "goes there", "inbound": "comes from there"}
    functions = (f"{each.name} ({each.purpose}, {ways[each.direction]})" for each in recipient.functions.values())
    fields = dict.fromkeys(key for each in recipient.outbound for key in (*each.shared, *each.passing))
    return RecipientEntry(
        name=recipient.recipient,
        standing=recipient.standing,
        about=recipient.about,
        functions=tuple(functions),
        fields=tuple(fields),
        contract=_contract(recipient),
    )


def _subjects(plan: Plan) -> str:
    key = plan.policy.subject
    if key is None:
        return "the policy names none"
    about = plan.policy.fields[key].about
    return f"whoever {key} stands for" + (f" ({about})" if about else "")


def _data(plan: Plan) -> Iterator[str]:
    """What leaves, by role: the fields and what is left of them."""
    leaving = [field for field in plan.fields.values() if field.gives is not None]
    for role, about in _ROLES.items():
        fields = [_told(field) for field in leaving if field.field.role == role]
        if fields:
            yield f"{about}: {', '.join(fields)}"


def _told(field: FieldPlan) -> str:
    ways = list(dict.fromkeys(map(_way, field.branches)))
    return field.key if ways == ["kept as it is"] else f"{field.key} ({' or '.join(ways)})"


def _way(branch: Branch) -> str:
    """What one case does."""
    if branch.steps is None:
        return "dropped"
    return " → ".join(step.name for step in branch.steps if step.name != "keep") or "kept as it is"


def _limits(plan: Plan) -> Iterator[str]:
    policy = plan.policy
    yield UNLIMITED if policy.retention is None else f"{duration(policy.retention)} from the time of the event"
    for name, feature in policy.features.items():
        used = any(field.field.feature == name and field.gives is not None for field in plan.fields.values())
        if feature.retention is not None and used:
            yield f"{name}: {duration(feature.retention)}"
    for name, span in plan.own_retentions.items():
        yield f"{name}: {duration(span)}"
    shorter = [
        field.key for field in plan.fields.values() if field.gives is not None and kept(plan, field) == UNLIMITED
    ]
    if shorter and policy.retention is not None:
        yield f"without a limit: {', '.join(shorter)}"


def _consent(source: SourceModel) -> Iterator[str]:
    if source.is_received:
        sender = f"{source.recipient} ({source.function})"
        yield f"consent: a record from {sender} is kept only if its tenant agreed when it arrived and when it is processed"


def _measures(plan: Plan) -> Iterator[str]:
    """Art. 30(1)(g), 32: what is done technically, as the plan enforces it."""
    dropped = sum(field.gives is None for field in plan.fields.values())
    yield f"minimization: of {len(plan.fields)} declared fields {dropped} are dropped; what is not declared is never read"
    used = Counter(word for field in plan.fields.values() if field.gives is not None for word in field.technique)
    coarse = ", ".join(sorted(word for word in used if word not in ("keep", "pseudonymize", "tokenize")))
    if used["pseudonymize"]:
        yield "pseudonymization: keyed hashes (HMAC-SHA-256); the keys are kept apart"
    if used["tokenize"]:
        yield "tokenization: reversible with the keyring alone (AES-SIV)"
    if coarse:
        yield f"generalization: {coarse}"
    for name, aggregate in plan.aggregates.items():
        yield f"{name}: groups of fewer than {aggregate.model.suppress.below} subjects are left out"
    for name in plan.outputs:
        words = encrypted_in_words(plan, name)
        if words:
            yield f"{name}: {words}"
    yield "accountability: signed, chained receipts of every change; `minimize verify` re-checks what stands"


def _contract(recipient: Recipient) -> str:
    contract = recipient.contract
    if contract is None:
        return "none"
    until = f" until {contract.until}" if contract.until else ""
    held = f"; it may keep what it got for {duration(contract.retention)}" if contract.retention else ""
    permits = "" if contract.permits_transmission else "; permits no transmission"
    return f"{contract.reference}, from {contract.from_}{until}{held}{permits}"


def _ran(known: Known) -> Ran | None:
    """What receipts tell; the last of them says whether it followed the policy of today."""
    if not known.receipts:
        return None
    first, last = known.receipts[0], known.receipts[-1]
    kinds = Counter(each.kind for each in known.receipts)
    days = sorted(day for each in known.receipts for day in each.dates)
    return Ran(
        receipts=len(known.receipts),
        kinds=tuple(f"{kind} {count}" for kind, count in sorted(kinds.items())),
        first=time_text(first.finished),
        last=time_text(last.finished),
        dates=f"{days[0]} to {days[-1]}" if days else "",
        policy=f"{last.policy.name} version {last.policy.version}",
        as_today=last.policy.digest == known.job.policy.digest,
    )
