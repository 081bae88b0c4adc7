"""Lint of fields: kept values, what conditions disclose, names in the source, treatment in other policies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from minimize.arrow.pointers import Pointer, PointerPart
from minimize.errors import Finding, PolicyError
from minimize.keys.keyring import NOISE_KEY
from minimize.linting.rules import LintSubject
from minimize.policy.condition import Atom, ConditionValue, FieldEquals, atoms, fields_of_atom
from minimize.policy.describe import WORDS
from minimize.policy.fields import is_dropped, steps_of, treatments_of
from minimize.policy.load import load_policy
from minimize.policy.model import Field, Policy, Role
from minimize.policy.pipeline import Pipeline
from minimize.policy.roles import certain_role, states_plain
from minimize.policy.treatments import Treatment
from minimize.records import POLICY_FILE
from minimize.techniques import Residual
from minimize.techniques.base import RESIDUAL_ORDER

FULL_LEVEL: Final = "full"
"""The level below which names and addresses should not be kept unchanged."""


def check_kept_values(subject: LintSubject) -> Iterator[Finding]:
    """L001, L002, L004, L006: values kept unchanged although their role requires a treatment."""
    messages = {
        "quasi": (
            "L001",
            "the quasi-identifier is kept unchanged",
            "Make it coarser: truncate, round, bin or generalize it.",
        ),
        "free_text": (
            "L002",
            "free text is kept unchanged; it can contain anything",
            "Drop it, or use `redact` or `presence`.",
        ),
        "identifier": ("L004", "the identifier is kept unchanged", "Use `pseudonymize` or `mask`, or drop it."),
        "sensitive": ("L006", "the sensitive value is kept unchanged", "Make it coarser, or drop it."),
    }
    for field in subject.fields:
        if is_kept(field):
            for code, message, hint in (
                messages[role] for role in _own_and_input_roles(subject, field) if role in messages
            ):
                yield subject.finding(code, message + _cases_suffix(field), field=field, hint=hint)


def check_remaining_values(subject: LintSubject) -> Iterator[Finding]:
    """L003, L005: values that can be guessed or reversed from their released form."""
    for field in subject.fields:
        guessable = {treatment_residual(way) for way in treatments_of(field)} & {"guessable", "reversible"}
        if guessable and field.role == "free_text":
            yield subject.finding(
                "L003",
                "personal data that no pattern finds remains in the text",
                field=field,
                hint="Prefer `presence`.",
            )
        elif guessable and field.role == "identifier":
            hint = "Use `pseudonymize` if the field is only needed for joins. As it is, the category is identified."
            yield subject.finding(
                "L005", f"the identifier is {min(guessable)} from its released form", field=field, hint=hint
            )


def check_lossless_steps(subject: LintSubject) -> Iterator[Finding]:
    """L086: techniques that change nothing, although plan and report call their results coarser."""
    for field in subject.fields:
        steps = (step for step in steps_of(field) if step.is_lossless(field.type) and not step.changes_nothing)
        for name in dict.fromkeys(step.name for step in steps):
            message = f"`{name}` with these parameters keeps every {field.type} apart, so nothing is made coarser"
            hint = "Use a coarser parameter, or write `do: keep`."
            yield subject.finding("L086", message, field=field, hint=hint)


def check_plain_roles(subject: LintSubject) -> Iterator[Finding]:
    """L007: a personal name and a plain role."""
    for field in subject.fields:
        role = certain_role(field.pointer)
        if role is not None and field.role == "plain" and not is_dropped(field):
            message = "the field name suggests personal data, but the policy declares it plain"
            yield subject.finding("L007", message, field=field, hint=f"Set `role: {role}`.")


def check_identifying_values(subject: LintSubject) -> Iterator[Finding]:
    """L008: identifying values, kept in a field whose name does not suggest them and whose role is not stated."""
    for field in subject.fields:
        value_kind = (subject.values or {}).get(field.pointer)
        if value_kind is None or not may_identify(field) or field.key == subject.policy.tenant:
            continue
        hint = "Set `role: identifier`, or `role: plain` if they identify no person, device or session."
        yield subject.finding(
            "L008", f"its values look like {value_kind}, but no role is stated", field=field, hint=hint
        )


def may_identify(field: Field) -> bool:
    """Whether a field without a stated role keeps values in a form that can identify."""
    stated = "role" in field.model_fields_set or certain_role(field.pointer) is not None
    return (
        not stated
        and not field.from_
        and any(treatment_residual(way) not in ("coarse", "linkable") for way in treatments_of(field))
    )


def check_reachable_roles(subject: LintSubject) -> Iterator[Finding]:
    """L013: addresses and numbers under which a person can be reached, released under a role other than identifier."""
    for field in subject.fields:
        if field.stated_role is None or field.role in ("identifier", "free_text", "plain"):
            continue
        kind = subject.reachable_kind(field)
        if kind is not None and any(map(_shows_identifier, treatments_of(field))):
            message = f"{kind} is released with the role {field.role}"
            hint = "Set `role: identifier`; or drop it, or make it coarser, for example with `email_domain`."
            yield subject.finding("L013", message, field=field, hint=hint)


def _shows_identifier(treatment: Treatment) -> bool:
    """Whether an identifier can be recognized or guessed after a chain."""
    steps = () if isinstance(treatment, str) else treatment
    return bool(steps) and all(step.residual_for(identifier=True) not in ("coarse", "linkable") for step in steps)


def check_contacts_below_full(subject: LintSubject) -> Iterator[Finding]:
    """L009: names and addresses kept unchanged below the level `full`, in a policy that has this level.

    The content of a field is recognized by its name, or by the first values of the source. A stated `role: plain` exempts a
    field.
    """
    for field in subject.fields:
        if not is_below_full(field, subject.policy):
            continue
        inputs = (subject.policy.fields.get(key) for key in field.from_)
        kinds = (subject.contact_kind(each) for each in (field, *inputs) if each is not None)
        kind = next((kind for kind in kinds if kind is not None), None)
        if kind is not None:
            hint = f"Set `level: {FULL_LEVEL}`, add a technique, or drop it."
            yield subject.finding(
                "L009", f"{kind} is kept unchanged below the level `{FULL_LEVEL}`", field=field, hint=hint
            )


def is_below_full(field: Field, policy: Policy) -> bool:
    """Whether a policy has the level `full`, keeps a field unchanged below it, and does not state that the field is plain."""
    high = policy.levels[policy.levels.index(FULL_LEVEL) :] if FULL_LEVEL in policy.levels else ()
    is_plain = states_plain(field)
    is_low = bool(high) and not {field.level, policy.records.level} & set(high)
    return is_low and not is_plain and is_kept(field)


def is_kept(field: Field) -> bool:
    """Whether the values of a field are kept unchanged in at least one case."""
    return any(treatment_residual(way) == "original" for way in treatments_of(field))


def check_pseudonyms(subject: LintSubject) -> Iterator[Finding]:
    """L010, L011: pseudonyms that link across tenants, or that requests cannot find."""
    tenant = subject.policy.tenant
    for field in subject.fields:
        for step in dict.fromkeys(step for step in steps_of(field) if step.is_pseudonym()):
            per = getattr(step, "per", None)
            if per is None:
                hint = f"Set `per: {tenant}`." if tenant else "Set `per:` to the field that names the tenant."
                yield subject.finding("L010", f"`{step.name}` has no `per`", field=field, hint=hint)
            elif per != tenant:
                hint = "Set `per` to the tenant: requests can list all tenants, but not the values of other fields."
                yield subject.finding("L011", f"`{step.name}` is per `{per}`, not per tenant", field=field, hint=hint)


def missing_keys(pipeline: Pipeline, known_names: Sequence[str], reason: str = "") -> Iterator[Finding]:
    """L012: keys that fields name or noise needs and a keyring lacks; `reason` is the message if the keyring cannot be used."""
    subject = LintSubject(pipeline.policy, pipeline)
    for field in subject.fields:
        for name in dict.fromkeys(name for step in steps_of(field) for name in step.key_names):
            if name not in known_names:
                message = reason or f"the keyring has no key `{name}`"
                yield subject.finding("L012", message, field=field, hint=f"Run `minimize keys add FILE {name}`.")
    noisy = next((name for name, each in pipeline.aggregates.items() if each.exact is None), None)
    if noisy is not None and NOISE_KEY not in known_names:
        message = reason or f"the keyring has no key `{NOISE_KEY}`, which tables with noise need"
        hint = f"Run `minimize keys add FILE {NOISE_KEY}`."
        yield subject.pipeline_finding("L012", message, "aggregates", noisy, hint=hint)


def treatment_residual(treatment: Treatment) -> Residual:
    """The residual of a chain: that of its least revealing step."""
    steps = () if isinstance(treatment, str) else treatment
    return min((step.residual for step in steps), key=RESIDUAL_ORDER.index, default="coarse")


def _own_and_input_roles(subject: LintSubject, field: Field) -> Iterator[Role]:
    """The role of a field, and the roles of the fields that it is derived from; each once."""
    inputs = (subject.policy.fields.get(key) for key in field.from_)
    yield from dict.fromkeys([field.role, *(source.role for source in inputs if source is not None)])


def _cases_suffix(field: Field) -> str:
    return " in some cases" if field.cases else ""


def check_condition_fields(subject: LintSubject) -> Iterator[Finding]:
    """L050, L051: a record shows the outcome of a condition, and so discloses something of the fields that it reads.

    A condition has no effect, and is not reported, if its field is for other purposes.
    """
    for key, field in _fields_read(subject):
        read = subject.policy.fields[key]
        if field is not None and not subject.is_for_purpose(field):
            continue
        if read.role in ("secret", "identifier"):
            message = f"the condition reads `{read.key}`, whose role is {read.role}"
            hint = "Use another field: the presence of the value discloses something of the field that is read."
            yield _condition_finding(subject, "L050", message, field, hint)
        elif not subject.is_in_records(read.key):
            message = (
                f"the condition reads `{read.key}`, which the output does not contain, and so discloses something of it"
            )
            yield _condition_finding(subject, "L051", message, field, "Read a field that the output contains.")


def check_condition_values(subject: LintSubject) -> Iterator[Finding]:
    """L052: a value of a type that the field never has."""
    for equals, field in _comparisons(subject):
        read = subject.policy.fields[equals.field]
        if not all(_fits_type(value, read.type) for value in equals.values):
            message = f"the condition compares `{read.key}`, a {read.type}, with a value of another type"
            yield _condition_finding(
                subject,
                "L052",
                message,
                field,
                "Correct the value, which never matches: quote texts, do not quote numbers.",
            )


def _fields_read(subject: LintSubject) -> Iterator[tuple[str, Field | None]]:
    """Each field that an atom of a condition reads, once for each field whose condition it is."""
    for atom, field in _atoms_with_field(subject):
        yield from ((key, field) for key in fields_of_atom(atom) if key in subject.policy.fields)


def _comparisons(subject: LintSubject) -> Iterator[tuple[FieldEquals, Field | None]]:
    for atom, field in _atoms_with_field(subject):
        if isinstance(atom, FieldEquals) and atom.field in subject.policy.fields:
            yield atom, field


def _atoms_with_field(subject: LintSubject) -> Iterator[tuple[Atom, Field | None]]:
    """Each atom of a condition, once for each field whose condition it is."""
    yielded: set[tuple[Atom, str | None]] = set()
    for condition, field in subject.conditions():
        for atom in atoms(condition):
            place = (atom, None if field is None else field.key)
            if place not in yielded:
                yielded.add(place)
                yield atom, field


def _fits_type(value: ConditionValue, type_: str) -> bool:
    if type_ == "boolean":
        return isinstance(value, bool)
    if type_ == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if type_ == "double" or type_.startswith("decimal"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str)


def _condition_finding(subject: LintSubject, code: str, message: str, field: Field | None, hint: str) -> Finding:
    if field is not None:
        return subject.finding(code, message, field=field, hint=hint)
    if subject.policy.records.collect_if is not None:
        return subject.finding(code, message, at="records.collect_if", hint=hint)
    return subject.pipeline_finding(code, message, "records", "collect_if", hint=hint)


def check_source_paths(subject: LintSubject) -> Iterator[Finding]:
    """L020, L021: paths that the source does not have, with a suggestion."""
    if subject.columns is None:
        return
    columns = {part for column in subject.columns for part in _path_prefixes(column)}
    folded = {_normalize_path(column): column for column in sorted(columns, key=str)}
    for field in subject.fields:
        if field.from_ or field.pointer.is_keys or field.pointer in columns:
            continue
        meant = folded.get(_normalize_path(field.pointer))
        if meant is not None:
            message = "the source spells this path differently, so nothing is read"
            yield subject.finding("L021", message, field=field, hint=f"Did you mean `{_path_text(meant)}`?")
        elif not field.optional:
            hint = "Correct the path, or set `optional: true`."
            yield subject.finding("L020", "the source does not have this path", field=field, hint=hint)


def unreadable_source(pipeline: Pipeline, reason: str) -> Finding:
    """L023: the source could not be read, so no path was compared with it."""
    hint = "Make the source available and run lint again, to check the paths of the policy."
    message = f"the source could not be read: {reason}"
    return LintSubject(pipeline.policy, pipeline).pipeline_finding("L023", message, "source", hint=hint)


def check_sibling_policies(subject: LintSubject) -> Iterator[Finding]:
    """L022: a field of the same name is treated differently by another policy."""
    for sibling in subject.siblings:
        if _is_same_policy(sibling, subject.policy):
            continue
        theirs = {_normalize_path(field.pointer): field for field in sibling.fields.values()}
        for field in subject.fields:
            twin = theirs.get(_normalize_path(field.pointer))
            if twin is not None and _treatment(twin) != _treatment(field):
                message = f"the policy `{sibling.policy}` treats a field of this name differently"
                yield subject.finding("L022", message, field=field, hint=_difference_text(twin, field))


def policies_in_tree(tree: Path) -> list[Policy]:
    """The policies of a folder of pipelines and of its direct subfolders. Policies with faults are omitted."""
    files = sorted([*tree.glob(POLICY_FILE), *tree.glob(f"*/{POLICY_FILE}")])
    return [policy for policy in map(_load_or_none, files) if policy is not None]


def _load_or_none(file: Path) -> Policy | None:
    try:
        return load_policy(file)
    except PolicyError:
        return None


def _path_prefixes(pointer: Pointer) -> list[Pointer]:
    return [Pointer(pointer.parts[:length]) for length in range(1, len(pointer.parts) + 1)]


def _normalize_path(pointer: Pointer) -> tuple[str, ...]:
    """The path in lower case, without the characters that join words."""
    return tuple(_normalize_part(part) for part in pointer.parts)


def _normalize_part(part: PointerPart) -> str:
    return re.sub(r"[\s_.-]+", "", part).casefold() if isinstance(part, str) else part.value


def _path_text(pointer: Pointer) -> str:
    return pointer.top if pointer.is_flat and not pointer.top.startswith("/") else str(pointer)


def _is_same_policy(first: Policy, second: Policy) -> bool:
    if first.path is not None and second.path is not None:
        return first.path.resolve() == second.path.resolve()
    return first is second or first.policy == second.policy


def _treatment(field: Field) -> tuple[object, ...]:
    return field.role, field.do, field.cases, field.otherwise, field.feature, field.level


def _difference_text(twin: Field, field: Field) -> str:
    """The treatments of a field in both policies: in a few words, or with parameters and conditions if these are equal."""
    for text in (_brief_text, _full_text):
        theirs, ours = text(twin), text(field)
        if theirs != ours:
            return f"Check that this is intended: {theirs} there, {ours} here."
    return f"Check that this is intended: {_brief_text(field)} in both, with different parameters."


def _brief_text(field: Field) -> str:
    ways = [way if isinstance(way, str) else "+".join(step.name for step in way) for way in treatments_of(field)]
    facts = [fact for fact in (field.stated_role, field.feature, field.level) if fact]
    return " or ".join(dict.fromkeys(ways)) + (f" ({', '.join(facts)})" if facts else "")


def _full_text(field: Field) -> str:
    return ", ".join(WORDS.forms(field, "{form} if {when}", "{form} otherwise"))
