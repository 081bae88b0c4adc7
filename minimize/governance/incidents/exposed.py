"""What an incident exposed, as people name it: `output:PATH#name`, `run:ID`, `date:D`, `recipient:NAME`, `key:NAME/1` …"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Self, get_args

from minimize.errors import ConfigurationError
from minimize.io.places import is_date
from minimize.times import moment

Kind = Literal["output", "run", "date", "column", "recipient", "key", "grant", "actor"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
NARROWING: Final = ("date", "column")
"""These say which part of the outputs and runs that are named beside them; alone, of all outputs."""
_KEY: Final = re.compile(r"[^/\s]+/[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True, order=True)
class Exposed:
    """One thing that was exposed.

    name    a path, a run, a date, a column, a recipient, a key's version, a grant, an account
    detail  of an output the name below its folder, of an actor the window; empty where none is said
    """

    kind: Kind
    name: str
    detail: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """What a text says. Raises ConfigurationError.

        >>> Exposed.parse("output:out/device_telemetry#records").detail
        'records'
        """
        word, _, rest = text.partition(":")
        kind = next((each for each in KINDS if each == word), None)
        name, detail = _parted(word, rest)
        found = None if kind is None or not name else cls(kind, name, detail)
        if found is None or not found._is_sound():
            raise ConfigurationError("this does not say what was exposed", hint=_HINT)
        return found

    @property
    def window(self) -> tuple[datetime, datetime] | None:
        """From when to when an actor's reads are meant; None: when the incident happened. Raises ConfigurationError."""
        first, slash, last = self.detail.partition("/")
        if self.kind != "actor" or not slash:
            return None
        since, until = moment(first, "FROM of `actor:NAME@FROM/TO`"), moment(last, "TO of `actor:NAME@FROM/TO`")
        return None if since is None or until is None else (since, until)

    def __str__(self) -> str:
        mark = {"output": "#", "actor": "@"}.get(self.kind, "")
        return f"{self.kind}:{self.name}" + (f"{mark}{self.detail}" if self.detail else "")

    def _is_sound(self) -> bool:
        if self.kind == "key":
            return bool(_KEY.fullmatch(self.name))
        if self.kind == "date":
            return is_date(self.name)
        if self.kind != "actor" or not self.detail:
            return True
        window = self.window
        return window is not None and window[0] <= window[1]


def _parted(word: str, rest: str) -> tuple[str, str]:
    """A name and what stands behind it; an account's name may hold an `@` of its own."""
    name, mark, detail = rest.rpartition({"output": "#", "actor": "@"}.get(word, "\0"))
    return (name, detail) if mark and (word != "actor" or "/" in detail) else (rest, "")


_HINT: Final = (
    "output:PATH[#NAME], run:ID, date:YYYY-MM-DD, column:NAME, recipient:NAME, key:NAME/VERSION, grant:ID, "
    "actor:NAME[@FROM/TO]"
)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Everything that an incident exposed."""

    each: tuple[Exposed, ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """What these texts say, each once. Raises ConfigurationError."""
        return cls(tuple(dict.fromkeys(map(Exposed.parse, texts))))

    def named(self, kind: Kind) -> tuple[Exposed, ...]:
        """Those of one kind."""
        return tuple(each for each in self.each if each.kind == kind)

    def names(self, kind: Kind) -> frozenset[str]:
        """The names of those of one kind."""
        return frozenset(each.name for each in self.named(kind))

    @property
    def keys(self) -> frozenset[str]:
        """The versions of keys that others have now."""
        return self.names("key")

    @property
    def only_keys(self) -> bool:
        """Whether nothing is named beside keys: then everything that was made with them is meant."""
        return bool(self.each) and all(each.kind == "key" for each in self.each)

    @property
    def of_files(self) -> bool:
        """Whether files of outputs are meant: outputs, runs, or dates and columns wherever they are."""
        kinds = {each.kind for each in self.each}
        return bool(kinds & {"output", "run"}) or (bool(kinds & set(NARROWING)) and kinds <= {*NARROWING, "key"})
