"""A JSON Schema as a policy's fields: names, types, what is required, what must not be there; by the draft that it names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, get_args

from minimize.errors import ConfigurationError
from minimize.exchange.base import Column, Described
from minimize.exchange.documents import text
from minimize.exchange.formats import kind_of
from minimize.exchange.json_schema.dialects import dialect_of
from minimize.exchange.json_schema.references import References
from minimize.exchange.json_schema.shapes import Gatherer, Place
from minimize.pointer import DEEPEST, STAR, Part, Pointer
from minimize.policy.model import Role

Parts = tuple[Part, ...]
_WORDS: Final = {"integer": "integer", "boolean": "boolean", "object": "map", "array": "list"}


def read(document: Any, choice: str | None = None) -> Described:
    """The records that a schema describes. Raises ConfigurationError where it describes none."""
    if choice is not None:
        raise ConfigurationError("a JSON Schema describes one thing", hint="leave --object out")
    dialect = dialect_of(document)
    walk = _Walk(Gatherer(References.of(document, dialect)))
    place = walk.gatherer.place([document])
    if "array" in place.types and place.items:
        place = walk.gatherer.place(place.items)
    walk.properties(place, (), sure=True, circle=(frozenset(place.core),))
    if not walk.columns:
        raise ConfigurationError("the schema describes no fields", hint="it wants `properties`")
    title = text(document.get("title")) or text(document.get(dialect.id)).rstrip("/").rpartition("/")[2]
    remarks = tuple(f"{said}" for said in (text(document.get("description")),) if said)
    return Described(
        title or "imported", tuple(walk.columns), remarks=remarks, never=tuple(walk.never), left_out=walk.left_out
    )


@dataclass(slots=True)
class _Walk:
    """One walk from the records down to the leaves."""

    gatherer: Gatherer
    columns: list[Column] = field(default_factory=list)
    never: list[Pointer] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def properties(self, place: Place, parts: Parts, *, sure: bool, circle: tuple[frozenset[int], ...]) -> None:
        """The fields of an object."""
        for name, schemas in place.below.items():
            here = (*parts, name)
            if not _can_be_named(here):
                self.left_out["/".join(map(str, here))[:100]] = "no field can have this name"
            elif self.gatherer.dialect.booleans and any(schema is False for schema in schemas):
                self.never.append(Pointer(here))
            else:
                below = self.gatherer.place(schemas)
                self.take(below, here, sure=sure and name in place.required and not below.nullable, circle=circle)

    def take(self, place: Place, parts: Parts, *, sure: bool, circle: tuple[frozenset[int], ...]) -> None:
        """What stands at one place: a leaf, or what is below."""
        if place.core and place.core in circle:
            self.left_out[str(Pointer(parts))] = "it holds itself"
        elif len(place.types) > 1 and place.types != {"integer", "number"}:
            self.left_out[str(Pointer(parts))] = "it may be of several types"
        elif "object" in place.types and place.below:
            self.properties(place, parts, sure=sure, circle=(*circle, frozenset(place.core)))
        elif "array" in place.types and place.items and len(parts) < DEEPEST:
            below = self.gatherer.place(place.items)
            self.take(below, (*parts, STAR), sure=False, circle=(*circle, frozenset(place.core)))
        else:
            self.leaf(place, parts, sure=sure)
            if "object" in place.types and len(parts) < DEEPEST:
                self.values(place, (*parts, STAR), circle=(*circle, frozenset(place.core)))

    def values(self, place: Place, parts: Parts, *, circle: tuple[frozenset[int], ...]) -> None:
        """What stands in a map: the fields of objects; other values are the map's own."""
        below = self.gatherer.place(place.values)
        if below.types == {"object"} and below.below:
            self.take(below, parts, sure=False, circle=circle)

    def leaf(self, place: Place, parts: Parts, *, sure: bool) -> None:
        """A field, where a policy has a word for its type."""
        pointer, word = Pointer(parts), _word(place)
        if word is None:
            self.left_out[str(pointer)] = "it may be anything"
            return
        kind, why = kind_of(place.formats, place.patterns)
        role, unit = _role(place), text(place.own.get("unit"))
        self.columns.append(Column(pointer, word, role, place.about, unit, sure, kind, said=why))


def _word(place: Place) -> str | None:
    """The policy's word for what stands here; what may be of several types does not come here."""
    said = text(place.own.get("type"))
    if "number" in place.types:
        return said if said.startswith("decimal(") else "double"
    return _of_text(place) if "string" in place.types else _WORDS.get(next(iter(place.types), ""))


def _of_text(place: Place) -> str:
    if place.binary:
        return "binary"
    if "date-time" in place.formats:
        return "timestamp"
    return "date" if "date" in place.formats else "string"


def _role(place: Place) -> Role | None:
    if place.secret:
        return "secret"
    return next((role for role in get_args(Role) if role == place.own.get("role")), None)


def _can_be_named(parts: Parts) -> bool:
    return bool(parts[0]) and len(parts) <= DEEPEST
