"""What arrives on a date: which records carry which field, what is refused, what nobody declared, which values are not listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from minimize.drifting.listed import Listed, unlisted
from minimize.errors import SchemaError
from minimize.io import FORMATS
from minimize.io.base import Carried, Chunk, Declared, Request, Source
from minimize.io.discover import Seen, shape_of
from minimize.io.find import Shown, hive
from minimize.io.part import FilePart
from minimize.io.rows import at
from minimize.io.undeclared import added
from minimize.pointer import Pointer
from minimize.stores import Place

SHAPED = 20
"""Of how many files of a date the first records are looked at for the types of what they hold."""


Bind = Callable[[Request], Source]
"""Binds one file to a request."""


@dataclass(slots=True)
class Observed:
    """What was seen of a date's files.

    kind        the format of the files
    records     how many were read
    carried     per declared field how many records carry it
    refused     per declared field how many records were refused because of its type or time
    retyped     declared fields that whole files have in another type, or not at all
    undeclared  what nobody declared, by path, at its top
    unlisted    per declared field of which values are listed: how many records have another, and how many those are
    absent      declared fields that whole files do not have, of formats that name their columns
    shape       what stands where in the first records
    """

    kind: str = "ndjson"
    records: int = 0
    carried: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    retyped: Counter[str] = field(default_factory=Counter)
    absent: Counter[str] = field(default_factory=Counter)
    undeclared: dict[Pointer, Carried] = field(default_factory=dict, repr=False)
    unlisted: dict[str, Listed] = field(default_factory=dict, repr=False)
    shape: list[Seen] = field(default_factory=list, repr=False)

    def words_at(self, pointer: Pointer) -> list[str]:
        """The words for what stands at a path, in order of appearance."""
        found = (word for seen in self.shape for each in seen.at(pointer.parts) for word in each.words)
        return list(dict.fromkeys(found))

    def take(self, chunk: Chunk, request: Request, lists: Mapping[str, frozenset[str]]) -> None:
        """Takes some records in."""
        keys = {str(each.pointer): each.key for each in request.fields}
        self.records += chunk.read
        for reject in chunk.rejects:
            if reject.code in ("wrong_type", "bad_time") and reject.field in keys:
                self.refused[keys[reject.field]] += 1
        self._carry(chunk.undeclared)
        for each in request.fields:
            self.carried[each.key] += int(at(chunk.records, each.pointer).sum())
            if each.key in lists:
                found = unlisted(chunk.records, each.pointer, lists[each.key])
                self.unlisted[each.key] = self.unlisted.get(each.key, Listed()) + found

    def add(self, other: Observed) -> None:
        """Takes in what was seen of another file."""
        self.records += other.records
        self.carried.update(other.carried)
        self._carry(other.undeclared)
        for key, found in other.unlisted.items():
            self.unlisted[key] = self.unlisted.get(key, Listed()) + found

    def _carry(self, undeclared: Mapping[Pointer, Carried]) -> None:
        self.undeclared = added([self.undeclared, undeclared])


def observe(
    files: Sequence[Place],
    root: Place,
    kind: str,
    request: Request,
    lists: Mapping[str, frozenset[str]],
    shown: Shown | None = None,
) -> Observed:
    """Everything that is seen of some files, each read by itself, so that they may disagree.

    Takes the request of a policy, and per field of which values are listed those values. Raises SourceError.
    """
    seen = Observed(kind)
    asked = _of_all(request)
    for number, path in enumerate(files):
        if number < SHAPED or kind != "ndjson":
            shape = shape_of(FilePart(path, root, shown), kind)
            seen.shape.append(shape)
            if kind != "ndjson":
                partitions = hive(path, root)
                seen.absent.update(each.key for each in request.fields if _lacks(shape, each, partitions))
        _look(seen, asked, lists, partial(FORMATS[kind], [path], root, shown=shown))
    declared = [each.pointer for each in request.fields]
    seen.undeclared = {path: carried for path, carried in seen.undeclared.items() if not _is_part(path, declared)}
    return seen


def _lacks(shape: Seen, declared: Declared, partitions: Mapping[str, object]) -> bool:
    return declared.pointer.top not in partitions and not any(True for _ in shape.at(declared.pointer.parts))


def _of_all(request: Request) -> Request:
    """The request of somebody who reads every field and insists on none."""
    fields = tuple(replace(each, needed=True, required=False, optional=True) for each in request.fields)
    return replace(request, fields=fields)


def _look(seen: Observed, request: Request, lists: Mapping[str, frozenset[str]], bind: Bind) -> None:
    """Reads a file as often as it takes: a field that does not fit is taken note of, and left out to see behind it."""
    while True:
        source, request = _fitting(bind, request, seen)
        found = Observed()
        for part in source.parts:
            for chunk in part.read():
                found.take(chunk, request, lists)
        if not found.refused:
            seen.add(found)
            return
        seen.refused.update(found.refused)
        request = _without(request, found.refused)


def _fitting(bind: Bind, request: Request, seen: Observed) -> tuple[Source, Request]:
    """The file bound to as much of the request as fits, and that; what does not is taken note of."""
    while True:
        source = None
        try:
            source, misfits = bind(request), frozenset[str]()
        except SchemaError as error:
            misfits = frozenset(finding.field for finding in error.findings if finding.field is not None)
            if not misfits & {each.key for each in request.fields}:
                raise
        if source is not None:
            return source, request
        seen.retyped.update(misfits)
        request = _without(request, misfits)


def _without(request: Request, keys: Collection[str]) -> Request:
    return replace(request, fields=tuple(each for each in request.fields if each.key not in keys))


def _is_part(path: Pointer, declared: Iterable[Pointer]) -> bool:
    """Whether a path is a declared one, or above or below one: then it is about that field."""
    return any(path.within(each) or each.within(path) for each in declared)
