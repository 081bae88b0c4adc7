"""Reference table of techniques: name, parameters, input types, result, remaining form, source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from minimize.techniques import Drop
from minimize.techniques.base import ALL_FAMILIES, Family, Leaves, TechniqueStep


@dataclass(frozen=True, slots=True)
class TechniqueEntry:
    """One technique, for a table."""

    name: str
    parameters: tuple[str, ...]
    takes: tuple[Family, ...]
    leaves: Leaves
    source: str
    about: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts of the columns: technique, parameters, takes, about, leaves, source."""
        takes = "any" if self.takes == ALL_FAMILIES else ", ".join(self.takes)
        return f"`{self.name}`", ", ".join(self.parameters), takes, self.about, self.leaves, self.source


def technique_entry(kind: type[TechniqueStep]) -> TechniqueEntry:
    """The line of a technique."""
    parameters = tuple(info.alias or name for name, info in kind.model_fields.items())
    return TechniqueEntry(
        name=kind.name,
        parameters=parameters,
        takes=kind.takes,
        leaves=kind.leaves,
        source=kind.source,
        about=kind.about,
    )


def technique_entries(kinds: Iterable[type[TechniqueStep]]) -> tuple[TechniqueEntry, ...]:
    """The lines of these techniques, with `drop` after the first, which is a keyword of the policy without a class."""
    first, *others = (technique_entry(kind) for kind in kinds)
    return first, technique_entry(Drop), *others


def markdown_table(kinds: Iterable[type[TechniqueStep]]) -> str:
    """The table in Markdown.

    >>> from minimize.techniques import TECHNIQUES
    >>> print(markdown_table(TECHNIQUES.values()).splitlines()[3])
    | `drop` |  | any | the field is removed from schema and data | nothing | GDPR Art. 5(1)(c) |
    """
    head = ("technique", "parameters", "takes", "result", "leaves", "source")
    rows = [head, ("---",) * len(head), *(each.cells for each in technique_entries(kinds))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
