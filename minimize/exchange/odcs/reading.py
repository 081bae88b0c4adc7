"""A data contract's object as a policy's fields; what a contract gives as examples is not looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from minimize.errors import ConfigurationError
from minimize.exchange.base import Column, Described
from minimize.exchange.documents import listed, mapping, text
from minimize.exchange.formats import kind_of
from minimize.exchange.odcs.words import CLASSES, own_of, retention_text, type_of
from minimize.pointer import DEEPEST, STAR, Part, Pointer
from minimize.policy.faults import did_you_mean
from minimize.policy.model import Role
from minimize.policy.purposes import PURPOSES
from minimize.policy.scope import forbidden_of

_PARTS: Final = ("tenant", "subject", "time", "record")
Parts = tuple[Part, ...]


def read(document: Any, choice: str | None = None) -> Described:
    """The records of one object of a contract. Raises ConfigurationError where it is none of version 3, or has no such object."""
    contract = mapping(document)
    if text(contract.get("kind")) != "DataContract" or not text(contract.get("apiVersion")).startswith("v3."):
        raise ConfigurationError(
            "this is no data contract of version 3", hint="`kind: DataContract`, `apiVersion: v3.1.0`"
        )
    object_ = _object(contract, choice)
    walk = _Walk()
    walk.properties(object_, ())
    if not walk.columns:
        raise ConfigurationError("the object has no properties that a policy could name")
    name = text(object_.get("name"))
    parts = _parts(contract, walk.columns, name)
    retention, remark = _retention(contract)
    return Described(
        name or text(contract.get("name")) or "imported",
        tuple(walk.columns),
        owner=_owner(contract),
        version=_version(text(contract.get("version"))),
        purposes=tuple(each for each in listed(own_of(contract).get("Purposes")) if each in PURPOSES),
        parts=parts,
        retention=retention,
        remarks=(*_remarks(contract, object_), *remark),
        never=tuple(
            pointer
            for each in listed(own_of(contract).get("Never"))
            if isinstance(each, str) and (pointer := forbidden_of(each)) is not None
        ),
        left_out=walk.left_out,
    )


@dataclass(slots=True)
class _Walk:
    """One walk from an object down to its leaves."""

    columns: list[Column] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def properties(self, said: Mapping[str, Any], above: Parts, *, sure: bool = True) -> None:
        """The properties of an object."""
        for each in map(mapping, listed(said.get("properties"))):
            name = each.get("name")
            parts = (*above, name) if isinstance(name, str) else above
            if not isinstance(name, str) or not parts[0] or len(parts) > DEEPEST:
                self.left_out["/".join(map(str, parts))[:100]] = "no field can have this name"
            else:
                self.take(each, parts, sure=sure and each.get("required") is True)

    def take(self, said: Mapping[str, Any], parts: Parts, *, sure: bool) -> None:
        """A property: a leaf, or what is below."""
        logical, items = text(said.get("logicalType")), mapping(said.get("items"))
        if listed(said.get("properties")) and logical in ("", "object"):
            self.properties(said, parts, sure=sure)
        elif logical == "array" and items and len(parts) < DEEPEST:
            self.take({"description": said.get("description"), **items}, (*parts, STAR), sure=False)
        else:
            self.leaf(said, parts, sure=sure)

    def leaf(self, said: Mapping[str, Any], parts: Parts, *, sure: bool) -> None:
        """A field, where a policy has a word for its type."""
        pointer, word = Pointer(parts), type_of(said)
        word = {"array": "list", "object": "map"}.get(text(said.get("logicalType")), "") or word
        if word is None:
            self.left_out[str(pointer)] = "its type is not known"
            return
        options = mapping(said.get("logicalTypeOptions"))
        formats = {text(options.get("format")).lower(), text(said.get("physicalType")).lower()}
        kind, by_format = kind_of(formats, {text(options.get("pattern"))})
        role, why = _role(said)
        about = text(said.get("description")) or text(said.get("businessName"))
        unit = text(own_of(said).get("Unit"))
        self.columns.append(Column(pointer, word, role, about, unit, sure, kind, said=why or by_format))


def _object(contract: Mapping[str, Any], choice: str | None) -> Mapping[str, Any]:
    """The object that is meant."""
    objects = {text(mapping(each).get("name")): mapping(each) for each in listed(contract.get("schema"))}
    if not objects:
        raise ConfigurationError("the contract has no `schema`", hint="it wants an object with `properties`")
    if choice is None and len(objects) == 1:
        return next(iter(objects.values()))
    if choice not in objects:
        hint = did_you_mean(choice, objects) if choice else f"one of {', '.join(map(repr, sorted(objects)))}"
        raise ConfigurationError("say which object the policy is for: --object NAME", hint=hint)
    return objects[choice]


def _role(said: Mapping[str, Any]) -> tuple[Role | None, str]:
    """The role that the contract gives away, and by what."""
    given = own_of(said).get("Role")
    known = next((role for role in get_args(Role) if role == given), None)
    if known is not None:
        return known, ""
    word = re.sub(r"[^a-z]", "", text(said.get("classification")).lower())
    found = CLASSES.get(word)
    return (found, f"the contract classifies it as `{word}`") if found else (None, "")


def _owner(contract: Mapping[str, Any]) -> str:
    """Whoever the team calls its owner, else its first member, else nobody."""
    team = contract.get("team")
    members = [mapping(each) for each in (listed(mapping(team).get("members")) or listed(team))]
    owners = [each for each in members if "owner" in text(each.get("role")).lower()] or members
    return next((text(each.get("username")) for each in owners if text(each.get("username"))), "")


def _version(said: str) -> int:
    """The first part of a version, from 1 on."""
    found = re.match(r"v?(\d{1,9})", said)
    return max(1, int(found[1])) if found else 1


def _retention(contract: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    for each in map(mapping, listed(contract.get("slaProperties"))):
        if text(each.get("property")).lower() in ("retention", "re"):
            found = retention_text(each.get("value"), text(each.get("unit")) or "d")
            return found, (() if found else ("The contract's retention is in a unit that a policy has no word for.",))
    return None, ()


def _parts(contract: Mapping[str, Any], columns: list[Column], name: str) -> dict[str, str]:
    """What the contract says that a field is to its record; its retention is counted from a time, too."""
    said = {word: own_of(contract).get(word.capitalize()) for word in _PARTS}
    for each in map(mapping, listed(contract.get("slaProperties"))):
        if text(each.get("property")).lower() == "retention" and said["time"] is None:
            said["time"] = text(each.get("element")).removeprefix(f"{name}.")
    known = {_key(each): each for each in columns if not each.pointer.stars}
    found = {word: key for word, key in said.items() if isinstance(key, str) and key in known}
    return {word: key for word, key in found.items() if word != "time" or known[key].type in ("timestamp", "date")}


def _key(column: Column) -> str:
    plain = column.pointer.is_flat and not column.pointer.top.startswith("/")
    return column.pointer.top if plain else str(column.pointer)


def _remarks(contract: Mapping[str, Any], object_: Mapping[str, Any]) -> Iterator[str]:
    """What the contract says in words."""
    about = mapping(contract.get("description"))
    said = {
        "About": text(object_.get("description")),
        "Purpose": text(about.get("purpose")),
        "Usage": text(about.get("usage")),
        "Limitations": text(about.get("limitations")),
    }
    yield from (f"{head}: {words}" for head, words in said.items() if words)
