"""What was observed beside what a policy declares: each declared field's change, if any, and what nobody declared."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from minimize.drifting.listed import Listed
from minimize.drifting.model import Change
from minimize.drifting.observe import Observed
from minimize.engines.undeclared import parts_of, veiled
from minimize.errors import Severity
from minimize.io.base import Carried
from minimize.pointer import STAR, Pointer
from minimize.policy.init import key_text
from minimize.policy.model import Field, Policy

CONTAINERS: Final = ("list", "struct", "map")
TEXTS: Final = frozenset({"string", "timestamp", "date", "binary"})
"""Words for what is text in a file without types."""
USUAL: Final = 0.01
"""The share of records that may be refused for one field's type before it matters, where a pipeline says none."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What a policy is compared with.

    seen     what arrived
    counted  per field how many values the last receipt counted
    needed   the fields that somebody reads
    must     the fields without which a record is refused
    limit    the share of refused records that matters
    """

    policy: Policy
    seen: Observed
    counted: Mapping[str, int]
    needed: Collection[str]
    must: Collection[str]
    limit: float = USUAL

    def is_gone(self, field: Field) -> bool:
        """Whether nothing arrives for a field."""
        seen = self.seen
        return not seen.carried[field.key] and not seen.refused[field.key] and not seen.words_at(field.pointer)

    def matters(self, key: str) -> Severity:
        """How bad it is that a field does not arrive."""
        return "error" if key in self.needed or key in self.must else "warning"


def declared_changes(beside: Beside) -> Iterator[Change]:
    """What drifted of the declared fields, in the policy's order."""
    for field in beside.policy.fields.values():
        if not field.from_ and not field.pointer.is_keys and beside.seen.records:
            yield from _of_field(field, beside)


def new_paths(policy: Policy, seen: Observed) -> dict[Pointer, tuple[bool, Carried]]:
    """What nobody declared, by its path as it may be shown: whether that is all of it, and who carries it."""
    known = parts_of(field.pointer for field in policy.fields.values())
    found: dict[Pointer, tuple[bool, Carried]] = {}
    for pointer, carried in seen.undeclared.items():
        shown = veiled(pointer, carried, known)
        whole, before = found.get(shown, (True, Carried(0)))
        found[shown] = (whole and shown == pointer, before + carried)
    return found


def type_at(seen: Observed, pointer: Pointer) -> str | None:
    """The policy's word for what stands at a path, where it is one thing and the files say it."""
    words = set(seen.words_at(pointer)) if seen.kind != "csv" else set[str]()
    if words == {"integer", "double"}:
        return "double"
    if len(words) > 1 and words <= TEXTS:
        return "string"
    return words.pop() if len(words) == 1 else None


def _of_field(field: Field, beside: Beside) -> Iterator[Change]:
    seen = beside.seen
    bent = _bent(field, seen)
    if seen.refused[field.key] or (seen.retyped[field.key] and (bent or seen.words_at(field.pointer))):
        yield _retyped(field, beside) if bent is None else _nested(field, beside, *bent)
    elif beside.is_gone(field) and (
        beside.counted.get(field.key) or field.key in beside.must or seen.absent[field.key]
    ):
        yield _gone(field, beside)
    listed = seen.unlisted.get(field.key)
    if listed is not None and listed.values:
        yield _unlisted(field, seen, listed)


def _retyped(field: Field, beside: Beside) -> Change:
    word = _other_word(field, beside.seen)
    edit = (
        ""
        if word is None
        else f"  {key_text(field.pointer)}: {{type: {word}}}  # was {field.type}; keep the rest of it"
    )
    return Change(
        "retyped",
        field.pointer,
        _weight(field, beside),
        f"{_who(field, beside.seen)} another type than the policy says",
        beside.seen.refused[field.key],
        field.key,
        was=field.type,
        is_=word,
        line=field.line,
        edit=edit,
    )


def _nested(field: Field, beside: Beside, depth: int, was: str, is_: str) -> Change:
    return Change(
        "nested",
        field.pointer,
        _weight(field, beside),
        f"{_who(field, beside.seen)} it nested otherwise",
        beside.seen.refused[field.key],
        field.key,
        was=was,
        is_=is_,
        line=field.line,
        edit=_moved(field, depth, was, is_),
    )


def _gone(field: Field, beside: Beside) -> Change:
    absent = beside.seen.absent[field.key]
    message = "no record carries it" + (f", and files lack the column: {absent}" if absent else "")
    edit = f"  # {field.key}: it does not arrive; say `optional: true`, or take it out"
    severity: Severity = "error" if absent else beside.matters(field.key)
    return Change("gone", field.pointer, severity, message, 0, field.key, was=field.type, line=field.line, edit=edit)


def _unlisted(field: Field, seen: Observed, listed: Listed) -> Change:
    count = len(listed.values)
    message = f"values that are not listed: {count:,}, in {listed.records:,} of {seen.records:,} records"
    edit = f"  # {field.key}: list what is new, or say what the rest becomes (`otherwise`)"
    change = Change("unlisted", field.pointer, "warning", message, listed.records, field.key, values=count)
    return replace(change, line=field.line, edit=edit)


def _who(field: Field, seen: Observed) -> str:
    """Who is concerned, with the verb: whole files, or so many records."""
    refused = seen.refused[field.key]
    return f"{refused:,} of {seen.records:,} records have" if refused else f"{seen.retyped[field.key]} file(s) have"


def _weight(field: Field, beside: Beside) -> Severity:
    """A file of another type stops a run; records are refused one by one."""
    whole = bool(beside.seen.retyped[field.key])
    return "error" if whole or beside.seen.refused[field.key] / beside.seen.records > beside.limit else "warning"


def _bent(field: Field, seen: Observed) -> tuple[int, str, str] | None:
    """The first place on the way to a field that is no such container as its path says: how deep, what was said, what it is."""
    parts = field.pointer.parts
    for depth in range(1, len(parts)):
        fine = ("list", "map") if parts[depth] is STAR else ("struct", "map")
        other = [word for word in seen.words_at(Pointer(parts[:depth])) if word not in fine]
        if other:
            return depth, fine[0], other[0]
    nests = [word for word in seen.words_at(field.pointer) if word in CONTAINERS and word not in _same(field.type)]
    return (len(parts), field.type, nests[0]) if nests else None


def _same(word: str) -> tuple[str, ...]:
    return ("struct", "map") if word in ("struct", "map") else (word,)


def _moved(field: Field, depth: int, was: str, is_: str) -> str:
    """The field where it stands now, if a list became an object or the other way round."""
    parts = field.pointer.parts
    if (was, is_) == ("list", "struct"):
        place = Pointer((*parts[:depth], *parts[depth + 1 :]))
    elif is_ == "list":
        place = Pointer((*parts[:depth], STAR, *parts[depth:]))
    else:
        return f"  # {field.key}: now {is_}, was {was}; declare what of it is wanted"
    return f"  {key_text(place)}: {{type: {field.type}}}  # was {field.key}; keep the rest of it"


def _other_word(field: Field, seen: Observed) -> str | None:
    """The type of the values that are not as declared, where the first records show one."""
    fine = {"double": {"double", "integer"}, "string": TEXTS}.get(field.type, {field.type})
    others = [word for word in seen.words_at(field.pointer) if word not in fine]
    return others[0] if others else None
