"""Model of a policy file: fields, features, levels, purposes, retention.

Purposes: the closed list, additions of the configuration, the purposes that are always refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self, get_args

import pydantic
from pydantic import WithJsonSchema
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema

from minimize.arrow.pointers import Pointer
from minimize.config import CONFIG_KEYS, Config
from minimize.config_search import load_config
from minimize.forms import Expected, Form, NotEmpty, NullIsEmpty, Reading, form_error, when_read
from minimize.forms.values import NAME_PATTERN, Duration, DurationLimit, FieldType, Name, PositiveInteger
from minimize.forms.yaml_nodes import FaultList, YamlNode, parse_yaml, require_utf8
from minimize.identifiers import CaseFolding
from minimize.policy.condition import FormCondition
from minimize.policy.describe import policy_html
from minimize.policy.names import FeatureName, FieldKeys, ForbiddenPath, LevelName, RecordFieldKey, field_pointer
from minimize.policy.treatments import DROP, Chain, Treatment
from minimize.settings.evaluation import FeatureSwitch
from minimize.techniques import TechniqueStep
from minimize.techniques.parameters import (
    LISTING_TIGHTENS,
    LOWER_TIGHTENS,
    SETTING_TIGHTENS,
    SMALLER_SET_TIGHTENS,
    TRUE_TIGHTENS,
    ranked,
)
from minimize.text import did_you_mean, did_you_mean_any, similar_words

ON_PREMISES_PURPOSE = "quality_and_security"
"""The only purpose of the data that the on-premises product sends, and of no other data."""
PURPOSES = ("customer_support", "service_maintenance", "operations", ON_PREMISES_PURPOSE)
# fmt: off
_REFUSED_STEMS = (
    "profil", "advert", "market", "promot", "monetis", "monetiz", "commerciali", "retarget", "lookalike", "resale",
    "resell", "personalis", "personaliz", "audience", "sponsor", "leadgen", "werbung", "verkauf", "vermarkt", "publicit",
)
_REFUSED_WORDS = frozenset({
    "ad", "ads", "adtech", "sale", "sales", "sell", "selling", "seller", "sold", "target", "targets", "targeting",
    "targeted", "upsell", "upselling", "leads", "broker", "brokers", "brokerage", "broking", "rent", "rental",
    "trade", "trading", "promo", "scoring", "vente", "ventes",
})
# fmt: on


def is_refused_purpose(purpose: str) -> bool:
    """Whether a purpose is profiling, advertising, marketing or sale, or a synonym of one of them.

    >>> is_refused_purpose("targeted-ads"), is_refused_purpose("ReSale"), is_refused_purpose("operations")
    (True, True, False)
    """
    folded = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", purpose).lower()
    words = re.findall(r"[^\W\d_]+", folded)
    return any(word in _REFUSED_WORDS for word in words) or any(stem in "".join(words) for stem in _REFUSED_STEMS)


def check_purpose(
    purpose: str, allowed_purposes: Iterable[str], faults: FaultList, line: int | None, key: str | None = None
) -> bool:
    """Whether a purpose is permitted; records a fault if not."""
    if is_refused_purpose(purpose):
        hint = "Use another purpose. Profiling, advertising, marketing and sale are prohibited under any name."
        faults.add("P009", f"the purpose `{purpose}` is prohibited", line=line, key=key, hint=hint)
        return False
    permitted_purposes = (*PURPOSES, *allowed_purposes)
    if purpose not in permitted_purposes:
        usual = [each for each in permitted_purposes if each != ON_PREMISES_PURPOSE]
        near = did_you_mean_any(similar_words(purpose, permitted_purposes))
        hint = near or did_you_mean(
            purpose, usual, "To use another purpose, add it under `purposes:` in minimize.yaml."
        )
        faults.add("P008", f"unknown purpose `{purpose}`", line=line, key=key, hint=hint)
        return False
    return True


def _require_permitted(purpose: str, reading: Reading) -> str:
    faults = FaultList()
    check_purpose(purpose, reading.purposes, faults, None)
    for fault in faults.found:
        raise form_error(fault.code, fault.message, fault.hint)
    return purpose


Purpose = Annotated[str, when_read(_require_permitted)]
"""A purpose in a form: from the closed list, or one that the configuration adds."""


def configured_purposes(config: Config, faults: FaultList) -> tuple[str, ...]:
    """The purposes that `minimize.yaml` adds. Faults of the file are recorded with its name."""
    if config.path is None:
        return ()
    config_faults = FaultList(str(config.path))
    config_nodes(config, config_faults)
    for key in config.unknown_keys:
        hint = did_you_mean(key.value, CONFIG_KEYS)
        config_faults.add("P004", f"unknown key `{key.value}` in minimize.yaml", line=key.line, hint=hint)
    config_faults.found.extend(fault for key, fault in config.faults.items() if key == "purposes")
    good = tuple(
        each.value for each in config.purposes if check_purpose(each.value, [each.value], config_faults, each.line)
    )
    faults.found.extend(config_faults.found)
    return good


def config_nodes(config: Config, faults: FaultList) -> YamlNode | None:
    """The nodes of `minimize.yaml`, which follows the YAML rules of policies; None (and a fault) if it cannot be read."""
    content = require_utf8(config.content, faults)
    return None if content is None else parse_yaml(content.decode("utf-8-sig"), faults)


Role = Literal["identifier", "quasi", "sensitive", "plain", "free_text", "secret"]
ROLE_ORDER: Final = ranked(("secret", "identifier", "free_text", "sensitive", "quasi", "plain"))
"""Roles, most protected first."""
Holder = Literal["admin", "user", "developer"]
HOLDERS: tuple[Holder, ...] = get_args(Holder)
Purposes = Annotated[tuple[Purpose, ...], NotEmpty()]
IDENTITY_PATTERN: Final = r"^(user|device)(\.[a-z][a-z0-9_]{0,62})?$"
_IDENTITY_SCHEMA: Final = {"type": "string", "pattern": IDENTITY_PATTERN, "examples": ["user", "device.serial_number"]}
Identity = Annotated[
    str,
    pydantic.Field(pattern=IDENTITY_PATTERN),
    Expected("must be `user`, `device`, or one of them with a kind of id, such as `device.serial_number`"),
]
Identities = Annotated[
    tuple[Identity, ...],
    pydantic.BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    NotEmpty(),
    WithJsonSchema({"anyOf": [_IDENTITY_SCHEMA, {"type": "array", "items": _IDENTITY_SCHEMA, "minItems": 1}]}),
]


class FeatureModel(Form):
    """An optional kind of collection. The default is off."""

    noun = "the feature `{name}`"

    about: str = pydantic.Field("", description="A description of the data that is collected.")
    retention: DurationLimit = pydantic.Field(None, description="How long its values are kept, from the event time.")
    holders: tuple[Holder, ...] = pydantic.Field((), description="The holders that may turn it on.")
    per_subject: Annotated[bool, TRUE_TIGHTENS] = pydantic.Field(
        False,
        description="Collected only for subjects with their own setting `on`, if their tenant also has it on. A subject's own "
        "`on` is valid for 24 hours.",
    )


class FieldCase(Form):
    """A condition and the treatment of matching values."""

    noun = "a case"

    when: FormCondition = pydantic.Field(validation_alias="if", description="The condition of the case.")
    do: Treatment = pydantic.Field(description="Drop, one technique, or several in order.")


def _field_key(key: str, _: Reading) -> str:
    pointer = field_pointer(key)
    if pointer is None:
        hint = "Use a column name or a JSON Pointer such as /apps/*/name; `~0` is a tilde, `~1` a slash, `~2` a star."
        raise form_error("P015", f"`{key}` is neither a column name nor a JSON Pointer", hint)
    if pointer.is_keys:
        raise form_error("P015", f"`{key}` names the keys of a map", "Use `keys:` in the entry of the map.")
    return key


def _type_is_optional(schema: JsonSchemaValue) -> None:
    """A derived field needs no type."""
    schema["required"].remove("type")
    schema["anyOf"] = [{"required": ["type"]}, {"required": ["from"]}]
    schema["not"] = {"required": ["do", "cases"]}


class Field(Form):
    """A field: its type and role, the conditions of its collection, its treatment. A field without `do` is dropped."""

    noun = "field `{name}`"
    is_named = True
    stand_ins = MappingProxyType({"type": "string"})
    model_config = pydantic.ConfigDict(json_schema_extra=_type_is_optional)

    key: SkipJsonSchema[Annotated[str, when_read(_field_key)]]
    type: FieldType = pydantic.Field(description="The type of the value. A derived field is a struct by default.")
    role: Annotated[Role, ROLE_ORDER] = pydantic.Field("plain", description="The role of the field.")
    identifies: Annotated[Identities, SETTING_TIGHTENS] = pydantic.Field(
        (), description="What its ids name: `user`, `device`, or ids of another kind such as `device.serial_number`."
    )
    do: Treatment = pydantic.Field(DROP, description="Drop, one technique, or several in order.")
    cases: Annotated[tuple[FieldCase, ...], NotEmpty()] = pydantic.Field(
        (), description="The first case whose condition is true decides."
    )
    otherwise: Treatment = pydantic.Field(DROP, description="The treatment of all other values.")
    feature: FeatureName | None = pydantic.Field(None, description="Collected only if this feature is on.")
    level: LevelName | None = pydantic.Field(None, description="Collected only at this level or a higher one.")
    purposes: Annotated[Purposes, LISTING_TIGHTENS] = pydantic.Field(
        (), description="The only purposes for which the field may be used."
    )
    collect_if: FormCondition | None = pydantic.Field(None, description="Collected only if this condition is true.")
    from_: FieldKeys = pydantic.Field(
        (), validation_alias="from", description="The fields from which this field is derived."
    )
    in_aggregates: Chain = pydantic.Field((), description="The form that aggregates see; it does not affect records.")
    required: bool = pydantic.Field(False, description="A record without it is quarantined.")
    optional: bool = pydantic.Field(False, description="A columnar source may lack it.")
    keys: Treatment | None = pydantic.Field(
        None, description="The treatment of a map's keys, which have the role of the map. The default is drop."
    )
    label: Annotated[str, pydantic.Field(max_length=100)] = pydantic.Field(
        "", description="What people call the field, on pages for data subjects, tenants and recipients."
    )
    about: str = pydantic.Field("", description="The meaning of the field.")
    unit: str = pydantic.Field("", description="The unit of its values.")
    line: SkipJsonSchema[int | None] = None

    @classmethod
    def implied_values(cls, written: Collection[str]) -> Mapping[str, Any]:
        """A derived field is a struct unless its type is written."""
        return {"type": "struct"} if "from" in written else {}

    @property
    def pointer(self) -> Pointer:
        """The pointer of the value in a record and in the output."""
        return Pointer.parse(self.key)

    @property
    def keys_field(self) -> Field | None:
        """The keys of a map as a field; None if `keys` is not set."""
        if self.keys is None:
            return None
        inherited: dict[str, Any] = {"purposes": self.purposes, "about": self.about and f"keys of: {self.about}"}
        inherited |= {} if self.stated_role is None else {"role": self.stated_role}
        inherited |= {"label": self.label and f"{self.label}: keys"}
        return Field(key=str(self.pointer.keys), type="string", do=self.keys, line=self.line, **inherited)

    @property
    def stated_role(self) -> Role | None:
        """The role that the policy states; None if it states none. A page shows no other role: `plain` would be a claim."""
        return self.role if "role" in self.model_fields_set else None

    @property
    def is_gated(self) -> bool:
        """Whether its collection depends on a setting or a condition."""
        return bool(self.feature or self.level or self.collect_if)


class RecordsGate(Form):
    """The conditions under which a record is collected."""

    noun = "`records`"

    collect_if: FormCondition | None = pydantic.Field(None, description="Collected only if this condition is true.")
    feature: FeatureName | None = pydantic.Field(None, description="Collected only if this feature is on.")
    level: LevelName | None = pydantic.Field(None, description="Collected only at this level or a higher one.")


_APPROVED: Final = Expected("of `approved` is not valid", hint="Run `minimize policy approve`, which writes this key.")


class PolicyApproval(Form):
    """The approval of the current content; `minimize policy approve` writes it."""

    noun = "`approved`"

    by: Annotated[str, pydantic.Field(pattern=r"^[^\x00-\x1f\x7f]{1,200}$"), _APPROVED] = pydantic.Field(
        description="The approver."
    )
    on: Annotated[str, pydantic.Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), _APPROVED] = pydantic.Field(
        description="The day of the approval, in UTC."
    )
    digest: Annotated[str, pydantic.Field(pattern=r"^sha256:[0-9a-f]{64}$"), _APPROVED] = pydantic.Field(
        description="The digest of everything that is approved: the policy, its hierarchies and the pipelines."
    )
    pipelines: Mapping[str, Annotated[str, pydantic.Field(pattern=r"^sha256:[0-9a-f]{64}$"), _APPROVED]] = (
        pydantic.Field(
            {}, description="The approved pipelines: for each path, relative to the policy, the digest of its content."
        )
    )


def _feature_key(name: str, _: Reading) -> str:
    if name == "level" or not re.fullmatch(NAME_PATTERN, name):
        hint = "Use letters, digits, _ and -. The name `level` is reserved."
        raise form_error("P015", f"`{name}` is not a valid name for a feature", hint)
    return name


def _without_duplicates(levels: tuple[str, ...], _: Reading) -> tuple[str, ...]:
    if len(set(levels)) < len(levels):
        raise form_error("P002", "a level is listed twice")
    return levels


def _with_keys_of_maps(fields: Mapping[str, Field], _: Reading) -> Mapping[str, Field]:
    """The fields, each followed by the field of its keys."""
    both = ((field, field.keys_field) for field in fields.values())
    return {field.key: field for pair in both for field in pair if field is not None}


def name_schema(*reserved: str) -> WithJsonSchema:
    """The JSON Schema of a name that is valid in paths and receipts."""
    return WithJsonSchema(
        {"type": "string", "allOf": [{"pattern": f"^{NAME_PATTERN}$"}], "not": {"enum": list(reserved)}}
    )


FeatureKey = Annotated[str, when_read(_feature_key), name_schema("level")]
Levels = Annotated[
    tuple[Annotated[str, pydantic.Field(min_length=1)], ...],
    NotEmpty(),
    Expected("must be a list of names, lowest first"),
    when_read(_without_duplicates),
]
NamingField = Annotated[RecordFieldKey | None, SETTING_TIGHTENS]
Fields = Annotated[Mapping[str, Field], NotEmpty(), when_read(_with_keys_of_maps)]
ForbiddenPaths = Annotated[tuple[ForbiddenPath, ...], NotEmpty(), Expected("must be a list of keys or pointers")]


class ConfiguredForm(Form):
    """A form that is read together with the configuration of its folder."""

    path: SkipJsonSchema[Path | None] = None

    @cached_property
    def config(self) -> Config:
        """The configuration when the form was read; if it was not read from a file, the one of the current folder."""
        return load_config(None if self.path is None else self.path.parent)

    def with_config(self, config: Config) -> Self:
        """The form with its configuration."""
        self.__dict__["config"] = config
        return self

    def __getstate__(self) -> dict[Any, Any]:
        """The state without the configuration, which can contain a password. Another process reads it again."""
        state = super().__getstate__()
        return {**state, "__dict__": {key: value for key, value in state["__dict__"].items() if key != "config"}}


class Policy(ConfiguredForm):
    """For one dataset: which fields may be kept, for which purposes, in what form, for how long.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> policy = minimize.load_policy("pipelines/device_telemetry")
        >>> policy.retention.days, policy.purposes
        (30, ('service_maintenance', 'customer_support'))
    """

    noun = "a policy"
    stand_ins = MappingProxyType({"policy": "", "version": 1, "purposes": (), "fields": {}})

    policy: Name = pydantic.Field(description="The policy's name.")
    version: PositiveInteger = pydantic.Field(description="Incremented with every change of content.")
    owner: str = pydantic.Field("", description="The person responsible for the policy.")
    purposes: Annotated[Purposes, SMALLER_SET_TIGHTENS] = pydantic.Field(
        description="From the closed list, or one that minimize.yaml adds."
    )
    tenant: NamingField = pydantic.Field(None, description="The field that names the tenant.")
    subject: NamingField = pydantic.Field(
        None, description="The field that identifies the subject of a record, which is counted, found and erased."
    )
    time: NamingField = pydantic.Field(None, description="The field that holds the event time.")
    record: RecordFieldKey | None = pydantic.Field(None, description="The field that identifies the record.")
    retention: DurationLimit = pydantic.Field(None, description="How long values are kept, from the event time.")
    future: Annotated[Duration, LOWER_TIGHTENS] = pydantic.Field(
        timedelta(hours=24),
        description="How far an event time may be after the time of the run.",
        json_schema_extra={"default": "24h"},
    )
    levels: Levels = pydantic.Field((), description="Ordered and cumulative; the first is always on.")
    features: Mapping[FeatureKey, Annotated[FeatureModel, NullIsEmpty()]] = pydantic.Field(
        {}, description="Optional kinds of collection."
    )
    fields: Fields = pydantic.Field(description="By column name, or by JSON Pointer for nested data.")
    never: ForbiddenPaths = pydantic.Field(
        (), description="Paths that must not arrive: a key, at any depth, or a pointer to one place."
    )
    records: RecordsGate = RecordsGate()
    approved: PolicyApproval | None = None
    digest: SkipJsonSchema[str] = ""
    """`sha256:` of the file's bytes; empty for a policy that was not loaded from a file."""
    form: SkipJsonSchema[str] = ""
    """`sha256:` of the content of the file, independent of its layout, without `approved`; empty if it was not read."""
    lines: SkipJsonSchema[Mapping[tuple[str, ...], int]] = pydantic.Field({})
    """The lines of the file's keys, by paths of at most three keys."""

    @property
    def folding(self) -> CaseFolding:
        """Whether tenants and subjects that differ only in case are the same. A technique of their field decides it."""
        return CaseFolding(tenant=self.folds_case(self.tenant), subject=self.folds_case(self.subject))

    @property
    def settings_folding(self) -> CaseFolding:
        """The folding of all fields: settings can name a subject by any of them."""
        return replace(self.folding, fields=frozenset(key for key in self.fields if self.folds_case(key)))

    def switch(self, feature: str) -> FeatureSwitch | None:
        """The rules by which settings decide on a feature; None for an unknown feature."""
        feature_model = self.features.get(feature)
        return (
            None
            if feature_model is None
            else FeatureSwitch(feature, feature_model.holders, feature_model.per_subject, self.subject)
        )

    def folds_case(self, key: str | None) -> bool:
        """Whether values of a field that differ only in case are the same id."""
        field = self.fields.get(key or "")
        if field is None:
            return False
        chains = (field.do, field.otherwise, *(case.do for case in field.cases), field.in_aggregates)
        return any(_folds_case(chain) for chain in chains if chain != DROP)

    def _repr_html_(self) -> str:
        return policy_html(self)


def _folds_case(chain: Sequence[TechniqueStep]) -> bool:
    """Whether a chain folds the case of the raw value. A step after a changed value does not count."""
    first = next((step for step in chain if step.residual != "original"), None)
    return first is not None and first.folds
