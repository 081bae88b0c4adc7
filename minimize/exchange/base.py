"""What an import gives, and what an export is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from minimize.pointer import Pointer
from minimize.policy.model import Role


@dataclass(frozen=True, slots=True)
class Column:
    """One field that a document describes.

    type  the policy's word
    role  as the document says it; None where it says none
    kind  what its values are (`drafting.kinds`), by a format that the document names; None for nothing known
    do    what the document itself would let become of it; None where it says nothing of that
    said  why, in words for a remark
    """

    pointer: Pointer
    type: str
    role: Role | None = None
    about: str = ""
    unit: str = ""
    required: bool = False
    kind: str | None = None
    do: str | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Described:
    """One dataset as a document describes it.

    remarks   what the document says that a policy has no place for, line by line
    never     what must not be there at all
    left_out  fields that no policy can name, and why
    """

    name: str
    columns: tuple[Column, ...]
    owner: str = ""
    version: int = 1
    purposes: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    retention: str | None = None
    remarks: tuple[str, ...] = ()
    never: tuple[Pointer, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an export is of.

    path      a pipeline's or policy's folder or file, or an output folder
    name      of what: `source` (records as they come in), or an output; None for all that the format can say
    pipeline  where the pipeline of an output lies, if the output does not tell
    """

    path: str
    name: str | None = None
    as_json: bool = False
    pipeline: str | None = None


Read = Callable[[Any, str | None], Described]
"""Reads the dataset that a document describes. The second argument names one of several. Raises ConfigurationError."""

Write = Callable[[Asked], str]
"""Writes the document. Raises ConfigurationError, PolicyError."""
