"""Rules by which a change of a key of a policy or pipeline is graded and described."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from minimize.aggregates import Measure
from minimize.arrow.pointers import Pointer
from minimize.policy.aggregate_forms import GroupKeyModel, SuppressModel
from minimize.policy.approval import approval_state
from minimize.policy.condition import Condition
from minimize.policy.describe import WORDS, condition_text, gate_texts, treatment_text
from minimize.policy.fields import is_dropped
from minimize.policy.model import HOLDERS, Field, RecordsGate, Role
from minimize.policy.pipeline import ENCRYPTED_CATEGORIES, DeduplicateModel, EncryptModel, Pipeline, SourceModel
from minimize.review.changes import (
    Grade,
    aggregate_input_grade,
    cases_grade,
    compare_entries,
    condition_grade,
    join_grades,
    list_text,
    retention_text,
)
from minimize.review.comparison import USUAL_LABEL, FormSides, Rule, Rules
from minimize.techniques.parameters import (
    LOWER_TIGHTENS,
    NEUTRAL,
    SETTING_TIGHTENS,
    SMALLER_SET_TIGHTENS,
    TRUE_TIGHTENS,
    UNORDERED,
    UNSETTING_TIGHTENS,
    ranked,
)
from minimize.techniques.periods import UNIT_ORDER

_TYPES: Final = ranked(("boolean", "integer", "double", "string"), ("date", "timestamp"))
"""Types, narrowest first: each accepts all values of those before it."""
ENCRYPTION_ORDER: Final = ranked(tuple([*ENCRYPTED_CATEGORIES][::-1]))
STATED_ENCRYPTION_ORDER: Final = ranked(("by_category", "identified", None, "off"))
"""With nothing stated, a run that would write identified columns unencrypted is refused; `off` permits it."""


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
    input_roles = {side.fields[key].role for side in (sides.old, sides.new) for key in inputs & set(side.fields)}
    return frozenset(input_roles | {field.role for field in fields})


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


def holders_grade(old: Collection[str], new: Collection[str]) -> Grade:
    """Grade of a change of who may turn a feature on. A choice by each subject alone is not comparable: it loosens."""
    before, after = (set(each or HOLDERS) for each in (old, new))
    return UNORDERED.grade(before, after) if {"user"} in (before, after) else SMALLER_SET_TIGHTENS.grade(before, after)


def levels_grade(old: tuple[str, ...], new: tuple[str, ...]) -> Grade:
    """Grade of a change of levels. Neutral if first level and order stay the same; the fields then show the effect."""
    same = [name for name in old if name in new] == [name for name in new if name in old] and old[:1] == new[:1]
    return "neutral" if same else "loosens"


def never_grade(old: tuple[Pointer, ...], new: tuple[Pointer, ...]) -> Grade:
    """Grade of a change of forbidden paths. A key at any depth covers each single path with that key."""

    def covered(pointers: tuple[Pointer, ...], rules: tuple[Pointer, ...]) -> bool:
        return all(any(rule.covers(pointer) for rule in rules) for pointer in pointers)

    return ("neutral" if covered(new, old) else "tightens") if covered(old, new) else "loosens"


def _field_text(field: Field) -> str:
    return _form_text(field) + (f", {_aggregates_text(field)}" if field.in_aggregates else "")


def _form_text(field: Field) -> str:
    return "; ".join(WORDS.forms(field))


def _aggregates_text(field: Field) -> str:
    return f"aggregates see {treatment_text(field.in_aggregates) if field.in_aggregates else 'the released form'}"


def _gate_text(gated: Field | RecordsGate) -> str:
    texts = " and ".join(gate_texts(gated))
    return f"collected if {texts}" if texts else "collected always"


def _description_text(field: Field) -> str:
    marks = [word for word in ("required", "optional") if getattr(field, word)]
    return ", ".join([*marks, *(text for text in (field.label, field.about, field.unit) if text)]) or "no description"


def _per_subject_text(per_subject: bool) -> str:
    return f"is on {'for single subjects if their tenant has it on' if per_subject else 'for whole tenants'}"


FILE_KEYS: Final[Rules] = dict.fromkeys(("path", "digest", "lines"))
"""What the loader knows of a file."""
NAME_RULE: Final = Rule("J029", NEUTRAL.grade)
"""Names, versions and descriptions."""
RETENTION_RULE: Final = Rule("J020", text=retention_text, missing="kept without limit")

FIELD_RULES: Final[Rules] = {
    "do": Rule("J011", form_order=treatment_grade, text=_form_text, keys=("do", "cases", "otherwise")),
    "feature": Rule("J012", form_order=gate_grade, text=_gate_text, keys=("feature", "level", "collect_if")),
    "purposes": Rule("J013", text=lambda purposes: f"for {', '.join(purposes) or 'all purposes'}"),
    "type": Rule("J014", type_grade, "{.type}", keys=("type",)),
    "role": Rule("J015", text="role {}"),
    "in_aggregates": Rule("J016", form_order=in_aggregates_grade, text=_aggregates_text, keys=("in_aggregates",)),
    "identifies": Rule("J025", text=lambda names: f"identifies {', '.join(names) or 'nothing'}"),
    "from_": Rule("J017", text=lambda names: f"from {', '.join(names) or 'itself'}"),
    "about": Rule("J029", NEUTRAL.grade, _description_text, keys=("about", "label", "unit", "required", "optional")),
    "keys": None,  # a field of its own
    **dict.fromkeys(("key", "line")),
}
FEATURE_RULES: Final[Rules] = {
    "holders": Rule("J022", holders_grade, lambda names: f"is turned on by {', '.join(names) or 'anyone'}"),
    "retention": replace(RETENTION_RULE, code="J022"),
    "per_subject": Rule("J022", text=_per_subject_text),
    "about": Rule("J029", NEUTRAL.grade, label="about: description changed"),
}
POLICY_RULES: Final[Rules] = {
    **dict.fromkeys(("policy", "version", "owner"), NAME_RULE),
    "purposes": Rule("J021"),
    **dict.fromkeys(("tenant", "subject", "time"), Rule("J025")),
    "record": Rule("J025", NEUTRAL.grade),
    **dict.fromkeys(("retention", "future"), RETENTION_RULE),
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
        lambda old, new: TRUE_TIGHTENS.grade(old[0] == "approved", new[0] == "approved"),
        lambda approval: str(approval[0]),
        keys=("approved", "form"),
        read=lambda policy: (approval_state(policy), policy.approved),
    ),
    **FILE_KEYS,
}

# Pipelines


def with_configured_encryption(pipeline: Pipeline) -> Pipeline:
    """The pipeline with the default encryption of the configuration in outputs that set none themselves."""
    word, records = pipeline.encryption.implied, pipeline.records
    is_stated = pipeline.encryption.is_stated or word != "off"
    if records is not None and records.encrypt is None and is_stated:
        records = records.model_copy(update={"encrypt": EncryptModel(by=word)})
    aggregates = {
        name: aggregate.model_copy(update={"encrypt": aggregate.encrypt or word})
        for name, aggregate in pipeline.aggregates.items()
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


def rollups_grade(old: Collection[Sequence[str]], new: Collection[Sequence[str]]) -> Grade:
    """Grade of a change of the roll-ups of exact figures. Fewer tighten."""
    before, after = ({frozenset(columns) for columns in side} for side in (old, new))
    return SMALLER_SET_TIGHTENS.grade(before, after)


def _rollups_text(rollups: Collection[Sequence[str]]) -> str:
    return "; ".join(", ".join(columns) or "the total" for columns in rollups) or "none"


def _suppress_text(rule: SuppressModel) -> str:
    return f"below {rule.below} of {rule.counting or 'the subject'}"


def settings_grade(old: str | None, new: str | None) -> Grade:
    """Grade of a change of settings. Adding them loosens: without settings every feature is off."""
    return "neutral" if old and new else UNSETTING_TIGHTENS.grade(old, new)


def deciding_function_grade(old: SourceModel, new: SourceModel) -> Grade:
    """Grade of a change of the third party's function. Naming one tightens, because consent then decides about each record."""
    return SETTING_TIGHTENS.grade(old.deciding_function, new.deciding_function)


def records_encryption_grade(old: EncryptModel | None, new: EncryptModel | None) -> Grade:
    """Grade of a change of encryption. A key per folder is stricter than one key."""
    if old is None or new is None:
        return STATED_ENCRYPTION_ORDER.grade(old and old.by, new and new.by)
    per = SETTING_TIGHTENS.grade(old.per, new.per) if old.by == new.by else "neutral"
    return join_grades((ENCRYPTION_ORDER.grade(old.by, new.by), per))


def _deciding_function_text(source: SourceModel) -> str:
    if source.deciding_function is None:
        return "the organization's own records"
    recipient, function = source.deciding_function
    return f"{function} of {recipient}" if source.is_received else f"only for {function} of {recipient}"


def _deduplicate_text(model: DeduplicateModel) -> str:
    return f"one record per {model.per} and {', '.join(model.by)}"


def _encryption_text(model: EncryptModel) -> str:
    return f"{model.by}, per {model.per}" if model.per else model.by


def _group_keys_text(keys: Mapping[str, GroupKeyModel]) -> str:
    return ", ".join(f"{name} ({key.field}{f' by {key.to}' if key.to else ''})" for name, key in keys.items())


def _measures_text(measures: Mapping[str, Measure]) -> str:
    return ", ".join(f"{name} ({_measure_text(measure)})" for name, measure in measures.items())


def _measure_text(measure: Measure) -> str:
    arguments = measure.model_dump(exclude_unset=True, exclude={"name", "of"})
    return " ".join(
        filter(None, [measure.name, measure.of or "", *(f"{key} {value}" for key, value in arguments.items())])
    )


_SOURCE: Final = Rule("J031", NEUTRAL.grade)
_CATEGORY_LIMIT: Final = Rule("J033")

AGGREGATE_RULES: Final[Rules] = {
    "group_by": Rule("J036", group_keys_grade, _group_keys_text),
    "measures": Rule("J037", measures_grade, _measures_text),
    "suppress": Rule("J038", text=_suppress_text),
    "round": Rule("J038", text="{.counts_to}"),
    "noise": Rule("J038", text="standard deviation {0.sd}, {0.releases} releases of a date"),
    "exact": Rule("J038", text="exact, because: {.because}", missing="figures have noise"),
    "per_subject": Rule("J038", text="{0.rows} rows and {0.values} values of a subject"),
    "rollups": Rule("J038", rollups_grade, _rollups_text),
    "must_be": _CATEGORY_LIMIT,
    "encrypt": Rule("J034", ENCRYPTION_ORDER.grade),
    "retention": replace(
        RETENTION_RULE, code="J040", form_order=aggregate_retention_grade, missing="kept as long as records"
    ),
    "late": _SOURCE,
}
PIPELINE_RULES: Final[Rules] = {
    "pipeline": NAME_RULE,
    "purpose": Rule("J030"),
    **dict.fromkeys(
        ("source.path", "source.format", "output", "data", "records.partition_by", "records.index"), _SOURCE
    ),
    "source.recipient": Rule(
        "J031", deciding_function_grade, _deciding_function_text, keys=("recipient", "function", "only_for")
    ),
    "settings": Rule("J031", settings_grade),
    **dict.fromkeys(
        (f"quarantine.{key}" for key in ("warn_above", "abort_above", "fail_above", "stop_above")), Rule("J039")
    ),
    "records": Rule("J032", text="written", missing="not written"),
    "records.must_be": _CATEGORY_LIMIT,
    "records.collect_if": Rule("J035", form_order=collection_grade, text=condition_text, missing="always"),
    "records.deduplicate": Rule("J035", text=_deduplicate_text, missing="every record"),
    "records.risk": Rule("J041", text="{.text}", missing="combinations of values are not bounded"),
    "records.encrypt": Rule("J034", records_encryption_grade, _encryption_text, missing="not stated"),
    "aggregates.*": Rule("J032", UNSETTING_TIGHTENS.grade, added="aggregate added", removed="aggregate removed"),
    **below("aggregates.*", AGGREGATE_RULES),
    "policy": None,  # a file of its own
    "encryption": None,  # part of `encrypt`
    "region": None,  # of a run, not of the file
    **FILE_KEYS,
    "form": None,
}
