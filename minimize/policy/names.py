"""Names of a policy in forms: fields, features and levels that a policy declares, and paths that it forbids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, WithJsonSchema

from minimize.arrow.pointers import Pointer
from minimize.forms import Expected, NotEmpty, Reading, form_error
from minimize.forms.yaml_nodes import YamlNode
from minimize.text import did_you_mean


def field_pointer(text: str) -> Pointer | None:
    """The pointer of a field's key; None if the key is not a pointer."""
    try:
        return Pointer.parse(text)
    except ValueError:
        return None


def forbidden_pointer(text: str) -> Pointer | None:
    """The pointer of a forbidden path; None if the text is neither a key nor a pointer."""
    try:
        return Pointer.parse_forbidden(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class PolicyNames:
    """The names that a policy declares. Faulty fields are included, so one fault does not cause others."""

    keys: Mapping[Pointer, str] | None = None
    """The fields' keys by pointer; None if the policy could not be read: then every name is accepted."""
    types: Mapping[str, str] = field(default_factory=dict)
    """The fields' types by key, as they are written."""
    features: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    time: str | None = None
    """The field that is the event time."""
    subject: str | None = None
    """The field that identifies the subject."""
    purposes: tuple[str, ...] = ()
    """The purposes that the policy lists, for its pipelines; empty if they could not be read."""

    def find(self, text: str) -> str | None:
        """The declared key of the field that a text names, in either spelling; None if it is not declared."""
        pointer = field_pointer(text)
        return text if self.keys is None else None if pointer is None else self.keys.get(pointer)

    def key_of(self, text: str, source: str = "") -> str:
        """The declared key of the field that a text names. Raises PydanticCustomError (P010) if it is not declared.

        `source` is what names the field, for the message; by default the key in the file.
        """
        source = f"{source} " if source else ""
        key = self.find(text)
        if key is None:
            hint = did_you_mean(text, (self.keys or {}).values())
            message = f"{source}names the field `{text}`, which is not declared under `fields`"
            raise form_error("P010", message, hint, follows_key=not source)
        return key

    def require(self, noun: str, name: str) -> None:
        """Raises PydanticCustomError (P010) if a feature or level is not declared."""
        declared = self.features if noun == "feature" else self.levels
        if self.keys is not None and name not in declared:
            hint = did_you_mean(name, declared, f"To use another {noun}, declare it under `{noun}s:`.")
            raise form_error("P010", f"the {noun} `{name}` is not declared", hint)


ANY_NAMES: Final = PolicyNames()
"""The names of a policy that is not known: every name is accepted."""


def declared_names(root: YamlNode) -> PolicyNames:
    """The names that the nodes of a policy declare. Without `fields`, every name is accepted."""
    fields = (root.get("fields") or YamlNode({})).entries
    keys: dict[Pointer, str] = {}
    for key in fields:
        pointer = field_pointer(key)
        if pointer is not None:
            keys.setdefault(pointer, key)
    types = {key: str(node.entries["type"].value) for key, node in fields.items() if "type" in node.entries}
    features = tuple((root.get("features") or YamlNode({})).entries)
    levels = tuple(str(item.value) for item in (root.get("levels") or YamlNode(())).items)
    time, subject = (None if node is None else str(node.value) for node in map(root.get, ("time", "subject")))
    declared = keys if "fields" in root.entries else None
    return PolicyNames(keys=declared, types=types, features=features, levels=levels, time=time, subject=subject)


@dataclass(slots=True)
class PolicyReading(Reading):
    """The reading of a policy, or of a pipeline over its policy, with the names that the policy declares."""

    names: PolicyNames = ANY_NAMES


def names_of(context: Reading | Any) -> PolicyNames:
    """The names of the policy that is being read."""
    return context.names if isinstance(context, PolicyReading) else ANY_NAMES


def _declared_key(text: str, info: ValidationInfo) -> str:
    return names_of(info.context).key_of(text)


def _declared_once_per_record(key: str, info: ValidationInfo) -> str:
    pointer = field_pointer(key) if isinstance(info.context, PolicyReading) else None
    if pointer is not None and pointer.stars:
        raise form_error("P018", "must name a field with one value per record, not a list", follows_key=True)
    return key


def _declared_feature(name: str, info: ValidationInfo) -> str:
    names_of(info.context).require("feature", name)
    return name


def _declared_level(name: str, info: ValidationInfo) -> str:
    names_of(info.context).require("level", name)
    return name


FieldKey = Annotated[str, AfterValidator(_declared_key)]
"""The key of a declared field, in the spelling of its declaration."""
RecordFieldKey = Annotated[FieldKey, AfterValidator(_declared_once_per_record)]
"""The key of a declared field that is not in a list."""
FieldKeys = Annotated[tuple[FieldKey, ...], NotEmpty()]
FeatureName = Annotated[str, AfterValidator(_declared_feature)]
LevelName = Annotated[str, AfterValidator(_declared_level)]
ForbiddenPath = Annotated[
    Pointer,
    BeforeValidator(lambda value: forbidden_pointer(value) if isinstance(value, str) else value),
    Expected("must be a list of keys or pointers"),
    WithJsonSchema({"type": "string"}),
]
