"""From a mapping of nodes to a typed model: unknown, missing and misfit keys become faults with their lines, all at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from minimize.policy.faults import Faults, did_you_mean
from minimize.policy.yaml import Node

M = TypeVar("M", bound=BaseModel)
Reader = Callable[[Node], Any]
"""Reads one key's node; None where it took down a fault."""
Readers = Mapping[str, Reader]


@dataclass(frozen=True, slots=True)
class Shape:
    """How a mapping is read.

    readers   keys that are read by a function of their own
    given     what the loader says itself, and what stands where a required key is missing or wrong
    spelled   keys whose word is another than the attribute's (`from`, `if`)
    hidden    attributes that no file may name
    what      the noun for messages
    key       the field that it is about
    code      the code of a misfit
    parameters  whether these are the parameters of a technique or measure: null is a value then
    """

    what: str
    readers: Readers = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    stand_ins: Mapping[str, Any] = field(default_factory=dict)
    spelled: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    key: str | None = None
    code: str = "P006"
    parameters: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)


def build(kind: type[M], node: Node, faults: Faults, shape: Shape) -> M | None:
    """The model for a mapping. Where something is wrong: the model with stand-ins if that makes one, else None."""
    if not node.is_mapping:
        faults.add("P006", f"{shape.what} wants a mapping", line=node.line, key=shape.key)
        return None
    values = {**shape.given, **_read(_known(kind, shape), node, faults, shape)}
    model, errors = _attempt(kind, values, shape)
    for error in _first_of_each(kind, errors, node, shape):
        _report(error, node, faults, shape)
    if model is None and shape.stand_ins:
        wrong = {str(error["loc"][0]) for error in errors if error["loc"]}
        good = {name: value for name, value in values.items() if name not in wrong}
        model, _ = _attempt(kind, {**shape.stand_ins, **good}, shape)
    return model


def words_of(kind: type[BaseModel], shape: Shape) -> tuple[str, ...]:
    """The keys that a mapping of this kind may have."""
    return tuple(_known(kind, shape))


def _known(kind: type[BaseModel], shape: Shape) -> dict[str, str]:
    """Each word of a file, and the key by which pydantic takes it."""
    back = {attribute: word for word, attribute in shape.spelled.items()}
    names = {name: info.alias or name for name, info in kind.model_fields.items() if name not in shape.hidden}
    return {back.get(name, alias): alias for name, alias in names.items()}


def _read(known: Mapping[str, str], node: Node, faults: Faults, shape: Shape) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for word, below in node.entries.items():
        if word not in known:
            hint = did_you_mean(word, known)
            faults.add("P004", f"{shape.what} has no key `{word}`", line=below.line, key=shape.key, hint=hint)
        elif shape.parameters:
            values[known[word]] = below.plain()
        elif below.value is None:
            hint = "give it a value, or leave the key out"
            faults.add("P006", f"`{word}` is empty", line=below.line, key=shape.key, hint=hint)
        else:
            value = shape.readers[word](below) if word in shape.readers else below.plain()
            values |= {} if value is None else {known[word]: value}
    return values


Errors = Sequence[Mapping[str, Any]]
_SEQUENCES = ("tuple_type", "list_type", "set_type", "frozen_set_type")


def _attempt(kind: type[M], values: Mapping[str, Any], shape: Shape) -> tuple[M | None, Errors]:
    if not shape.parameters:
        return _caught(lambda: kind.model_validate(dict(values), strict=True))
    text, context = json.dumps(values), dict(shape.context)
    model, errors = _caught(lambda: kind.model_validate_json(text, strict=True, context=context))
    if errors and all(error["type"] in _SEQUENCES for error in errors):
        # a validator that runs first hands on a Python list, which a strict tuple does not take; nothing else is coerced
        return _caught(lambda: kind.model_validate_json(text, context=context))
    return model, errors


def _caught(validate: Callable[[], M]) -> tuple[M | None, Errors]:
    try:
        return validate(), ()
    except ValidationError as error:
        return None, [dict(one) for one in error.errors(include_url=False, include_input=False)]


def _first_of_each(kind: type[BaseModel], errors: Errors, node: Node, shape: Shape) -> list[Mapping[str, Any]]:
    """One error a place (a union gives one for each of its members), with the place in the file's words."""
    back = {alias: word for word, alias in _known(kind, shape).items()}
    found: dict[tuple[str | int, ...], Mapping[str, Any]] = {}
    for error in errors:
        words = [back.get(str(part), part) if index == 0 else part for index, part in enumerate(error["loc"])]
        path = tuple(words) if error["type"] == "missing" else node.reached(words)
        found.setdefault(path, {**error, "path": path})
    return list(found.values())


def _report(error: Mapping[str, Any], node: Node, faults: Faults, shape: Shape) -> None:
    path = error["path"]
    if error["type"] == "missing" and _said(node, path):
        return
    place = node.at(path)
    name = ".".join(str(part) for part in path)
    code, message, hint = _told(error, name, str(place.value) if place.is_scalar else "", shape)
    faults.add(code, message, line=place.line, key=shape.key, hint=hint)


def _said(node: Node, path: Sequence[Any]) -> bool:
    """Whether the key stands there after all: then its own fault is taken down already."""
    return len(path) == 1 and str(path[0]) in node.entries


def _told(error: Mapping[str, Any], name: str, said: str, shape: Shape) -> tuple[str, str, str]:
    if error["type"] == "missing":
        return "P013" if shape.parameters else "P005", f"{shape.what} wants `{name}`", ""
    if error["type"] == "extra_forbidden":
        return shape.code, f"{shape.what} has no key `{name}`", ""
    about = f"`{name}` of {shape.what}" if name else shape.what
    if error["type"] == "literal_error":
        expected = re.findall("'([^']*)'", str(error.get("ctx", {}).get("expected", "")))
        return (
            shape.code if shape.parameters else "P007",
            f"{about}: this word is not known",
            did_you_mean(said, expected),
        )
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return shape.code, f"{about}: {message}", ""
