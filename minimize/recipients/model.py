"""A recipient's file as forms: standing, contract, functions, and the fields of each function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, get_args

import pyarrow as pa
from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from minimize.arrow.pointers import Pointer
from minimize.arrow.types import arrow_type
from minimize.forms import Expected, Form, Reading, ShortForm, form_error
from minimize.forms.values import CategoryLimit, Day, DurationLimit, FieldType, LastDay, Name, Names, PositiveInteger
from minimize.forms.yaml_nodes import YamlNode
from minimize.policy.fields import overlapping_fields
from minimize.policy.model import ON_PREMISES_PURPOSE, ROLE_ORDER, Purpose, Role
from minimize.policy.names import field_pointer
from minimize.policy.treatments import DROP, Chain, Treatment
from minimize.techniques import TECHNIQUES, Context, Technique, TechniqueResult, TechniqueStep, UnsupportedType
from minimize.techniques.base import apply_per_distinct
from minimize.techniques.map import Map
from minimize.techniques.parameters import (
    HIGHER_TIGHTENS,
    LARGER_SET_TIGHTENS,
    LISTING_TIGHTENS,
    TRUE_TIGHTENS,
    UNSETTING_TIGHTENS,
    ranked,
)
from minimize.text import count_noun

Standing = Literal["processor", "independent_controller"]
"""The role of a recipient (GDPR Art. 4(7), 4(8)). A processor acts on our behalf and must be on the list of subprocessors; an
independent controller decides on purposes and means itself."""
EARLIER_STANDINGS: Final[Mapping[str, Standing]] = MappingProxyType(
    {"agent": "processor", "independent": "independent_controller"}
)
"""The earlier words, which stay valid in files and in the ledger."""


def standing_text(word: str) -> str:
    """The role of a recipient in words.

    >>> standing_text("independent_controller")
    'independent controller'
    """
    return word.replace("_", " ")


def _current_standing(value: Any) -> Any:
    return EARLIER_STANDINGS.get(value, value) if isinstance(value, str) else value


_STANDING_SCHEMA: Final = {"enum": [*get_args(Standing), *EARLIER_STANDINGS], "type": "string"}
_StandingWord = Annotated[Standing, BeforeValidator(_current_standing), WithJsonSchema(_STANDING_SCHEMA)]
Direction = Literal["outbound", "inbound"]
PASSTHROUGH: Literal["pass_through"] = "pass_through"
ADMIN_CONSENT: Final = "admin_consent"
"""The prerequisite that an administrator of the tenant has granted the permission of the function, and no other."""


class ListedValues(Map):
    """A map that keeps the listed values. Any other value becomes null and counts as unparsable, unlike with a plain `map`.

    >>> import pyarrow as pa
    >>> from datetime import UTC, datetime
    >>> listed = ListedValues(values={"assigned": "assigned"})
    >>> listed.apply(pa.array(["assigned", "lost"]), Context("f", datetime.now(UTC))).untreated.to_pylist()
    [False, True]
    """

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The listed values."""
        return apply_per_distinct(values, self.values.get, pa.string())


class Contract(Form):
    """The agreement that governs the data at the recipient and permits transmission.

    In the file of a processor it is the organization's own contract. In the file of an independent controller it is the text that
    is offered to tenants; the contract of each tenant decides.
    """

    noun = "a contract"

    reference: str = Field(description="The reference under which it is filed.", examples=["C-2026-17"])
    from_: Annotated[Day, HIGHER_TIGHTENS] = Field(
        validation_alias="from", description="The first day on which it is in force."
    )
    until: LastDay = Field(default=None, description="The first day on which it is no longer in force.")
    permits_transmission: bool = Field(default=False, description="Whether data may be sent.")
    permitted_fields: Names = Field(
        default=(), description="The only fields that may be sent.", examples=[["serial_number", "model"]]
    )
    retention: DurationLimit = Field(default=None, description="How long the recipient may keep the data.")
    deletes_within: DurationLimit = Field(
        default=None, description="The time limit for a deletion request and its confirmation."
    )

    def check(self, reading: Reading) -> None:
        """Records a contract that ends before it begins."""
        if self.until is not None and self.until <= self.from_:
            hint = "Correct `until`, the first day without it."
            reading.fault("T005", "the contract ends before it begins", hint=hint)

    def holds(self, on: date) -> bool:
        """Whether the contract is in force on a day.

        >>> Contract(reference="C-1", from_=date(2026, 1, 1), until=date(2027, 1, 1)).holds(date(2027, 1, 1))
        False
        """
        return self.from_ <= on and (self.until is None or on < self.until)

    @property
    def transmitted_fields(self) -> frozenset[str]:
        """The fields that may be transmitted."""
        return frozenset(self.permitted_fields if self.permits_transmission else ())

    def permits(self, key: str) -> bool:
        """Whether a field may be transmitted."""
        return key in self.transmitted_fields


def _require_distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError("duplicates")
    return values


def _require_field_key(key: str) -> str:
    pointer = field_pointer(key)
    if pointer is None or pointer.top == "date":
        hint = (
            "Use a column name or a JSON Pointer such as /apps/*/name. The name `date` is reserved for the partition."
        )
        raise form_error("P015", "is not a valid name for a field", hint, is_named=True, follows_key=True)
    return key


SharedFieldKey = Annotated[
    str,
    AfterValidator(_require_field_key),
    WithJsonSchema({"type": "string", "pattern": r"^(?!/?date(/|$))([^/*][^/]*|(/([^/~]|~[012])+)+)$"}),
]
ListedTexts = Annotated[
    tuple[str, ...],
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_require_distinct),
    Expected("must be a list of texts without duplicates"),
]
SharedTreatment = Annotated[
    Annotated[Literal["drop", "pass_through"], Tag("word")] | Annotated[Chain, Tag("chain")],
    Discriminator(lambda value: "word" if value in (DROP, PASSTHROUGH) else "chain"),
]


class SharedField(Form):
    """A field, and the form in which it is sent or kept."""

    noun = "field `{name}`"
    is_named = True

    type: FieldType = Field(default="string", description="The type of the field.")
    role: Annotated[Role, ROLE_ORDER] = Field(default="plain", description="The role of the field.")
    do: SharedTreatment = Field(
        default=DROP,
        description="Drop, one technique, or several in order. A secret may be passed through: it reaches a connector and is "
        "never stored, logged or aggregated.",
    )
    values: Annotated[ListedTexts, LISTING_TIGHTENS] = Field(
        default=(), description="The only values that may be sent or kept; any other value becomes null."
    )
    optional: bool = Field(default=False, description="Whether the recipient accepts a record without it.")
    protocol: PositiveInteger | None = Field(
        default=None, description="The first version of the recipient's protocol that has it."
    )
    label: Annotated[str, Field(max_length=100)] = Field(
        default="", description="What people call the field, on pages."
    )
    row: str = Field(default="", description="The row of the tenant's page that several fields share.")
    about: str = Field(default="", description="The use of the field.")
    example: str | bool | int | float | None = Field(default=None, description="An invented example.")
    key: SkipJsonSchema[str]
    line: SkipJsonSchema[int | None] = None

    @property
    def passes(self) -> bool:
        """Whether it is a secret for a connector, never stored, logged or aggregated."""
        return self.do == PASSTHROUGH

    @property
    def form(self) -> Treatment:
        """The treatment, without the step that checks the listed values."""
        return DROP if isinstance(self.do, str) else self.do

    @property
    def chain(self) -> tuple[TechniqueStep, ...]:
        """The steps of the released form, of which the last checks the listed values; empty for a dropped field."""
        if isinstance(self.do, str):
            return ()
        return (*self.do, ListedValues(values={each: each for each in self.values})) if self.values else self.do

    @property
    def listed_as(self) -> str:
        """The row of the tenant's page."""
        return self.row or self.key

    def check(self, reading: Reading) -> None:
        """Records faults between role, type, treatment and values."""
        if self.role == "secret" and self.chain:
            hint = "Use `drop`, or `pass_through` if a connector needs it."
            reading.fault("P014", "a secret must not be stored in any form", hint=hint)
        if self.passes and self.role != "secret":
            hint = "Set `role: secret`, or use a technique."
            reading.fault("T003", "`pass_through` is only valid for a secret", hint=hint)
        if self.values and self.passes:
            reading.fault("T008", "`values` is not valid for a secret", hint="Remove `values`.")
        released = self._check_steps(reading)
        if self.values and self.chain and released not in (None, pa.string()):
            reading.fault("T008", "`values` is only valid for a field that is sent as text")

    def _check_steps(self, reading: Reading) -> pa.DataType | None:
        """The released type. None if a step does not accept the type of the step before it, or needs all rows."""
        type_ = arrow_type(self.type)
        for step in () if isinstance(self.do, str) else self.do:
            if not isinstance(step, Technique):
                hint = "Use another technique: shared data is treated batch by batch."
                reading.fault("T004", f"`{step.name}` needs all rows before it can start", hint=hint)
                return None
            try:
                type_ = step.output_type(type_)
            except UnsupportedType as error:
                hint = f"Use a field of type {', '.join(error.takes)}."
                reading.fault("P101", f"`{step.name}` does not accept the type {type_}", hint=hint)
                return None
        return type_


def _is_treatment(node: YamlNode) -> bool:
    """Whether the entry of a field is its treatment alone."""
    return not node.is_mapping or (len(node.entries) == 1 and next(iter(node.entries)) in TECHNIQUES)


class Function(Form):
    """One task of the recipient: its direction, its purpose, the text that tenants agree to, its fields."""

    noun = "the function `{name}`"

    direction: Direction = Field(description="Whether data is sent to the recipient or received from it.")
    purpose: Purpose = Field(
        description="customer_support, service_maintenance or operations, or one that `minimize.yaml` adds. Data of the "
        "on-premises product has quality_and_security, and no other data has it.",
        examples=["service_maintenance"],
    )
    text_version: PositiveInteger = Field(
        description="Incremented with each change of the text; an authorization of an older version does not cover it."
    )
    text: str = Field(default="", description="The text that a tenant agrees to.")
    requires: Annotated[Names, LARGER_SET_TIGHTENS] = Field(
        default=(),
        description="Prerequisites, such as an account. `admin_consent` stands for the permission in `permissions`, which an "
        "administrator of the tenant grants.",
    )
    permissions: Names = Field(
        default=(),
        description="The one permission that the function uses, if it requires `admin_consent`.",
        examples=[["update_device_attributes"]],
    )
    must_be: CategoryLimit = Field(default=None, description="The highest permitted category of the data.")
    aggregate: Name | None = Field(
        default=None,
        description="The aggregate that is sent; the fields are its columns, and the category is `aggregated`.",
    )
    fields: Annotated[Mapping[SharedFieldKey, SharedField], Field(min_length=1), ShortForm("do", _is_treatment)] = (
        Field(
            default={},
            description="The fields, each with its treatment, or with more keys.",
            examples=[{"serial_number": {"mask": {"keep_last": 4}}, "model": {"do": "keep", "role": "quasi"}}],
        )
    )
    name: SkipJsonSchema[str]
    line: SkipJsonSchema[int | None] = None

    @property
    def shared(self) -> Mapping[str, SharedField]:
        """The fields that are sent (or kept) in some form, by key."""
        return {key: field for key, field in self.fields.items() if field.chain}

    @property
    def sent(self) -> tuple[str, ...]:
        """The fields that are sent (or kept) in some form, and the pass-through secrets."""
        return tuple(key for key, field in self.fields.items() if field.chain or field.passes)

    @property
    def pass_through_fields(self) -> tuple[str, ...]:
        """The pass-through secrets."""
        return tuple(key for key, field in self.fields.items() if field.passes)

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows of the tenant's page, including dropped fields."""
        return tuple(dict.fromkeys(field.listed_as for field in self.fields.values()))

    def check(self, reading: Reading) -> None:
        """Records a function about an aggregate that is not like one, and fields that are declared twice or overlap."""
        is_like_aggregate = self.direction == "outbound" and self.must_be in (None, "aggregated")
        if self.aggregate is not None and not (is_like_aggregate and not self.pass_through_fields):
            message = f"`{self.name}` is about an aggregate, but is inbound, not aggregated, or has secrets"
            hint = "Set `direction: outbound` and `must_be: aggregated`, and remove `pass_through`."
            reading.fault("T007", message, hint=hint)
        self._check_permissions(reading)
        for code, key, message, hint in _overlaps(reading.node.descend(("fields",)).entries):
            with reading.within(reading.node, key):
                reading.fault(code, message, "fields", key, hint=hint)

    def _check_permissions(self, reading: Reading) -> None:
        """Records a function that uses a granted permission without naming exactly one."""
        if ADMIN_CONSENT in self.requires and len(self.permissions) != 1:
            message = (
                f"`{self.name}` requires {ADMIN_CONSENT}, and names {count_noun(len(self.permissions), 'permission')}"
            )
            reading.fault("T009", message, "permissions", hint="Name exactly one: `permissions: [NAME]`.")
        elif self.permissions and ADMIN_CONSENT not in self.requires:
            message = f"`{self.name}` names a permission, but does not require that an administrator grants it"
            reading.fault("T009", message, "permissions", hint=f"Add `{ADMIN_CONSENT}` to `requires`.")


def _overlaps(keys: Iterable[str]) -> Iterator[tuple[str, str, str, str]]:
    """Faults of fields that are declared in two spellings, or below another field: code, key, message, hint."""
    places: dict[Pointer, str] = {}
    for key in keys:
        pointer = field_pointer(key)
        if pointer is not None and places.setdefault(pointer, key) != key:
            hint = f"Remove it: it is the same field as `{places[pointer]}`."
            yield "P002", key, f"`{key}` declares a field a second time", hint
    for above, key in overlapping_fields(places):
        yield "P018", key, f"`{key}` is below the field `{above}`", ""


class Recipient(Form):
    """A third party: its role (`standing`), its contract and its functions."""

    noun = "a recipient"
    stand_ins = MappingProxyType({"recipient": "", "standing": "independent_controller", "functions": {}})

    recipient: Name = Field(description="The recipient's name; its file has the same name.")
    about: str = Field(default="", description="A description.")
    ending: str = Field(
        default="", description="The steps that the organization and the recipient take when the relationship ends."
    )
    standing: Annotated[_StandingWord, ranked(get_args(Standing))] = Field(
        description="A processor acts on our behalf and must be on the list of subprocessors; an independent controller acts for "
        "itself. `agent` and `independent` are earlier words for them."
    )
    on_premises: Annotated[bool, TRUE_TIGHTENS] = Field(
        default=False,
        description="Whether it is the on-premises product that the customer runs. No data is sent to it, and the data that it "
        "sends serves quality_and_security only.",
    )
    subprocessor: str | None = Field(default=None, description="A processor's entry on the list of subprocessors.")
    contract: Annotated[Contract | None, UNSETTING_TIGHTENS] = None
    functions: Mapping[Name, Function] = Field(description="The tasks of the recipient; `{}` for none.")
    path: SkipJsonSchema[Path | None] = None
    digest: SkipJsonSchema[str] = ""
    """`sha256:` of the file's bytes; empty for a recipient that was not loaded from a file."""

    def check(self, reading: Reading) -> None:
        """Records a name that is not that of the file, an entry of subprocessors that is missing or not valid, and functions that
        no third party of this kind may have."""
        self._check_functions(reading)
        if self.path is not None and self.recipient not in ("", self.path.stem):
            message = f"the recipient `{self.recipient}` is in a file of another name"
            reading.fault("T006", message, "recipient", hint="Rename the file to the name of the recipient.")
        listed = reading.node.get("subprocessor") is not None
        if self.standing == "processor" and not listed:
            message = "a processor must name its entry on the list of subprocessors"
            reading.fault("T001", message, "standing", hint="Add `subprocessor: NAME`.")
        if self.standing == "independent_controller" and listed and reading.node.get("standing") is not None:
            message, hint = (
                "an independent controller is not a subprocessor",
                "Set `standing: processor`, or remove `subprocessor`.",
            )
            reading.fault("T002", message, "standing", hint=hint)

    def _check_functions(self, reading: Reading) -> None:
        """Records functions that send data to the on-premises product, and a mix of its purpose with others."""
        for name, function in self.functions.items():
            if self.on_premises and function.direction == "outbound":
                message = f"`{name}` sends data to the on-premises product, with which no data is shared"
                reading.fault("T017", message, "functions", name, hint="Remove the function.")
            if self.on_premises and function.purpose != ON_PREMISES_PURPOSE:
                message = f"`{name}` has the purpose {function.purpose}, but receives data of the on-premises product"
                reading.fault("T018", message, "functions", name, hint=f"Use {ON_PREMISES_PURPOSE}.")
            elif not self.on_premises and function.purpose == ON_PREMISES_PURPOSE:
                message = f"the purpose of `{name}` is for data of the on-premises product, and not for sharing"
                hint = "Use customer_support, service_maintenance or operations."
                reading.fault("T018", message, "functions", name, hint=hint)

    def function(self, name: str) -> Function | None:
        """The function of this name; None if the manifest has none."""
        return self.functions.get(name)

    @property
    def outbound(self) -> tuple[Function, ...]:
        """The functions that send data to the recipient."""
        return self._towards("outbound")

    @property
    def inbound(self) -> tuple[Function, ...]:
        """The functions that receive data from the recipient."""
        return self._towards("inbound")

    def _towards(self, direction: Direction) -> tuple[Function, ...]:
        return tuple(function for function in self.functions.values() if function.direction == direction)
