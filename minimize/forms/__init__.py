"""Forms: YAML files as Pydantic models, which are their only description.

A form declares its keys, their types, defaults and descriptions. `read_form` makes it from the nodes of a file and records
every fault with its line, code and hint. `form_schema` makes its JSON Schema for editors.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Final, Self, TypeVar, cast, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema
from pydantic_core.core_schema import ErrorType

from minimize.errors import Finding
from minimize.forms.yaml_nodes import FaultList, YamlNode, node_from_data, parse_yaml, read_utf8
from minimize.text import did_you_mean, similar_words
from minimize.times import duration_text

KeyPath = tuple[str | int, ...]
"""Keys and positions that lead to a value."""


@dataclass(slots=True)
class Reading:
    """The file that is being read: the context of the validators of a form."""

    faults: FaultList
    """The faults that were found."""
    folder: Path = Path()
    """The base of relative paths."""
    purposes: tuple[str, ...] = ()
    """Purposes that the configuration adds to the closed list."""
    node: YamlNode = field(default_factory=lambda: YamlNode({}))
    """The mapping that is being read."""
    key: str | None = None
    """The field, role or other named part that is being read, for the findings."""

    def fault(self, code: str, message: str, *path: str | int, hint: str = "") -> None:
        """Records a fault of the mapping that is being read, at the line of a key below it, if it exists."""
        self.faults.add(code, message, line=self.node.descend(path).line, key=self.key, hint=hint)

    @contextmanager
    def within(self, node: YamlNode, key: str | None) -> Iterator[None]:
        """Reads a mapping below the current one."""
        outer = self.node, self.key
        self.node, self.key = node, key
        try:
            yield
        finally:
            self.node, self.key = outer


UNKNOWN_KEY: Final = ""
"""Stands for every unknown key in `codes` of a form."""


class Form(BaseModel):
    """Base class of the models of YAML files: immutable, and unknown keys are faults.

    A key that is not a Python name has a `validation_alias`. A field of type `SkipJsonSchema[…]` is not a key of the file: the
    loader sets it. Such fields are `line`, and `key` or `name` for the key of the mapping; those of the whole file are
    `path`, `digest` and `content`.
    """

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", arbitrary_types_allowed=True, validate_by_name=True
    )

    noun: ClassVar[str]
    """What the mapping is, for messages; `{name}` is its key."""
    is_named: ClassVar[bool] = False
    """Whether findings name the key of the mapping."""
    stand_ins: ClassVar[Mapping[str, Any]] = {}
    """Values that replace a required key if it is missing or wrong, so that the rest can be checked."""
    codes: ClassVar[Mapping[str, str]] = {}
    """The form's codes for the faults of keys, and for unknown keys."""
    examples: ClassVar[Mapping[str, str]] = {}
    """For a key whose value must be a mapping, an example of it, for hints."""
    hides_unknown_keys: ClassVar[bool] = False

    def check(self, reading: Reading) -> None:
        """Records the faults between parts of the form. It is called after the form was read, without its faulty parts."""

    @classmethod
    def implied_values(cls, written: Collection[str]) -> Mapping[str, Any]:
        """The values of keys that a file omits because of other keys that it has."""
        return {}

    @classmethod
    def file_keys(cls) -> tuple[str, ...]:
        """The keys that a file may have."""
        return tuple(_fields(cls, from_loader=False))

    @field_validator("*", mode="wrap")
    @classmethod
    def _accept_stand_in(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        return value.value if isinstance(value, _StandIn) else handler(value)

    @model_validator(mode="wrap")
    @classmethod
    def _read_mapping(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        if not isinstance(data, _Mapping):
            if is_read(info) and not isinstance(data, dict | BaseModel):
                raise PydanticCustomError("model_type", "must be a mapping", {"is_named": cls.is_named})
            return handler(data)
        reading = cast("Reading", info.context)
        with reading.within(data.node, data.name if cls.is_named else reading.key):
            return _MappingReader(cls, data, reading).read(handler)


@dataclass(frozen=True, slots=True)
class _StandIn:
    """A value that replaces a faulty one and is not checked."""

    value: Any


@cache  # a policy has dozens of mappings of each form
def _fields(form: type[Form], *, from_loader: bool) -> Mapping[str, str]:
    """The names of a form's attributes by key of the file, or by name if the loader sets them."""
    marker: Any = SkipJsonSchema
    return {
        str(info.validation_alias or name): name
        for name, info in form.model_fields.items()
        if any(isinstance(each, marker) for each in info.metadata) == from_loader
    }


class _Mapping(dict[str, Any]):
    """A mapping of a file as the input of a form, with its node, its key and the values that only the loader knows."""

    def __init__(self, values: Mapping[str, Any], node: YamlNode, name: str, loaded: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.node, self.name, self.loaded = node, name, loaded


_NULL: Final = object()
"""Null as the input of a form. No type accepts it, so that a key without a value is a fault."""


def _input(node: YamlNode, name: str = "", loaded: Mapping[str, Any] | None = None) -> Any:
    """A node as the input of a form."""
    if node.is_mapping:
        below = {key: _input(child, key) for key, child in node.entries.items()}
        return _Mapping(below, node, name, loaded or {"key": name, "name": name, "line": node.line})
    if node.is_list:
        return tuple(_input(item, name) for item in node.items)
    return _NULL if node.value is None else node.value


@dataclass(frozen=True, slots=True)
class ShortForm:
    """Annotation of a mapping of forms: an entry may have the value of one key instead of the whole form."""

    key: str
    """The key whose value an entry may have."""
    is_short: Callable[[YamlNode], bool]
    """Whether an entry is the value of the key."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._expand, handler(source))

    def _expand(self, value: Any) -> Any:
        if not isinstance(value, _Mapping):
            return value
        entries = {key: node for key, node in value.node.entries.items() if key in value}
        whole = {
            key: YamlNode({self.key: node}, node.line) if self.is_short(node) else node for key, node in entries.items()
        }
        return _input(YamlNode(whole, value.node.line), value.name, value.loaded)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        json_schema = handler(schema)
        form = json_schema["additionalProperties"]
        short = handler.resolve_ref_schema(form)["properties"][self.key]
        return {**json_schema, "additionalProperties": {"anyOf": [form, short]}}


def plain_data(value: Any) -> Any:
    """The plain data of a part of a form's input, as the file has it."""
    if isinstance(value, Mapping):
        return {key: plain_data(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain_data(item) for item in value]
    return None if value is _NULL else value


_RECORDED: Final = "recorded"
"""The type of the error of a mapping that cannot be read, whose own faults are already recorded."""
F = TypeVar("F", bound=Form)


@dataclass(frozen=True, slots=True)
class _MappingReader:
    """Reads one mapping: records its faults, and reads it again without its faulty parts."""

    form: type[Form]
    written: _Mapping
    reading: Reading

    @property
    def noun(self) -> str:
        return self.form.noun.replace("{name}", self.written.name)

    def read(self, handler: ModelWrapValidatorHandler[F]) -> F:
        """The form. Raises PydanticCustomError if it cannot be read even without its faulty parts."""
        values = {**self.form.implied_values(self.written.keys()), **dict(self._known_values())}
        loaded = {name: self.written.loaded.get(name) for name in _fields(self.form, from_loader=True)}
        loader_values = {name: value for name, value in loaded.items() if value is not None}
        while True:
            form, errors = _validate(handler, {**loader_values, **values})
            if form is not None:
                form.check(self.reading)
                return form
            for path, error in self._first_errors(errors).items():
                self._add_fault(path, error)
            remaining = self._without_faults(values, errors)
            if remaining == values:
                raise PydanticCustomError(_RECORDED, "the faults are recorded")
            values = remaining

    def _known_values(self) -> Iterator[tuple[str, Any]]:
        keys = self.form.file_keys()
        for word, value in self.written.items():
            if word in keys:
                yield word, value
            else:
                shown = "" if self.form.hides_unknown_keys else f" `{word}`"
                code = self.form.codes.get(UNKNOWN_KEY, "P004")
                message, hint = f"unknown key{shown} in {self.noun}", did_you_mean(word, keys)
                self.reading.fault(code, message, word, hint=hint)

    def _faulty_keys(self) -> set[str]:
        """The keys that the file has, and those that its unknown keys probably mean."""
        keys = self.form.file_keys()
        misspelt = (similar_words(word, keys) for word in self.written if word not in keys)
        return {*self.written, *chain.from_iterable(misspelt)}

    def _unknown_word(self, key: str, node: YamlNode, expected: str) -> tuple[str, str]:
        """The message and the hint for a value that is not one of the expected words, which Pydantic lists in quotes."""
        words = re.findall("'([^']*)'", expected)
        message, hint = unknown_word(key or self.noun, node.value if node.is_scalar else None, words)
        return f"unknown word for `{key}`" if self.form.hides_unknown_keys else message, hint

    def _first_errors(self, errors: Sequence[Mapping[str, Any]]) -> dict[KeyPath, Mapping[str, Any]]:
        """One error for each place, because a union reports one for each of its members."""
        errors_by_path: dict[KeyPath, Mapping[str, Any]] = {}
        for error in errors:
            missing = error["type"] == "missing"
            errors_by_path.setdefault(tuple(error["loc"]) if missing else self._path(error), error)
        return errors_by_path

    def _path(self, error: Mapping[str, Any]) -> KeyPath:
        """The place of an error in the file. Parts of its location that are names of types are omitted."""
        path: list[str | int] = []
        node = self.written.node
        for part in error["loc"]:
            below = node.child(part)
            if below is not None:
                path.append(part)
                node = below
        return tuple(path)

    def _add_fault(self, path: KeyPath, error: Mapping[str, Any]) -> None:
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        node = self.written.node.descend(path)
        about = f"`{key}` of {self.noun}" if key else self.noun
        named, hint = self.reading.key, ""
        match error["type"]:
            case "recorded":
                return
            case "model_type" if error["ctx"]["is_named"]:
                named, code, message = key, "P006", f"`{key}` must be a mapping"
            case "missing" if key in self._faulty_keys():  # its fault is recorded
                return
            case "too_short" if node.value not in ((), {}):  # the faults of its items are recorded
                return
            case "missing":
                code, message, hint = "P005", f"missing key `{key}` in {self.noun}", f"Add `{key}`."
            case _ if node.value is None and len(path) == 1:
                code, message, hint = "P006", f"`{key}` has no value", "Set a value, or remove the key."
            case "literal_error":
                code = "P007"
                message, hint = self._unknown_word(key, node, str(error["ctx"]["expected"]))
            case fault_code if re.fullmatch("[A-Z][0-9]{3}", fault_code):
                details = error.get("ctx", {})
                about = f"`{key}` " if details.get("follows_key") else ""
                code, message, hint = fault_code, f"{about}{error['msg']}", details.get("hint", "")
                named = key if details.get("is_named") else named
            case _:
                text = value_text(error)
                code, message = "P006", f"{about} {text}"
                if key in self.form.examples and text == _TYPE_TEXTS["mapping_type"]:
                    hint = f"For example: `{key}: {self.form.examples[key]}`."
        with self.reading.within(self.reading.node, named):
            self.reading.fault(self.form.codes.get(key, code), message, *path, hint=hint)

    def _without_faults(self, values: Mapping[str, Any], errors: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The values without faulty parts, and with stand-ins."""
        missing = {str(error["loc"][0]) for error in errors if error["type"] == "missing"}
        wrong = {self._removable_path(error) for error in errors if error["type"] != "missing"}
        keys = missing | {str(path[0]) for path in wrong if len(path) == 1}
        replaced = {key: _StandIn(value) for key, value in self.form.stand_ins.items() if key in keys}
        return {**_without(values, wrong), **replaced}

    def _removable_path(self, error: Mapping[str, Any]) -> KeyPath:
        """The part to remove: a form or an entry with a faulty name alone, for any other value the whole key of this form."""
        is_alone = error["type"] in (_RECORDED, "model_type") or error.get("ctx", {}).get("is_alone")
        is_entry = is_alone or "[key]" in error["loc"]
        return self._path(error)[: None if is_entry else 1]


def unknown_word(key: str, value: object, expected: Sequence[str], *, noun: str | None = None) -> tuple[str, str]:
    """The message and the hint for a value that is not one of the words of a key. `noun` is what the words are.

    >>> unknown_word("role", "id", ["identifier", "plain"])
    ('unknown role `id`', 'Use one of: identifier, plain.')
    """
    if not isinstance(value, str):
        return f"`{key}` must be a word", f"Use one of: {', '.join(expected)}."
    return f"unknown {noun or _WORD_NOUNS.get(key, key.replace('_', ' '))} `{value}`", did_you_mean(value, expected)


_WORD_NOUNS: Final = {"to": "unit", "unit": "unit", "as": "form"}
"""What the words of a key are, if the key does not say it."""
_TYPE_TEXTS: Final = {
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "multiple_of": "must be a multiple of {multiple_of}",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "too_long": "must have at most {max_length} values",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "literal_error": "must be one of {expected}",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "model_type": "must be a mapping",
    "string_type": "must be a text",
    "tuple_type": "must be a list",
    "too_short": "is empty: list at least one value",
}
"""What a value must be, by the type of Pydantic's error."""


def value_text(error: Mapping[str, Any]) -> str:
    """What a value must be, for an error of Pydantic: none of its own texts. Texts of validators of this package are kept."""
    kind = str(error["type"])
    if kind in _TYPE_TEXTS:
        return _TYPE_TEXTS[kind].format(**error.get("ctx", {}))
    if kind == "is_instance_of" and error["ctx"]["class"] == "Decimal":
        return "must be a number"
    if kind in ("value_error", "assertion_error"):
        return str(error["msg"]).partition(", ")[2]
    return "is not valid" if kind in get_args(ErrorType) else str(error["msg"])


def _validate(handler: ModelWrapValidatorHandler[F], values: Mapping[str, Any]) -> tuple[F | None, Sequence[Any]]:
    try:
        return handler(values), ()
    except ValidationError as error:
        return None, error.errors(include_url=False, include_input=False)


def _without(value: Any, paths: set[KeyPath]) -> Any:
    """A value without the parts at some paths."""

    def below(part: str | int) -> set[KeyPath]:
        return {path[1:] for path in paths if path[:1] == (part,)}

    if not paths:
        return value
    if isinstance(value, tuple):
        return tuple(_without(item, below(index)) for index, item in enumerate(value) if (index,) not in paths)
    kept = {key: _without(item, below(key)) for key, item in value.items() if (key,) not in paths}
    return _Mapping(kept, value.node, value.name, value.loaded) if isinstance(value, _Mapping) else kept


def read_form(form: type[F], node: YamlNode, reading: Reading, loaded: Mapping[str, Any] | None = None) -> F | None:
    """The form of a file as far as it can be read; None if it cannot be read at all. Every fault is recorded.

    `loaded` has the values of the fields that only the loader knows.
    """
    if not node.is_mapping:
        reading.faults.add("P006", f"{form.noun} must be a mapping", line=node.line)
        return None
    try:
        read = form.model_validate(_input(node, loaded=loaded or {"line": node.line}), strict=True, context=reading)
    except ValidationError:
        read = None
    reading.faults.found[:] = dict.fromkeys(reading.faults.found)
    return read


def examine_file(form: type[F], file: Path, purposes: Sequence[str] = ()) -> tuple[F | None, list[Finding]]:
    """The form in a file as far as it can be read, and every fault, by line."""
    faults = FaultList(str(file))
    content = read_utf8(file, faults)
    return (None, faults.found) if content is None else examine_content(form, content, file, faults, purposes)


def examine_content(
    form: type[F], content: bytes, file: Path, faults: FaultList, purposes: Sequence[str] = ()
) -> tuple[F | None, list[Finding]]:
    """The form in the bytes of a file as far as it can be read, and every fault, by line."""
    root = parse_yaml(content.decode("utf-8-sig"), faults)
    if root is None:
        return None, faults.found
    loaded = {"path": file, "content": content, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}
    read = read_form(form, root, Reading(faults, file.parent, tuple(purposes)), loaded)
    return read, sorted(faults.found, key=lambda finding: (finding.file or "", finding.line or 0))


def examine_mapping(
    form: type[F], mapping: Mapping[str, Any], purposes: Sequence[str] = (), folder: Path = Path()
) -> tuple[F | None, list[Finding]]:
    """The form in a mapping with the keys of a file, and every fault."""
    reading = Reading(FaultList(), folder, tuple(purposes))
    return read_form(form, node_from_data(mapping), reading), reading.faults.found


JSON_SCHEMA_DIALECT: Final = GenerateJsonSchema.schema_dialect


def form_schema(form: type[Form], title: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a form, for editors."""
    schema = form.model_json_schema(schema_generator=_FormSchema)
    return {"$schema": JSON_SCHEMA_DIALECT, "title": title, **schema}


class _FormSchema(GenerateJsonSchema):
    """Schemas without titles that repeat names, without empty defaults, and without null: a key without a value is omitted."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """The description is the docstring without its example, which is for readers of Python."""
        json_schema = {key: value for key, value in super().model_schema(schema).items() if key != "title"}
        about = json_schema.get("description", "").partition("\n\nExample:")[0]
        return json_schema | ({"description": about} if about else {})

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Keys that do not match their pattern are refused, which `patternProperties` does not do."""
        json_schema = super().dict_schema(schema)
        for pattern, values in json_schema.pop("patternProperties", {}).items():
            json_schema |= {"propertyNames": {"pattern": pattern}, "additionalProperties": values}
        return json_schema

    def encode_default(self, dft: Any) -> Any:
        return duration_text(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """The schema with its default, unless that is empty or a form of which every key is omitted."""
        json_schema = super().default_schema(schema)
        is_simple = json_schema.get("default") not in (None, "", [], {}) and not isinstance(
            schema.get("default"), BaseModel
        )
        return {key: value for key, value in json_schema.items() if key != "default" or is_simple}


def form_error(
    code: str,
    message: str,
    hint: str = "",
    *,
    is_named: bool = False,
    is_alone: bool = False,
    follows_key: bool = False,
) -> PydanticCustomError:
    """The error of a validator: a fault with a stable code.

    follows_key  the message follows the key in the file
    is_named     set by the validators of names: the finding then has the name as its key
    is_alone     removes only this value of a list, because the others are valid without it
    """
    flags = {"is_named": is_named, "is_alone": is_alone, "follows_key": follows_key}
    details = {"message": message, "hint": hint, **flags}
    return PydanticCustomError(cast("Any", code), "{message}", details)  # the message may contain words of the file


def errors_below(part: str | int, errors: Iterable[tuple[KeyPath, PydanticCustomError]]) -> ValidationError:
    """Several errors of one value, each with its path below a part of the value."""
    details = [InitErrorDetails(type=error, loc=(part, *path), input=None) for path, error in errors]
    return ValidationError.from_exception_data(str(part), details)


class NotEmpty:
    """Annotation of a list or mapping that must have a part in a file; it may be empty if it is constructed in Python."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._validate, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        json_schema = handler(schema)
        return {**json_schema, "minItems" if json_schema.get("type") == "array" else "minProperties": 1}

    def _validate(self, value: Any, info: ValidationInfo) -> Any:
        if isinstance(info.context, Reading) and not value:
            raise PydanticCustomError("too_short", "must not be empty")
        return value


class OneOrMore:
    """Annotation of a list that a file may write as its only item."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_before_validator_function(self._listed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        json_schema = handler(schema)
        return {"anyOf": [json_schema["items"], json_schema]}

    def _listed(self, value: Any, info: ValidationInfo) -> Any:
        return value if isinstance(value, tuple) or not is_read(info) else (value,)


class NullIsEmpty:
    """Annotation of a form that a file may write as null if it has no keys."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._empty_mapping, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"type": "null"}]}

    def _empty_mapping(self, value: Any) -> Any:
        return _Mapping({}, YamlNode({}), "", {}) if value is _NULL else value


def when_read(validate: Callable[[Any, Reading], Any]) -> AfterValidator:
    """A validator of values of a file. Values that Python sets are not checked."""
    return AfterValidator(lambda value, info: validate(value, info.context) if is_read(info) else value)


def is_read(info: ValidationInfo) -> bool:
    """Whether a value comes from a file."""
    return isinstance(info.context, Reading)


@dataclass(frozen=True, slots=True)
class Expected:
    """Annotation of a type: the fault of every value that the type does not accept, in words that follow the key."""

    text: str
    code: str = "P006"
    hint: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._validate, handler(source))

    def _validate(self, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            pass
        raise form_error(self.code, self.text, self.hint, follows_key=True)
