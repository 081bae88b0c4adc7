"""Read YAML mappings into typed models: the names that a policy declares, and the shape of a mapping.

Unknown, missing and invalid keys become faults with their lines, all at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from minimize.arrow.pointers import Pointer
from minimize.policy.faults import FaultList
from minimize.policy.names import field_pointer
from minimize.policy.yaml_nodes import YamlNode
from minimize.text import did_you_mean


@dataclass(frozen=True, slots=True)
class DeclaredNames:
    """The names that a policy declares, and the list for faults about them.

    keys    the fields' keys by pointer; None if the policy could not be read: then every name is accepted
    types   the fields' types by key, as they are written
    time    the field that is the event time
    """

    faults: FaultList
    folder: Path
    keys: Mapping[Pointer, str] | None
    types: Mapping[str, str]
    features: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    time: str | None = None

    def key_of(self, text: str, line: int | None, what: str, key: str | None = None) -> str | None:
        """The declared key of the field that a text names; records a fault if there is none."""
        pointer = field_pointer(text)
        if self.keys is None:
            return text
        if pointer is not None and pointer in self.keys:
            return self.keys[pointer]
        hint = did_you_mean(text, self.keys.values())
        self.faults.add(
            "P010",
            f"{what} names the field `{text}`, which is not declared under `fields`",
            line=line,
            key=key,
            hint=hint,
        )
        return None

    def feature(self, name: str, line: int | None, key: str | None = None) -> str | None:
        """The feature's name; records a fault if it is not declared."""
        return self._declared_name("feature", name, self.features, line, key)

    def level(self, name: str, line: int | None, key: str | None = None) -> str | None:
        """The level's name; records a fault if it is not declared."""
        return self._declared_name("level", name, self.levels, line, key)

    def word(
        self,
        node: YamlNode,
        what: str,
        read: Callable[[str, int | None, str | None], str | None],
        key: str | None = None,
    ) -> str | None:
        """One name, looked up; records a fault if the node is not a word."""
        if isinstance(node.value, str):
            return read(node.value, node.line, key)
        self.faults.add("P006", f"`{what}` must be one name", line=node.line, key=key)
        return None

    def field(self, node: YamlNode, what: str, key: str | None = None) -> str | None:
        """The declared key of the field that a node names."""
        return self.word(node, what, lambda text, line, own: self.key_of(text, line, f"`{what}`", own), key)

    def _declared_name(
        self, noun: str, name: str, declared: tuple[str, ...], line: int | None, key: str | None
    ) -> str | None:
        if name in declared or self.keys is None:
            return name
        hint = did_you_mean(name, declared) or f"Declare it under `{noun}s:`."
        self.faults.add("P010", f"the {noun} `{name}` is not declared", line=line, key=key, hint=hint)
        return None


@dataclass(frozen=True, slots=True)
class KeyReader:
    """Reads what is written under one key: a field or an aggregate."""

    scope: DeclaredNames
    key: str

    def fault(self, code: str, message: str, line: int | None, hint: str = "") -> None:
        """Records a fault of this field or aggregate."""
        self.scope.faults.add(code, message, line=line, key=self.key, hint=hint)


M = TypeVar("M", bound=BaseModel)
NodeReader = Callable[[YamlNode], Any]
"""Reads the node of one key; None if it recorded a fault."""
NodeReaders = Mapping[str, NodeReader]


@dataclass(frozen=True, slots=True)
class MappingShape:
    """How a mapping is read.

    readers     keys that are read by their own function
    preset      values that only the loader knows
    stand_ins   values that replace a required key that is missing or wrong
    aliases     keys whose word differs from the attribute's (`from`, `if`)
    hidden      attributes that a file may not set
    what        the noun for messages
    key         the key of the field that the mapping describes
    code        the code of an invalid value
    parameters  whether these are the parameters of a technique or measure: null is a value then
    """

    what: str
    readers: NodeReaders = field(default_factory=dict)
    preset: Mapping[str, Any] = field(default_factory=dict)
    stand_ins: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    key: str | None = None
    code: str = "P006"
    parameters: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)


def read_mapping(kind: type[M], node: YamlNode, faults: FaultList, shape: MappingShape) -> M | None:
    """The model of a mapping. If a key is faulty: the model with stand-ins if it is valid with them, else None."""
    if not node.is_mapping:
        faults.add("P006", f"{shape.what} must be a mapping", line=node.line, key=shape.key)
        return None
    values = {**shape.preset, **_read_values(_known_keys(kind, shape), node, faults, shape)}
    model, errors = _validate(kind, values, shape)
    for error in _first_error_by_path(kind, errors, node, shape):
        _add_fault(error, node, faults, shape)
    if model is None and shape.stand_ins:
        wrong = {str(error["loc"][0]) for error in errors if error["loc"]}
        good = {name: value for name, value in values.items() if name not in wrong}
        model, _ = _validate(kind, {**shape.stand_ins, **good}, shape)
    return model


def keys_of_mapping(kind: type[BaseModel], shape: MappingShape) -> tuple[str, ...]:
    """The keys that a mapping of this kind may have."""
    return tuple(_known_keys(kind, shape))


def _known_keys(kind: type[BaseModel], shape: MappingShape) -> dict[str, str]:
    """Each key of a file, with the name that pydantic uses for it."""
    back = {attribute: word for word, attribute in shape.aliases.items()}
    names = {name: info.alias or name for name, info in kind.model_fields.items() if name not in shape.hidden}
    return {back.get(name, alias): alias for name, alias in names.items()}


def _read_values(keys: Mapping[str, str], node: YamlNode, faults: FaultList, shape: MappingShape) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for word, below in node.entries.items():
        if word not in keys:
            hint = did_you_mean(word, keys)
            faults.add("P004", f"unknown key `{word}` in {shape.what}", line=below.line, key=shape.key, hint=hint)
        elif shape.parameters:
            values[keys[word]] = below.to_data()
        elif below.value is None:
            hint = "Set a value, or remove the key."
            faults.add("P006", f"`{word}` has no value", line=below.line, key=shape.key, hint=hint)
        else:
            value = shape.readers[word](below) if word in shape.readers else below.to_data()
            values |= {} if value is None else {keys[word]: value}
    return values


ValidationErrors = Sequence[Mapping[str, Any]]
_SEQUENCE_ERRORS = ("tuple_type", "list_type", "set_type", "frozen_set_type")


def _validate(kind: type[M], values: Mapping[str, Any], shape: MappingShape) -> tuple[M | None, ValidationErrors]:
    if not shape.parameters:
        return _validated_or_errors(lambda: kind.model_validate(dict(values), strict=True))
    text, context = json.dumps(values), dict(shape.context)
    model, errors = _validated_or_errors(lambda: kind.model_validate_json(text, strict=True, context=context))
    if errors and all(error["type"] in _SEQUENCE_ERRORS for error in errors):
        # a "before" validator returns a Python list, which a strict tuple does not accept; nothing else is coerced
        return _validated_or_errors(lambda: kind.model_validate_json(text, context=context))
    return model, errors


def _validated_or_errors(validate: Callable[[], M]) -> tuple[M | None, ValidationErrors]:
    try:
        return validate(), ()
    except ValidationError as error:
        return None, [dict(one) for one in error.errors(include_url=False, include_input=False)]


def _first_error_by_path(
    kind: type[BaseModel], errors: ValidationErrors, node: YamlNode, shape: MappingShape
) -> list[Mapping[str, Any]]:
    """One error per place (a union reports one for each member), with the place in the keys of the file."""
    back = {alias: word for word, alias in _known_keys(kind, shape).items()}
    found: dict[tuple[str | int, ...], Mapping[str, Any]] = {}
    for error in errors:
        words = [back.get(str(part), part) if index == 0 else part for index, part in enumerate(error["loc"])]
        path = tuple(words) if error["type"] == "missing" else node.existing_path(words)
        found.setdefault(path, {**error, "path": path})
    return list(found.values())


def _add_fault(error: Mapping[str, Any], node: YamlNode, faults: FaultList, shape: MappingShape) -> None:
    path = error["path"]
    if error["type"] == "missing" and _is_present(node, path):
        return
    place = node.descend(path)
    name = ".".join(str(part) for part in path)
    code, message, hint = _fault_text(error, name, str(place.value) if place.is_scalar else "", shape)
    faults.add(code, message, line=place.line, key=shape.key, hint=hint)


def _is_present(node: YamlNode, path: Sequence[Any]) -> bool:
    """Whether the file has the key after all; then its own fault is already recorded."""
    return len(path) == 1 and str(path[0]) in node.entries


def _fault_text(error: Mapping[str, Any], name: str, text: str, shape: MappingShape) -> tuple[str, str, str]:
    if error["type"] == "missing":
        return "P013" if shape.parameters else "P005", f"missing key `{name}` in {shape.what}", f"Add `{name}`."
    if error["type"] == "extra_forbidden":
        return shape.code, f"unknown key `{name}` in {shape.what}", ""
    about = f"`{name}` of {shape.what}" if name else shape.what
    if error["type"] == "literal_error":
        expected = re.findall("'([^']*)'", str(error.get("ctx", {}).get("expected", "")))
        return (
            shape.code if shape.parameters else "P007",
            f"{about}: unknown word",
            did_you_mean(text, expected),
        )
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return shape.code, f"{about}: {message}", ""
