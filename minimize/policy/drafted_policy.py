"""A drafted policy file as a model: the fields with their proposals, and the parts of a record.

A draft is written from this model, and read back into it to accept proposals. Lines that are neither a proposal nor the field
below it stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

from minimize.arrow.pointers import Pointer
from minimize.forms.yaml_nodes import compose_mapping, key_text, written_entries

RECORD_PARTS: Final[Mapping[str, str]] = {
    "tenant": "whose settings apply",
    "subject": "the person or device",
    "time": "when it happened",
    "record": "which record it is",
}
"""The top-level keys that name a field by its part in a record, and what each means."""
_MAY_BE_ABSENT: Final = "not in all records; those without it would be quarantined"
"""The remark about a part whose field can be null, which `all` does not accept."""
_NO_FIELD: Final = "FIELD"
_PROPOSED: Final = "  # proposed: "
_ACCEPTED: Final = "  # accepted: "
_COMMENT: Final = "  # "


@dataclass(frozen=True, slots=True)
class DraftedPart:
    """A top-level key for a part of a record. It is a comment until it is accepted, because records without the field are faulty.

    name  `tenant`, `subject`, `time` or `record`
    text  the key, its value, and a remark
    """

    name: str
    text: str
    is_open: bool = True

    @classmethod
    def of(cls, name: str, pointer: Pointer | None, *, may_be_absent: bool = False) -> Self:
        """The key with a field; with a placeholder if none is known. `may_be_absent`: it can have no value."""
        value = _NO_FIELD if pointer is None else key_text(pointer)
        return cls(name, f"{f'{name}: {value}':<37} # {_MAY_BE_ABSENT if may_be_absent else RECORD_PARTS[name]}")

    @property
    def may_be_absent(self) -> bool:
        """Whether the field can have no value, so that the part is accepted only by its name."""
        return self.text.endswith(_MAY_BE_ABSENT)

    def accept(self) -> Self:
        """The key in effect."""
        return replace(self, is_open=False)

    @property
    def lines(self) -> tuple[str, ...]:
        """Its line in the file."""
        return (f"# {self.text}" if self.is_open else self.text,)


@dataclass(frozen=True, slots=True)
class DraftedField:
    """What is written about a field, and what is proposed for it.

    key       its key, in the notation of YAML
    entries   type, treatment and others, each value in the notation of YAML
    proposed  the entries that are proposed; empty if there is no proposal
    comments  the comments between the proposal and the field
    remark    what follows the entries on their line
    """

    key: str
    entries: Mapping[str, str]
    proposed: Mapping[str, str] = field(default_factory=dict)
    comments: Sequence[str] = ()
    remark: str = ""
    is_accepted: bool = False

    @property
    def name(self) -> str:
        """The key without the quotes and escapes of YAML."""
        root = compose_mapping(f"{self.key}: x")
        return self.key if root is None else str(root.value[0][0].value)

    @property
    def is_open(self) -> bool:
        """Whether the proposal can be accepted: the field is still dropped, and none of its keys can be a value."""
        return bool(self.proposed) and self.entries.get("do") == "drop" and "keys" not in self.entries

    def accept(self) -> Self:
        """The field with the proposed entries."""
        kept = {key: value for key, value in self.entries.items() if key not in ("role", "do")}
        return replace(self, entries={**kept, **self.proposed}, is_accepted=True)

    @property
    def lines(self) -> tuple[str, ...]:
        """Its lines in the file: the proposal, the comments and the entries."""
        mark = _ACCEPTED if self.is_accepted else _PROPOSED
        proposal = (mark + _flow_text(self.proposed),) if self.proposed else ()
        return (
            *proposal,
            *(_COMMENT + each for each in self.comments),
            f"  {self.key}: {_flow_text(self.entries)}{self.remark}",
        )


DraftBlock = str | DraftedPart | DraftedField
"""A line as it is, or a part of the model."""


def draft_text(blocks: Iterable[DraftBlock]) -> str:
    """The text of the file."""
    return "\n".join(line for block in blocks for line in ((block,) if isinstance(block, str) else block.lines))


def read_draft(text: str) -> Iterator[DraftBlock]:
    """The blocks of a file. A comment `proposed` belongs to the first line below it that is no comment."""
    above: list[str] = []
    for line in text.split("\n"):
        if line.startswith(_PROPOSED):
            yield from above
            above = [line]
        elif above and line.startswith(_COMMENT):
            above.append(line)
        else:
            found = _read_field(above, line) if above else _read_part(line)
            yield from (*above, line) if found is None else (found,)
            above = []
    yield from above


def open_proposals(blocks: Iterable[DraftBlock]) -> list[DraftedPart | DraftedField]:
    """The blocks whose proposals can be accepted."""
    return [block for block in blocks if not isinstance(block, str) and block.is_open]


def _read_field(above: Sequence[str], line: str) -> DraftedField | None:
    proposed, outer = compose_mapping(above[0].removeprefix(_PROPOSED)), compose_mapping(line)
    if proposed is None or outer is None or not line.startswith("  "):
        return None
    ((key, entries),) = outer.value
    written = written_entries(entries, line)
    if not written:
        return None
    return DraftedField(
        line[key.start_mark.index : key.end_mark.index],
        written,
        written_entries(proposed, above[0].removeprefix(_PROPOSED)),
        [each.removeprefix(_COMMENT) for each in above[1:]],
        line[entries.end_mark.index :],
    )


def _read_part(line: str) -> DraftedPart | None:
    text = line.removeprefix("# ")
    root = compose_mapping(text) if text != line else None
    written = {} if root is None else written_entries(root, text)
    name = next(iter(written), "")
    return DraftedPart(name, text) if name in RECORD_PARTS and written[name] not in ("", _NO_FIELD) else None


def _flow_text(entries: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{key}: {value}' for key, value in entries.items())}}}"
