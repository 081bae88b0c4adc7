"""`Risk`: how unique the data subjects of a table are, and what can be inferred about them; `risk` measures a data frame.

A result has numbers of data subjects, combinations and records. It names columns, and never a value or a combination.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa

from minimize.arrow.types import storage_type
from minimize.disclosure_risk.combinations import Codes, Combinations, CombinationTally, classes_as_they_are
from minimize.disclosure_risk.measures import RISK_MEASURES
from minimize.disclosure_risk.population import PopulationUniques, estimate_uniques
from minimize.disclosure_risk.reidentification import (
    AT_RISK_ABOVE,
    ReidentificationRisk,
    journalist_risk,
    population_sizes,
    prosecutor_risk,
)
from minimize.disclosure_risk.requirement import Baseline
from minimize.disclosure_risk.uniques import TrailCounts, count_trails, subject_sizes, unique_without
from minimize.errors import ConfigurationError, redact_errors
from minimize.pages import Block, Section, Table, html_fragment
from minimize.results import OMIT_IF_EMPTY, JsonResult, Line
from minimize.sources.memory import read_memory
from minimize.text import (
    brief_number,
    count_noun,
    did_you_mean,
    format_number,
    join_names,
    labelled_lines,
    percent_text,
)

Names = Sequence[str]
_INFINITE: Final = "infinite"


@dataclass(frozen=True, slots=True)
class SizeRange(JsonResult):
    """Combinations of similar size, and whom they concern.

    from_, to     the least and the greatest number of data subjects who share a combination
    """

    from_: int
    to: int
    combinations: int
    """The number of such combinations."""
    persons: int
    """The data subjects whose rarest combination is one of them."""
    records: int
    """The records with such a combination."""

    @property
    def label(self) -> str:
        """The range as text."""
        first, last = format_number(self.from_), format_number(self.to)
        return first if first == last else f"{first}–{last}"


@dataclass(frozen=True, slots=True)
class UniqueCounts:
    """Who and what is unique."""

    persons: int
    """The data subjects who have a combination to themselves."""
    combinations: int
    """The combinations of a single data subject."""
    records: int
    """The records whose combination occurs once."""


@dataclass(frozen=True, slots=True)
class PopulationRisk:
    """The risk next to a population."""

    members: int
    """The members of the population."""
    sampling_fraction: float
    """Data subjects in the data ÷ members."""
    journalist: ReidentificationRisk | None = None
    """The risk if the attacker knows that a person is in the population; its average is the marketer's risk. None if only the
    size of the population is known."""
    unique_persons: int | None = None
    """The data subjects of the data whose combination no other member has; None if only the size is known."""
    estimate: PopulationUniques | None = None
    """The estimate of that number, if only the size is known."""


@dataclass(frozen=True, repr=False)
class Risk(JsonResult):
    """The measured disclosure risk of a table: counts and probabilities, and no value. `risk` makes one.

    Example:
        >>> import minimize
        >>> import pyarrow as pa
        >>> table = pa.table({"model": ["A", "A", "B"], "region": ["EU", "EU", "EU"]})
        >>> measured = minimize.risk(table, ["model", "region"])
        >>> measured.k, measured.prosecutor.highest, dict(measured.unique_without)
        (1, 1.0, {'model': 0, 'region': 1})
    """

    quasi_identifiers: tuple[str, ...]
    """The columns whose values an attacker may know."""
    sensitive: tuple[str, ...]
    """The columns that an attacker wants to learn."""
    person: str | None
    """The column that identifies data subjects; None if each record counts as one."""
    records: int
    """The records."""
    persons: int
    """The data subjects."""
    combinations: int
    """The different combinations of the quasi-identifiers."""
    k: int | None
    """The data subjects who share the rarest combination; None without records."""
    k_of_records: int | None
    """The records of the rarest combination; None without records."""
    unique: UniqueCounts
    """Who and what is unique."""
    sizes: tuple[SizeRange, ...]
    """The combinations by size, in doublings: 1, 2 to 3, 4 to 7, …."""
    trails: TrailCounts | None
    """The trails of data subjects; None if each record counts as one."""
    prosecutor: ReidentificationRisk
    """The risk if the attacker knows that a person is in the data; its average is also the marketer's risk."""
    unique_without: Mapping[str, int]
    """By attribute, the unique data subjects if it is left out."""
    measures: Mapping[str, Mapping[str, float | None]]
    """By sensitive column, the figure of each measure for the class that is worst protected. None without records, or for
    `recursive_l` if some class has too few values for any `c`."""
    population: PopulationRisk | None = None
    """The risk next to a population; None if none was named."""
    notes: tuple[str, ...] = field(default=(), metadata=OMIT_IF_EMPTY)
    """What limits the figures."""

    @classmethod
    def of_combinations(
        cls,
        combinations: Combinations,
        person: str | None = None,
        population: Combinations | int | None = None,
        notes: Iterable[str] = (),
    ) -> Risk:
        """The risk of counted combinations. `risk` counts them.

        Args:
            combinations: The counted combinations of a table.
            person: The name of the column of data subjects; None if each record counts as one.
            population: The counted combinations of a population, or its size.
            notes: What limits the numbers.

        Raises:
            ConfigurationError: The population has fewer members than the data has data subjects.
        """
        smallest = subject_sizes(combinations)
        sizes = combinations.person_counts
        if isinstance(population, int) and population < len(smallest):
            message = "the population has fewer members than the data has data subjects"
            raise ConfigurationError(message, hint="Name the number of members from which the data was taken.")
        return cls(
            quasi_identifiers=combinations.names,
            sensitive=tuple(each.name for each in combinations.sensitive),
            person=person,
            records=int(combinations.records.sum()),
            persons=len(smallest),
            combinations=len(combinations),
            k=int(sizes.min()) if len(sizes) else None,
            k_of_records=int(combinations.records.min()) if len(sizes) else None,
            unique=UniqueCounts(
                persons=int(np.count_nonzero(smallest == 1)),
                combinations=int(np.count_nonzero(sizes == 1)),
                records=int(np.count_nonzero(combinations.records == 1)),
            ),
            sizes=tuple(_size_ranges(sizes, combinations.records, smallest)),
            trails=count_trails(combinations),
            prosecutor=prosecutor_risk(combinations),
            unique_without=unique_without(combinations),
            measures=MappingProxyType(dict(_worst_figures(combinations))),
            population=None if population is None else _population_risk(combinations, len(smallest), population),
            notes=tuple(notes),
        )

    def __repr__(self) -> str:
        return (
            f"Risk(k={self.k}, unique_persons={self.unique.persons}, persons={self.persons}, records={self.records}, "
            f"quasi_identifiers={[*self.quasi_identifiers]})"
        )

    def __str__(self) -> str:
        return "\n".join(
            line.summary() if isinstance(line, RiskSummary) else _plain_table(line) if isinstance(line, Table) else line
            for line in self.lines()
            if isinstance(line, str | Table | RiskSummary)
        )

    def _repr_html_(self) -> str:
        return html_fragment(*self._paragraphs(), *filter(None, self.tables()))

    def lines(self) -> list[Line]:
        """The figures as text: a summary, then tables."""
        tables = (line for table in self.tables() if table for line in ("", f"{table.caption}:", table))
        return [RiskSummary(self), *tables, *(f"note: {note}" for note in self.notes)]

    @property
    def document(self) -> Section:
        """The figures as a page."""
        sections: list[Block] = [
            Section(table.caption, (Table("", table.head, table.rows, table.numbers),))
            for table in self.tables()
            if table
        ]
        return Section("How unique are the people in this data?", (*self._paragraphs(), *sections))

    def tables(self) -> list[Table]:
        """The tables of the figures."""
        return [self._size_table(), self._attribute_table(), *self._measure_tables()]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """The most important figures, each with its label."""
        persons = count_noun(self.persons, "person")
        yield (
            "table",
            f"{count_noun(self.records, 'record')} of {persons}{'' if self.person else ' (each record is one)'}",
        )
        yield "combinations", f"{format_number(self.combinations)} of {join_names(self.quasi_identifiers)}"
        if self.k is None:
            yield "k", "none: there are no records"
            return
        yield "k", f"{format_number(self.k)}: the rarest combination has {count_noun(self.k, 'person')}"
        unique = (
            f"{format_number(self.unique.persons)} of {persons} ({percent_text(self.unique.persons / self.persons)})"
        )
        yield "unique", f"{unique} have a combination to themselves"
        if self.trails is not None:
            yield (
                "by trail",
                (
                    f"{format_number(self.trails.unique)} persons are unique if all their combinations are known together"
                ),
            )
            yield "by records", f"{count_noun(self.unique.records, 'combination')} with one record"
        yield (
            "prosecutor",
            (
                f"highest risk {_share(self.prosecutor.highest)}, average {_share(self.prosecutor.average)}; "
                f"{percent_text(self.prosecutor.at_risk)} of persons have a risk above {AT_RISK_ABOVE:.0%}"
            ),
        )
        if self.population is not None:
            yield from _population_pairs(self.population, self.unique.persons)

    def _paragraphs(self) -> list[str]:
        return [*(f"{label}: {text}" for label, text in self.pairs()), *self.notes]

    def _size_table(self) -> Table:
        rows = [
            (each.label, *map(format_number, (each.combinations, each.persons, each.records))) for each in self.sizes
        ]
        head = ("persons who share a combination", "combinations", "persons", "records")
        return Table("How many persons share a combination", head, rows, numbers=1)

    def _attribute_table(self) -> Table:
        ordered = sorted(self.unique_without.items(), key=lambda item: item[1])
        rows = [(name, format_number(count), format_number(self.unique.persons - count)) for name, count in ordered]
        head = ("attribute", "unique persons without it", "fewer")
        return Table("Which attribute makes persons unique", head, rows if self.unique.persons else [], numbers=1)

    def _measure_tables(self) -> Iterator[Table]:
        for name, figures in self.measures.items():
            rows = [
                (measure, RISK_MEASURES[measure].title.rsplit(",", 1)[0], _figure_text(measure, figure))
                for measure, figure in figures.items()
                if self.k is not None
            ]
            yield Table(f"What a combination reveals about {name}", ("measure", "meaning", "figure"), rows, numbers=2)


@dataclass(frozen=True, slots=True)
class RiskSummary:
    """The most important figures of a risk as lines of text."""

    risk: Risk

    def summary(self, width: int = 100) -> str:
        """The lines, with about the given number of characters at most."""
        return "\n".join(["disclosure risk", *labelled_lines(self.risk.pairs(), 14, width)])


@redact_errors
def risk(
    frame: Any,
    quasi_identifiers: Names,
    sensitive: Names = (),
    person: str | None = None,
    population: Any = None,
) -> Risk:
    """Measures how unique the data subjects of a table are, and what can be inferred about them.

    Takes pandas, pyarrow, Polars, DuckDB or anything with the Arrow PyCapsule interface. The result has counts and names of
    columns, and no value. Null, NaN, an empty text and `*` are values of their own. Records without a person count together as
    one person.

    Args:
        frame: The table.
        quasi_identifiers: The columns whose values an attacker may know, such as age, postal code or device model.
        sensitive: The columns that an attacker wants to learn, such as an illness.
        person: The column that identifies a person or device. Without it, each record counts as a person.
        population: A table of the population with the same quasi-identifiers (and `person`, if it has several records of each
            member), or the number of its members.

    Returns:
        A `Risk`. Its numbers count data subjects and records; its probabilities and shares are between 0 and 1.

    Raises:
        ConfigurationError: A column is missing or cannot be measured, or the population is smaller than the data.
        SchemaError: A column of pandas has values of several types.

    Example:
        >>> import minimize
        >>> import pyarrow as pa
        >>> table = pa.table({"age": [34, 34, 51], "city": ["Bonn", "Bonn", "Ulm"], "illness": ["flu", "none", "flu"]})
        >>> measured = minimize.risk(table, ["age", "city"], sensitive=["illness"])
        >>> measured.k, measured.unique.persons, measured.measures["illness"].get("l")
        (1, 1, 1.0)
    """
    combinations = count_frame(frame, _as_names(quasi_identifiers), _as_names(sensitive), person)
    if population is None or isinstance(population, int):
        return Risk.of_combinations(combinations, person, check_population_size(population))
    return Risk.of_combinations(combinations, person, count_population(population, combinations.names, person))


def count_frame(frame: Any, quasi_identifiers: Names, sensitive: Names = (), person: str | None = None) -> Combinations:
    """The combinations of a table in memory. Raises ConfigurationError, SchemaError."""
    data = read_memory(frame, [*quasi_identifiers, *sensitive, *([] if person is None else [person])])
    check_columns(data.schema, quasi_identifiers, sensitive, person)
    tally = CombinationTally(quasi_identifiers, sensitive, person)
    for batch in data.open():
        tally.observe(batch)
    return tally.settle()


def count_population(frame: Any, quasi_identifiers: Names, person: str | None) -> Combinations:
    """The combinations of a population. Its members are counted by the column of persons, if it has this column."""
    names = read_memory(frame, quasi_identifiers).schema.names
    check_population_columns(names, quasi_identifiers)
    return count_frame(frame, quasi_identifiers, person=person if person in names else None)


def check_population_columns(names: Names, quasi_identifiers: Names) -> None:
    """Raises ConfigurationError if the population lacks a quasi-identifier."""
    missing = [name for name in quasi_identifiers if name not in names]
    if missing:
        message = f"the population has no column {', '.join(missing)}"
        raise ConfigurationError(message, hint="Pass a population with all quasi-identifiers, or only its size.")


def check_population_size(size: int | None) -> int | None:
    """The number of members of a population. Raises ConfigurationError if it is not positive."""
    if size is not None and (isinstance(size, bool) or size < 1):
        raise ConfigurationError("the size of the population must be a whole number from 1")
    return size


def check_columns(schema: pa.Schema, quasi_identifiers: Names, sensitive: Names, person: str | None) -> None:
    """Raises ConfigurationError for columns that are missing, named twice, or have several values in a record."""
    if not quasi_identifiers:
        raise ConfigurationError("no quasi-identifiers are named", hint="Name the columns that an attacker may know.")
    names = [*quasi_identifiers, *sensitive, *([] if person is None else [person])]
    for name in names:
        if name not in schema.names:
            raise ConfigurationError(f"the table has no column {name}", hint=did_you_mean(name, schema.names))
        if len(schema.get_all_field_indices(name)) > 1:
            raise ConfigurationError(f"the table has several columns {name}", hint="Rename one of them.")
        if pa.types.is_nested(storage_type(schema.field(name).type)):
            message = f"column {name} has lists or structures, and not one value in each record"
            raise ConfigurationError(message, hint="Name a column with single values.")
    _check_distinct_roles(quasi_identifiers, sensitive, person)


def _check_distinct_roles(quasi_identifiers: Names, sensitive: Names, person: str | None) -> None:
    both = [name for name in sensitive if name in quasi_identifiers]
    if both:
        message = f"{', '.join(both)} is both a quasi-identifier and sensitive"
        raise ConfigurationError(message, hint="An attacker either knows a value or wants to learn it: name it once.")
    if person is not None and person in (*quasi_identifiers, *sensitive):
        message = f"{person} identifies persons, so that it cannot also be a quasi-identifier or sensitive"
        raise ConfigurationError(message, hint="Name it only as the person.")
    names = [*quasi_identifiers, *sensitive]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigurationError(f"{', '.join(repeated)} is named twice", hint="Name each column once.")


def _as_names(names: Names) -> list[str]:
    """The names as a list. The letters of a single text would be searched one by one. Raises ConfigurationError."""
    listed = [names] if isinstance(names, str) else list(names) if isinstance(names, Iterable) else [names]
    if not all(isinstance(name, str) for name in listed):
        raise ConfigurationError("columns are named by texts", hint='Write quasi_identifiers=["age", "city"].')
    return listed


def _size_ranges(sizes: Codes, records: Codes, smallest_of_subject: Codes) -> Iterator[SizeRange]:
    """The sizes in doublings, without empty ranges."""
    power_of_combination, power_of_subject = _powers(sizes), _powers(smallest_of_subject)
    for power in np.unique(power_of_combination).tolist():
        within = power_of_combination == power
        yield SizeRange(
            from_=2**power,
            to=2 ** (power + 1) - 1,
            combinations=int(np.count_nonzero(within)),
            persons=int(np.count_nonzero(power_of_subject == power)),
            records=int(records[within].sum()),
        )


def _powers(sizes: Codes) -> Codes:
    """The exponent of the greatest power of 2 up to each size. Sizes are below 2**53, so `frexp` is exact."""
    return (np.frexp(sizes.astype(np.float64))[1] - 1).astype(np.int64)


def _worst_figures(combinations: Combinations) -> Iterator[tuple[str, Mapping[str, float | None]]]:
    """By sensitive column, the figure of the class that is worst protected by each measure."""
    classes = classes_as_they_are(combinations)
    views = Baseline.of_combinations(combinations).views(classes)
    for counts, view in zip(combinations.sensitive, views, strict=True):
        yield (
            counts.name,
            {
                name: _finite(measure.worst(measure.figures(classes, view)))
                for name, measure in RISK_MEASURES.items()
                if measure.needs_sensitive and not measure.needs_parameters
            },
        )


def _finite(figure: float | None) -> float | None:
    return None if figure is None or not np.isfinite(figure) else figure


def _population_risk(combinations: Combinations, persons: int, population: Combinations | int) -> PopulationRisk:
    members = population if isinstance(population, int) else _member_count(population)
    fraction = min(1.0, persons / members) if members else 1.0
    if isinstance(population, int):
        return PopulationRisk(members, fraction, estimate=estimate_uniques(combinations.person_counts, fraction))
    sizes = population_sizes(combinations, population)
    return PopulationRisk(
        members,
        fraction,
        journalist=journalist_risk(combinations, sizes),
        unique_persons=_subjects_in(combinations, sizes == 1),
    )


def _member_count(population: Combinations) -> int:
    return int(population.records.sum()) if population.persons is None else population.persons.count


def _subjects_in(combinations: Combinations, chosen: Any) -> int:
    """The number of data subjects in some combinations."""
    if combinations.persons is None:
        return int(combinations.records[chosen].sum())
    pairs = combinations.persons
    return len(np.unique(pairs.person[chosen[pairs.combination]]))


def _population_pairs(population: PopulationRisk, unique: int) -> Iterator[tuple[str, str]]:
    whole = f"the data has {_share(population.sampling_fraction)} of {count_noun(population.members, 'member')}"
    if population.journalist is not None:
        journalist = population.journalist
        yield "population", f"{whole}; {format_number(population.unique_persons or 0)} persons are unique in it"
        yield (
            "journalist",
            (
                f"highest risk {_share(journalist.highest)}, average {_share(journalist.average)} (marketer); "
                f"{percent_text(journalist.at_risk)} of persons have a risk above {AT_RISK_ABOVE:.0%}"
            ),
        )
    elif population.estimate is not None:
        low, high = (format_number(round(each)) for each in (population.estimate.low, population.estimate.high))
        extent = low if low == high else f"between {low} and {high}"
        yield (
            "population",
            (
                f"{whole}; an estimated {extent} of {format_number(unique)} unique persons are unique in it "
                "(the models disagree by this much, and can all be wrong)"
            ),
        )


def _share(share: float | None) -> str:
    """A share in percent with two significant digits."""
    return "" if share is None else f"{brief_number(100 * share)}%"


def _figure_text(measure: str, figure: float | None) -> str:
    if figure is None:
        return _INFINITE if measure in RISK_MEASURES else ""
    return format_number(int(figure)) if figure == int(figure) else f"{figure:.3g}"


def _plain_table(table: Table) -> str:
    """A table as text, with columns aligned."""
    rows = [tuple(table.head), *map(tuple, table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = len(widths) if table.numbers is None else table.numbers
    lines = (
        "  ".join(
            cell.rjust(width) if place >= numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
    return "\n".join(f"  {line}" for line in lines)
