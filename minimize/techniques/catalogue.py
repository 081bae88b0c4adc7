"""The techniques as lines of a table for readers: the word, what goes in and comes out, what is left of a value, the source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from minimize.techniques.base import EVERY, Family, Leaves, Step


@dataclass(frozen=True, slots=True)
class Line:
    """One technique, for a table."""

    word: str
    parameters: tuple[str, ...]
    takes: tuple[Family, ...]
    leaves: Leaves
    source: str
    about: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts of the columns: technique, parameters, takes, about, leaves, source."""
        takes = "any" if self.takes == EVERY else ", ".join(self.takes)
        return f"`{self.word}`", ", ".join(self.parameters), takes, self.about, self.leaves, self.source


def line(kind: type[Step]) -> Line:
    """The line of a technique."""
    parameters = tuple(info.alias or name for name, info in kind.model_fields.items())
    return Line(kind.name, parameters, kind.takes, kind.leaves, kind.source, kind.about)


def lines(kinds: Iterable[type[Step]]) -> tuple[Line, ...]:
    """The lines of these techniques, `drop` after the first: a word of the policy that needs no class."""
    first, *others = (line(kind) for kind in kinds)
    drop = Line("drop", (), first.takes, "nothing", "GDPR Art. 5(1)(c)", "the field is absent from schema and bytes")
    return first, drop, *others


def markdown(kinds: Iterable[type[Step]]) -> str:
    """The table in Markdown.

    >>> from minimize.techniques import TECHNIQUES
    >>> print(markdown(TECHNIQUES.values()).splitlines()[3])
    | `drop` |  | any | the field is absent from schema and bytes | nothing | GDPR Art. 5(1)(c) |
    """
    head = ("technique", "parameters", "takes", "result", "leaves", "source")
    rows = [head, ("---",) * len(head), *(each.cells for each in lines(kinds))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
