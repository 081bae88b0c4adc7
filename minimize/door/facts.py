"""What an output holds at a moment: the files in force, kept open, and what their footers say of the columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Final

import pyarrow as pa

from minimize.door.held import Held, is_kept
from minimize.door.refusing import CHANGED, DATASET, said
from minimize.encryption import open_parquet, unless_shredded
from minimize.encryption.by_category import category_of
from minimize.errors import OutputError
from minimize.governance.access import Column
from minimize.governance.access.planned import NOBODYS
from minimize.governance.retention.written import Reading, Written, writers
from minimize.io.history import receipts
from minimize.io.places import place_of
from minimize.io.published import settle
from minimize.io.stored import Stored, small_texts, stored
from minimize.keys import Kms
from minimize.plan.category import ORDER
from minimize.plan.model import Category
from minimize.policy.model import Policy
from minimize.receipt import OutputFile, Receipt, in_force
from minimize.stores import Place

TRIES: Final = 5
"""How often a dataset is looked at anew that is replaced while it is looked at."""
FEW: Final = 8.0
"""Uncompressed bytes a value, up to which texts go as dictionaries: pseudonyms of devices that come several times do."""
FIELD: Final = b"minimize:field"


@dataclass(frozen=True)
class Facts:
    """One output at a moment.

    files    in force, by path
    writers  the receipt that wrote each of them
    schema   every column that any of them has, with its metadata
    coded    columns of text that are read with few distinct values, as dictionaries
    tenant   the column that says whose a row is; None where there is none
    allowed  the purposes that the data is for
    purposes by column those that it is for, where that is not all
    policies by path of a file the policy that it was written under
    """

    files: tuple[OutputFile, ...]
    schema: pa.Schema
    coded: frozenset[str]
    tenant: str | None
    allowed: tuple[str, ...]
    purposes: Mapping[str, tuple[str, ...]]
    policies: Mapping[str, Policy] = field(repr=False)
    schemas: tuple[pa.Schema, ...] = field(repr=False, default=())

    @property
    def by_date(self) -> bool:
        """Whether it is partitioned by the batch date."""
        return any(place_of(each.path)[1] is not None for each in self.files)

    def columns(self, names: Sequence[str]) -> tuple[Column, ...]:
        """These columns as the decision wants them."""
        return tuple(Column(name, _category(self.schema.field(name)), self.purposes.get(name, ())) for name in names)


@dataclass(frozen=True)
class Opened:
    """Facts, and where each file can be opened as long as the read lasts."""

    facts: Facts
    places: Mapping[str, Place]
    kms: Kms

    @property
    def kept(self) -> bool:
        """Whether its files can be read to their end, whatever becomes of their names."""
        return all(is_kept(place) for place in self.places.values())

    def file(self, path: str, coded: Collection[str] = ()) -> Stored:
        """One file, its columns of these names read as dictionaries. Raises OutputError, KeyringError."""
        return _stored(self.places[path], path, self.kms, coded)


class Outputs:
    """Outputs as they are looked at; what was found is remembered until something is published. Threads share it."""

    def __init__(self, kms: Kms) -> None:
        self._kms, self._held, self._lock = kms, Held(), Lock()
        self._known: dict[tuple[str, str], tuple[frozenset[str], Facts]] = {}

    @property
    def held(self) -> int:
        """How many files are held open."""
        return self._held.count

    @contextmanager
    def opened(self, output: Place, name: str) -> Iterator[Opened]:
        """One output as it is now, and stays as long as the block lasts.

        Raises RefusedError (B003) where there is none of that name, ConfigurationError (B006) where it is replaced all the time.
        """
        with ExitStack() as stack:
            for _ in range(TRIES):
                runs = settle(output)
                writers = _writers(receipts(output), name)
                with suppress(OSError):
                    places = stack.enter_context(self._held.holding(output, [file.path for file, _ in writers]))
                    yield Opened(self._facts(output, name, runs, writers, places), places, self._kms)
                    return
            raise said(CHANGED)

    def _facts(
        self, output: Place, name: str, runs: frozenset[str], writers: Writers, places: Mapping[str, Place]
    ) -> Facts:
        key = (str(output), name)
        with self._lock:
            known = self._known.get(key)
        if known is not None and known[0] == runs:
            return known[1]
        found = _look(output, writers, places, self._kms)
        with self._lock:
            self._known[key] = (runs, found)
        return found


Writers = Sequence[tuple[OutputFile, Receipt]]
"""Files in force, each with the receipt that wrote it."""


def _writers(receipts: Sequence[Receipt], name: str) -> Writers:
    found, wrote = in_force(receipts).get(name, ()), writers(receipts)
    if not found:
        raise said(DATASET)
    return [(file, wrote[file.path]) for file in found]


def _look(output: Place, writers: Writers, places: Mapping[str, Place], kms: Kms) -> Facts:
    """What the footers say of files that somebody can still read: those whose keys were destroyed are gone.

    Raises OutputError where columns changed their type, or a policy is not what its receipt tells.
    """
    reading = Reading()
    policies = {file.path: Written(output, receipt, reading).policy for file, receipt in writers}
    looked = {path: unless_shredded(partial(_stored, places[path], path, kms)) for path in policies}
    files = {path: each for path, each in looked.items() if each is not None}
    if not files:
        raise said(DATASET)
    filled = next((each for each in files.values() if each.file.metadata.num_rows), None)
    return Facts(
        tuple(file for file, _ in writers if file.path in files),
        _united([each.whole for each in files.values()]),
        frozenset() if filled is None else frozenset(small_texts(filled.file, FEW)),
        _tenant({path: (policies[path], each.whole) for path, each in files.items()}),
        _allowed(policies[path] for path in files),
        _purposes((policies[path], each.whole) for path, each in files.items()),
        policies,
        tuple(each.whole for each in files.values()),
    )


def _category(column: pa.Field) -> Category:
    """A column's category, by its metadata; the strictest where it says none."""
    said_of = category_of(column)
    return next(word for word in ORDER if word == said_of)


def _stored(place: Place, path: str, kms: Kms, coded: Collection[str] = ()) -> Stored:
    try:
        return stored(path, open_parquet(place, kms, name=path, read_dictionary=[*coded]))
    except (OSError, pa.ArrowException):
        pass
    raise OutputError(f"{path} is gone or damaged", hint="`minimize verify` checks all files")


def _united(schemas: Sequence[pa.Schema]) -> pa.Schema:
    try:
        return pa.unify_schemas([*schemas])
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        pass
    raise OutputError("columns changed their type between dates")


def _tenant(files: Mapping[str, tuple[Policy, pa.Schema]]) -> str | None:
    """The column that says in every file, as it came in, whose a row is."""
    found = {_kept(policy, schema) for policy, schema in files.values()}
    return found.pop() if len(found) == 1 else None


def _kept(policy: Policy, schema: pa.Schema) -> str | None:
    wanted = {b"minimize:field": (policy.tenant or "").encode(), b"minimize:technique": b"keep"}
    return next((each.name for each in schema if wanted.items() <= (each.metadata or {}).items()), None)


def _allowed(policies: Iterable[Policy]) -> tuple[str, ...]:
    """The purposes that every policy lists; what stands for nobody's where they have nothing in common."""
    return tuple(sorted(set.intersection(*(set(each.purposes) for each in policies)))) or (NOBODYS,)


def _purposes(files: Iterable[tuple[Policy, pa.Schema]]) -> dict[str, tuple[str, ...]]:
    """By column the purposes that it is for, where any file's policy limits them."""
    found: dict[str, set[str]] = {}
    for policy, schema in files:
        for column in schema:
            for key in _fields(column):
                for limits in _limits(policy, key):
                    found[column.name] = found.get(column.name, limits) & limits
    return {name: tuple(sorted(each)) or (NOBODYS,) for name, each in found.items()}


def _limits(policy: Policy, key: str) -> Iterator[set[str]]:
    """What a field, and those that it is made from, are for, where that is not all."""
    field = policy.fields.get(key)
    names = [] if field is None else [key, *field.from_]
    yield from (
        set(policy.fields[name].purposes) for name in names if name in policy.fields and policy.fields[name].purposes
    )


def _fields(column: pa.Field) -> Iterator[str]:
    """The fields of the policy that a column is made of."""
    for name, value in (column.metadata or {}).items():
        if name == FIELD or name.startswith(FIELD + b"/"):
            yield value.decode()
