"""Where somebody stands: in every output, by every form in which its files may have him; an index says what to read.

What a file shows of a subject is found by working the policy's techniques on his identifier with the key version that the file
names, for each rotation period of its events and for each tenant that he may belong to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import pyarrow as pa

from minimize.canonical import canonical_text
from minimize.encryption import unless_shredded
from minimize.governance.retention.rules import fields_of
from minimize.governance.retention.whose import Whose
from minimize.governance.retention.written import Written
from minimize.governance.subjects.asked import Subject
from minimize.governance.subjects.looking import Look, distinct, is_kept
from minimize.governance.subjects.outputs import Output
from minimize.io.hive import value_of
from minimize.io.places import place_of
from minimize.io.stored import open_stored
from minimize.keys import Keyring, Kms, find_kms
from minimize.pointer import Pointer
from minimize.receipt import OutputFile
from minimize.stores import local


@dataclass(frozen=True, slots=True)
class Held:
    """Records of one subject in one file.

    key    the field by which he was found
    rows   his records, as they stand there
    since  the oldest instant that one of them may stand for, in microseconds since 1970; None where no times are told
    """

    output: Output
    written: Written
    file: OutputFile
    key: str
    rows: pa.Table = field(repr=False)
    since: int | None = None
    until: int | None = None

    @property
    def date(self) -> str | None:
        """The partition."""
        return place_of(self.file.path)[1]

    @property
    def forms(self) -> frozenset[str]:
        """The forms in which he stands there."""
        return distinct(self.rows, Pointer.parse(self.key))

    @property
    def subjects(self) -> frozenset[str]:
        """The forms of the policy's subjects that his records are about: his own, or those of his devices."""
        return self._of(self.written.policy.subject)

    @property
    def beside(self) -> dict[str, frozenset[str]]:
        """Other identifiers that stand in his records, by field: in the forms in which they stand there."""
        policy = self.written.policy
        names = [name for name, each in policy.fields.items() if each.role == "identifier" and name != self.key]
        return {name: forms for name in names if (forms := self._of(name))}

    @property
    def tenants(self) -> frozenset[str]:
        """The tenants beside him, where the file has them as they came in."""
        tenant = self.written.policy.tenant
        shows = tenant is not None and is_kept(self.written.policy.fields[tenant])
        return self._of(tenant) if shows else frozenset()

    def _of(self, key: str | None) -> frozenset[str]:
        pointer = fields_of(self.written.policy, self.rows.schema).get(key or "")
        return frozenset() if pointer is None else distinct(self.rows, pointer)


@dataclass(frozen=True, slots=True)
class Blind:
    """A file in which nobody can be looked for by this identifier, and why."""

    output: Output
    file: OutputFile
    why: str


Found = Held | Blind


@dataclass(frozen=True, slots=True)
class Looked:
    """A file that was looked at: what was found, and how many of its row groups were read for it."""

    found: Found | None
    groups: int = 0
    read: int = 0


@dataclass(frozen=True)
class Search:
    """A search for one subject. `tenants` are those that the ledger names."""

    subject: Subject
    keys: Keyring = field(repr=False)
    tenants: frozenset[str] = field(default=frozenset(), repr=False)

    def over(self, outputs: Iterable[Output]) -> Iterator[Found]:
        """What stands of the subject in these outputs, file by file."""
        yield from (each.found for each in self.looks(outputs) if each.found is not None)

    def looks(self, outputs: Iterable[Output]) -> Iterator[Looked]:
        """The same, with every file that was looked at."""
        for output in outputs:
            for written, file in output.files():
                yield self._in(output, written, file)

    def _in(self, output: Output, written: Written, file: OutputFile) -> Looked:
        if self._lies_elsewhere(written, file):
            return Looked(None)
        keys = self._fields(written)
        looked = [self._by(key, output, written, file) for key in keys]
        held = next((each for each in looked if isinstance(each.found, Held)), looked[0] if looked else Looked(None))
        return replace(held, read=min(held.groups, sum(each.read for each in looked)))

    def _lies_elsewhere(self, written: Written, file: OutputFile) -> bool:
        """Whether the file lies in the folder of another tenant, so that nobody need open it."""
        name, tenant = written.policy.tenant, self.subject.tenant
        if name is None or tenant is None or not is_kept(written.policy.fields[name]):
            return False
        folders = dict(value_of(part) for part in PurePosixPath(file.path).parts[:-1] if "=" in part)
        return canonical_text(folders.get(name) or tenant) != canonical_text(tenant)

    def _fields(self, written: Written) -> list[str]:
        """The fields by which he is looked for: a form that is given may stand in any that identifies."""
        policy = written.policy
        key = policy.tenant if self.subject.is_tenant else self.subject.field or policy.subject
        keys = [] if key is None or key not in policy.fields else [key]
        if self.subject.is_form and self.subject.field is None:
            keys += [name for name, each in policy.fields.items() if each.role == "identifier" and name != key]
        return keys

    def blind(self, outputs: Iterable[Output]) -> Iterator[Blind]:
        """The files in which he cannot be looked for; no record is read."""
        for output in outputs:
            for written, file in output.files():
                for key in self._fields(written):
                    found = self._opened(key, output, written, file)
                    if isinstance(found, Blind):
                        yield found

    def _by(self, key: str, output: Output, written: Written, file: OutputFile) -> Looked:
        opened = self._opened(key, output, written, file)
        if isinstance(opened, Blind):
            return Looked(opened)
        look, whose = opened
        groups = look.stored.file.metadata.num_row_groups
        there = look.groups(whose, file)
        rows = look.rows(whose, there)
        held = None if not rows.num_rows else Held(output, written, file, key, rows, *look.span(rows))
        return Looked(held, groups, groups if there is None else len(there))

    def _opened(self, key: str, output: Output, written: Written, file: OutputFile) -> tuple[Look, Whose] | Blind:
        stored = unless_shredded(lambda: open_stored(output.folder, file.path, self._kms(output)))
        if stored is None:
            return Blind(output, file, "its keys were destroyed, so that nobody can read it any more")
        look = Look(output.folder, written.policy, key, stored, self.keys)
        tenants = [] if self.subject.is_form else look.tenants(self.subject, self.tenants)
        blind = look.blind(self.subject.is_form or bool(tenants))
        if blind:
            return Blind(output, file, blind)
        whose = look.whose(self.subject, tenants)
        if whose.lost:
            return Blind(output, file, f"how {key} stands there depends on what is not known")
        return look, whose

    def _kms(self, output: Output) -> Kms:
        return find_kms(self.keys, local(output.folder))
