"""Exposure: what an incident exposed, such as `output:PATH#name`, `run:ID`, `date:D`, `recipient:NAME` or `key:NAME/1`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Self, get_args

from minimize.errors import ConfigurationError
from minimize.output.paths import is_date
from minimize.times import parse_time

ExposureKind = Literal["output", "run", "date", "column", "recipient", "key", "grant", "actor"]
EXPOSURE_KINDS: Final[tuple[ExposureKind, ...]] = get_args(ExposureKind)
NARROWING_KINDS: Final = ("date", "column")
"""These say which part of the outputs and runs that are named beside them; alone, of all outputs."""
_KEY_VERSION: Final = re.compile(r"[^/\s]+/[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True, order=True)
class ExposedItem:
    """One thing that was exposed.

    name    a path, a run, a date, a column, a recipient, a key's version, a grant, an account
    detail  of an output the name below its folder, of an actor the window; empty where none is said
    """

    kind: ExposureKind
    name: str
    detail: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """What a text says. Raises ConfigurationError.

        >>> ExposedItem.parse("output:out/device_telemetry#records").detail
        'records'
        """
        word, _, rest = text.partition(":")
        kind = next((each for each in EXPOSURE_KINDS if each == word), None)
        name, detail = _split_detail(word, rest)
        found = None if kind is None or not name else cls(kind, name, detail)
        if found is None or not found._is_sound():
            raise ConfigurationError("this does not say what was exposed", hint=_SYNTAX_HINT)
        return found

    @property
    def window(self) -> tuple[datetime, datetime] | None:
        """From when to when an actor's reads are meant; None: when the incident happened. Raises ConfigurationError."""
        first, slash, last = self.detail.partition("/")
        if self.kind != "actor" or not slash:
            return None
        since, until = parse_time(first, "FROM of `actor:NAME@FROM/TO`"), parse_time(last, "TO of `actor:NAME@FROM/TO`")
        return None if since is None or until is None else (since, until)

    def __str__(self) -> str:
        mark = {"output": "#", "actor": "@"}.get(self.kind, "")
        return f"{self.kind}:{self.name}" + (f"{mark}{self.detail}" if self.detail else "")

    def _is_sound(self) -> bool:
        if self.kind == "key":
            return bool(_KEY_VERSION.fullmatch(self.name))
        if self.kind == "date":
            return is_date(self.name)
        if self.kind != "actor" or not self.detail:
            return True
        window = self.window
        return window is not None and window[0] <= window[1]


def _split_detail(word: str, rest: str) -> tuple[str, str]:
    """A name and what stands behind it; an account's name may hold an `@` of its own."""
    name, mark, detail = rest.rpartition({"output": "#", "actor": "@"}.get(word, "\0"))
    return (name, detail) if mark and (word != "actor" or "/" in detail) else (rest, "")


_SYNTAX_HINT: Final = (
    "output:PATH[#NAME], run:ID, date:YYYY-MM-DD, column:NAME, recipient:NAME, key:NAME/VERSION, grant:ID, "
    "actor:NAME[@FROM/TO]"
)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Everything that an incident exposed."""

    items: tuple[ExposedItem, ...]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """What these texts say, each once. Raises ConfigurationError."""
        return cls(tuple(dict.fromkeys(map(ExposedItem.parse, texts))))

    def items_of(self, kind: ExposureKind) -> tuple[ExposedItem, ...]:
        """Those of one kind."""
        return tuple(each for each in self.items if each.kind == kind)

    def names(self, kind: ExposureKind) -> frozenset[str]:
        """The names of those of one kind."""
        return frozenset(each.name for each in self.items_of(kind))

    @property
    def keys(self) -> frozenset[str]:
        """The versions of keys that others have now."""
        return self.names("key")

    @property
    def only_keys(self) -> bool:
        """Whether nothing is named beside keys: then everything that was made with them is meant."""
        return bool(self.items) and all(each.kind == "key" for each in self.items)

    @property
    def includes_files(self) -> bool:
        """Whether files of outputs are meant: outputs, runs, or dates and columns wherever they are."""
        kinds = {each.kind for each in self.items}
        return bool(kinds & {"output", "run"}) or (
            bool(kinds & set(NARROWING_KINDS)) and kinds <= {*NARROWING_KINDS, "key"}
        )
