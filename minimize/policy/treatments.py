"""Techniques and measures in forms: one technique (`Step`), techniques in order (`Chain`), or `drop` (`Treatment`); a measure.

Techniques and measures with their parameters come from their tables, so a new one is read, and appears in the JSON Schema,
by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import TypeAliasType

from minimize.aggregates import MEASURES, Measure
from minimize.forms import (
    NotEmpty,
    OneOrMore,
    Reading,
    errors_below,
    form_error,
    plain_data,
    unknown_word,
    value_text,
)
from minimize.policy.names import names_of
from minimize.techniques import TECHNIQUES, TechniqueStep
from minimize.techniques.chosen_level import AUTO
from minimize.text import did_you_mean

DROP: Literal["drop"] = "drop"
# fmt: off
UNKEYED_HASHES = frozenset({
    "hash", "hashed", "md5", "sha", "sha1", "sha2", "sha224", "sha256", "sha384", "sha512", "sha3", "sha_256",
    "sha_512", "blake2", "blake2b", "blake2s", "blake3", "crc32", "xxhash", "murmur", "murmur3", "digest", "checksum",
    "fingerprint", "anonymize", "anonymise",
})
# fmt: on
NO_HASH_REASON = (
    "an unkeyed hash of an address, a phone number or a serial number is reversed by hashing all candidates; "
    "`pseudonymize` is keyed"
)


@dataclass(frozen=True, slots=True)
class _WordType:
    """Reads a word of a table: alone, with its parameters, or with the value of its only required parameter."""

    noun: str
    table: Mapping[str, type[BaseModel]]
    unknown: Callable[[str], PydanticCustomError]
    hint_for_several: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_wrap_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return _words_schema(self.noun, self.table)

    def _read(self, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        if not isinstance(info.context, Reading) or isinstance(value, BaseModel):
            return handler(value)
        if isinstance(value, str):
            return self._with_parameters(value, {}, info.context)
        if isinstance(value, Mapping) and len(value) == 1:
            word, parameters = next(iter(value.items()))
            return self._with_parameters(word, plain_data(parameters), info.context)
        hint = self.hint_for_several if isinstance(value, Mapping) else ""
        raise form_error("P006", f"a {self.noun} must be a word, or a word with its parameters", hint)

    def _with_parameters(self, word: str, written: Any, reading: Reading) -> BaseModel:
        if word not in self.table:
            raise errors_below(word, [((), self.unknown(word))])
        kind = self.table[word]
        parameters = _parameters_by_name(kind, written)
        chosen: type[BaseModel] | None = getattr(kind, "chosen_form", None)
        if chosen is not None and AUTO in (parameters or {}).values():
            kind = chosen
        if parameters is None:
            hint = f"Use: {', '.join(_parameter_names(kind))}."
            fault = form_error("P013", f"`{word}` needs its parameters by name", hint)
            raise errors_below(word, [((), fault)])
        unknown = [key for key in parameters if key not in _parameter_names(kind)]
        declared_parameters = {key: value for key, value in parameters.items() if key not in unknown}
        model, errors = _validate(kind, declared_parameters, reading)
        parameter_faults = [(error["loc"], _parameter_error(word, error)) for error in errors]
        for key in unknown:
            hint = did_you_mean(key, _parameter_names(kind))
            parameter_faults.append(((key,), form_error("P004", f"unknown key `{key}` in `{word}`", hint)))
        if model is None or parameter_faults:
            raise errors_below(word, parameter_faults)
        return model


def _unknown_technique(word: str) -> PydanticCustomError:
    """The error for a word that is not a technique; unkeyed hashes get an explanation."""
    if word == DROP:
        return form_error("P006", "`drop` must not have parameters or be part of a list")
    if word.lower().replace("-", "_") in UNKEYED_HASHES:
        return form_error("P012", f"`{word}` is not a technique: {NO_HASH_REASON}", "Did you mean `pseudonymize`?")
    return form_error("P011", f"unknown technique `{word}`", did_you_mean(word, [*TECHNIQUES, DROP]))


def _unknown_measure(word: str) -> PydanticCustomError:
    return form_error("P011", f"unknown measure `{word}`", did_you_mean(word, MEASURES))


def _declared_measure(measure: Measure, info: ValidationInfo) -> Measure:
    """A measure with the declared key of its field."""
    if measure.of is None or not isinstance(info.context, Reading):
        return measure
    try:
        key = names_of(info.context).key_of(measure.of, f"`{measure.name}`")
    except PydanticCustomError as error:
        fault = error
    else:
        return measure.model_copy(update={"of": key})
    raise errors_below(measure.name, [(("of",), fault)])


def _parameters_by_name(kind: type[BaseModel], written: Any) -> dict[str, Any] | None:
    """Parameters by name. Null is none; a single value is the value of the only (required) parameter."""
    if isinstance(written, dict):
        return written
    main = main_parameter(kind)
    return {} if written is None else None if main is None else {main: written}


def _parameter_error(word: str, error: Mapping[str, Any]) -> PydanticCustomError:
    name = ".".join(str(part) for part in error["loc"])
    about = f"`{name}` of `{word}`" if name else f"`{word}`"
    match error["type"]:
        case "missing":
            return form_error("P013", f"missing key `{name}` in `{word}`", f"Add `{name}`.")
        case "literal_error":
            expected = re.findall("'([^']*)'", str(error["ctx"]["expected"]))
            return form_error("P013", *unknown_word(str(error["loc"][-1]), error["input"], expected))
    text = value_text(error)
    return form_error("P013", f"{about}{': ' if error['type'] == 'value_error' else ' '}{text}")


_SEQUENCE_ERRORS: Final = ("tuple_type", "list_type", "set_type", "frozen_set_type")


def _validate(
    kind: type[BaseModel], parameters: Mapping[str, Any], reading: Reading
) -> tuple[BaseModel | None, Sequence[Mapping[str, Any]]]:
    text, context = json.dumps(parameters), {"folder": reading.folder}
    errors: Sequence[Mapping[str, Any]] = ()
    for strict in (True, False):
        try:
            return kind.model_validate_json(text, strict=strict, context=context), ()
        except ValidationError as error:
            errors = [dict(each) for each in error.errors(include_url=False)]
        # a "before" validator returns a Python list, which a strict tuple does not accept; nothing else is coerced
        if not all(each["type"] in _SEQUENCE_ERRORS for each in errors):
            break
    return None, errors


def main_parameter(kind: type[BaseModel]) -> str | None:
    """The parameter that a single value sets: the only required one, else the only one; None if it is ambiguous."""
    names, required = _parameter_names(kind), _required_parameters(kind)
    if len(required) == 1:
        return required[0]
    return names[0] if len(names) == 1 else None


def _parameter_names(kind: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in kind.model_fields.items()]


def _words_schema(noun: str, table: Mapping[str, type[BaseModel]]) -> JsonSchemaValue:
    alone = [name for name, kind in table.items() if not _required_parameters(kind)]
    kinds = [
        _word_schema(name, form)
        for name, kind in table.items()
        for form in (kind, getattr(kind, "chosen_form", None))
        if form is not None
    ]
    return {"anyOf": [{"enum": alone, "description": f"A {noun}."}, *kinds]}


def _word_schema(name: str, kind: type[BaseModel]) -> JsonSchemaValue:
    """A mapping of one word to its parameters, to its only required value, or to null."""
    parameters = _parameters_schema(kind)
    values = [parameters]
    main = main_parameter(kind)
    lone = {} if main is None else parameters["properties"][main]
    if main is not None and lone.get("type") not in ("object", "null"):
        values.append(lone)
    if not _required_parameters(kind):
        values.append({"type": "null"})
    return {
        "type": "object",
        "title": name,
        "description": str(getattr(kind, "about", "")),
        "properties": {name: {"anyOf": values}},
        "additionalProperties": False,
        "required": [name],
    }


def _required_parameters(kind: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in kind.model_fields.items() if info.is_required()]


class _UntitledSchema(GenerateJsonSchema):
    """Generates schemas without titles made from names. A number may be quoted; other texts are refused."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        number, text = super().decimal_schema(schema)["anyOf"]
        return {"anyOf": [number, {**text, "pattern": r"^[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$"}]}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _parameters_schema(kind: type[BaseModel]) -> JsonSchemaValue:
    """The mapping of the parameters of a technique or measure, without references."""
    schema = kind.model_json_schema(by_alias=True, schema_generator=_UntitledSchema)
    inlined: JsonSchemaValue = _inline_references(schema, schema.pop("$defs", {}))
    return {"properties": {}, **{key: value for key, value in inlined.items() if key not in ("title", "description")}}


def _inline_references(part: Any, definitions: Mapping[str, Any]) -> Any:
    """The schema with its references resolved, because it is embedded in another document."""
    if isinstance(part, list):
        return [_inline_references(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    name = str(part.get("$ref", "")).removeprefix("#/$defs/")
    if name in definitions:
        return _inline_references(definitions[name], definitions)
    return {key: _inline_references(value, definitions) for key, value in part.items()}


def _treatment_tag(value: Any) -> str:
    return DROP if value == DROP else "chain"


_SEVERAL: Final = "Write several techniques as a list; they are applied in order."
Step = TypeAliasType("Step", Annotated[TechniqueStep, _WordType("technique", TECHNIQUES, _unknown_technique, _SEVERAL)])
Chain = TypeAliasType("Chain", Annotated[tuple[Step, ...], NotEmpty(), OneOrMore()])
FormMeasure = TypeAliasType(
    "FormMeasure",
    Annotated[Measure, _WordType("measure", MEASURES, _unknown_measure), AfterValidator(_declared_measure)],
)
"""A measure in a form."""
Treatment = Annotated[
    Annotated[Literal["drop"], Tag("drop")] | Annotated[Chain, Tag("chain")], Discriminator(_treatment_tag)
]
"""Drop, or a chain of techniques; `keep` is a chain of one `Keep`."""
