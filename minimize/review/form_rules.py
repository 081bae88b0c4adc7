"""The forms that `diff` compares, and for each the rules by which a change of a key is graded and described."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from minimize.aggregates import Measure
from minimize.arrow.pointers import Pointer
from minimize.config import Config, ConfigEntry, load_config
from minimize.errors import Finding
from minimize.governance.access.load import examine_access
from minimize.governance.access.model import EXTERNAL, AccessScope, RoleAssignment, covers
from minimize.governance.access.permissions import Permission
from minimize.governance.access.roles import AccessRole
from minimize.plan.category import CATEGORY_ORDER
from minimize.policy.approval import ApprovalDemand, approval_state, configured_approval
from minimize.policy.condition import Condition
from minimize.policy.describe import condition_text, gate_texts, treatment_text
from minimize.policy.faults import FaultList
from minimize.policy.fields import is_dropped
from minimize.policy.load import configured_encryption, examine_pipeline, examine_policy
from minimize.policy.model import (
    HOLDERS,
    DeduplicateModel,
    EncryptBy,
    EncryptModel,
    Field,
    GroupKeyModel,
    Pipeline,
    RecordsGate,
    Role,
    SourceModel,
    SuppressModel,
)
from minimize.policy.purposes import config_nodes, configured_purposes
from minimize.policy.treatments import DROP
from minimize.recipients.load import Subprocessor, Subprocessors, examine_recipient, examine_subprocessors
from minimize.recipients.model import PASSTHROUGH, Contract, Function, SharedField
from minimize.review.changes import GradedChange, list_text, retention_text
from minimize.review.comparison import USUAL_LABEL, FormSides, Rule, Rules, compare_forms
from minimize.review.grades import (
    Grade,
    aggregate_input_grade,
    cases_grade,
    chain_grade,
    compare_entries,
    condition_grade,
    fewer_tightens,
    join_grades,
    more_tightens,
)
from minimize.techniques.parameters import (
    HIGHER_TIGHTENS,
    LOWER_TIGHTENS,
    NEUTRAL,
    SETTING_TIGHTENS,
    UNORDERED,
    UNSETTING_TIGHTENS,
    ranked,
)
from minimize.techniques.periods import UNIT_ORDER

_ROLES: Final = ranked(("secret", "identifier", "free_text", "sensitive", "quasi", "plain"))
"""Roles, most protected first."""
_TYPES: Final = ranked(("boolean", "integer", "double", "string"), ("date", "timestamp"))
"""Types, narrowest first: each accepts all values of those before it."""
_CATEGORY_LIMITS: Final = ranked((*CATEGORY_ORDER, None))
"""Highest permitted categories; None means no limit."""
_ENCRYPTION: Final = ranked(("by_category", "none"))


def below(path: str, rules: Rules, label: str = "") -> Rules:
    """Rules of a part of a form, with the path of the part. `label`: of the rules that have the usual one."""
    return {
        f"{path}.{key}": replace(rule, label=label) if rule and label and rule.label == USUAL_LABEL else rule
        for key, rule in rules.items()
    }


# Policies


def policy_levels(sides: FormSides) -> tuple[str, ...]:
    """The levels, lowest first, if the policy has the same on both sides; else empty."""
    old, new = ((side.policy if isinstance(side, Pipeline) else side).levels for side in (sides.old, sides.new))
    return new if old == new else ()


def level_grade(sides: FormSides, old: str | None, new: str | None) -> Grade:
    """Grade of a change of the required level. The first level is always collected, as if none were required."""
    levels = policy_levels(sides)
    if not levels:
        return SETTING_TIGHTENS.grade(old, new)
    return ranked(levels[::-1]).grade(old or levels[0], new or levels[0])


def gate_grade(sides: FormSides, old: Field | RecordsGate, new: Field | RecordsGate) -> Grade:
    """Grade of a change of feature, level and condition. A value or record must pass all of them."""
    return join_grades(
        (
            SETTING_TIGHTENS.grade(old.feature, new.feature),
            level_grade(sides, old.level, new.level),
            collection_grade(sides, old.collect_if, new.collect_if),
        )
    )


def collection_grade(sides: FormSides, old: Condition | None, new: Condition | None) -> Grade:
    """Grade of a change of the condition of collection."""
    return condition_grade(old, new, policy_levels(sides))


def treatment_grade(sides: FormSides, old: Field, new: Field) -> Grade:
    """Grade of a change of the form of a field: of `do`, or of its cases."""
    return cases_grade(old, new, roles_of(sides, old, new))


def roles_of(sides: FormSides, *fields: Field) -> frozenset[Role]:
    """The roles of a field and of the fields it is made from, on both sides."""
    inputs = {key for field in fields for key in field.from_}
    made = {side.fields[key].role for side in (sides.old, sides.new) for key in inputs & set(side.fields)}
    return frozenset(made | {field.role for field in fields})


def field_grade(old: Field | None, new: Field | None) -> Grade:
    """Grade of a field that was added or removed. A field that is dropped makes no difference."""
    if not any(each is not None and _is_released(each) for each in (old, new)):
        return "neutral"
    return UNSETTING_TIGHTENS.grade(old, new)


def type_grade(old: Field, new: Field) -> Grade:
    """Grade of a change of type: a wider type loosens. Neutral if the field is not released on either side."""
    if not _is_released(old) and not _is_released(new):
        return "neutral"
    return _TYPES.grade(old.type, new.type)


def _is_released(field: Field) -> bool:
    """Whether the field is released in records or in aggregates."""
    return not is_dropped(field) or bool(field.in_aggregates)


def in_aggregates_grade(sides: FormSides, old: Field, new: Field) -> Grade:
    """Grade of a change of the form in aggregates. Neutral if no side sets it; the form in records is graded by itself."""
    if not old.in_aggregates and not new.in_aggregates:
        return "neutral"
    return aggregate_input_grade(old, new, roles_of(sides, old, new))


def fewer_or_all(old: Collection[Any], new: Collection[Any]) -> Grade:
    """Grade of a change of a list of which an empty one permits everything."""
    if not old or not new:
        return "neutral" if old == new else "tightens" if new else "loosens"
    return fewer_tightens(old, new)


def holders_grade(old: Collection[str], new: Collection[str]) -> Grade:
    """Grade of a change of who may turn a feature on. A choice by each subject alone is not comparable: it loosens."""
    before, after = (set(each or HOLDERS) for each in (old, new))
    return UNORDERED.grade(before, after) if {"user"} in (before, after) else fewer_tightens(before, after)


def levels_grade(old: tuple[str, ...], new: tuple[str, ...]) -> Grade:
    """Grade of a change of levels. Neutral if first level and order stay the same; the fields then show the effect."""
    same = [name for name in old if name in new] == [name for name in new if name in old] and old[:1] == new[:1]
    return "neutral" if same else "loosens"


def never_grade(old: tuple[Pointer, ...], new: tuple[Pointer, ...]) -> Grade:
    """Grade of a change of forbidden paths. A key at any depth covers each single path with that key."""

    def covered(one: tuple[Pointer, ...], other: tuple[Pointer, ...]) -> bool:
        return all(any(rule.covers(pointer) for rule in other) for pointer in one)

    return ("neutral" if covered(new, old) else "tightens") if covered(old, new) else "loosens"


def _field_text(field: Field) -> str:
    return _form_text(field) + (f", {_aggregates_text(field)}" if field.in_aggregates else "")


def _form_text(field: Field) -> str:
    if not field.cases:
        return treatment_text(field.do)
    cases = (f"if {condition_text(case.when)}: {treatment_text(case.do)}" for case in field.cases)
    return "; ".join([*cases, f"otherwise {treatment_text(field.otherwise)}"])


def _aggregates_text(field: Field) -> str:
    return f"aggregates see {treatment_text(field.in_aggregates) if field.in_aggregates else 'the released form'}"


def _gate_text(gated: Field | RecordsGate) -> str:
    texts = " and ".join(gate_texts(gated))
    return f"collected if {texts}" if texts else "collected always"


def _description_text(field: Field) -> str:
    marks = [word for word in ("required", "optional") if getattr(field, word)]
    return ", ".join([*marks, *(text for text in (field.about, field.unit) if text)]) or "no description"


def _per_subject_text(per_subject: bool) -> str:
    return f"is on {'for single subjects if their tenant has it on' if per_subject else 'for whole tenants'}"


_FILE_KEYS: Final[Rules] = dict.fromkeys(("path", "digest", "lines"))
"""What the loader knows of a file."""
_NAME: Final = Rule("J029", NEUTRAL.grade)
"""Names, versions and descriptions."""
_RETENTION: Final = Rule("J020", LOWER_TIGHTENS.grade, retention_text, missing="kept without limit")

FIELD_RULES: Final[Rules] = {
    "do": Rule("J011", form_order=treatment_grade, text=_form_text, keys=("do", "cases", "otherwise")),
    "feature": Rule("J012", form_order=gate_grade, text=_gate_text, keys=("feature", "level", "collect_if")),
    "purposes": Rule("J013", fewer_or_all, lambda purposes: f"for {', '.join(purposes) or 'all purposes'}"),
    "type": Rule("J014", type_grade, "{.type}", keys=("type",)),
    "role": Rule("J015", _ROLES.grade, "role {}"),
    "in_aggregates": Rule("J016", form_order=in_aggregates_grade, text=_aggregates_text, keys=("in_aggregates",)),
    "from_": Rule("J017", text=lambda names: f"from {', '.join(names) or 'itself'}"),
    "about": Rule("J029", NEUTRAL.grade, _description_text, keys=("about", "unit", "required", "optional")),
    "keys": None,  # a field of its own
    **dict.fromkeys(("key", "line")),
}
FEATURE_RULES: Final[Rules] = {
    "holders": Rule("J022", holders_grade, lambda names: f"is turned on by {', '.join(names) or 'anyone'}"),
    "retention": replace(_RETENTION, code="J022"),
    "per_subject": Rule("J022", ranked((True, False)).grade, _per_subject_text),
    "about": Rule("J029", NEUTRAL.grade, label="about: description changed"),
}
POLICY_RULES: Final[Rules] = {
    **dict.fromkeys(("policy", "version", "owner"), _NAME),
    "purposes": Rule("J021", fewer_tightens),
    **dict.fromkeys(("tenant", "subject", "time"), Rule("J025", SETTING_TIGHTENS.grade)),
    "record": Rule("J025", NEUTRAL.grade),
    **dict.fromkeys(("retention", "future"), _RETENTION),
    "levels": Rule("J023", levels_grade),
    "features.*": Rule("J022", NEUTRAL.grade, added="feature added", removed="feature removed"),
    **below("features.*", FEATURE_RULES, "feature {change}"),
    "fields.*": Rule(
        "J010",
        field_grade,
        _field_text,
        added="new: {text}",
        removed="removed, and so dropped; it was {text}",
        from_old=True,
    ),
    **below("fields.*", FIELD_RULES, "{change}"),
    "never": Rule("J024", never_grade, lambda never: list_text(path.forbidden_text for path in never)),
    "records": Rule("J026", form_order=gate_grade, text=_gate_text),
    "approved": Rule(
        "J027",
        lambda old, new: ranked((True, False)).grade(old[0] == "approved", new[0] == "approved"),
        lambda approval: str(approval[0]),
        keys=("approved", "form"),
        read=lambda policy: (approval_state(policy), policy.approved),
    ),
    **_FILE_KEYS,
}

# Pipelines


def with_required_encryption(pipeline: Pipeline) -> Pipeline:
    """The pipeline with the encryption that the configuration requires of outputs that set none themselves."""
    word, records = pipeline.demanded, pipeline.records
    if records is not None and records.encrypt is None:
        records = records.model_copy(update={"encrypt": EncryptModel(by=word)})
    aggregates = {
        name: each.model_copy(update={"encrypt": each.encrypt or word}) for name, each in pipeline.aggregates.items()
    }
    return pipeline.model_copy(update={"records": records, "aggregates": aggregates})


def aggregate_retention_grade(sides: FormSides, old: timedelta | None, new: timedelta | None) -> Grade:
    """Grade of a change of an aggregate's own retention. Without one it has that of the policy, which is graded there."""
    if old is None and new is None:
        return "neutral"
    before, after = (side.policy.retention for side in (sides.old, sides.new))
    return LOWER_TIGHTENS.grade(before if old is None else old, after if new is None else new)


def group_keys_grade(old: Mapping[str, GroupKeyModel], new: Mapping[str, GroupKeyModel]) -> Grade:
    """Grade of a change of group keys. Fewer or coarser keys tighten, because groups become larger."""
    return compare_entries(_group_key_grade, old, new)


def _group_key_grade(old: GroupKeyModel | None, new: GroupKeyModel | None) -> Grade:
    if old is None or new is None or old.field != new.field:
        return UNSETTING_TIGHTENS.grade(old, new)
    return UNIT_ORDER.grade(old.to, new.to) if old.to and new.to else SETTING_TIGHTENS.grade(old.to, new.to)


def measures_grade(old: Mapping[str, Measure], new: Mapping[str, Measure]) -> Grade:
    """Grade of a change of measures. A new measure and a changed one loosen."""
    before, after = ({name: (each.name, each.model_dump()) for name, each in side.items()} for side in (old, new))
    return compare_entries(UNSETTING_TIGHTENS.grade, before, after)


def suppress_grade(old: SuppressModel, new: SuppressModel) -> Grade:
    """Grade of a change of the suppression of small groups."""
    return join_grades((HIGHER_TIGHTENS.grade(old.below, new.below), UNORDERED.grade(old.counting, new.counting)))


def _suppress_text(rule: SuppressModel) -> str:
    return f"below {rule.below} of {rule.counting or 'the subject'}"


def settings_grade(old: str | None, new: str | None) -> Grade:
    """Grade of a change of settings. Adding them loosens: without settings every feature is off."""
    return "neutral" if old and new else UNSETTING_TIGHTENS.grade(old, new)


def sender_grade(old: SourceModel, new: SourceModel) -> Grade:
    """Grade of a change of sender. A third party as sender tightens, because consent then decides about each record."""
    return SETTING_TIGHTENS.grade(
        *((each.recipient, each.function) if each.is_received else None for each in (old, new))
    )


def records_encryption_grade(old: EncryptModel, new: EncryptModel) -> Grade:
    """Grade of a change of encryption. A key per folder is stricter than one key."""
    per = SETTING_TIGHTENS.grade(old.per, new.per) if old.by == new.by else "neutral"
    return join_grades((_ENCRYPTION.grade(old.by, new.by), per))


def _sender_text(source: SourceModel) -> str:
    return f"{source.function} of {source.recipient}" if source.is_received else "the organization's own records"


def _deduplicate_text(each: DeduplicateModel) -> str:
    return f"one record per {each.per} and {', '.join(each.by)}"


def _encryption_text(each: EncryptModel) -> str:
    return f"{each.by}, per {each.per}" if each.per else each.by


def _group_keys_text(keys: Mapping[str, GroupKeyModel]) -> str:
    return ", ".join(f"{name} ({key.field}{f' by {key.to}' if key.to else ''})" for name, key in keys.items())


def _measures_text(measures: Mapping[str, Measure]) -> str:
    return ", ".join(f"{name} ({_measure_text(measure)})" for name, measure in measures.items())


def _measure_text(measure: Measure) -> str:
    given = measure.model_dump(exclude_unset=True, exclude={"name", "of"})
    return " ".join(filter(None, [measure.name, measure.of or "", *(f"{key} {value}" for key, value in given.items())]))


_SOURCE: Final = Rule("J031", NEUTRAL.grade)
_CATEGORY_LIMIT: Final = Rule("J033", _CATEGORY_LIMITS.grade)

AGGREGATE_RULES: Final[Rules] = {
    "group_by": Rule("J036", group_keys_grade, _group_keys_text),
    "measures": Rule("J037", measures_grade, _measures_text),
    "suppress": Rule("J038", suppress_grade, _suppress_text),
    "round": Rule("J038", HIGHER_TIGHTENS.grade, read=attrgetter("counts_to")),
    "must_be": _CATEGORY_LIMIT,
    "encrypt": Rule("J034", _ENCRYPTION.grade),
    "retention": replace(
        _RETENTION, code="J040", form_order=aggregate_retention_grade, missing="kept as long as records"
    ),
    "late": _SOURCE,
}
PIPELINE_RULES: Final[Rules] = {
    "pipeline": _NAME,
    "purpose": Rule("J030"),
    **dict.fromkeys(("source.path", "source.format", "output", "records.partition_by", "records.index"), _SOURCE),
    "source.recipient": Rule("J031", sender_grade, _sender_text, keys=("recipient", "function")),
    "source.having": Rule("J031", lambda old, new: UNORDERED.grade(set(old), set(new))),
    "settings": Rule("J031", settings_grade),
    **dict.fromkeys(("quarantine.fail_above", "quarantine.stop_above"), Rule("J039", LOWER_TIGHTENS.grade)),
    "records": Rule("J032", UNSETTING_TIGHTENS.grade, "written", missing="not written"),
    "records.must_be": _CATEGORY_LIMIT,
    "records.collect_if": Rule("J035", form_order=collection_grade, text=condition_text, missing="always"),
    "records.deduplicate": Rule("J035", SETTING_TIGHTENS.grade, _deduplicate_text, missing="every record"),
    "records.encrypt": Rule("J034", records_encryption_grade, _encryption_text),
    "aggregates.*": Rule("J032", UNSETTING_TIGHTENS.grade, added="aggregate added", removed="aggregate removed"),
    **below("aggregates.*", AGGREGATE_RULES),
    "policy": None,  # a file of its own
    "demanded": None,  # part of `encrypt`
    **_FILE_KEYS,
}

# Recipients and subprocessors


def _period_text(each: Subprocessor | Contract) -> str:
    return f"from {each.from_} until {each.until or 'terminated'}"


def _permitted_fields(contract: Contract) -> tuple[str, ...]:
    return contract.permitted_fields if contract.permits_transmission else ()


def _shared_field_text(field: SharedField) -> str:
    return PASSTHROUGH if field.passes else treatment_text(field.chain or DROP)


def _shared_form_text(field: SharedField) -> str:
    return field.do if isinstance(field.do, str) else treatment_text(field.do)


def shared_form_grade(old: SharedField, new: SharedField) -> Grade:
    """Grade of a change of the form in which a field is shared. Passing it through loosens."""
    form = chain_grade(old.form, new.form, {old.role, new.role})
    return join_grades((form, ranked((False, True)).grade(old.passes, new.passes)))


def shared_type_grade(old: SharedField, new: SharedField) -> Grade:
    """Grade of a change of the type of a shared field. Neutral if it is dropped on both sides."""
    return UNORDERED.grade(old.type, new.type) if old.chain or new.chain else "neutral"


def until_grade(old: Subprocessor | Contract, new: Subprocessor | Contract) -> Grade:
    """Grade of a change of an end: an earlier one tightens."""
    return LOWER_TIGHTENS.grade(old.until, new.until)


def period_grade(old: Contract, new: Contract) -> Grade:
    """Grade of a change of the days in force: a later begin and an earlier end tighten."""
    return join_grades((until_grade(old, new), HIGHER_TIGHTENS.grade(old.from_, new.from_)))


def text_grade(old: Function, new: Function) -> Grade:
    """Grade of a change of the text of a consent. It needs a higher version, so that tenants are asked again."""
    if new.text_version == old.text_version:
        return UNORDERED.grade(old.text, new.text)
    return "neutral" if new.text_version > old.text_version else "loosens"


def shared_field_grade(old: SharedField | None, new: SharedField | None) -> Grade:
    """Grade of a shared field that was added or removed. A field that is dropped makes no difference."""
    leaves = any(each is not None and (each.chain or each.passes) for each in (old, new))
    return UNSETTING_TIGHTENS.grade(old, new) if leaves else "neutral"


SHARED_FIELD_RULES: Final[Rules] = {
    "do": Rule("J063", shared_form_grade, _shared_form_text, "form: {change}", keys=("do",)),
    "values": Rule("J063", fewer_or_all, lambda values: list_text(values) if values else "any"),
    **dict.fromkeys(("optional", "protocol", "row", "about", "example"), _NAME),
    "role": Rule("J015", _ROLES.grade),
    "type": Rule("J014", shared_type_grade, "{.type}", keys=("type",)),
    **dict.fromkeys(("key", "line")),
}
FUNCTION_RULES: Final[Rules] = {
    **dict.fromkeys(("direction", "purpose", "aggregate"), Rule("J062")),
    "requires": Rule("J062", more_tightens),
    "must_be": Rule("J064", _CATEGORY_LIMITS.grade),
    "text": Rule("J065", text_grade, "version {.text_version}", keys=("text", "text_version")),
    "fields.*": Rule("J063", shared_field_grade, _shared_field_text, added="added: {text}", removed="removed: {text}"),
    **below("fields.*", SHARED_FIELD_RULES),
    **dict.fromkeys(("name", "line")),
}
CONTRACT_RULES: Final[Rules] = {
    "reference": Rule("J061", label="reference: {change}"),
    "from_": Rule("J061", period_grade, _period_text, "in force: {change}", keys=("from_", "until")),
    "permits_transmission": Rule(
        "J061",
        lambda old, new: fewer_tightens(_permitted_fields(old), _permitted_fields(new)),
        lambda contract: list_text(_permitted_fields(contract)),
        "permits: {change}",
        keys=("permits_transmission", "permitted_fields"),
    ),
    "retention": replace(_RETENTION, code="J061", label="retention: {change}"),
    "deletes_within": Rule("J061", LOWER_TIGHTENS.grade, label="deletes within: {change}"),
}
RECIPIENT_RULES: Final[Rules] = {
    **dict.fromkeys(("recipient", "subprocessor"), Rule("J060")),
    "standing": Rule("J060", ranked(("agent", "independent")).grade),
    **dict.fromkeys(("about", "ending"), _NAME),
    "contract": Rule("J061", UNSETTING_TIGHTENS.grade, "contract {.reference}", missing="no contract"),
    **below("contract", CONTRACT_RULES),
    "functions.*": Rule(
        "J062", UNSETTING_TIGHTENS.grade, "for {.purpose}", added="function added, {text}", removed="function removed"
    ),
    **below("functions.*", FUNCTION_RULES),
    **_FILE_KEYS,
}
SUBPROCESSOR_RULES: Final[Rules] = {
    "entries": Rule("J060", read=lambda entries: {(each.name, each.from_): each for each in entries}),
    "entries.*": Rule("J060", UNSETTING_TIGHTENS.grade, added="added to the list", removed="removed from the list"),
    "entries.*.until": Rule("J060", until_grade, _period_text, "{change}", keys=("until",)),
    "entries.*.about": _NAME,
    **dict.fromkeys(("entries.*.name", "entries.*.from_", "entries.*.line")),
    **_FILE_KEYS,
}

# Access


def allowed_grade(old: Iterable[Permission], new: Iterable[Permission]) -> Grade:
    """Grade of a change of allowed permissions. Each covers categories up to the one it names, or all."""
    before, after = (_covered_categories(each, CATEGORY_ORDER) for each in (old, new))
    return compare_entries(LOWER_TIGHTENS.grade, before, after, 0)


def denied_grade(old: Iterable[Permission], new: Iterable[Permission]) -> Grade:
    """Grade of a change of denied permissions. Each covers categories from the one it names, or all."""
    before, after = (_covered_categories(each, CATEGORY_ORDER[::-1]) for each in (old, new))
    return compare_entries(HIGHER_TIGHTENS.grade, before, after, 0)


def _covered_categories(permissions: Iterable[Permission], order: Sequence[str]) -> dict[str, int]:
    """How many categories each operation covers; one more if it covers all of them without naming one."""
    ranks: dict[str, int] = {}
    for each in permissions:
        rank = len(order) + 1 if each.category is None else order.index(each.category) + 1
        ranks[each.name] = max(rank, ranks.get(each.name, 0))
    return ranks


def _permissions_text(old: Iterable[Permission], new: Iterable[Permission]) -> str:
    before, after = set(map(str, old)), set(map(str, new))
    signed = [*(f"+{name}" for name in sorted(after - before)), *(f"-{name}" for name in sorted(before - after))]
    return ", ".join(signed) or "nothing"


def views_grade(old: Mapping[str, Any], new: Mapping[str, Any]) -> Grade:
    """Grade of a change of the techniques that are applied before values are shown, by dataset and column."""
    return compare_entries(lambda before, after: compare_entries(chain_grade, before, after, ()), old, new, {})


@dataclass(frozen=True, slots=True)
class MemberScopes:
    """The scopes in which an account or a group has a role."""

    role: str
    scopes: tuple[AccessScope, ...]
    line: int | None = field(default=None, compare=False, repr=False)


def scopes_by_member(assignments: Iterable[RoleAssignment]) -> dict[tuple[str, str], MemberScopes]:
    """The scopes of each member of a role. It does not matter how the file groups them into assignments."""
    found: dict[tuple[str, str], MemberScopes] = {}
    for each in assignments:
        for name in (*each.members.users, *(f"group {name}" for name in each.members.groups)):
            before = found.get((each.role, name), MemberScopes(each.role, (), each.line))
            found[each.role, name] = replace(before, scopes=(*before.scopes, each.scope))
    return found


def scopes_grade(sides: FormSides, old: MemberScopes | None, new: MemberScopes | None) -> Grade:
    """Grade of a change of the scopes of a member of a role.

    If the role denies something, any change loosens: neither state is stricter.
    """
    before, after = (() if each is None else each.scopes for each in (old, new))
    narrower = all(any(_is_scope_within(each, other) for other in before) for each in after)
    wider = all(any(_is_scope_within(each, other) for other in after) for each in before)
    if narrower and wider:
        return "neutral"
    role = next(each.role for each in (old, new) if each is not None)
    denies = any(role in side.roles and side.roles[role].deny for side in (sides.old, sides.new))
    return "tightens" if narrower and not denies else "loosens"


def _is_scope_within(one: AccessScope, other: AccessScope) -> bool:
    """Whether one scope is contained in another."""
    purposes = other.purposes is None or (one.purposes is not None and set(one.purposes) <= set(other.purposes))
    return one.tenants <= other.tenants and _are_datasets_within(one, other) and purposes


def _are_datasets_within(one: AccessScope, other: AccessScope) -> bool:
    if one.datasets is None or other.datasets is None:
        return other.datasets is None
    return all(
        any(name == own or ("/" in name and covers(own, name)) for own in other.datasets) for name in one.datasets
    )


def accounts_grade(old: Any, new: Any) -> Grade:
    """Grade of a change of the accounts of a person. More accounts tighten, because more duties are separated."""
    return more_tightens(old or (), new or ())


def _named_groups(groups: Mapping[str, Any]) -> dict[str, Any]:
    return {f"group {name}": EXTERNAL if members is None else members for name, members in groups.items()}


def members_grade(old: Any, new: Any) -> Grade:
    """Grade of a change of a group's members. A group whose members only the authentication service knows is not comparable."""
    return UNORDERED.grade(old, new) if EXTERNAL in (old, new) else fewer_tightens(old or (), new or ())


def _role_text(role: AccessRole) -> str:
    return f"{role.base}, {_permissions_text((), role.allow)}"


ROLE_RULES: Final[Rules] = {
    "base": Rule("J070", label="copies {change}"),
    "added": Rule(
        "J070",
        allowed_grade,
        change=_permissions_text,
        label="allows {change}",
        keys=("allow",),
        read=lambda role: frozenset(role.allow),
    ),
    "denied": Rule(
        "J070",
        denied_grade,
        change=_permissions_text,
        label="denies {change}",
        keys=("deny",),
        read=lambda role: frozenset(role.deny),
    ),
    "views": Rule("J070", views_grade, label="views: columns or their forms changed"),
    "about": _NAME,
    **dict.fromkeys(("name", "line")),
}
_DURATIONS: Final = {
    "default": "grants last",
    "maximum": "grants last at most",
    "unanswered": "requests wait",
    "break_glass.maximum": "break-glass lasts",
    "break_glass.review_within": "break-glass is reviewed within",
}
ACCESS_RULES: Final[Rules] = {
    "version": _NAME,
    "people.*": Rule("J073", accounts_grade, label="accounts of this person changed"),
    "groups": Rule("J073", read=_named_groups),
    "groups.*": Rule("J073", members_grade, label="members changed"),
    "custom_roles.*": Rule("J070", NEUTRAL.grade, _role_text, added="new role: {text}", removed="role removed"),
    **below("custom_roles.*", ROLE_RULES),
    "assignments": Rule("J071", read=scopes_by_member),
    "assignments.*": Rule(
        "J071",
        form_order=scopes_grade,
        text=str,
        label="{entry} has the role in another scope",
        added="{entry} now has the role",
        removed="{entry} no longer has the role",
    ),
    "conflicts": Rule("J072", more_tightens, label="conflicting roles changed", read=frozenset),
    **{
        f"grants.{key}": Rule("J072", LOWER_TIGHTENS.grade, label=f"{text}: {{change}}")
        for key, text in _DURATIONS.items()
    },
    **_FILE_KEYS,
}

# Configuration


def _config_value(value: Any) -> Any:
    given = value.value if isinstance(value, ConfigEntry) else value
    return dict(given) or None if isinstance(given, Mapping) else given


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """Content of a `minimize.yaml`, with the purposes, approval and encryption that it amounts to."""

    purposes: tuple[str, ...] = ()
    approval: ApprovalDemand = "none"
    encrypt: EncryptBy = "none"
    config: Config = field(default_factory=Config)
    lines: Mapping[tuple[str, ...], int | None] = field(default_factory=dict)


def examine_configuration(path: Path) -> tuple[ConfigurationFile | None, list[Finding]]:
    """The configuration in a file, and its faults."""
    faults, start = FaultList(str(path)), path.parent
    config = load_config(start)
    root = config_nodes(config, faults)
    if root is None:
        return None, faults.found
    demanded = configured_approval(start, faults), configured_encryption(start, faults)
    keys = (
        (("encrypt",), "access"),
        *(((key,), key) for key in ("purposes", "approval")),
        *((("config", key), key) for key in root.entries),
    )
    lines = {path: root.entries[key].line for path, key in keys if key in root.entries}
    return ConfigurationFile(configured_purposes(start, faults), *demanded, config, lines), faults.found


_KEYS: Final = ("keys", "kms", "ledger", "recipients", "contacts", "memory", "lineage", "metrics", "processing")
_NO_ACCESS: Final = "no access file, so no permission is checked"
CONFIGURATION_RULES: Final[Rules] = {
    "purposes": Rule("J050", fewer_tightens),
    "approval": Rule("J050", ranked(("required", "warn", "none")).grade),
    "encrypt": Rule("J050", _ENCRYPTION.grade, label="access: {change}"),
    "config.access": Rule(
        "J050", SETTING_TIGHTENS.grade, label="access: {change}", read=attrgetter("file"), missing=_NO_ACCESS
    ),
    **{f"config.{key}": Rule("J050", NEUTRAL.grade, label=f"{key}: {{change}}", read=_config_value) for key in _KEYS},
    **dict.fromkeys(("config.purposes", "config.approval")),  # compared as what they amount to
    **dict.fromkeys(f"config.{name}" for name in ("path", "content", "is_readable", "unknown_keys", "faults")),
    "lines": None,
}


@dataclass(frozen=True, slots=True)
class ComparedForm:
    """A kind of file: how it is called, recognized by its keys, read and compared.

    adding_tightens  whether a file that is added tightens, and one that is removed loosens; else the reverse
    empty            the content in place of a missing file
    prepare          what of the content is compared
    """

    noun: str
    keys: tuple[str, ...]
    read: Callable[[Path], tuple[Any, list[Finding]]]
    rules: Rules
    adding_tightens: bool = False
    empty: Any = None
    prepare: Callable[[Any], Any] | None = None


FORMS: Final[Mapping[str, ComparedForm]] = MappingProxyType(
    {
        "configuration": ComparedForm(
            "the configuration", (), examine_configuration, CONFIGURATION_RULES, empty=ConfigurationFile()
        ),
        "pipeline": ComparedForm(
            "a pipeline", ("source", "pipeline"), examine_pipeline, PIPELINE_RULES, prepare=with_required_encryption
        ),
        "policy": ComparedForm("a policy", ("fields", "policy"), examine_policy, POLICY_RULES),
        "recipient": ComparedForm("a recipient", ("standing", "recipient"), examine_recipient, RECIPIENT_RULES),
        "subprocessors": ComparedForm(
            "the list of subprocessors",
            ("subprocessors",),
            examine_subprocessors,
            SUBPROCESSOR_RULES,
            empty=Subprocessors(entries=()),
        ),
        "access": ComparedForm("an access file", ("assignments",), examine_access, ACCESS_RULES, adding_tightens=True),
    }
)
"""In the order in which a file is recognized."""


def form_changes(kind: str, old: Any, new: Any, old_file: str | None, new_file: str | None) -> Iterator[GradedChange]:
    """The graded changes between two contents of one kind of file."""
    form = FORMS[kind]
    old, new = (side if form.prepare is None else form.prepare(side) for side in (old, new))
    yield from compare_forms(FormSides(old, new, old_file, new_file), form.rules)
