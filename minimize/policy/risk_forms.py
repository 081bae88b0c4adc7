"""Model of the bound on disclosure risk in a pipeline file: quasi-identifiers, sensitive fields, what is required, and what
becomes of records that miss it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

import pydantic
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic import ValidatorFunctionWrapHandler as Handler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from minimize.disclosure_risk.measures import RISK_MEASURES
from minimize.forms import Form, NotEmpty, Reading, errors_below, form_error, is_read, plain_data
from minimize.forms.values import Share
from minimize.policy.names import RecordFieldKey, names_of
from minimize.techniques.parameters import LARGER_SET_TIGHTENS, LOWER_TIGHTENS, Order, ranked
from minimize.text import brief_number, did_you_mean

BoundAction = Literal["refuse", "suppress", "generalize", "recode"]
SEARCHING_ACTIONS: Final[tuple[BoundAction, ...]] = ("generalize", "recode")
"""The actions that choose levels of fields with `auto`."""
Counting = Literal["persons", "rows"]


_ACTION_TEXTS: Final[Mapping[BoundAction, str]] = {
    "refuse": "otherwise the run is refused",
    "suppress": "records that miss it are removed, at most {share} % of a date",
    "generalize": "levels are chosen for each date, and records that still miss it are removed, at most {share} % of a date",
    "recode": "levels are chosen for each combination, so that a column mixes levels",
}


def _threshold_text(value: object) -> str:
    return brief_number(value) if isinstance(value, int | float) else str(value)


class _RequirementType:
    """In a file: the threshold of each measure, by the measure's name. Measures come from their table."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_wrap_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        properties = {
            name: {**kind.threshold_schema(), "description": kind.title} for name, kind in RISK_MEASURES.items()
        }
        return {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1}

    def _read(self, value: Any, handler: Handler, info: ValidationInfo) -> Any:
        if not is_read(info) or not isinstance(value, Mapping):
            return handler(value)
        thresholds = {}
        for name, written in value.items():
            kind = RISK_MEASURES.get(name)
            if kind is None:
                hint = did_you_mean(name, RISK_MEASURES)
                raise errors_below(name, [((), form_error("P011", f"unknown measure of risk `{name}`", hint))])
            fault: PydanticCustomError | None = None
            try:
                thresholds[name] = kind.read_threshold(plain_data(written))
            except ValueError as error:
                fault = form_error("P013", f"`{name}` {error}")
            if fault is not None:
                raise errors_below(name, [((), fault)])
        return handler(thresholds)


def _requires_more(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether each measure has a threshold that is at least as strict as before."""
    return all(name in new and RISK_MEASURES[name].is_at_least_as_strict(new[name], old[name]) for name in old)


class RiskModel(Form):
    """The bound on what the records disclose: checked before a run publishes, for each batch date and for all current dates."""

    noun = "`risk`"
    examples = MappingProxyType(
        {"quasi_identifiers": "[model, os_version]", "require": "{k: 10}", "sensitive": "[compliance_state]"}
    )

    quasi_identifiers: Annotated[tuple[RecordFieldKey, ...], NotEmpty(), LARGER_SET_TIGHTENS] = pydantic.Field(
        description="The released fields that an attacker may know of a person. Together they make the combinations."
    )
    sensitive: Annotated[tuple[RecordFieldKey, ...], LARGER_SET_TIGHTENS] = pydantic.Field(
        (), description="The released fields that an attacker wants to learn."
    )
    counting: Annotated[Counting, ranked(("persons", "rows"))] = pydantic.Field(
        "persons", description="What k counts: distinct subjects of the policy, or rows. A person can have many rows."
    )
    require: Annotated[Mapping[str, Any], NotEmpty(), _RequirementType(), Order(_requires_more)] = pydantic.Field(
        description="The threshold of each measure that every combination must meet."
    )
    suppress_at_most: Annotated[Share, LOWER_TIGHTENS] = pydantic.Field(
        0.0, description="The share of a date's records that may be removed. More is refused."
    )
    otherwise: Annotated[BoundAction, ranked(("refuse", "suppress"), ("refuse", "generalize", "recode"))] = (
        pydantic.Field(
            "refuse",
            description="What becomes of records that miss the bound: the run is refused, they are removed (`suppress`), or "
            "fields with `auto` get coarser levels for all records (`generalize`) or for some (`recode`).",
        )
    )

    @property
    def text(self) -> str:
        """The bound in words, for those who review it.

        For example: "bound on combinations of model, os_version: k 10 of persons; otherwise the run is refused".
        """
        thresholds = ", ".join(f"{name} {_threshold_text(value)}" for name, value in self.require.items())
        sensitive = f" and {', '.join(self.sensitive)}" if self.sensitive else ""
        return (
            f"bound on combinations of {', '.join(self.quasi_identifiers)}{sensitive}: {thresholds} of {self.counting}; "
            f"{_ACTION_TEXTS[self.otherwise].format(share=brief_number(100 * self.suppress_at_most))}"
        )

    def check(self, reading: Reading) -> None:
        """Sensitive fields are no quasi-identifiers, measures of them have one, and persons are counted by a subject."""
        for key in self.sensitive:
            if key in self.quasi_identifiers:
                hint = "Remove it from one of the two: an attacker who knows a value has nothing left to learn from it."
                reading.fault("P018", f"`{key}` is both a quasi-identifier and sensitive", "sensitive", hint=hint)
        for key in _repeated((*self.quasi_identifiers, *self.sensitive)):
            if not (key in self.quasi_identifiers and key in self.sensitive):
                reading.fault("P018", f"`{key}` is listed twice", "quasi_identifiers")
        for name in self.require:
            if RISK_MEASURES[name].needs_sensitive and not self.sensitive:
                hint = "Add `sensitive: [FIELD]`, or remove the measure."
                reading.fault("P018", f"`{name}` needs a sensitive field", "require", name, hint=hint)
        if self.counting == "persons" and names_of(reading).keys is not None and names_of(reading).subject is None:
            hint = "Add `subject: FIELD` to the policy, or `counting: rows` to the bound if each person has one row."
            reading.fault("P017", "the bound counts persons, but the policy names no subject", hint=hint)
        if self.otherwise == "refuse" and self.suppress_at_most:
            hint = "Add `otherwise: suppress`, or remove `suppress_at_most`."
            reading.fault(
                "P018", "`suppress_at_most` has no effect if the run is refused", "suppress_at_most", hint=hint
            )


def _repeated(keys: tuple[str, ...]) -> list[str]:
    return [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
