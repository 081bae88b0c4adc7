"""What lint says about fields by themselves: what is kept, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from minimize.errors import Finding
from minimize.policy.fields import is_dropped, steps_of, ways_of
from minimize.policy.lint.subject import Subject
from minimize.policy.model import Do, Field, Policy, Role
from minimize.policy.pipeline import Pipeline
from minimize.policy.roles import surely
from minimize.techniques import Step

FULL: Final = "full"
"""The level below which names and addresses are not kept as they are."""
_PSEUDONYMS = ("pseudonymize", "tokenize")


def kept(subject: Subject) -> Iterator[Finding]:
    """L001, L002, L004, L006: kept as it is, whatever the role says."""
    told = {
        "quasi": ("L001", "the quasi-identifier is kept as it is", "make it coarser: truncate, round, bin, generalize"),
        "free_text": ("L002", "free text is kept as it is; it can hold anything", "drop it, or `redact` or `presence`"),
        "identifier": ("L004", "the identifier is kept as it is", "`pseudonymize` it, `mask` it, or drop it"),
        "sensitive": ("L006", "the sensitive value is kept as it is", "make it coarser, or drop it"),
    }
    for field in subject.fields:
        if is_kept(field):
            for code, message, hint in (told[role] for role in _roles(subject, field) if role in told):
                yield subject.finding(code, message + _when(field), field=field, hint=hint)


def left(subject: Subject) -> Iterator[Finding]:
    """L003, L005: what can be guessed or reversed from what is kept."""
    for field in subject.fields:
        guessable = {leaves(way) for way in ways_of(field)} & {"guessable", "reversible"}
        if guessable and field.role == "free_text":
            yield subject.finding(
                "L003", "what no pattern finds stays in the text", field=field, hint="prefer `presence`"
            )
        elif guessable and field.role == "identifier":
            hint = "`pseudonymize` where it only has to join; the category is identified"
            yield subject.finding(
                "L005", f"the identifier is {min(guessable)} from what is kept", field=field, hint=hint
            )


def plain(subject: Subject) -> Iterator[Finding]:
    """L007: a personal name and a plain role."""
    for field in subject.fields:
        role = surely(field.pointer)
        if role is not None and field.role == "plain" and not is_dropped(field):
            message = "the name looks personal, and the role is plain"
            yield subject.finding("L007", message, field=field, hint=f"say `role: {role}`")


def identifying(subject: Subject) -> Iterator[Finding]:
    """L008: values that identify, kept in a field whose name does not say so and whose role is not stated."""
    for field in subject.fields:
        seen = (subject.values or {}).get(field.pointer)
        if seen is None or not may_identify(field) or field.key == subject.policy.tenant:
            continue
        hint = "say `role: identifier`; or `role: plain` if they identify no person, device or session"
        yield subject.finding("L008", f"its values look like {seen}, and no role is stated", field=field, hint=hint)


def may_identify(field: Field) -> bool:
    """Whether a field without a stated role keeps so much of its values that they would identify."""
    stated = "role" in field.model_fields_set or surely(field.pointer) is not None
    return not stated and not field.from_ and any(leaves(way) not in ("nothing", "linkable") for way in ways_of(field))


def below_full(subject: Subject) -> Iterator[Finding]:
    """L009: names and addresses that are kept as they are below the level `full`, in a policy that has this level.

    What a field holds is known by its name, or by the first values of the source. A stated `role: plain` says that it is
    none of these.
    """
    for field in subject.fields:
        if not is_below_full(field, subject.policy):
            continue
        inputs = (subject.policy.fields.get(key) for key in field.from_)
        kinds = (subject.contact_kind(each) for each in (field, *inputs) if each is not None)
        kind = next((kind for kind in kinds if kind is not None), None)
        if kind is not None:
            hint = f"say `level: {FULL}`, give it a technique, or drop it"
            yield subject.finding("L009", f"{kind} is kept as it is below the level `{FULL}`", field=field, hint=hint)


def is_below_full(field: Field, policy: Policy) -> bool:
    """Whether a policy has the level `full` and keeps a field as it is below it, and does not state that the field is plain."""
    high = policy.levels[policy.levels.index(FULL) :] if FULL in policy.levels else ()
    is_plain = field.role == "plain" and "role" in field.model_fields_set
    is_low = bool(high) and not {field.level, policy.records.level} & set(high)
    return is_low and not is_plain and is_kept(field)


def is_kept(field: Field) -> bool:
    """Whether the values of a field are kept as they are, in some case at least."""
    return any(leaves(way) == "everything" for way in ways_of(field))


def pseudonyms(subject: Subject) -> Iterator[Finding]:
    """L010, L011: pseudonyms that link too far, or cannot be found again."""
    tenant = subject.policy.tenant
    for field in subject.fields:
        for step in dict.fromkeys(step for step in steps_of(field) if step.name in _PSEUDONYMS):
            per = getattr(step, "per", None)
            if per is None:
                hint = f"say `per: {tenant}`" if tenant else "say `per:` and the field that names the tenant"
                yield subject.finding("L010", f"`{step.name}` has no `per`", field=field, hint=hint)
            elif per != tenant:
                hint = "only tenants can be listed when somebody has to be found again"
                yield subject.finding("L011", f"`{step.name}` is per `{per}`, not per tenant", field=field, hint=hint)


def keys_missing(pipeline: Pipeline, known: Sequence[str], reason: str = "") -> Iterator[Finding]:
    """L012: keys that fields name and a keyring lacks; `reason` says why it has none at all."""
    subject = Subject(pipeline.policy, pipeline)
    for field in subject.fields:
        for name in dict.fromkeys(name for step in steps_of(field) for name in step.key_names):
            if name not in known:
                message = reason or f"the keyring has no key `{name}`"
                yield subject.finding("L012", message, field=field, hint=f"minimize keys add FILE {name}")


def leaves(way: Do) -> str:
    """What a chain leaves of a value: the least that any of its steps does."""
    order = ("nothing", "linkable", "guessable", "reversible", "everything")
    left_by: list[str] = ["nothing"] if isinstance(way, str) else [_leaves(step) for step in way]
    return min(left_by, key=order.index)


def _roles(subject: Subject, field: Field) -> Iterator[Role]:
    """Its own role, and the roles of what it is made from; each once."""
    inputs = (subject.policy.fields.get(key) for key in field.from_)
    yield from dict.fromkeys([field.role, *(found.role for found in inputs if found is not None)])


def _leaves(step: Step) -> str:
    return step.leaves


def _when(field: Field) -> str:
    return " in some cases" if field.cases else ""
